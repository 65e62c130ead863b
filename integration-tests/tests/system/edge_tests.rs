//! How surely edges stand: metrics, p-values, rows and shares of resamples in every form of an answer.

use std::path::Path;

use automap_integration_tests::{
    command,
    processes::{Service, all_on_free_ports},
    recording,
};
use automap_proto::v1::{self, walker_service_client::WalkerServiceClient};
use automap_service_kit::client::{self, Channel};
use serde_json::Value;

/// Of Fisher's z, unless told otherwise.
const ALPHA: f64 = 0.05;
/// Rows of the demonstration's incident.
const INCIDENT_ROWS: u64 = 60;

fn run(home: &Path, arguments: &[&str]) -> Value {
    let ended = command::run(home, arguments).unwrap();
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    serde_json::from_str(&ended.stdout).unwrap()
}

/// Whether the tests of an edge may be; answers how many there are.
#[track_caller]
fn assert_tested(edge: &Value, rows: u64) -> usize {
    let tests = edge["tests"].as_array().unwrap();
    for test in tests {
        let (p, largest) = (test["p_value"].as_f64().unwrap(), test["largest_p_value"].as_f64().unwrap());
        assert!((0.0..ALPHA).contains(&p) && (p..ALPHA).contains(&largest), "{edge}");
        assert!((1..=rows).contains(&test["samples"].as_u64().unwrap()), "{edge}");
    }
    tests.len()
}

#[test]
fn graphs_tell_the_tests_of_every_edge() {
    let home = tempfile::tempdir().unwrap();
    recording::demo_incident(home.path()).unwrap();
    let graph = run(home.path(), &["graph", "incident"]);
    let edges = graph["edges"].as_array().unwrap();
    assert!(!edges.is_empty());
    for edge in edges {
        assert_eq!(assert_tested(edge, INCIDENT_ROWS), edge["weights"].as_object().unwrap().len(), "{edge}");
    }
    let shallow = run(home.path(), &["graph", "incident", "--max-condition", "0"]);
    assert!(shallow["edges"][0]["tests"][0].get("largest_p_value").is_none(), "{}", shallow["edges"][0]);
    let dot = command::run(home.path(), &["graph", "incident", "--output", "dot"]).unwrap().stdout;
    assert!(dot.contains("tooltip=\"") && dot.contains(" given none or one neighbour, "), "{dot}");
}

async fn get(walker: &mut WalkerServiceClient<Channel>) -> v1::Diagnosis {
    let request = v1::WalkerServiceGetDiagnosisRequest { diagnosis_id: "told".into() };
    walker.get_diagnosis(request).await.unwrap().into_inner().diagnosis.unwrap()
}

fn edges(diagnosis: &v1::Diagnosis) -> &[v1::BehaviorEdge] {
    &diagnosis.behavior_graph.as_ref().unwrap().graph.as_ref().unwrap().edges
}

/// What is subtracted as normal, remembered and started again leaves the tests of the edges that remain.
#[tokio::test(flavor = "multi_thread")]
async fn diagnoses_keep_the_tests_of_their_edges_over_the_wire_and_a_restart() {
    let home = tempfile::tempdir().unwrap();
    recording::demo_incident(home.path()).unwrap();
    let configuration =
        all_on_free_ports(home.path()) + &format!("[collector]\nrecordings-root = {:?}\n", home.path());
    let service = Service::start(home.path(), "all", &configuration).unwrap();
    let connect =
        |service: &Service| WalkerServiceClient::new(client::channel("address", &service.address).unwrap());
    let mut walker = connect(&service);
    let mut news = walker.watch_diagnoses(v1::WatchDiagnosesRequest::default()).await.unwrap().into_inner();
    let recording = v1::metric_source::Source::Recording("incident".into());
    let request = v1::StartDiagnosisRequest {
        request_id: "told".into(),
        diagnosis: Some(v1::DiagnoseRequest {
            source: Some(v1::MetricSource { source: Some(recording) }),
            settings: Some(v1::DiagnosisSettings {
                parameters: [("automap.bootstrap".to_owned(), "10".to_owned())].into(),
                ..Default::default()
            }),
            ..Default::default()
        }),
    };
    walker.start_diagnosis(request).await.unwrap();
    let ended = async { while news.message().await.unwrap().unwrap().state() != v1::DiagnosisState::Done {} };
    tokio::time::timeout(std::time::Duration::from_secs(120), ended).await.unwrap();
    let found = get(&mut walker).await;
    assert!(found.behavior_graph.as_ref().unwrap().normal_windows > 0, "normal behaviour was subtracted");
    assert!(!edges(&found).is_empty());
    for edge in edges(&found) {
        assert!(!edge.tests.is_empty() && edge.confidence.is_some(), "{edge:?}");
        for test in &edge.tests {
            assert!(test.p_value < ALPHA && test.largest_p_value.is_some_and(|p| p < ALPHA), "{edge:?}");
            assert!((1..=INCIDENT_ROWS).contains(&u64::from(test.samples)), "{edge:?}");
        }
    }
    service.terminate().unwrap();
    let again = Service::start(home.path(), "all", &configuration).unwrap();
    assert_eq!(edges(&get(&mut connect(&again)).await), edges(&found));
}

#[test]
fn json_and_pages_of_a_diagnosis_tell_the_tests_of_its_edges() {
    let home = tempfile::tempdir().unwrap();
    recording::demo_incident(home.path()).unwrap();
    let flags = ["--no-record", "--bootstrap-edges", "10", "--graph"];
    let told = |file: &str| {
        let arguments = [&["diagnose", "incident", "--output", "json"][..], &flags, &[file]].concat();
        (run(home.path(), &arguments), std::fs::read_to_string(home.path().join(file)).unwrap())
    };
    let (answer, page) = told("answer.html");
    let edges = answer["edges"].as_array().unwrap();
    let tests: usize = edges.iter().map(|edge| assert_tested(edge, INCIDENT_ROWS)).sum();
    assert!(tests >= edges.len() && tests > 0, "{tests} tests of {} edges", edges.len());
    for edge in edges {
        assert!(edge["confidence"].is_number() && !edge["weights"].as_object().unwrap().is_empty(), "{edge}");
    }
    for part in ["of resamples</th>", "largest p given none or one neighbour</th>", "<td>60</td>", " %</td>"]
    {
        assert!(page.contains(part), "{part}: {page}");
    }
    let (_, drawing) = told("graph.svg");
    assert!(drawing.contains(" given none or one neighbour, "), "{drawing}");
}
