//! The same alerts told to two walkers, other requests under the name of their diagnosis, and what a killed walker leaves.

use std::{
    thread,
    time::{Duration, Instant},
};

use automap_integration_tests::{
    alertmanager::{firing, notification, notify},
    faulty_proxy::{Fault, FaultyProxy},
    http,
    processes::{FourProcesses, Service},
    recording,
    setup::Setup,
};
use automap_proto::v1::{self, DiagnosisState};
use automap_service_kit::error::ErrorCode;
use serde_json::Value;

use crate::walker_calls::{client_of, listed, start};

const PATIENCE: Duration = Duration::from_secs(120);

/// A walker that takes alerts, whose source cannot be reached.
fn walker(home: &std::path::Path, four: &FourProcesses) -> (Service, String, String) {
    walker_asking(home, four, &four.collector.address)
}

/// The same with a collector at this address.
fn walker_asking(home: &std::path::Path, four: &FourProcesses, collector: &str) -> (Service, String, String) {
    let settings = r#"admin-listen = "127.0.0.1:0"
[walker.http]
listen = "127.0.0.1:0"
[walker.alerts]
settle-seconds = 10
[[walker.alerts.rules]]
system = { label = "namespace" }
front-end = { label = "service" }
source = { default = "none" }
"#;
    let peers = [collector, &four.graph_builder.address, &four.profiler.address];
    let service = Setup::default().set("walker.lease-seconds=15").walker_with(home, peers, settings).unwrap();
    let address = service.page_address().unwrap();
    let admin = service.admin_address().unwrap();
    (service, address, admin)
}

fn ended(admin: &str) -> f64 {
    let answer = http::get(admin, "/metrics").unwrap();
    let counts = answer.body.lines().filter(|line| line.starts_with("automap_diagnoses_total"));
    counts.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()).sum()
}

#[test]
fn two_walkers_that_are_told_the_same_alerts_diagnose_once_and_no_other_request_takes_its_name() {
    let home = tempfile::tempdir().unwrap();
    recording::demo_incident(home.path()).unwrap();
    let four = FourProcesses::start(home.path(), home.path()).unwrap();
    let walkers = [walker(home.path(), &four), walker(home.path(), &four)];
    let now = jiff::Timestamp::now().to_string();
    let alert = |namespace: &str, name: &str| firing(namespace, name, &now);
    let tell = |address: &str, alerts: [Value; 3]| {
        let answer = notify(address, notification(alerts).to_string()).unwrap();
        assert_eq!(answer.status, 202, "{answer:?}");
    };
    tell(&walkers[0].1, [alert("shop", "Slow"), alert("shop", "Fails"), alert("books", "Slow")]);
    tell(&walkers[1].1, [alert("books", "Slow"), alert("shop", "Fails"), alert("shop", "Slow")]);

    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut clients = runtime.block_on(async { [client_of(&walkers[0].0), client_of(&walkers[1].0)] });
    let deadline = Instant::now() + PATIENCE;
    let found = loop {
        let found = runtime.block_on(listed(&mut clients[1], &[DiagnosisState::Failed]));
        if found.len() == 2 {
            break found;
        }
        assert!(Instant::now() < deadline, "{found:?}");
        thread::sleep(Duration::from_millis(100));
    };
    // Both walkers have asked for both; where the other one was at an end already, they say so.
    for (service, ..) in &walkers {
        let asked = || {
            let log = service.whole_log();
            let said = ["an alert began a diagnosis", "the diagnosis of an alert has ended before"];
            said.iter().map(|said| log.matches(said).count()).sum::<usize>()
        };
        while asked() < 2 {
            assert!(Instant::now() < deadline, "{}", service.whole_log());
            thread::sleep(Duration::from_millis(100));
        }
    }
    // What one of them ran for itself all the same would run or be counted.
    let all = loop {
        let mut running = 0;
        for client in &mut clients {
            running += runtime.block_on(listed(client, &[DiagnosisState::Running])).len();
        }
        let all: f64 = walkers.iter().map(|(.., admin)| ended(admin)).sum();
        if running == 0 && all >= 2.0 {
            break all;
        }
        assert!(Instant::now() < deadline, "{running} run, {all} have ended");
        thread::sleep(Duration::from_millis(100));
    };
    assert_eq!(all, 2.0, "each ran once");
    assert_eq!(runtime.block_on(listed(&mut clients[0], &[])).len(), 2);
    for (service, ..) in &walkers {
        let log = service.whole_log();
        assert!(!log.contains("could not begin"), "{log}");
    }
    let mut systems: Vec<&str> = found.iter().map(|one| one.system.as_str()).collect();
    systems.sort_unstable();
    assert_eq!(systems, ["books", "shop"]);
    assert!(found.iter().all(|one| one.request_digest.len() == 64), "{found:?}");
    assert_ne!(found[0].request_digest, found[1].request_digest);
    for client in &mut clients {
        let refused = runtime.block_on(start(client, &found[0].diagnosis_id, 1)).unwrap_err();
        assert_eq!(
            (refused.code(), refused.field()),
            (ErrorCode::AlreadyExists, Some("request_id")),
            "{refused}"
        );
    }
}

#[test]
fn what_a_killed_walker_left_of_alerts_is_diagnosed_by_one_that_was_not_told() {
    let home = tempfile::tempdir().unwrap();
    let four = FourProcesses::start(home.path(), home.path()).unwrap();
    // Diagnoses of the walker that is to be killed get stuck.
    let silent = FaultyProxy::before(&four.collector.address).unwrap();
    silent.set(Fault::Silence);
    let (killed, told, _) = walker_asking(home.path(), &four, &silent.address);
    let (other, _, admin) = walker(home.path(), &four);
    let since = (jiff::Timestamp::now() - Duration::from_secs(20)).to_string();
    let alerts = [firing("shop", "Slow", &since), firing("books", "Slow", &since)];
    assert_eq!(notify(&told, notification(alerts).to_string()).unwrap().status, 202);

    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut client = runtime.block_on(async { client_of(&other) });
    let deadline = Instant::now() + PATIENCE;
    let mut wait_for = |what: &str, wanted: &dyn Fn(&v1::Diagnosis) -> bool| {
        loop {
            let found = runtime.block_on(listed(&mut client, &[]));
            if found.iter().filter(|one| wanted(one)).count() == 2 {
                return found;
            }
            assert!(Instant::now() < deadline, "{what}: {found:?}");
            thread::sleep(Duration::from_millis(100));
        }
    };
    let ran = wait_for("both run", &|one| one.state() == DiagnosisState::Running);
    killed.kill().unwrap();
    let ended_there = wait_for("both have ended", &|one| {
        one.ended_at.is_some() && ran.iter().all(|before| before.walker != one.walker)
    });
    let what = |one: &v1::Diagnosis| (one.diagnosis_id.clone(), one.created_at, one.alerts.clone());
    let all = |found: &[v1::Diagnosis]| found.iter().map(what).collect::<Vec<_>>();
    assert_eq!(all(&ended_there), all(&ran), "they are the same, with the same alerts");
    assert!(ended_there.iter().all(|one| one.state() == DiagnosisState::Failed), "{ended_there:?}");
    // It is counted once the profiler has said that it keeps it.
    let deadline = Instant::now() + PATIENCE;
    while ended(&admin) < 2.0 {
        assert!(Instant::now() < deadline, "both are counted");
        thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(ended(&admin), 2.0, "each ran once there");
    assert_eq!(other.whole_log().matches("begins again what a walker left").count(), 2);
}
