//! Clients that know nothing of AutoMAP but an address: they learn the contract by reflection, and understand errors.

use automap_integration_tests::{
    command,
    foreign::{Tls, buf_curl, grpcio, objects},
    pki::{Identity, Pki},
    processes::FourProcesses,
    recording,
    setup::Setup,
};
use automap_proto::v1::{self, walker_service_client::WalkerServiceClient};
use automap_service_kit::client;
use serde_json::{Value, json};

const DIAGNOSE: &str = "automap.v1.WalkerService/Diagnose";

/// A request to diagnose the demo's incident below the recordings root.
pub(crate) fn request() -> Value {
    json!({ "source": { "recording": "incident" }, "settings": { "seed": "7" } })
}

/// The ranked services of the diagnosis that ends these answers.
pub(crate) fn ranked(answers: &[Value]) -> Vec<String> {
    let diagnosis = &answers.last().unwrap()["diagnosis"];
    let ranking = diagnosis["ranking"].as_array().unwrap();
    ranking.iter().map(|ranked| ranked["service"].as_str().unwrap().to_owned()).collect()
}

/// What our own command ranks.
fn expected(home: &std::path::Path) -> Vec<String> {
    let ended = command::run(
        home,
        &["diagnose", "incident", "--output", "json", "--seed", "7", "--store", "own-store"],
    );
    let answer: Value = serde_json::from_str(&ended.unwrap().stdout).unwrap();
    let ranking = answer["ranking"].as_array().unwrap();
    ranking.iter().map(|ranked| ranked["service"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn grpcio_and_buf_curl_diagnose_over_reflection() {
    let home = tempfile::tempdir().unwrap();
    recording::demo_incident(home.path()).unwrap();
    let four = FourProcesses::start(home.path(), home.path()).unwrap();
    let expected = expected(home.path());
    assert_eq!(expected[0], "cart");

    let python = grpcio(&four.walker.address, None, DIAGNOSE, &json!([request()])).unwrap();
    assert_eq!(python.code, "OK", "{python:?}");
    assert!(python.answers[0].get("progress").is_some(), "{python:?}");
    assert_eq!(ranked(&python.answers), expected);

    let curl = buf_curl(&four.walker.address, None, DIAGNOSE, &request()).unwrap();
    assert_eq!(curl.code, 0, "{}", curl.stderr);
    assert_eq!(ranked(&objects(&curl.stdout).unwrap()), expected);
}

#[test]
fn grpcio_and_buf_curl_diagnose_over_mutual_tls_and_are_refused_without_a_certificate() {
    let home = tempfile::tempdir().unwrap();
    recording::demo_incident(home.path()).unwrap();
    let pki = Pki::new(home.path()).unwrap();
    let four = Setup::default().mutual_tls(&pki).four(home.path(), home.path()).unwrap();
    let address = &four.walker.address;
    let expected = expected(home.path());

    let known = pki.foreign_client();
    let python = grpcio(address, Some(&known), DIAGNOSE, &json!([request()])).unwrap();
    assert_eq!(python.code, "OK", "{python:?}");
    assert_eq!(ranked(&python.answers), expected);
    let curl = buf_curl(address, Some(&known), DIAGNOSE, &request()).unwrap();
    assert_eq!(curl.code, 0, "{}", curl.stderr);
    assert_eq!(ranked(&objects(&curl.stdout).unwrap()), expected);

    let Identity { certificate, key } = pki.stranger.clone();
    let nameless = Tls { identity: None, ..known.clone() };
    let stranger = Tls { identity: Some((certificate, key)), ..known.clone() };
    for refused in [&nameless, &stranger] {
        let python = grpcio(address, Some(refused), DIAGNOSE, &json!([request()])).unwrap();
        assert_eq!((python.code.as_str(), python.answers.len()), ("UNAVAILABLE", 0), "{python:?}");
        let curl = buf_curl(address, Some(refused), DIAGNOSE, &request()).unwrap();
        assert_ne!(curl.code, 0, "{}", curl.stdout);
        assert_eq!(curl.stdout, "");
        assert!(curl.stderr.starts_with("Failure: "), "{}", curl.stderr);
    }
    // Nor does a client in clear get in.
    let python = grpcio(address, None, DIAGNOSE, &json!([request()])).unwrap();
    assert_eq!(python.code, "UNAVAILABLE", "{python:?}");
    let python = grpcio(address, Some(&known), DIAGNOSE, &json!([request()])).unwrap();
    assert_eq!(python.code, "OK", "the walker goes on: {python:?}");
}

#[test]
fn a_wrong_field_reaches_a_foreign_client_as_bad_request() {
    let home = tempfile::tempdir().unwrap();
    recording::demo_incident(home.path()).unwrap();
    let four = FourProcesses::start(home.path(), home.path()).unwrap();
    let mut wrong = request();
    wrong["settings"]["parameters"] = json!({ "automap.alpha": "7" });
    let answered = grpcio(&four.walker.address, None, DIAGNOSE, &json!([wrong])).unwrap();
    assert_eq!(answered.code, "INVALID_ARGUMENT", "{answered:?}");
    let info = answered.detail("ErrorInfo").unwrap();
    assert_eq!((&info["reason"], &info["domain"]), (&json!("INVALID_INPUT"), &json!("automap.v1")));
    let violation = &answered.detail("BadRequest").unwrap()["field_violations"][0];
    assert!(violation["field"].as_str().unwrap().contains("automap.alpha"), "{answered:?}");
    assert_eq!(violation["description"], answered.message);

    let curl = buf_curl(&four.walker.address, None, DIAGNOSE, &wrong).unwrap();
    assert_ne!(curl.code, 0);
    let error = &objects(&curl.stderr).unwrap()[0];
    assert_eq!(error["code"], "invalid_argument", "{error}");
    let kinds: Vec<&str> =
        error["details"].as_array().unwrap().iter().filter_map(|detail| detail["type"].as_str()).collect();
    assert_eq!(kinds, ["google.rpc.ErrorInfo", "google.rpc.BadRequest"], "{error}");

    let absent = json!([{ "source": { "recording": "nowhere" } }]);
    let answered = grpcio(&four.walker.address, None, DIAGNOSE, &absent).unwrap();
    assert_ne!(answered.code, "OK");
    assert_eq!(answered.detail("ErrorInfo").unwrap()["domain"], "automap.v1", "{answered:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_overloaded_walker_tells_a_foreign_client_when_to_come_back() {
    let home = tempfile::tempdir().unwrap();
    recording::demo_incident(home.path()).unwrap();
    let four = FourProcesses::start(home.path(), home.path()).unwrap();
    let peers = [&four.collector, &four.graph_builder, &four.profiler].map(|peer| peer.address.as_str());
    let narrow = Setup::default().set("walker.concurrent-diagnoses=1").set("walker.waiting-callers=0");
    let walker = narrow.walker(home.path(), peers).unwrap();
    // An upload that does not end keeps the only place.
    let mut client = WalkerServiceClient::new(client::channel("address", &walker.address).unwrap());
    let incident = v1::RecordedIncident {
        description: Some(v1::RecordingDescription::default()),
        ..v1::RecordedIncident::default()
    };
    let first =
        v1::DiagnoseRecordingRequest { part: Some(v1::diagnose_recording_request::Part::Incident(incident)) };
    let (sender, receiver) = tokio::sync::mpsc::channel(1);
    sender.send(first).await.unwrap();
    let upload = tokio_stream::wrappers::ReceiverStream::new(receiver);
    let mut held = client.diagnose_recording(upload).await.unwrap().into_inner();
    assert!(held.message().await.unwrap().is_some(), "the upload has its place");

    let asked = json!([request()]);
    let address = walker.address.clone();
    let answered =
        tokio::task::spawn_blocking(move || grpcio(&address, None, DIAGNOSE, &asked)).await.unwrap().unwrap();
    assert_eq!(answered.code, "RESOURCE_EXHAUSTED", "{answered:?}");
    assert_eq!(answered.detail("ErrorInfo").unwrap()["reason"], "OVERLOADED");
    let delay = answered.detail("RetryInfo").unwrap()["retry_delay"].as_str().unwrap();
    assert!(delay.trim_end_matches('s').parse::<f64>().unwrap() > 0.0, "{delay}");
    drop(sender);
}
