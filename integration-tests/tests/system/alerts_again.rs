//! Alerts whose diagnosis failed, told again: to the same walker, and to one that was started anew.

use automap_integration_tests::{
    alertmanager::{firing, notification},
    processes::Service,
};
use automap_proto::v1::{self, DiagnosisState};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::alerting::{alerted, listed, send, until};

/// What became of a notification.
fn told(address: &str, body: &Value) -> Value {
    let answer = send(address, body.to_string());
    assert_eq!(answer.status, 202, "{answer:?}");
    serde_json::from_str(&answer.body).unwrap()
}

fn failed(runtime: &Runtime, service: &Service, count: usize) -> Vec<v1::Diagnosis> {
    let mut found = Vec::new();
    until("diagnoses fail", || {
        found = listed(runtime, service);
        found.iter().filter(|one| one.state() == DiagnosisState::Failed).count() == count
    });
    assert_eq!(found.len(), count, "{found:?}");
    found
}

#[test]
fn an_alert_whose_diagnosis_failed_begins_another_one_when_it_is_told_again_and_the_log_says_why() {
    let home = tempfile::tempdir().unwrap();
    let runtime = Runtime::new().unwrap();
    let (service, address, _) = alerted(home.path(), "");
    let now = jiff::Timestamp::now().to_string();
    let alert = notification([firing("shop", "Slow", &now)]);
    let first = told(&address, &alert);
    assert_eq!(first["began"], 1, "{first}");
    let id = first["diagnoses"][0].as_str().unwrap().to_owned();
    failed(&runtime, &service, 1);
    let line = service.log_line("a diagnosis failed").unwrap();
    let fields = &line["fields"];
    assert_eq!(
        (&line["level"], &fields["diagnosis"], &fields["system"], &fields["code"]),
        (&json!("WARN"), &json!(id), &json!("shop"), &json!("UNAVAILABLE")),
        "{line}"
    );
    assert!(fields["reason"].as_str().unwrap().contains("cannot be reached"), "{line}");

    let second = told(&address, &alert);
    assert_eq!(
        (&second["began"], &second["diagnoses"]),
        (&json!(1), &json!([format!("{id}-2")])),
        "{second}"
    );
    failed(&runtime, &service, 2);
    // Nor does another alert of the system belong to what failed.
    let other = notification([firing("shop", "Fails", &jiff::Timestamp::now().to_string())]);
    let third = told(&address, &other);
    assert_eq!((&third["began"], &third["attached"]), (&json!(1), &json!(0)), "{third}");
    failed(&runtime, &service, 3);

    assert_eq!(service.terminate().unwrap(), Some(0));
    let (service, address, _) = alerted(home.path(), "");
    let after = told(&address, &alert);
    assert_eq!((&after["began"], &after["diagnoses"]), (&json!(1), &json!([format!("{id}-3")])), "{after}");
    let found = failed(&runtime, &service, 4);
    assert!(found.iter().any(|one| one.diagnosis_id == format!("{id}-3")), "{found:?}");
}
