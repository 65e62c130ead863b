//! Bootstrap resamples that are spread over peers.

use automap_graph_builder::config::GraphBuilderConfig;
use automap_proto::{
    frame::MetricFrame,
    graph_stream::BuiltGraph,
    metric::MetricKind,
    settings::{CiTest, GraphSettings},
    v1,
};
use automap_service_kit::error::{ErrorCode, ServiceError};

use super::{
    Answer, Pod, SAMPLES, assert_same, build_described, description,
    linear_gaussian::shared_load,
    misbehaving::{Misbehaviour, misbehaving},
    quick,
};

const RESAMPLES: u32 = 300;

/// Of what is asked for.
type Change = fn(&mut v1::GraphDescription);

/// A load whose levels are not worth shipping, while so many resamples of it are.
fn light() -> MetricFrame {
    let mut columns = shared_load(24, SAMPLES, 0.8, 4);
    columns.0[3].1[5] = f64::NAN;
    columns.frame()
}

async fn build(pod: &Pod, frame: &MetricFrame, change: impl FnOnce(&mut v1::GraphDescription)) -> Answer {
    let settings = GraphSettings::new(CiTest::FisherZ, 0.05, 2, vec![]).unwrap();
    let mut asked = description(frame, None);
    asked.settings = Some((&settings).into());
    asked.selections[0].resamples = RESAMPLES;
    asked.seed = 5;
    change(&mut asked);
    build_described(&pod.client(), frame, asked).await.unwrap()
}

async fn alone(frame: &MetricFrame, change: impl FnOnce(&mut v1::GraphDescription)) -> BuiltGraph {
    let answer = build(&Pod::start(&[]).await, frame, change).await;
    assert!(answer.spread.is_none());
    answer.graph
}

#[tokio::test(flavor = "multi_thread")]
async fn any_number_of_workers_tells_the_same_confidences() {
    let frame = light();
    let expected = alone(&frame, |_| {}).await;
    let told: Vec<f64> =
        expected.graph.edges().filter_map(|(from, to, _)| expected.graph.confidence(from, to)).collect();
    assert!(told.iter().any(|&share| share > 0.0 && share < 1.0) && told.contains(&1.0), "{told:?}");
    let mut workers = Vec::new();
    for _ in 0..5 {
        workers.push(Pod::start(&[]).await);
    }
    for (count, coordinator_tests) in [(1, true), (2, false), (3, true), (5, false)] {
        let peers = workers[..count].iter().map(|worker| worker.url.as_str()).collect::<Vec<_>>().join(",");
        let config = GraphBuilderConfig { peers, coordinator_tests, ..quick() };
        let answer = build(&Pod::configured(config).await, &frame, |_| {}).await;
        assert_same(&answer, &expected);
        let by_peers: u64 = workers[..count].iter().map(|worker| answer.resample_shards_of(worker)).sum();
        assert!(by_peers > 0, "{:?}", answer.spread);
        let spread = answer.spread.unwrap();
        let all: u64 = spread.workers.iter().map(|worker| worker.resample_shards).sum();
        assert!(all >= 4 * (count as u64 + 1), "{spread:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_setting_of_a_build_reaches_its_resamples() {
    let frame = light();
    let peer = Pod::start(&[]).await;
    let config = GraphBuilderConfig { peers: peer.url.clone(), coordinator_tests: false, ..quick() };
    let coordinator = Pod::configured(config).await;
    let seed: Change = |asked| asked.seed = 6;
    let rows: Change = |asked| {
        asked.selections[0].rows =
            vec![v1::RowRange { first: 3, end: 90 }, v1::RowRange { first: 100, end: 250 }];
    };
    let factor: Change = |asked| {
        // Without the load there is so little to test that it takes more of them.
        asked.selections[0].resamples = 900;
        asked.settings.as_mut().unwrap().set_load_removal(v1::LoadRemoval::Factor);
    };
    let front_end: Change = |asked| {
        asked.selections[0].resamples = 900;
        let settings = asked.settings.as_mut().unwrap();
        settings.set_load_removal(v1::LoadRemoval::FrontEnd);
        settings.load_service = "s000".into();
    };
    let tables: Change = |asked| {
        let settings = asked.settings.as_mut().unwrap();
        settings.set_ci_test(v1::CiTest::G2);
        settings.bins = 2;
        settings.metrics.retain(|metric| *metric != i32::from(v1::MetricKind::Latency));
    };
    let mut seen: Vec<BuiltGraph> = Vec::new();
    let changes =
        [("seed", seed), ("rows", rows), ("factor", factor), ("front end", front_end), ("tables", tables)];
    for (name, change) in changes {
        let expected = alone(&frame, change).await;
        let answer = build(&coordinator, &frame, change).await;
        assert_same(&answer, &expected);
        assert!(answer.resample_shards_of(&peer) > 0, "{name} {}: {:?}", expected.tests, answer.spread);
        // Each changes what is told, or nothing is said about it.
        assert!(seen.iter().all(|other| other.graph != expected.graph));
        seen.push(expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn resamples_share_what_the_graph_left_of_its_budget() {
    let frame = light();
    let whole = alone(&frame, |_| {}).await;
    assert_eq!(whole.warnings, [""; 0]);
    let within = |tests: u64| {
        move |asked: &mut v1::GraphDescription| {
            asked.budget = Some(v1::TestBudget { limit: Some(v1::test_budget::Limit::Tests(tests)) });
        }
    };
    // Enough for the graph and 290 resamples of four times as many tests, were it not for the tests that tell of its edges.
    let some = within(whole.tests * (1 + 4 * 290));
    let expected = alone(&frame, some).await;
    assert_eq!(expected.tests, whole.tests);
    assert!(expected.warnings[0].contains("left tests for 289 of 300 resamples"), "{:?}", expected.warnings);
    let told = |graph: &BuiltGraph| -> Vec<Option<f64>> {
        graph.graph.edges().map(|(from, to, _)| graph.graph.confidence(from, to)).collect()
    };
    let is_of_289 = |share: &Option<f64>| share.map(|share| (share * 289.0).round() / 289.0) == *share;
    assert!(told(&expected).iter().all(is_of_289) && told(&expected) != told(&whole));
    let peer = Pod::start(&[]).await;
    let config = GraphBuilderConfig { peers: peer.url.clone(), coordinator_tests: false, ..quick() };
    let answer = build(&Pod::configured(config).await, &frame, some).await;
    assert_same(&answer, &expected);
    assert!(answer.resample_shards_of(&peer) > 0, "{:?}", answer.spread);

    // Not enough for one.
    let none = alone(&frame, within(whole.tests * 4)).await;
    assert_eq!(none.tests, whole.tests);
    assert!(
        none.warnings[0].contains("left tests for 0 of 300 resamples: edges are told no"),
        "{:?}",
        none.warnings
    );
    assert!(told(&none).iter().all(Option::is_none));
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_a_peer_does_confidences_are_the_same() {
    let frame = light();
    let expected = alone(&frame, |_| {}).await;
    let honest = Pod::start(&[]).await;
    for (misbehaviour, warning) in [
        (Misbehaviour::OtherBuild, "it runs build 0.0.1"),
        (Misbehaviour::Garbage, "damaged on the way"),
        (Misbehaviour::WrongSets, "it answered pairs that cannot be any"),
        (Misbehaviour::Fails, "failed"),
        (Misbehaviour::Hangs, ""),
        (Misbehaviour::Slow, ""),
        (Misbehaviour::Overloaded, ""),
        (Misbehaviour::Forgets, ""),
    ] {
        let bad = misbehaving(misbehaviour).await;
        let coordinator = Pod::start(&[&bad.url, &honest.url]).await;
        let answer = build(&coordinator, &frame, |_| {}).await;
        assert_same(&answer, &expected);
        assert!(answer.warns(warning) || warning.is_empty(), "{misbehaviour:?}: {:?}", answer.graph.warnings);
        assert!(answer.resample_shards_of(&honest) > 0, "{misbehaviour:?}: {:?}", answer.spread);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn few_resamples_stay_at_home() {
    let (frame, peer) = (light(), Pod::start(&[]).await);
    let coordinator = Pod::start(&[&peer.url]).await;
    let answer = build(&coordinator, &frame, |asked| asked.selections[0].resamples = 2).await;
    assert!(answer.spread.is_none(), "{:?}", answer.spread);
}

#[tokio::test(flavor = "multi_thread")]
async fn when_the_time_is_up_the_graph_says_how_many_resamples_it_knows() {
    let (frame, peer) = (light(), Pod::start(&[]).await);
    for pod in [Pod::start(&[]).await, Pod::start(&[&peer.url]).await] {
        let answer = build(&pod, &frame, |asked| {
            asked.budget = Some(v1::TestBudget { limit: Some(v1::test_budget::Limit::Seconds(0.001)) });
        });
        let answer = answer.await;
        assert!(
            answer.warns(&format!("of {RESAMPLES} resamples were tested")),
            "{:?}",
            answer.graph.warnings
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_requests_name_their_field() {
    let pod = Pod::start(&[]).await;
    let frame = light();
    let ask = |request: v1::TestResamplesRequest| {
        let mut client = pod.client();
        async move { client.test_resamples(request).await.map_err(ServiceError::from) }
    };
    let error =
        ask(v1::TestResamplesRequest { input_hash: "0".repeat(64), ..Default::default() }).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::NotFound);
    let error =
        ask(v1::TestResamplesRequest { build: "0.0.1/0".into(), ..Default::default() }).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::Conflict);

    let input_hash = super::put(&pod.client(), &frame).await;
    let good = v1::TestResamplesRequest {
        input_hash,
        settings: Some((&GraphSettings::default()).into()),
        end: 2,
        ..Default::default()
    };
    assert_eq!(ask(good.clone()).await.unwrap().into_inner().resamples.len(), 2);
    let bad_settings = v1::GraphSettings { alpha: 7.0, ..good.settings.clone().unwrap() };
    for (field, request) in [
        ("settings", v1::TestResamplesRequest { settings: None, ..good.clone() }),
        ("settings.alpha", v1::TestResamplesRequest { settings: Some(bad_settings), ..good.clone() }),
        ("end", v1::TestResamplesRequest { first: 2, ..good.clone() }),
        ("end", v1::TestResamplesRequest { end: 1001, ..good.clone() }),
        ("most_tests_by_metric", v1::TestResamplesRequest { most_tests_by_metric: vec![9], ..good.clone() }),
        (
            "most_tests",
            v1::TestResamplesRequest {
                most_tests: Some(9),
                most_tests_by_metric: vec![9; MetricKind::ALL.len()],
                ..good.clone()
            },
        ),
    ] {
        let error = ask(request).await.unwrap_err();
        assert_eq!((error.code(), error.field()), (ErrorCode::InvalidInput, Some(field)), "{error}");
    }
}
