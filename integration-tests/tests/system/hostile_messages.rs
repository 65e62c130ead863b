//! Messages that no honest client sends: refused with an error, and the services go on.

use std::path::Path;

use automap_integration_tests::{processes::FourProcesses, recording};
use automap_proto::v1::{self, graph_builder_service_client::GraphBuilderServiceClient};
use automap_service_kit::client;
use prost::{
    Message as _,
    bytes::{Buf as _, BufMut as _, Bytes},
};
use tonic::{
    Code, Status,
    client::Grpc,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
    codegen::http::uri::PathAndQuery,
};

/// Sends and receives bytes as they are.
#[derive(Default)]
struct Raw;

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        let length = buffer.remaining();
        Ok(Some(buffer.copy_to_bytes(length)))
    }
}

/// Calls `path` with these messages and answers how it ended: the first error, or the end of the answers.
async fn call(address: &str, path: &'static str, messages: Vec<Bytes>) -> Result<(), Status> {
    let mut grpc =
        Grpc::new(client::channel("address", address).unwrap()).max_encoding_message_size(usize::MAX);
    grpc.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
    let request = tonic::Request::new(futures::stream::iter(messages));
    let answer = grpc.streaming(request, PathAndQuery::from_static(path), Raw).await?;
    let mut stream = answer.into_inner();
    while stream.message().await?.is_some() {}
    Ok(())
}

/// Every method with the service that answers it.
fn methods(four: &FourProcesses) -> Vec<(String, &'static str)> {
    let (walker, builder) = (&four.walker.address, &four.graph_builder.address);
    let (collector, profiler) = (&four.collector.address, &four.profiler.address);
    vec![
        (collector.clone(), "/automap.v1.CollectorService/CollectFrame"),
        (collector.clone(), "/automap.v1.CollectorService/CollectRecording"),
        (collector.clone(), "/automap.v1.CollectorService/ListServices"),
        (collector.clone(), "/automap.v1.CollectorService/CheckSource"),
        (builder.clone(), "/automap.v1.GraphBuilderService/BuildGraph"),
        (builder.clone(), "/automap.v1.GraphBuilderService/PutInput"),
        (builder.clone(), "/automap.v1.GraphBuilderService/TestEdges"),
        (builder.clone(), "/automap.v1.GraphBuilderService/TestResamples"),
        (profiler.clone(), "/automap.v1.ProfilerService/AddNormalGraph"),
        (profiler.clone(), "/automap.v1.ProfilerService/AddNormalRows"),
        (profiler.clone(), "/automap.v1.ProfilerService/GetNormalRows"),
        (profiler.clone(), "/automap.v1.ProfilerService/GetBaselines"),
        (profiler.clone(), "/automap.v1.ProfilerService/WeighMetrics"),
        (profiler.clone(), "/automap.v1.ProfilerService/RecordIncident"),
        (profiler.clone(), "/automap.v1.ProfilerService/ConfirmRootCause"),
        (profiler.clone(), "/automap.v1.ProfilerService/PutDiagnosis"),
        (profiler.clone(), "/automap.v1.ProfilerService/ImportStore"),
        (walker.clone(), "/automap.v1.WalkerService/Diagnose"),
        (walker.clone(), "/automap.v1.WalkerService/DiagnoseRecording"),
        (walker.clone(), "/automap.v1.WalkerService/LearnRecording"),
        (walker.clone(), "/automap.v1.WalkerService/LearnSource"),
        (walker.clone(), "/automap.v1.WalkerService/StartDiagnosis"),
        (walker.clone(), "/automap.v1.WalkerService/ExplainService"),
    ]
}

fn assert_still_serving(home: &Path, incident: &Path, four: &mut FourProcesses) {
    assert!(four.run(), "a service ended");
    let answer = super::deployment::diagnose(home, incident, &["--server", &four.walker.address], None);
    assert!(answer.contains("\"ranking\""));
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_are_no_message_are_refused_by_every_method() {
    let home = tempfile::tempdir().unwrap();
    let incident = recording::demo_incident(home.path()).unwrap();
    let mut four = FourProcesses::start(home.path(), home.path()).unwrap();
    let garbage: [&[u8]; 4] = [
        // A field that promises 127 bytes and brings two.
        &[0x0a, 0x7f, 0x01, 0x02],
        // A number without its end.
        &[0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
        // A group that never ends.
        &[0x0b, 0x0b, 0x0b],
        // Nothing at all where something is needed.
        &[],
    ];
    for (address, path) in methods(&four) {
        for bytes in garbage {
            let ended = call(&address, path, vec![Bytes::from_static(bytes)]).await;
            // An empty import is a valid import of nothing.
            if path.ends_with("ImportStore") && bytes.is_empty() {
                continue;
            }
            let status = ended.expect_err(path);
            assert!(
                matches!(status.code(), Code::InvalidArgument | Code::Internal | Code::NotFound),
                "{path} {bytes:?}: {status}"
            );
            assert!(!status.message().is_empty(), "{path}");
        }
    }
    assert_still_serving(home.path(), &incident, &mut four);
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_above_the_limit_are_refused_by_every_method() {
    let home = tempfile::tempdir().unwrap();
    let incident = recording::demo_incident(home.path()).unwrap();
    let mut four = FourProcesses::start(home.path(), home.path()).unwrap();
    let mut large = vec![0x0a];
    prost::encoding::encode_varint(5 << 20, &mut large);
    large.resize(large.len() + (5 << 20), b'x');
    let large = Bytes::from(large);
    for (address, path) in methods(&four) {
        let status = call(&address, path, vec![large.clone()]).await.expect_err(path);
        assert!(matches!(status.code(), Code::OutOfRange | Code::InvalidArgument), "{path}: {status}");
        assert!(status.message().contains("too large"), "{path}: {status}");
    }
    assert_still_serving(home.path(), &incident, &mut four);
}

/// A description of one series of four samples.
fn description() -> v1::GraphDescription {
    let grid = v1::TimeGrid {
        start: Some(Default::default()),
        step: Some(automap_proto::time::duration_to_wire(1000)),
        samples: 4,
    };
    let series = v1::SeriesKey { service: 0, metric: v1::MetricKind::Cpu.into(), name: "cpu".into() };
    v1::GraphDescription {
        frame: Some(v1::MetricFrameHeader {
            grid: Some(grid),
            services: vec!["web".into()],
            series: vec![series],
        }),
        settings: Some((&automap_proto::settings::GraphSettings::default()).into()),
        selections: vec![v1::RowSelection {
            name: "all".into(),
            rows: vec![v1::RowRange { first: 0, end: 4 }],
            ..v1::RowSelection::default()
        }],
        ..v1::GraphDescription::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frame_whose_bytes_contradict_its_shape_is_refused() {
    use v1::build_graph_request::Part;
    let home = tempfile::tempdir().unwrap();
    let four = FourProcesses::start(home.path(), home.path()).unwrap();
    let mut builder =
        GraphBuilderServiceClient::new(client::channel("address", &four.graph_builder.address).unwrap());
    let mut build = async |description: v1::GraphDescription, bytes: usize| {
        let chunk = v1::FrameChunk { data: vec![0; bytes].into() };
        let parts = [Part::Description(description), Part::Chunk(chunk)];
        let requests = futures::stream::iter(parts.map(|part| v1::BuildGraphRequest { part: Some(part) }));
        let mut answer = builder.build_graph(requests).await?.into_inner();
        while answer.message().await?.is_some() {}
        Ok::<(), Status>(())
    };
    build(description(), 32).await.unwrap();
    for bytes in [0, 31, 33, 1 << 20] {
        let status = build(description(), bytes).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{bytes}: {status}");
        assert!(status.message().contains("chunk.data"), "{status}");
    }
    let mut promising = description();
    if let Some(grid) = promising.frame.as_mut().and_then(|frame| frame.grid.as_mut()) {
        grid.samples = u64::MAX;
    }
    assert!(build(promising.clone(), 32).await.unwrap_err().message().contains("grid.samples"));
    assert!(promising.encode_to_vec().len() < 200);
    build(description(), 32).await.unwrap();
}
