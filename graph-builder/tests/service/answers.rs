//! What is answered: graphs, their tests and certainty, and how much of them.

use std::sync::atomic::AtomicBool;

use automap_graph_builder::{build::build, config::GraphBuilderConfig, throughput::throughput_fit};
use automap_proto::{settings::GraphSettings, v1};
use automap_service_kit::error::ServiceError;

use crate::{
    linear_gaussian::shared_load,
    running::{call, description, rows, selection, start, upload},
};

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
