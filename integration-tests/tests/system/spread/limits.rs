//! Frames of too many services: refused before they take memory.

use automap_integration_tests::{processes::Service, usage};
use automap_proto::{
    metric::MetricKind,
    settings::GraphSettings,
    time::duration_to_wire,
    v1::{
        self, build_graph_request::Part, graph_builder_service_client::GraphBuilderServiceClient,
        put_input_request::Part as InputPart,
    },
};
use automap_service_kit::{
    client,
    error::{ErrorCode, ServiceError},
};

const SERVICES: u32 = 20_000;
const SAMPLES: u64 = 720;

/// Memory that a refusal may take at its peak: names and keys of the header as they were read, 140,000 of them. The samples
/// would take 806 MB, and a matrix of correlations 3.2 GB.
const BOUND: u64 = 100 << 20;

fn header() -> v1::MetricFrameHeader {
    let keys = |service| {
        MetricKind::ALL.into_iter().map(move |kind| v1::SeriesKey {
            service,
            metric: kind.to_wire().into(),
            name: kind.name().into(),
        })
    };
    v1::MetricFrameHeader {
        grid: Some(v1::TimeGrid {
            start: Some(Default::default()),
            step: Some(duration_to_wire(5000)),
            samples: SAMPLES,
        }),
        services: (0..SERVICES).map(|service| format!("s{service:05}")).collect(),
        series: (0..SERVICES).flat_map(keys).collect(),
    }
}

fn rows() -> Vec<v1::RowRange> {
    vec![v1::RowRange { first: 0, end: SAMPLES }]
}

/// Chunks of zeros, as many as the frame has: whoever takes them all takes the memory.
fn chunks() -> impl Iterator<Item = v1::FrameChunk> + Send {
    let zeros = prost::bytes::Bytes::from(vec![0; 1 << 20]);
    let bytes = u64::from(SERVICES) * 7 * SAMPLES * 8;
    (0..bytes.div_ceil(1 << 20)).map(move |_| v1::FrameChunk { data: zeros.clone() })
}

async fn build(service: &Service) -> ServiceError {
    let description = v1::GraphDescription {
        frame: Some(header()),
        settings: Some((&GraphSettings::default()).into()),
        selections: vec![v1::RowSelection { name: "all".into(), rows: rows(), ..Default::default() }],
        ..v1::GraphDescription::default()
    };
    let parts = std::iter::once(Part::Description(description)).chain(chunks().map(Part::Chunk));
    let messages = parts.map(|part| v1::BuildGraphRequest { part: Some(part) });
    let mut client = GraphBuilderServiceClient::new(client::channel("test", &service.address).unwrap());
    client.build_graph(futures::stream::iter(messages)).await.map(|_| ()).unwrap_err().into()
}

async fn put(service: &Service) -> ServiceError {
    let description = v1::InputDescription { frame: Some(header()), rows: rows() };
    let parts = std::iter::once(InputPart::Description(description)).chain(chunks().map(InputPart::Chunk));
    let messages = parts.map(|part| v1::PutInputRequest { part: Some(part) });
    let mut client = GraphBuilderServiceClient::new(client::channel("test", &service.address).unwrap());
    client.put_input(futures::stream::iter(messages)).await.unwrap_err().into()
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_thousand_services_are_refused_before_they_take_memory() {
    for (more, field, way_out) in [
        ("", "description.frame.services", "max-services"),
        // Who allows so many services is still held to the size of frames.
        ("max-services = 20000\nserver.max-frame-mib = 256\n", "description.frame", "max-frame-mib"),
    ] {
        let home = tempfile::tempdir().unwrap();
        let configuration = format!("[graph-builder]\n{more}server.listen = \"127.0.0.1:0\"\n");
        let service = Service::start(home.path(), "graph-builder", &configuration).unwrap();
        let (_, before) = usage::memory(service.id()).unwrap();
        for error in [build(&service).await, put(&service).await] {
            assert_eq!((error.code(), error.field()), (ErrorCode::InvalidInput, Some(field)), "{error}");
            assert!(error.message().contains(way_out), "{error}");
        }
        let (_, peak) = usage::memory(service.id()).unwrap();
        println!("{field}: {} MiB at the peak before, {} MiB after", before >> 20, peak >> 20);
        assert!(peak < before + BOUND, "{field}: {before} bytes before, {peak} after");
    }
}
