//! The service over a real connection.

#![allow(clippy::unwrap_used, reason = "what fails to unwrap in a test fails the test")]

mod linear_gaussian;

use std::{
    sync::atomic::AtomicBool,
    time::{Duration, Instant},
};

use automap_graph_builder::{
    build::build, config::GraphBuilderConfig, load_removal::Load, prepared::Prepared, standardise::select,
    throughput::throughput_fit,
};
use automap_proto::{
    behavior_graph::BehaviorGraph,
    frame::MetricFrame,
    frame_stream,
    load_removal::LoadRemoval,
    metric::MetricKind,
    settings::{Bins, CiTest, GraphSettings},
    v1::{
        self, build_graph_request::Part as BuildPart, build_graph_response::Part as AnswerPart,
        graph_builder_service_client::GraphBuilderServiceClient, put_input_request::Part as PutPart,
    },
};
use automap_service_kit::{
    client::{self, Channel},
    error::{ErrorCode, ServiceError},
};
use linear_gaussian::shared_load;
use tokio::{net::TcpListener, sync::mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::{CancellationToken, DropGuard};

type Client = GraphBuilderServiceClient<Channel>;

/// A running service; it ends when this is dropped.
struct Running {
    client: Client,
    url: String,
    _shutdown: DropGuard,
}

async fn start(config: GraphBuilderConfig) -> Running {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let shutdown = CancellationToken::new();
    tokio::spawn(automap_graph_builder::serve(listener, config, shutdown.clone()));
    let url = format!("http://{address}");
    Running { client: connect(&url), url, _shutdown: shutdown.drop_guard() }
}

fn connect(url: &str) -> Client {
    Client::new(client::channel("test", url).unwrap())
}

/// Defaults, one build at a time and nobody waiting.
fn narrow() -> GraphBuilderConfig {
    GraphBuilderConfig { concurrent_builds: 1, queued_builds: 0, ..GraphBuilderConfig::default() }
}

fn rows(first: u64, end: u64) -> Vec<v1::RowRange> {
    vec![v1::RowRange { first, end }]
}

fn selection(name: &str, rows: Vec<v1::RowRange>) -> v1::RowSelection {
    v1::RowSelection { name: name.into(), rows, ..v1::RowSelection::default() }
}

fn description(frame: &MetricFrame) -> v1::GraphDescription {
    v1::GraphDescription {
        frame: Some(frame_stream::header(frame)),
        settings: Some((&GraphSettings::default()).into()),
        selections: vec![v1::RowSelection {
            name: "incident".into(),
            rows: rows(0, frame.grid().samples() as u64),
            ..v1::RowSelection::default()
        }],
        front_end: frame.services()[0].clone(),
        ..v1::GraphDescription::default()
    }
}

fn request(part: BuildPart) -> v1::BuildGraphRequest {
    v1::BuildGraphRequest { part: Some(part) }
}

/// The messages of a whole upload.
fn upload(description: v1::GraphDescription, frame: &MetricFrame) -> Vec<v1::BuildGraphRequest> {
    let chunks = frame_stream::chunks(frame).map(|chunk| request(BuildPart::Chunk(chunk)));
    [request(BuildPart::Description(description))].into_iter().chain(chunks).collect()
}

/// A graph as it arrived.
struct Received {
    header: v1::GraphHeader,
    edges: Vec<v1::BehaviorEdge>,
    edge_messages: usize,
}

impl Received {
    fn graph(&self) -> BehaviorGraph {
        BehaviorGraph::try_from(&v1::BehaviorGraph {
            services: self.header.services.clone(),
            edges: self.edges.clone(),
        })
        .unwrap()
    }
}

#[derive(Default)]
struct Answer {
    graphs: Vec<Received>,
    progress: Vec<v1::GraphProgress>,
    throughput: Vec<v1::ThroughputFit>,
}

async fn call(client: &Client, messages: Vec<v1::BuildGraphRequest>) -> Result<Answer, ServiceError> {
    let mut stream = client.clone().build_graph(futures::stream::iter(messages)).await?.into_inner();
    let mut answer = Answer::default();
    while let Some(message) = stream.message().await? {
        match message.part.unwrap() {
            AnswerPart::Progress(progress) => answer.progress.push(progress),
            AnswerPart::Graph(header) => {
                answer.graphs.push(Received { header, edges: Vec::new(), edge_messages: 0 })
            }
            AnswerPart::Edges(part) => {
                let graph = answer.graphs.last_mut().unwrap();
                graph.edges.extend(part.edges);
                graph.edge_messages += 1;
            }
            AnswerPart::Throughput(part) => answer.throughput.push(part),
        }
    }
    Ok(answer)
}

async fn assert_still_serves(client: &Client) {
    let frame = shared_load(4, 60, 1.0, 1).frame();
    let answer = call(client, upload(description(&frame), &frame)).await.unwrap();
    assert_eq!(answer.graphs.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_are_those_of_the_algorithm() {
    let service = start(GraphBuilderConfig::default()).await;
    let frame = shared_load(12, 150, 1.0, 2).frame();
    let mut asked = description(&frame);
    asked.selections.push(selection("normal-0", [rows(0, 40), rows(50, 90)].concat()));
    asked.throughput_rows = rows(10, 100);
    let answer = call(&service.client, upload(asked, &frame)).await.unwrap();

    let selected: [Vec<usize>; 2] = [(0..150).collect(), (0..40).chain(50..90).collect()];
    for ((graph, name), selected) in answer.graphs.iter().zip(["incident", "normal-0"]).zip(&selected) {
        let settings = GraphSettings::default();
        let expected =
            build(&frame, selected, &settings, Some(0), &AtomicBool::new(false), &mut |_| {}).unwrap();
        assert_eq!(graph.header.selection, name);
        assert_eq!(graph.header.samples, selected.len() as u64);
        assert_eq!(graph.header.tests, expected.tests);
        assert_eq!(graph.header.edge_count, graph.edges.len() as u64);
        assert_eq!(graph.graph(), expected.graph);
        for (received, expected) in graph.header.correlations.iter().zip(expected.correlations.unwrap()) {
            assert_eq!(received.absolute, expected);
        }
        assert_eq!(graph.header.correlations.len(), 7);
        let last = answer.progress.iter().rfind(|progress| progress.selection == name).unwrap();
        assert_eq!(last.tests, graph.header.tests);
    }
    assert_eq!(answer.graphs.len(), 2);

    let fit = throughput_fit(&frame, &(10..100).collect::<Vec<_>>());
    assert_eq!(answer.throughput.len(), 1);
    assert_eq!(answer.throughput[0].services, frame.services());
    let (values, _) = answer.throughput[0].r_squared.as_chunks::<8>();
    assert_eq!(values.iter().map(|bytes| f64::from_le_bytes(*bytes)).collect::<Vec<_>>(), fit.r_squared);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_graph_of_a_call_may_be_tested_less_deeply() {
    let service = start(GraphBuilderConfig::default()).await;
    let frame = shared_load(12, 150, 1.0, 2).frame();
    let mut asked = description(&frame);
    asked.selections.push(selection("skeleton", rows(0, 150)));
    asked.max_conditions.insert("skeleton".into(), 0);
    let answer = call(&service.client, upload(asked.clone(), &frame)).await.unwrap();
    let all: Vec<usize> = (0..150).collect();
    for (graph, level) in answer.graphs.iter().zip([3, 0]) {
        let settings = GraphSettings::default().with_max_condition(level);
        let expected = build(&frame, &all, &settings, None, &AtomicBool::new(false), &mut |_| {}).unwrap();
        assert_eq!(graph.graph(), expected.graph);
    }
    asked.max_conditions.insert("skeletno".into(), 0);
    let error = call(&service.client, upload(asked, &frame)).await.err().unwrap();
    assert!(error.message().contains("skeletno is the name of no selection"), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_budget_cuts_the_graph_and_says_so() {
    let service = start(GraphBuilderConfig { max_tests: 20_000, ..GraphBuilderConfig::default() }).await;
    let frame = shared_load(24, 200, 1.5, 2).frame();
    let asked_with = |budget: Option<v1::TestBudget>| {
        let mut asked = description(&frame);
        asked.budget = budget;
        call(&service.client, upload(asked, &frame))
    };
    let limit = |limit| Some(v1::TestBudget { limit: Some(limit) });
    let tests = async |budget| {
        let answer = asked_with(budget).await.unwrap();
        let header = &answer.graphs[0].header;
        assert!(header.warnings[0].contains("the budget of"), "{:?}", header.warnings);
        assert!(header.levels.iter().any(|level| level.cut_pairs > 0), "{:?}", header.levels);
        header.tests
    };
    // The smaller of the two limits counts.
    assert!(tests(limit(v1::test_budget::Limit::Tests(7000))).await <= 7000);
    let most = tests(limit(v1::test_budget::Limit::Tests(7_000_000))).await;
    assert!((7000..=20_000).contains(&most), "{most}");
    assert_eq!(tests(None).await, most);
    assert_eq!(tests(limit(v1::test_budget::Limit::Seconds(3600.0))).await, most);
    let error = asked_with(limit(v1::test_budget::Limit::Tests(0))).await.err().unwrap();
    assert_eq!(error.field(), Some("description.budget.tests"));
}

#[tokio::test(flavor = "multi_thread")]
async fn edges_tell_their_tests_to_whoever_asks() {
    let service = start(GraphBuilderConfig::default()).await;
    let frame = shared_load(6, 120, 0.5, 2).frame();
    let mut asked = description(&frame);
    asked.selections.push(v1::RowSelection { edge_tests: true, ..selection("told", rows(0, 120)) });
    let answer = call(&service.client, upload(asked, &frame)).await.unwrap();
    let [plain, told] = &answer.graphs[..] else { panic!("two graphs were asked for") };
    assert!(!told.edges.is_empty() && plain.edges.iter().all(|edge| edge.tests.is_empty()));
    for edge in &told.edges {
        let metrics = edge.bit_counts.iter().filter(|count| **count > 0).count();
        assert_eq!(edge.tests.len(), metrics, "{edge:?}");
        for test in &edge.tests {
            assert!(test.samples == 120 && test.largest_p_value.is_some_and(|p| p < 0.05), "{test:?}");
        }
    }
    assert_eq!(told.graph().without_tests(), plain.graph());
}

#[tokio::test(flavor = "multi_thread")]
async fn edges_tell_the_share_of_resamples_in_which_they_stand() {
    let service = start(GraphBuilderConfig::default()).await;
    let frame = shared_load(6, 120, 0.5, 2).frame();
    let edges = async |resamples, seed| {
        let mut asked = description(&frame);
        (asked.selections[0].resamples, asked.seed) = (resamples, seed);
        Ok(call(&service.client, upload(asked, &frame)).await?.graphs.remove(0).edges)
    };
    let told = edges(40, 7).await.unwrap();
    assert!(!told.is_empty() && told.iter().all(|edge| edge.confidence.is_some_and(|share| share > 0.0)));
    assert!(told.iter().any(|edge| edge.confidence < Some(1.0)));
    assert_eq!(told, edges(40, 7).await.unwrap());
    assert_ne!(told, edges(40, 8).await.unwrap());
    assert!(edges(0, 7).await.unwrap().iter().all(|edge| edge.confidence.is_none()));
    let error: ServiceError = edges(1001, 0).await.unwrap_err();
    assert_eq!(error.field(), Some("description.selections[0].resamples"));
}

#[tokio::test(flavor = "multi_thread")]
async fn large_graphs_come_in_parts_and_short_windows_come_empty() {
    let service = start(GraphBuilderConfig::default()).await;
    let frame = shared_load(160, 60, 5.0, 3).frame();
    let mut asked = description(&frame);
    asked.settings = Some(v1::GraphSettings { max_condition: 0, ..asked.settings.unwrap() });
    asked.selections.push(selection("short", rows(0, 3)));
    let answer = call(&service.client, upload(asked, &frame)).await.unwrap();
    assert_eq!(answer.graphs[0].edges.len(), 160 * 159);
    assert_eq!(answer.graphs[0].edge_messages, 7);
    assert_eq!((answer.graphs[1].edges.len(), answer.graphs[1].header.samples), (0, 3));
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_requests_name_their_field_and_harm_nobody() {
    let config = GraphBuilderConfig { max_services: 8, ..narrow() };
    let service = start(config).await;
    let frame = shared_load(3, 20, 1.0, 4).frame();
    let good = || upload(description(&frame), &frame);
    let described = |change: &dyn Fn(&mut v1::GraphDescription)| {
        let mut description = description(&frame);
        change(&mut description);
        upload(description, &frame)
    };
    let with_header = |change: &dyn Fn(&mut v1::MetricFrameHeader)| {
        described(&|description| change(description.frame.as_mut().unwrap()))
    };
    let chunk = |bytes: usize| request(BuildPart::Chunk(v1::FrameChunk { data: vec![0; bytes].into() }));
    let head = || request(BuildPart::Description(description(&frame)));
    let large = shared_load(9, 20, 1.0, 4).frame();
    let cases = [
        ("description", vec![]),
        ("part", vec![v1::BuildGraphRequest { part: None }]),
        ("part", vec![chunk(8)]),
        ("part", vec![head(), head()]),
        ("part", vec![head(), v1::BuildGraphRequest { part: None }]),
        ("chunk.data", vec![head()]),
        ("chunk.data", vec![head(), chunk(21 * 20 * 8 - 1)]),
        ("chunk.data", vec![head(), chunk(21 * 20 * 8), chunk(1)]),
        ("description.frame", described(&|description| description.frame = None)),
        ("description.frame.services", upload(description(&large), &large)),
        ("description.frame.grid", with_header(&|header| header.grid = None)),
        (
            "description.frame.grid.samples",
            with_header(&|header| header.grid.as_mut().unwrap().samples = u64::MAX),
        ),
        ("description.frame", with_header(&|header| header.grid.as_mut().unwrap().samples = 1 << 24)),
        ("description.frame.series[0].service", with_header(&|header| header.series[0].service = u32::MAX)),
        ("description.frame.series[1].metric", with_header(&|header| header.series[1].metric = 99)),
        ("frame.series[0].service", with_header(&|header| header.services[0] = "\n".into())),
        (
            "description.settings.alpha",
            described(&|description| description.settings.as_mut().unwrap().alpha = f64::NAN),
        ),
        ("description.selections", described(&|description| description.selections.clear())),
        (
            "description.selections[1].name",
            described(&|description| description.selections.push(description.selections[0].clone())),
        ),
        (
            "description.selections[0].rows[0]",
            described(&|description| description.selections[0].rows = rows(5, 21)),
        ),
        (
            "description.throughput_rows[0]",
            described(&|description| description.throughput_rows = rows(5, 5)),
        ),
        ("description.front_end", described(&|description| description.front_end = "s00".into())),
    ];
    for (field, messages) in cases {
        let error = call(&service.client, messages).await.err().unwrap();
        assert_eq!(error.code(), ErrorCode::InvalidInput, "{field}: {error}");
        assert_eq!(error.field(), Some(field), "{error}");
        assert!(call(&service.client, good()).await.is_ok(), "after {field}");
    }
    let error = call(&service.client, described(&|description| description.front_end = "s01".into()))
        .await
        .err()
        .unwrap();
    assert!(error.message().contains("did you mean s00"), "{error}");
}

type UnfinishedCall = tokio::task::JoinHandle<Result<(), ServiceError>>;

/// A call that has sent its description and keeps its stream open.
async fn begin_upload(
    client: &Client,
    frame: &MetricFrame,
) -> (mpsc::Sender<v1::BuildGraphRequest>, UnfinishedCall) {
    let (sender, receiver) = mpsc::channel(4);
    sender.send(request(BuildPart::Description(description(frame)))).await.unwrap();
    let mut client = client.clone();
    let call = tokio::spawn(async move {
        client.build_graph(ReceiverStream::new(receiver)).await?;
        Ok(())
    });
    (sender, call)
}

/// Calls until the only place is free again.
async fn wait_for_a_place(client: &Client) {
    let frame = shared_load(4, 60, 1.0, 1).frame();
    let begun = Instant::now();
    loop {
        match call(client, upload(description(&frame), &frame)).await {
            Ok(_) => return,
            Err(error) => assert_eq!(error.code(), ErrorCode::Overloaded, "{error}"),
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "the place is never given back");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Takes the only place with an upload that does not end; also answers how another call is refused then.
async fn occupy(
    client: &Client,
    frame: &MetricFrame,
) -> (mpsc::Sender<v1::BuildGraphRequest>, UnfinishedCall, ServiceError) {
    loop {
        let (sender, unfinished) = begin_upload(client, frame).await;
        // The upload itself is refused when it arrives during one of these calls.
        while !unfinished.is_finished() {
            let refused = call(client, Vec::new()).await.err().unwrap();
            if refused.code() == ErrorCode::Overloaded && !unfinished.is_finished() {
                return (sender, unfinished, refused);
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_disappears_while_sending_gives_its_place_back() {
    let service = start(narrow()).await;
    let frame = shared_load(3, 20, 1.0, 5).frame();
    let (sender, unfinished, refused) = occupy(&service.client, &frame).await;
    assert!(refused.message().contains("queued-builds"), "{refused}");
    unfinished.abort();
    drop(sender);
    wait_for_a_place(&service.client).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_sends_nothing_loses_its_place() {
    let config = GraphBuilderConfig { patience_seconds: 1, ..narrow() };
    let service = start(config).await;
    let frame = shared_load(3, 20, 1.0, 5).frame();
    let (_sender, call) = begin_upload(&service.client, &frame).await;
    let error = call.await.unwrap().unwrap_err();
    assert_eq!(error.code(), ErrorCode::DeadlineExceeded);
    assert_still_serves(&service.client).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_not_taken_ends_with_an_error() {
    let config = GraphBuilderConfig { patience_seconds: 1, ..narrow() };
    let service = start(config).await;
    // 100 graphs of 40,000 edges are far more than the windows of the transport hold.
    let frame = shared_load(200, 60, 5.0, 9).frame();
    let mut asked = description(&frame);
    asked.settings.as_mut().unwrap().max_condition = 0;
    asked.selections = (0..100).map(|index| selection(&format!("normal-{index}"), rows(0, 60))).collect();
    let messages = futures::stream::iter(upload(asked, &frame));
    let mut stream = service.client.clone().build_graph(messages).await.unwrap().into_inner();
    // Another connection: the window of the first one is full.
    wait_for_a_place(&connect(&service.url)).await;
    let error = loop {
        match stream.message().await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("a broken answer looks complete"),
            Err(status) => break ServiceError::from(status),
        }
    };
    assert_eq!(error.code(), ErrorCode::DeadlineExceeded, "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_ends_when_its_caller_is_gone() {
    let service = start(narrow()).await;
    let frame = shared_load(60, 400, 3.0, 6).frame();
    let mut asked = description(&frame);
    // Left alone, this takes days.
    asked.settings.as_mut().unwrap().max_condition = u32::MAX;
    let messages = futures::stream::iter(upload(asked, &frame));
    let mut stream = service.client.clone().build_graph(messages).await.unwrap().into_inner();
    let first = stream.message().await.unwrap().unwrap().part.unwrap();
    assert!(matches!(first, AnswerPart::Progress(_)));
    drop(stream);
    wait_for_a_place(&service.client).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_small_graph_does_not_wait_for_a_large_one() {
    let config = GraphBuilderConfig {
        concurrent_builds: 2,
        queued_builds: 0,
        threads: 1,
        ..GraphBuilderConfig::default()
    };
    let service = start(config).await;
    let frame = shared_load(60, 400, 3.0, 6).frame();
    let mut asked = description(&frame);
    // Left alone, this takes days.
    (asked.settings.as_mut().unwrap().max_condition, asked.settings.as_mut().unwrap().alpha) =
        (u32::MAX, 0.999);
    let messages = futures::stream::iter(upload(asked, &frame));
    let mut large = service.client.clone().build_graph(messages).await.unwrap().into_inner();
    let first = large.message().await.unwrap().unwrap().part.unwrap();
    assert!(matches!(first, AnswerPart::Progress(_)));
    let small = assert_still_serves(&service.client);
    tokio::time::timeout(Duration::from_secs(120), small).await.expect("it waits for the large one");
}

async fn put(
    client: &Client,
    frame: &MetricFrame,
    ranges: Vec<v1::RowRange>,
) -> Result<String, ServiceError> {
    let description = v1::InputDescription { frame: Some(frame_stream::header(frame)), rows: ranges };
    let messages: Vec<v1::PutInputRequest> = [PutPart::Description(description)]
        .into_iter()
        .chain(frame_stream::chunks(frame).map(PutPart::Chunk))
        .map(|part| v1::PutInputRequest { part: Some(part) })
        .collect();
    Ok(client.clone().put_input(futures::stream::iter(messages)).await?.into_inner().input_hash)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_level_tested_in_shards_gives_the_separations_of_a_local_run() {
    let service = start(GraphBuilderConfig::default()).await;
    let mut columns = shared_load(13, 90, 1.1, 7);
    columns.0[5].1[7] = f64::NAN;
    let frame = columns.frame();
    let input_hash = put(&service.client, &frame, rows(5, 85)).await.unwrap();
    assert_eq!(put(&service.client, &frame, rows(5, 85)).await.unwrap(), input_hash);

    for (metric, ci_test, removal) in [
        (MetricKind::Latency, CiTest::FisherZ, LoadRemoval::Off),
        (MetricKind::Io, CiTest::FisherZ, LoadRemoval::Off),
        (MetricKind::Io, CiTest::FisherZ, LoadRemoval::Factor),
        (MetricKind::Io, CiTest::FisherZ, LoadRemoval::FrontEnd),
        (MetricKind::Latency, CiTest::G2, LoadRemoval::Off),
        (MetricKind::Latency, CiTest::G2, LoadRemoval::Factor),
    ] {
        let selected: Vec<usize> = (5..85).collect();
        let settings = GraphSettings::new(ci_test, 0.05, 3, vec![metric])
            .unwrap()
            .with_bins(Bins::Two)
            .with_load_removal(removal, "s002")
            .unwrap();
        let load = Load::of(&frame, &selected, &settings);
        let prepared = Prepared::new(select(&frame, &selected, metric), &load, &settings);
        let local = prepared.learn(&settings, &AtomicBool::new(false), &mut |_, _| {}).unwrap();

        let mut adjacency: Vec<(u32, u32)> =
            (0..13).flat_map(|first| (first + 1..13).map(move |second| (first, second))).collect();
        let mut tests = 0;
        for level in 0..=3 {
            let mut separated = Vec::new();
            for shard in 0..3 {
                let answer = service
                    .client
                    .clone()
                    .test_edges(v1::TestEdgesRequest {
                        input_hash: input_hash.clone(),
                        metric: metric.to_wire().into(),
                        ci_test: ci_test.to_wire().into(),
                        alpha: 0.05,
                        level,
                        adjacency: adjacency
                            .iter()
                            .map(|&(first, second)| v1::ServicePair { first, second })
                            .collect(),
                        bins: 2,
                        shard: (0..adjacency.len() as u32).filter(|index| index % 3 == shard).collect(),
                        load_removal: removal.to_wire().into(),
                        load_service: settings.load_service().into(),
                        ..v1::TestEdgesRequest::default()
                    })
                    .await
                    .unwrap()
                    .into_inner();
                tests += answer.tests;
                for separation in answer.separations {
                    let pair = separation.pair.unwrap();
                    assert_eq!(
                        local.separating_set(pair.first as usize, pair.second as usize),
                        Some(separation.separating_set.as_slice())
                    );
                    separated.push((pair.first, pair.second));
                }
            }
            adjacency.retain(|pair| !separated.contains(pair));
        }
        assert_eq!(adjacency, local.pairs().collect::<Vec<_>>());
        assert_eq!(tests, local.tests());
        assert!(tests >= 70, "{tests}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_shards_are_refused_by_field_and_unknown_inputs_by_the_way_out() {
    let service = start(GraphBuilderConfig::default()).await;
    let frame = shared_load(3, 20, 1.0, 8).frame();
    let input_hash = put(&service.client, &frame, rows(0, 20)).await.unwrap();
    let pair = |first, second| v1::ServicePair { first, second };
    let good = v1::TestEdgesRequest {
        input_hash,
        metric: 1,
        ci_test: 1,
        alpha: 0.05,
        level: 1,
        adjacency: vec![pair(0, 1), pair(1, 2)],
        shard: vec![1],
        ..v1::TestEdgesRequest::default()
    };
    let ask = |request: v1::TestEdgesRequest| {
        let mut client = service.client.clone();
        async move { client.test_edges(request).await.map_err(ServiceError::from) }
    };
    assert!(ask(good.clone()).await.is_ok());
    let bad = |change: &dyn Fn(&mut v1::TestEdgesRequest)| {
        let mut request = good.clone();
        change(&mut request);
        request
    };
    for (field, request) in [
        ("metric", bad(&|request| request.metric = 0)),
        ("ci_test", bad(&|request| request.ci_test = 77)),
        ("alpha", bad(&|request| request.alpha = 1.0)),
        ("bins", bad(&|request| request.bins = 4)),
        ("load_removal", bad(&|request| request.load_removal = 9)),
        ("load_service", bad(&|request| request.load_removal = v1::LoadRemoval::FrontEnd.into())),
        ("level", bad(&|request| request.level = 65)),
        ("adjacency[1]", bad(&|request| request.adjacency[1] = pair(2, 1))),
        ("adjacency[1]", bad(&|request| request.adjacency[1] = pair(1, 3))),
        ("adjacency[1]", bad(&|request| request.adjacency[1] = pair(0, 1))),
        ("shard[0]", bad(&|request| request.shard[0] = 2)),
        ("shard[1]", bad(&|request| request.shard.push(1))),
    ] {
        let error = ask(request).await.unwrap_err();
        assert_eq!((error.code(), error.field()), (ErrorCode::InvalidInput, Some(field)), "{error}");
    }
    let error = ask(bad(&|request| request.input_hash = "0".repeat(64))).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::NotFound);
    assert!(error.message().contains("PutInput"), "{error}");

    let error = put(&service.client, &frame, rows(0, 21)).await.unwrap_err();
    assert_eq!(error.field(), Some("description.rows[0]"));
    let small = start(GraphBuilderConfig { input_cache_mib: 0, ..GraphBuilderConfig::default() }).await;
    let error = put(&small.client, &frame, rows(0, 20)).await.unwrap_err();
    assert!(error.message().contains("input-cache-mib"), "{error}");
}
