//! Alerts whose diagnosis failed, told again: to the same walker, and to one that was started anew.

use std::collections::BTreeSet;

use automap_integration_tests::{
    alertmanager::{firing, notification},
    processes::Service,
};
use automap_proto::v1::{self, DiagnosisState};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::{
    alerting::{alerted, listed, send, until},
    walker_calls::client_of,
};

/// What became of a notification.
fn told(address: &str, body: &Value) -> Value {
    let answer = send(address, body.to_string());
    assert_eq!(answer.status, 202, "{answer:?}");
    serde_json::from_str(&answer.body).unwrap()
}

/// Waits until so many diagnoses have failed, and there are no others; answers their ids.
fn failed(runtime: &Runtime, service: &Service, count: usize) -> BTreeSet<String> {
    let mut found = Vec::new();
    // The record of the end is there a moment before the walker that ran it takes it for ended.
    let is_over = |id: &str| {
        let request = v1::WalkerServiceGetDiagnosisRequest { diagnosis_id: id.into() };
        let answer = runtime.block_on(async { client_of(service).get_diagnosis(request).await });
        answer.unwrap().into_inner().diagnosis.unwrap().state() == DiagnosisState::Failed
    };
    until("diagnoses fail", || {
        found = listed(runtime, service);
        found.len() >= count && found.iter().all(|one| is_over(&one.diagnosis_id))
    });
    assert_eq!(found.len(), count, "{found:?}");
    found.into_iter().map(|one| one.diagnosis_id).collect()
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
    assert_eq!(second["began"], 1, "{second}");
    assert_eq!(failed(&runtime, &service, 2), BTreeSet::from([id.clone(), format!("{id}-2")]));
    // Nor does another alert of the system belong to what failed.
    let other = notification([firing("shop", "Fails", &jiff::Timestamp::now().to_string())]);
    let third = told(&address, &other);
    assert_eq!((&third["began"], &third["attached"]), (&json!(1), &json!(0)), "{third}");
    failed(&runtime, &service, 3);

    assert_eq!(service.terminate().unwrap(), Some(0));
    let (service, address, _) = alerted(home.path(), "");
    let after = told(&address, &alert);
    assert_eq!(after["began"], 1, "{after}");
    let found = failed(&runtime, &service, 4);
    assert!(found.contains(&format!("{id}-3")), "{found:?}");
}
