//! `automap graph`: the behaviour graph alone.

use std::sync::Arc;

use anyhow::Context as _;
use automap_client::upload::{ReadFault, read_in_chunks};
use automap_proto::{
    behavior_graph::BehaviorGraph,
    frame::MetricFrame,
    frame_stream::PartAssembler,
    graph_stream::GraphAssembler,
    incident::{WindowRows, ranges_to_wire, row_ranges},
    settings::GraphSettings,
    v1::{
        self, collect_recording_request, collector_service_client::CollectorServiceClient,
        graph_builder_service_client::GraphBuilderServiceClient,
    },
};
use automap_service_kit::{client, error::ServiceError, graph_upload};
use futures::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;

use crate::{
    arguments::{GraphArgs, GraphFormat, GraphWindow},
    drawing::{dot, picture::Picture, svg},
    embedded::{Addresses, Embedded},
    failure::Failure,
    incident_request::IncidentRequest,
    output::graph_json::GraphJson,
    piped_metrics::PipedMetrics,
    progress::Spinner,
    stdout,
};

/// Samples of a frame that one command takes, bytes.
const MAX_FRAME_BYTES: usize = 4 << 30;

/// What is said of a service that breaks its contract.
const WRONG_ANSWER: &str = "a service answered what it must not";

/// The name under which the graph is asked for.
const SELECTION: &str = "graph";

/// Runs the command.
///
/// # Errors
/// The recording or a flag is wrong, there is too little data, or a service failed.
pub async fn run(args: GraphArgs) -> Result<(), Failure> {
    let alpha = args.alpha.unwrap_or(args.ci_test.default_alpha());
    let piped = PipedMetrics::through(&args.path)?;
    let request = match &piped {
        Some(piped) => IncidentRequest::of_pipe(piped, &args.incident)?,
        None => IncidentRequest::new(&args.path, &args.incident)?,
    };
    let settings = GraphSettings::new(args.ci_test, alpha, args.max_condition, args.metrics.clone())?
        .with_bins(args.bins)
        .with_load_removal(args.load_removal, request.context().front_end())?;
    let scratch = tempfile::tempdir()?;
    let services = Embedded::start(scratch.path()).await?;
    let built = build(services.addresses(), &request, &settings, &args).await;
    services.stop().await?;
    let (graph, tests) = built?;
    match args.output {
        GraphFormat::Json => stdout::print_json(&GraphJson::new(&graph, tests)),
        GraphFormat::Dot => stdout::print(&dot::render(&Picture::of_graph(&graph))),
        GraphFormat::Svg => stdout::print(&svg::document(&Picture::of_graph(&graph))),
    }
}

async fn build(
    addresses: &Addresses,
    request: &IncidentRequest,
    settings: &GraphSettings,
    args: &GraphArgs,
) -> Result<(BehaviorGraph, u64), Failure> {
    let spinner = Spinner::new("reading metrics");
    let frame = collect(&addresses.collector, request).await?;
    let divided = WindowRows::divide(&frame, request.context())?;
    request.context().check_front_end(&frame)?;
    if let Some(warning) = divided.warning() {
        stdout::warning(&warning);
    }
    let rows = match args.window {
        GraphWindow::Incident => divided.incident,
        GraphWindow::Normal => divided.normal,
        GraphWindow::All => divided.all(),
    };
    let description = v1::GraphDescription {
        settings: Some(settings.into()),
        selections: vec![v1::RowSelection {
            name: SELECTION.into(),
            rows: ranges_to_wire(&row_ranges(&rows)),
            resamples: args.bootstrap_edges,
            edge_tests: true,
        }],
        seed: args.seed,
        budget: args.budget.to_wire(),
        ..v1::GraphDescription::default()
    };
    let requests = graph_upload::requests(Arc::new(frame), description);
    let channel = client::channel("graph-builder", &addresses.graph_builder)?;
    let mut builder = GraphBuilderServiceClient::new(channel);
    let mut answer = builder.build_graph(requests).await.map_err(ServiceError::from)?.into_inner();
    let mut assembler = GraphAssembler::default();
    while let Some(message) = answer.message().await.map_err(ServiceError::from)? {
        if let Some(progress) =
            message.part.map(|part| assembler.push(part)).transpose().context(WRONG_ANSWER)?.flatten()
        {
            spinner.show(&v1::DiagnosisProgress {
                detail: format!("testing at level {}, {} tests so far", progress.level, progress.tests),
                ..v1::DiagnosisProgress::default()
            });
        }
    }
    let built =
        assembler.finish()?.remove(SELECTION).context("the graph-builder answered without a graph")?;
    for warning in &built.warnings {
        stdout::warning(warning);
    }
    Ok((built.graph, built.tests))
}

/// Has the metrics of a recording read by the collector.
pub(crate) async fn collect(collector: &str, request: &IncidentRequest) -> Result<MetricFrame, Failure> {
    use collect_recording_request::Part;
    let fault = ReadFault::default();
    let data = read_in_chunks(request.metrics_file(), &fault)?;
    let first = futures::stream::iter([Some(Part::Description(request.description().clone()))]);
    let requests = first
        .chain(ReceiverStream::new(data).map(|chunk| chunk.map(|bytes| Part::Data(bytes.into()))))
        .map(|part| v1::CollectRecordingRequest { part });
    let mut client = CollectorServiceClient::new(client::channel("collector", collector)?);
    let answered = client.collect_recording(requests).await;
    let mut answer = answered.map_err(|status| broken(&fault, status))?.into_inner();
    let mut assembler = PartAssembler::new(MAX_FRAME_BYTES);
    while let Some(message) = answer.message().await.map_err(|status| broken(&fault, status))? {
        assembler.push(message.part).context(WRONG_ANSWER)?;
    }
    let answer = assembler.finish().context(WRONG_ANSWER)?;
    for warning in answer.summary.warnings {
        stdout::warning(&warning);
    }
    Ok(answer.frame)
}

/// What is told of a call that failed: a file that cannot be read is the reason, and not what the collector made of it.
fn broken(fault: &ReadFault, status: tonic::Status) -> Failure {
    fault.take().map_or_else(|| ServiceError::from(status).into(), Failure::from)
}
