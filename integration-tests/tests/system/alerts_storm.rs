//! Very many alerts at once.

use std::{
    net::TcpListener,
    thread,
    time::{Duration, Instant},
};

use automap_proto::v1;
use serde_json::Value;
use tokio::runtime::Runtime;

use crate::{
    alerting::{alerted_asking, fire, listed, metric, send, until},
    walker_calls::client_of,
};

#[test]
fn a_storm_becomes_few_diagnoses_to_which_the_other_alerts_are_attached() {
    let home = tempfile::tempdir().unwrap();
    // It takes connections and says nothing, so that the diagnosis of the first alerts runs until all have come.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let source = silent.local_addr().unwrap().to_string();
    let settings = "max-waiting = 8\nmax-per-minute = 4";
    let (service, address, admin) = alerted_asking(home.path(), &source, settings);
    let runtime = Runtime::new().unwrap();
    let began = Instant::now();
    // One system: 500 alerts, 50 at a time.
    let mut ids = std::collections::BTreeSet::new();
    for group in 0..10 {
        let alerts = (0..50).map(|one| ("shop".to_owned(), format!("alert-{group}-{one}")));
        let answer = send(&address, fire(alerts).to_string());
        assert_eq!(answer.status, 202, "{answer:?}");
        let receipt: Value = serde_json::from_str(&answer.body).unwrap();
        assert_eq!(receipt["began"].as_u64().unwrap() + receipt["attached"].as_u64().unwrap(), 50);
        ids.extend(receipt["diagnoses"].as_array().unwrap().iter().map(|id| id.as_str().unwrap().to_owned()));
    }
    assert_eq!(ids.len(), 1, "{ids:?}");
    let id = ids.pop_first().unwrap();
    drop(silent);
    let alerts = || {
        let request = v1::WalkerServiceGetDiagnosisRequest { diagnosis_id: id.clone() };
        let found = runtime.block_on(async { client_of(&service).get_diagnosis(request).await });
        found.ok()?.into_inner().diagnosis?.alerts
    };
    until("all alerts are with their diagnosis", || {
        alerts().is_some_and(|list| list.alerts.len() == 100 && list.left_out == 400)
    });
    // Fifty systems: what finds no room is to be sent again, and is not lost.
    let storm = |from: usize| {
        let alerts = (from..from + 10)
            .flat_map(|system| (0..10).map(move |one| (format!("system-{system}"), format!("alert-{one}"))));
        send(&address, fire(alerts).to_string())
    };
    let statuses: Vec<u16> = (0..5).map(|part| storm(part * 10).status).collect();
    assert!(statuses.contains(&503), "{statuses:?}");
    let busy = storm(40);
    assert!(busy.head.contains("retry-after: "), "{}", busy.head);
    thread::sleep(Duration::from_secs(3));
    let begun = listed(&runtime, &service).len() as u64;
    assert!(begun <= 4 * (1 + began.elapsed().as_secs() / 60), "{begun} began; at most four within a minute");
    assert!(metric(&admin, "automap_alert_diagnoses_waiting") <= 8.0);
    assert!(metric(&admin, "automap_alerts_total{outcome=\"busy\"}") > 0.0);
}
