//! The services that a diagnosis calls, spoken to in domain types.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use automap_proto::{
    budget::TestBudget,
    edge_frame::EdgeFrame,
    frame::MetricFrame,
    frame_stream::{FrameAnswer, PartAssembler},
    graph_stream::{BuiltGraph, GraphAssembler},
    incident::{ranges_to_wire, row_ranges},
    invalid::Invalid,
    settings::GraphSettings,
    throughput::ThroughputFit,
    time::TimeWindow,
    v1::{
        self, collector_service_client::CollectorServiceClient,
        diagnosis_claim_service_client::DiagnosisClaimServiceClient,
        graph_builder_service_client::GraphBuilderServiceClient,
        profiler_service_client::ProfilerServiceClient,
    },
};
use automap_service_kit::{
    client::{Channel, Dialer},
    deadline,
    error::{ErrorCode, ServiceError},
    graph_upload, retry,
};
use futures::{StreamExt as _, stream::BoxStream};
use tokio::time::Instant;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Response, Status};

use crate::{config::WalkerConfig, listener::Listener, peer_versions::PeerVersions};

/// Size of a sample on the wire.
const SAMPLE_BYTES: u64 = 8;

/// Clients of the three services that the walker calls.
#[derive(Debug, Clone)]
pub(crate) struct Peers {
    collector: CollectorServiceClient<Channel>,
    graph_builder: GraphBuilderServiceClient<Channel>,
    profiler: ProfilerServiceClient<Channel>,
    claims: DiagnosisClaimServiceClient<Channel>,
    attempts: usize,
    /// Which versions of them answered.
    pub(crate) versions: PeerVersions,
}

/// A frame with what its source said about it.
#[derive(Debug)]
pub(crate) struct Collected {
    pub(crate) frame: MetricFrame,
    /// What callers measured of their calls.
    pub(crate) edges: Option<EdgeFrame>,
    pub(crate) warnings: Vec<String>,
    /// Those of them that tell of metrics which the source has and the frame has not.
    pub(crate) left_out: Vec<String>,
    pub(crate) context: Option<v1::IncidentContext>,
    /// Who calls whom, where the source measures it.
    pub(crate) call_graph: Option<v1::CallGraph>,
}

/// Graphs by name, and the throughput fit where it was asked for.
pub(crate) type Graphs = (BTreeMap<String, BuiltGraph>, Option<ThroughputFit>);

/// What the graph-builder is asked for.
#[derive(Debug, Clone, Default)]
pub(crate) struct GraphOrder<'a> {
    pub(crate) settings: GraphSettings,
    /// The service whose correlations are wanted.
    pub(crate) front_end: &'a str,
    /// Rows of each graph, by its name.
    pub(crate) selections: Vec<(String, Vec<usize>)>,
    /// Bootstrap resamples of single graphs, by name, and what seeds them.
    pub(crate) resamples: BTreeMap<String, u32>,
    pub(crate) seed: u64,
    /// The graph whose edges tell their tests; empty for none.
    pub(crate) tested: &'a str,
    /// How much testing each graph may take.
    pub(crate) budget: TestBudget,
    /// Largest conditioning sets of single graphs, by name.
    pub(crate) max_conditions: BTreeMap<String, u32>,
    /// Rows of the throughput fit; empty for none.
    pub(crate) throughput_rows: &'a [usize],
}

/// Whether a service does not answer, as opposed to refusing what it was asked.
pub(crate) fn is_missing(error: &ServiceError) -> bool {
    matches!(error.code(), ErrorCode::Unavailable | ErrorCode::DeadlineExceeded)
}

/// How long the profiler is asked one thing by whom nobody waits for.
const PATIENCE: Duration = Duration::from_secs(20);

impl Peers {
    /// # Errors
    /// An address cannot be parsed, or a certificate cannot be used.
    pub(crate) fn connect(config: &WalkerConfig) -> Result<Self, Invalid> {
        let addresses = config.addresses();
        let dialer = Dialer::new("walker.client", &config.client, &addresses.map(|(_, url)| url))?;
        let [collector, graph_builder, profiler] = addresses.map(|(field, url)| dialer.channel(field, url));
        let profiler = profiler?;
        Ok(Self {
            collector: CollectorServiceClient::new(collector?),
            graph_builder: GraphBuilderServiceClient::new(graph_builder?),
            profiler: ProfilerServiceClient::new(profiler.clone()),
            claims: DiagnosisClaimServiceClient::new(profiler),
            attempts: config.client.attempts,
            versions: PeerVersions::default(),
        })
    }

    /// Asks the profiler something that may be asked twice without harm.
    pub(crate) async fn ask_profiler<Q, A, Call>(
        &self,
        request: Q,
        ask: impl Fn(ProfilerServiceClient<Channel>, Q) -> Call,
    ) -> Result<A, ServiceError>
    where
        Q: Clone,
        Call: Future<Output = Result<Response<A>, Status>>,
    {
        let asking = retry::idempotent(self.attempts, || {
            let call = ask(self.profiler.clone(), request.clone());
            async {
                let answer = call.await.map_err(|status| failed("profiler", status))?;
                self.versions.note("profiler", answer.metadata());
                Ok::<A, ServiceError>(answer.into_inner())
            }
        });
        // A diagnosis that nobody waits for would keep its turn until the profiler has room on its disk.
        let until = deadline::current().unwrap_or_else(|| Instant::now() + PATIENCE);
        deadline::within(until, asking).await
    }

    /// Asks the profiler something about who runs what.
    pub(crate) async fn ask_claims<Q, A, Call>(
        &self,
        request: Q,
        ask: impl Fn(DiagnosisClaimServiceClient<Channel>, Q) -> Call,
    ) -> Result<A, ServiceError>
    where
        Q: Clone,
        Call: Future<Output = Result<Response<A>, Status>>,
    {
        retry::idempotent(self.attempts, || {
            let call = ask(self.claims.clone(), request.clone());
            async { call.await.map(Response::into_inner).map_err(|status| failed("profiler", status)) }
        })
        .await
    }

    /// Tells the profiler what runs here, once: the next call comes soon.
    pub(crate) async fn renew_claims(
        &self,
        request: v1::RenewClaimsRequest,
    ) -> Result<v1::RenewClaimsResponse, ServiceError> {
        let answer = self.claims.clone().renew_claims(request).await;
        answer.map(Response::into_inner).map_err(|status| failed("profiler", status))
    }

    /// Hands a confirmation to the profiler, once: one that arrived and whose answer was lost must not count twice.
    pub(crate) async fn confirm(
        &self,
        request: v1::ConfirmRootCauseRequest,
    ) -> Result<v1::ConfirmRootCauseResponse, ServiceError> {
        let answer = self.profiler.clone().confirm_root_cause(request).await;
        answer.map(Response::into_inner).map_err(|status| failed("profiler", status))
    }

    /// Collects the frame of a source.
    pub(crate) async fn collect(
        &self,
        source: v1::MetricSource,
        window: Option<TimeWindow>,
        max_frame_bytes: usize,
        listener: &dyn Listener,
    ) -> Result<Collected, ServiceError> {
        let request = v1::CollectFrameRequest {
            source: Some(source),
            start: window.map(|window| window.start().to_wire()),
            end: window.map(|window| window.end().to_wire()),
        };
        retry::idempotent(self.attempts, || async {
            let answer = self.collector.clone().collect_frame(request.clone()).await;
            let answer = answer.map_err(|status| failed("collector", status))?;
            self.versions.note("collector", answer.metadata());
            let parts = answer.into_inner().map(|part| part.map(|response| response.part));
            assemble(parts.boxed(), max_frame_bytes, listener).await
        })
        .await
    }

    /// Has an uploaded recording parsed.
    pub(crate) async fn collect_recording(
        &self,
        upload: ReceiverStream<v1::CollectRecordingRequest>,
        max_frame_bytes: usize,
        listener: &dyn Listener,
    ) -> Result<Collected, ServiceError> {
        let answer = self
            .collector
            .clone()
            .collect_recording(upload)
            .await
            .map_err(|status| failed("collector", status))?;
        self.versions.note("collector", answer.metadata());
        let parts = answer.into_inner().map(|part| part.map(|response| response.part));
        assemble(parts.boxed(), max_frame_bytes, listener).await
    }

    /// Builds the graph of every selection of rows, and the throughput fit where it is asked for, reporting progress
    /// as it comes.
    pub(crate) async fn build_graphs(
        &self,
        frame: Arc<MetricFrame>,
        order: GraphOrder<'_>,
        listener: &dyn Listener,
    ) -> Result<Graphs, ServiceError> {
        let selections = order.selections.iter().map(|(name, rows)| v1::RowSelection {
            name: name.clone(),
            rows: ranges_to_wire(&row_ranges(rows)),
            resamples: order.resamples.get(name).copied().unwrap_or(0),
            edge_tests: name == order.tested,
        });
        let description = v1::GraphDescription {
            settings: Some((&order.settings).into()),
            selections: selections.collect(),
            front_end: order.front_end.into(),
            throughput_rows: ranges_to_wire(&row_ranges(order.throughput_rows)),
            max_conditions: order.max_conditions.into_iter().collect(),
            budget: order.budget.to_wire(),
            seed: order.seed,
            ..v1::GraphDescription::default()
        };
        retry::idempotent(self.attempts, || {
            self.build_once(Arc::clone(&frame), description.clone(), listener)
        })
        .await
    }

    async fn build_once(
        &self,
        frame: Arc<MetricFrame>,
        description: v1::GraphDescription,
        listener: &dyn Listener,
    ) -> Result<Graphs, ServiceError> {
        let requests = graph_upload::requests(frame, description);
        let answer = self
            .graph_builder
            .clone()
            .build_graph(requests)
            .await
            .map_err(|status| failed("graph-builder", status))?;
        self.versions.note("graph-builder", answer.metadata());
        let mut parts = answer.into_inner();
        let mut assembler = GraphAssembler::default();
        while let Some(response) = parts.message().await.map_err(|status| failed("graph-builder", status))? {
            if let Some(progress) = response.part.map(|part| assembler.push(part)).transpose()?.flatten() {
                listener.tested(&progress);
            }
        }
        Ok(assembler.finish_with_throughput()?)
    }
}

/// Names the service that failed; its own code and field stay.
pub(crate) fn failed(service: &str, status: Status) -> ServiceError {
    let error = ServiceError::from(status);
    match error.code() {
        ErrorCode::InvalidInput | ErrorCode::TooLittleData | ErrorCode::NotFound => error,
        // Nobody here cancelled: the peer is stopping.
        ErrorCode::Cancelled => {
            ServiceError::new(ErrorCode::Unavailable, format!("{service}: {}", error.message()))
        }
        _ => error.context(service),
    }
}

async fn assemble(
    mut parts: BoxStream<'static, Result<Option<v1::FramePart>, Status>>,
    max_frame_bytes: usize,
    listener: &dyn Listener,
) -> Result<Collected, ServiceError> {
    let mut assembler = PartAssembler::new(max_frame_bytes);
    let mut seen = Arrival::default();
    while let Some(part) = parts.next().await {
        let part = part.map_err(|status| failed("collector", status))?;
        seen.take(part.as_ref(), listener);
        assembler.push(part)?;
    }
    let FrameAnswer { frame, edges, summary } = assembler.finish()?;
    let v1::FrameSummary { warnings, left_out, context, call_graph } = summary;
    Ok(Collected { frame, edges, warnings, left_out, context, call_graph })
}

/// How much of a frame has come.
#[derive(Debug, Default)]
struct Arrival {
    series: u64,
    /// Samples of all series together.
    expected: u64,
    bytes: u64,
}

impl Arrival {
    fn take(&mut self, part: Option<&v1::FramePart>, listener: &dyn Listener) {
        use v1::frame_part::Part;
        match part.and_then(|part| part.part.as_ref()) {
            Some(Part::Header(header)) => {
                self.series = header.series.len() as u64;
                let samples = header.grid.as_ref().map_or(0, |grid| grid.samples);
                self.expected = self.series.saturating_mul(samples);
            }
            Some(Part::Chunk(chunk)) => self.bytes += chunk.data.len() as u64,
            _ => return,
        }
        if self.expected > 0 {
            let samples = self.bytes / SAMPLE_BYTES;
            listener.collected(self.series, samples, (samples as f64 / self.expected as f64).min(1.0));
        }
    }
}
