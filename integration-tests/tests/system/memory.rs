//! What the services remember, and what a confirmation changes.

use automap_integration_tests::{
    command,
    processes::{FourProcesses, Service, all_on_free_ports},
    recording,
};
use automap_proto::v1;
use serde_json::Value;
use tonic::Code;

use crate::walker_calls::client_of;

fn diagnose(home: &std::path::Path, server: &str, more: &[&str]) -> Value {
    let mut arguments = vec!["diagnose", "incident", "--output", "json", "--server", server];
    arguments.extend(more);
    let ended = command::run(home, &arguments).unwrap();
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    serde_json::from_str(&ended.stdout).unwrap()
}

fn confirmation(id: &Value, root_causes: &[&str]) -> v1::WalkerServiceConfirmRootCauseRequest {
    v1::WalkerServiceConfirmRootCauseRequest {
        diagnosis_id: id.as_str().unwrap().into(),
        confirmation: Some(v1::Confirmation {
            root_causes: root_causes.iter().map(|name| (*name).to_owned()).collect(),
            metric: v1::MetricKind::Cpu.into(),
            note: "a loop in the new version".into(),
            confirmed_by: "on call".into(),
            confirmed_at: None,
        }),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_confirmed_incident_teaches_the_next_and_never_itself() {
    let home = tempfile::tempdir().unwrap();
    recording::demo_incident(home.path()).unwrap();
    let service = Service::start(home.path(), "all", &all_on_free_ports(home.path())).unwrap();
    let first = diagnose(home.path(), &service.address, &[]);
    let mut client = client_of(&service);
    let wrong = client.confirm_root_cause(confirmation(&first["diagnosis_id"], &["crat"])).await.unwrap_err();
    assert_eq!(wrong.code(), Code::InvalidArgument);
    assert!(wrong.message().contains("did you mean cart?"), "{wrong}");
    client.confirm_root_cause(confirmation(&first["diagnosis_id"], &["cart"])).await.unwrap();

    // A baseline's ranking must not replace what is remembered.
    let baseline = diagnose(home.path(), &service.address, &["--method", "n-sigma"]);
    assert_eq!(baseline["incident_id"], Value::Null);

    // The same data under another front end are another incident.
    let next = diagnose(home.path(), &service.address, &["--method", "automap", "--front-end", "checkout"]);
    assert_eq!(next["similar_incidents"][0]["incident_id"], first["incident_id"]);
    assert_eq!(next["similar_incidents"][0]["root_causes"][0], "cart");
    let weight = |answer: &Value, metric: &str| answer["metric_weights"][metric].as_f64().unwrap();
    assert!(
        weight(&next, "latency") > 1.0 / 7.0,
        "latency moved with the front end: {}",
        next["metric_weights"]
    );

    let itself = diagnose(home.path(), &service.address, &["--method", "automap"]);
    assert_eq!(itself["incident_id"], first["incident_id"]);
    assert!((weight(&itself, "latency") - 1.0 / 7.0).abs() < 1e-12, "an incident must not teach itself");
    let total: f64 =
        next["metric_weights"].as_object().unwrap().values().map(|weight| weight.as_f64().unwrap()).sum();
    assert!((total - 1.0).abs() < 1e-9);
}

#[tokio::test(flavor = "multi_thread")]
async fn diagnoses_are_found_listed_and_explained_after_a_restart() {
    let home = tempfile::tempdir().unwrap();
    recording::demo_incident(home.path()).unwrap();
    let configuration = all_on_free_ports(home.path());
    let service = Service::start(home.path(), "all", &configuration).unwrap();
    let diagnosis = diagnose(home.path(), &service.address, &[]);
    let id = diagnosis["diagnosis_id"].as_str().unwrap().to_owned();
    service.terminate().unwrap();

    let service = Service::start(home.path(), "all", &configuration).unwrap();
    let mut client = client_of(&service);
    let request = v1::WalkerServiceGetDiagnosisRequest { diagnosis_id: id.clone() };
    let found = client.get_diagnosis(request).await.unwrap().into_inner().diagnosis.unwrap();
    assert_eq!(found.ranking[0].service, diagnosis["ranking"][0]["service"].as_str().unwrap());
    let request = v1::WalkerServiceListDiagnosesRequest { system: "demo-shop".into(), ..Default::default() };
    let listed = client.list_diagnoses(request).await.unwrap().into_inner().diagnoses;
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].diagnosis_id, id);
    let explain =
        |service: &str| v1::ExplainServiceRequest { diagnosis_id: id.clone(), service: service.into() };
    let explained = client.explain_service(explain("cart")).await.unwrap().into_inner();
    assert!(explained.sentences.join(" ").contains("cpu"), "{:?}", explained.sentences);
    assert!(explained.sentences.iter().any(|one| one.starts_with("had the ")), "{:?}", explained.sentences);
    let status = client.explain_service(explain("crat")).await.unwrap_err();
    assert!(status.message().contains("did you mean cart?"), "{status}");
    let request = v1::WalkerServiceGetDiagnosisRequest { diagnosis_id: "none".into() };
    assert_eq!(client.get_diagnosis(request).await.unwrap_err().code(), Code::NotFound);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_started_diagnosis_runs_once_per_request_id() {
    let home = tempfile::tempdir().unwrap();
    recording::demo_incident(home.path()).unwrap();
    let configuration =
        all_on_free_ports(home.path()) + &format!("[collector]\nrecordings-root = {:?}\n", home.path());
    let service = Service::start(home.path(), "all", &configuration).unwrap();
    let mut client = client_of(&service);
    let mut news = client.watch_diagnoses(v1::WatchDiagnosesRequest::default()).await.unwrap().into_inner();
    let recording = v1::metric_source::Source::Recording("incident".into());
    let request = v1::StartDiagnosisRequest {
        request_id: "alert-42".into(),
        diagnosis: Some(v1::DiagnoseRequest {
            source: Some(v1::MetricSource { source: Some(recording) }),
            ..Default::default()
        }),
    };
    for _ in 0..2 {
        let started = client.start_diagnosis(request.clone()).await.unwrap().into_inner();
        assert_eq!(started.diagnosis_id, "alert-42");
    }
    while news.message().await.unwrap().unwrap().state() != v1::DiagnosisState::Done {}
    client.start_diagnosis(request).await.unwrap();
    let listed = client.list_diagnoses(v1::WalkerServiceListDiagnosesRequest::default()).await.unwrap();
    let listed = listed.into_inner().diagnoses;
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].state(), v1::DiagnosisState::Done);
    assert_eq!(listed[0].ranking[0].service, "cart");
    let cancel = v1::CancelDiagnosisRequest { diagnosis_id: "alert-42".into() };
    assert_eq!(client.cancel_diagnosis(cancel).await.unwrap_err().code(), Code::Aborted, "it has ended");
    let cancel = v1::CancelDiagnosisRequest { diagnosis_id: "none".into() };
    assert_eq!(client.cancel_diagnosis(cancel).await.unwrap_err().code(), Code::NotFound);
}

#[test]
fn a_profiler_that_hangs_costs_the_memory_and_not_the_answer() {
    let home = tempfile::tempdir().unwrap();
    recording::demo_incident(home.path()).unwrap();
    let four = FourProcesses::start(home.path(), home.path()).unwrap();
    four.profiler.signal("STOP").unwrap();
    let without = diagnose(home.path(), &four.walker.address, &[]);
    assert_eq!(without["ranking"][0]["service"], "cart");
    let warnings = without["warnings"].as_array().unwrap();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].as_str().unwrap().starts_with("without memory"), "{warnings:?}");
    four.profiler.signal("CONT").unwrap();
    let with = diagnose(home.path(), &four.walker.address, &[]);
    assert!(with["warnings"].as_array().unwrap().is_empty(), "{}", with["warnings"]);
    assert!(with["incident_id"].is_string());
}
