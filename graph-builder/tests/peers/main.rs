//! Graphs whose tests are spread over peers, on real connections.

#![allow(clippy::unwrap_used, reason = "what fails to unwrap in a test fails the test")]

#[path = "../linear_gaussian/mod.rs"]
mod linear_gaussian;
mod misbehaving;
mod resamples;
mod small_cache;

use std::time::{Duration, Instant};

use automap_graph_builder::{build_id::build_id, config::GraphBuilderConfig};
use automap_proto::{
    frame::MetricFrame,
    frame_stream,
    graph_stream::{BuiltGraph, GraphAssembler},
    metric::MetricKind,
    settings::{CiTest, GraphSettings},
    v1::{
        self, build_graph_request::Part, build_graph_response::Part as AnswerPart,
        graph_builder_service_client::GraphBuilderServiceClient, put_input_request::Part as PutPart,
    },
};
use automap_service_kit::{
    client::{self, Channel},
    error::{ErrorCode, ServiceError},
};
use linear_gaussian::shared_load;
use misbehaving::{Misbehaviour, misbehaving};
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

type Client = GraphBuilderServiceClient<Channel>;

/// Longer than any build takes that others keep from the cores: alone one takes seconds.
const PATIENCE: Duration = Duration::from_secs(600);
const SAMPLES: usize = 300;
/// So close to 1 that hardly any set separates a pair: the load is as heavy as it can be.
const ALPHA: f64 = 0.999;

/// A running graph-builder; it ends when this is dropped.
struct Pod {
    url: String,
    _shutdown: DropGuard,
}

impl Pod {
    async fn start(peers: &[&str]) -> Self {
        Self::configured(GraphBuilderConfig { peers: peers.join(","), ..quick() }).await
    }

    async fn configured(config: GraphBuilderConfig) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self::on(listener, config)
    }

    fn on(listener: TcpListener, config: GraphBuilderConfig) -> Self {
        let url = format!("http://{}", listener.local_addr().unwrap());
        let shutdown = CancellationToken::new();
        tokio::spawn(automap_graph_builder::serve(listener, config, shutdown.clone()));
        Self { url, _shutdown: shutdown.drop_guard() }
    }

    fn client(&self) -> Client {
        Client::new(client::channel("test", &self.url).unwrap())
    }
}

/// A link so fast that everything that takes some milliseconds is spread, and one thread in each pod.
fn quick() -> GraphBuilderConfig {
    GraphBuilderConfig { threads: 1, link_mbit: 1_000_000, ..GraphBuilderConfig::default() }
}

/// A load that takes some hundred shards.
fn heavy() -> MetricFrame {
    let mut columns = shared_load(46, SAMPLES, 2.0, 21);
    columns.0[3].1[5] = f64::NAN;
    columns.0.retain(|(key, _)| matches!(key.metric, MetricKind::Cpu | MetricKind::Io | MetricKind::Latency));
    columns.frame()
}

struct Answer {
    graph: BuiltGraph,
    spread: Option<v1::SpreadStatistics>,
}

impl Answer {
    fn shards_of(&self, pod: &Pod) -> u64 {
        let address = pod.url.trim_start_matches("http://");
        let workers = self.spread.iter().flat_map(|spread| &spread.workers);
        workers.filter(|worker| worker.address == address).map(|worker| worker.shards).sum()
    }

    fn resample_shards_of(&self, pod: &Pod) -> u64 {
        let address = pod.url.trim_start_matches("http://");
        let workers = self.spread.iter().flat_map(|spread| &spread.workers);
        workers.filter(|worker| worker.address == address).map(|worker| worker.resample_shards).sum()
    }

    fn warns(&self, part: &str) -> bool {
        self.graph.warnings.iter().any(|warning| warning.contains(part))
    }
}

async fn build(
    client: &Client,
    frame: &MetricFrame,
    budget: Option<v1::TestBudget>,
) -> Result<Answer, ServiceError> {
    build_described(client, frame, description(frame, budget)).await
}

/// The heaviest tests of all rows.
fn description(frame: &MetricFrame, budget: Option<v1::TestBudget>) -> v1::GraphDescription {
    let settings = GraphSettings::new(CiTest::FisherZ, ALPHA, 3, vec![]).unwrap();
    v1::GraphDescription {
        frame: Some(frame_stream::header(frame)),
        settings: Some((&settings).into()),
        selections: vec![v1::RowSelection {
            name: "incident".into(),
            rows: vec![v1::RowRange { first: 0, end: SAMPLES as u64 }],
            resamples: 0,
            edge_tests: true,
        }],
        budget,
        ..v1::GraphDescription::default()
    }
}

async fn build_described(
    client: &Client,
    frame: &MetricFrame,
    description: v1::GraphDescription,
) -> Result<Answer, ServiceError> {
    let parts =
        std::iter::once(Part::Description(description)).chain(frame_stream::chunks(frame).map(Part::Chunk));
    let messages: Vec<_> = parts.map(|part| v1::BuildGraphRequest { part: Some(part) }).collect();
    let call = async {
        let mut answer = client.clone().build_graph(futures::stream::iter(messages)).await?.into_inner();
        let (mut assembler, mut spread) = (GraphAssembler::default(), None);
        while let Some(message) = answer.message().await? {
            let part = message.part.unwrap();
            if let AnswerPart::Graph(header) = &part {
                spread = header.spread.clone();
            }
            assembler.push(part).unwrap();
        }
        let graph = assembler.finish().unwrap().remove("incident").unwrap();
        Ok(Answer { graph, spread })
    };
    tokio::time::timeout(PATIENCE, call).await.unwrap()
}

/// Leaves all rows of a frame with a pod.
async fn put(client: &Client, frame: &MetricFrame) -> String {
    let rows = vec![v1::RowRange { first: 0, end: SAMPLES as u64 }];
    let description = v1::InputDescription { frame: Some(frame_stream::header(frame)), rows };
    let parts = std::iter::once(PutPart::Description(description))
        .chain(frame_stream::chunks(frame).map(PutPart::Chunk));
    let messages: Vec<_> = parts.map(|part| v1::PutInputRequest { part: Some(part) }).collect();
    client.clone().put_input(futures::stream::iter(messages)).await.unwrap().into_inner().input_hash
}

async fn alone(frame: &MetricFrame) -> BuiltGraph {
    let pod = Pod::start(&[]).await;
    let answer = build(&pod.client(), frame, None).await.unwrap();
    assert!(answer.spread.is_none());
    assert!(answer.graph.tests > 10_000_000, "too light to be spread: {}", answer.graph.tests);
    answer.graph
}

/// Graph and number of tests: what must not depend on who made the tests.
#[track_caller]
fn assert_same(answer: &Answer, expected: &BuiltGraph) {
    assert_eq!(answer.graph.tests, expected.tests);
    assert_eq!(answer.graph.graph, expected.graph);
}

#[tokio::test(flavor = "multi_thread")]
async fn peers_do_their_share_and_the_graph_is_the_same() {
    let frame = heavy();
    let expected = alone(&frame).await;
    let (one, two) = (Pod::start(&[]).await, Pod::start(&[]).await);
    let coordinator = Pod::start(&[&one.url, &two.url]).await;
    let answer = build(&coordinator.client(), &frame, None).await.unwrap();
    assert_same(&answer, &expected);
    assert!(answer.shards_of(&one) > 0 && answer.shards_of(&two) > 0, "{:?}", answer.spread);
    let spread = answer.spread.unwrap();
    assert_eq!(spread.workers[0].address, "");
    assert!(spread.bytes_shipped > 3 * 46 * 300 * 8 && spread.seconds_to_first_shard > 0.0, "{spread:?}");
    assert_eq!(answer.graph.warnings, [""; 0]);
    // The inputs are there already.
    let again = build(&coordinator.client(), &frame, None).await.unwrap();
    assert_same(&again, &expected);
    assert!(again.spread.unwrap().bytes_shipped < spread.bytes_shipped);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_knows_itself_among_its_peers_and_a_coordinator_may_leave_the_tests_to_them() {
    let frame = heavy();
    let expected = alone(&frame).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let own = format!("http://{}", listener.local_addr().unwrap());
    let peer = Pod::start(&[]).await;
    let config =
        GraphBuilderConfig { peers: format!("{own}, {}", peer.url), coordinator_tests: false, ..quick() };
    let coordinator = Pod::on(listener, config);
    let answer = build(&coordinator.client(), &frame, None).await.unwrap();
    assert_same(&answer, &expected);
    assert_eq!(answer.shards_of(&coordinator), 0);
    let spread = answer.spread.as_ref().unwrap();
    assert!(answer.shards_of(&peer) > spread.workers[0].shards, "{spread:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_a_peer_does_the_graph_is_the_same_and_the_answer_says_what_happened() {
    let frame = heavy();
    let expected = alone(&frame).await;
    let honest = Pod::start(&[]).await;
    for (misbehaviour, warning) in [
        (Misbehaviour::OtherBuild, "it runs build 0.0.1"),
        (Misbehaviour::Garbage, "damaged on the way"),
        (Misbehaviour::WrongSets, "it answered"),
        // The one is more than a budget has, the other more than a sum bears.
        (Misbehaviour::Claims(1 << 40), "more tests than"),
        (Misbehaviour::Claims(u64::MAX), "more tests than"),
        (Misbehaviour::Undercharges, "less work than tests"),
        (Misbehaviour::Fails, "failed"),
        (Misbehaviour::DamagesInputs, ""),
        (Misbehaviour::Hangs, ""),
        (Misbehaviour::Slow, ""),
        (Misbehaviour::Overloaded, ""),
        (Misbehaviour::Forgets, ""),
    ] {
        let bad = misbehaving(misbehaviour).await;
        let coordinator = Pod::start(&[&bad.url, &honest.url]).await;
        let answer = build(&coordinator.client(), &frame, None).await.unwrap();
        assert_same(&answer, &expected);
        let address = bad.url.trim_start_matches("http://");
        if !warning.is_empty() {
            assert!(
                answer.warns(warning) && answer.warns(address),
                "{misbehaviour:?}: {:?}",
                answer.graph.warnings
            );
        }
        assert!(answer.shards_of(&honest) > 0, "{misbehaviour:?}: {:?}", answer.spread);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn when_all_peers_are_gone_the_coordinator_finishes_alone() {
    let frame = heavy();
    let expected = alone(&frame).await;
    // A port that nobody is given by chance.
    let url = "http://127.0.0.1:1".to_owned();
    for coordinator_tests in [true, false] {
        let config = GraphBuilderConfig { peers: url.clone(), coordinator_tests, ..quick() };
        let coordinator = Pod::configured(config).await;
        assert_same(&build(&coordinator.client(), &frame, None).await.unwrap(), &expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_budget_cuts_a_spread_graph_where_it_cuts_a_local_one() {
    let frame = heavy();
    let budget = Some(v1::TestBudget { limit: Some(v1::test_budget::Limit::Tests(30_000_000)) });
    let pod = Pod::start(&[]).await;
    let expected = build(&pod.client(), &frame, budget).await.unwrap();
    assert!(expected.graph.is_cut && expected.graph.tests <= 30_000_000, "{}", expected.graph.tests);
    let coordinator = Pod::start(&[&pod.url]).await;
    let answer = build(&coordinator.client(), &frame, budget).await.unwrap();
    assert_same(&answer, &expected.graph);
    assert_eq!(answer.graph.warnings, expected.graph.warnings);
}

#[tokio::test(flavor = "multi_thread")]
async fn small_graphs_stay_at_home() {
    let frame = shared_load(12, SAMPLES, 1.0, 3).frame();
    let peer = Pod::start(&[]).await;
    let coordinator = Pod::start(&[&peer.url]).await;
    let answer = build(&coordinator.client(), &frame, None).await.unwrap();
    assert!(answer.spread.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_of_another_build_refuses_to_test() {
    let pod = Pod::start(&[]).await;
    let checked = pod.client().check_peer(v1::CheckPeerRequest::default()).await.unwrap().into_inner();
    assert_eq!((checked.build, checked.threads, checked.has_input), (build_id(), 1, false));
    let request = v1::TestEdgesRequest { build: "0.0.1/0".into(), ..v1::TestEdgesRequest::default() };
    let error = ServiceError::from(pod.client().test_edges(request).await.unwrap_err());
    assert_eq!(error.code(), ErrorCode::Conflict);
    assert!(error.message().contains("run one build everywhere"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_leaves_stops_the_work_of_peers_too() {
    let frame = shared_load(160, SAMPLES, 3.0, 5).frame();
    let peer =
        Pod::configured(GraphBuilderConfig { concurrent_builds: 1, queued_builds: 1, ..quick() }).await;
    let coordinator = Pod::start(&[&peer.url]).await;
    // Left alone, this takes minutes.
    let client = coordinator.client();
    let call = tokio::spawn(async move { build(&client, &frame, None).await });
    let is_busy = async || {
        let request = v1::TestEdgesRequest { input_hash: "none".into(), ..v1::TestEdgesRequest::default() };
        let error = ServiceError::from(peer.client().test_edges(request).await.unwrap_err());
        error.code() == ErrorCode::Overloaded
    };
    let begin = Instant::now();
    while !is_busy().await {
        assert!(begin.elapsed() < PATIENCE, "the peer never got work");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    call.abort();
    let left = Instant::now();
    while is_busy().await {
        assert!(left.elapsed() < PATIENCE, "the peer still works");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
