//! What confirmed incidents teach, as a person meets it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use automap_integration_tests::{
    command::{self, Ended},
    processes::{Service, all_on_free_ports},
    recording,
};
use automap_proto::v1::{self, walker_service_client::WalkerServiceClient};
use automap_service_kit::client;
use serde_json::{Value, json};

/// Front ends of the demo's shop: the same data under another front end are another incident.
const FRONT_ENDS: [&str; 7] = ["web", "checkout", "catalogue", "account", "payment", "shipping", "search"];

fn diagnose(home: &Path, server: &str, front_end: &str, more: &[&str]) -> Ended {
    let mut arguments = vec!["diagnose", "incident", "--server", server, "--front-end", front_end];
    arguments.extend(more);
    let ended = command::run(home, &arguments).unwrap();
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    ended
}

fn answer(home: &Path, server: &str, front_end: &str, more: &[&str]) -> Value {
    let ended = diagnose(home, server, front_end, &[&["--output", "json"], more].concat());
    serde_json::from_str(&ended.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn five_confirmed_incidents_teach_the_next_and_what_it_would_be_without_stays_visible() {
    let home = tempfile::tempdir().unwrap();
    recording::demo_incident(home.path()).unwrap();
    let service = Service::start(home.path(), "all", &all_on_free_ports(home.path())).unwrap();
    let mut client = WalkerServiceClient::new(client::channel("address", &service.address).unwrap());
    let [next, taught @ ..] = FRONT_ENDS;
    for (index, front_end) in taught.into_iter().take(5).enumerate() {
        let before = answer(home.path(), &service.address, next, &["--no-record"]);
        assert_eq!(before["learned_weights"], Value::Null, "{index} confirmed incidents are too few");
        assert_eq!(before["ranking"][0]["unlearned_score"], Value::Null);
        let recorded = answer(home.path(), &service.address, front_end, &[]);
        let confirmation = v1::Confirmation {
            root_causes: vec!["cart".into()],
            metric: v1::MetricKind::Cpu.into(),
            ..v1::Confirmation::default()
        };
        client
            .confirm_root_cause(v1::WalkerServiceConfirmRootCauseRequest {
                diagnosis_id: recorded["diagnosis_id"].as_str().unwrap().into(),
                confirmation: Some(confirmation),
            })
            .await
            .unwrap();
    }

    let learned = answer(home.path(), &service.address, next, &[]);
    assert_eq!(learned["learned_weights"]["incidents"], 5);
    let weights = learned["learned_weights"]["weights"].as_array().unwrap();
    let cpu = weights.iter().find(|one| one["metric"] == "cpu" && one["direction"] == "up").unwrap();
    assert!(cpu["weight"].as_f64().unwrap() > 1.0, "{cpu}");
    assert!(learned["ranking"].as_array().unwrap().iter().all(|one| one["unlearned_score"].is_f64()));
    assert_eq!(learned["ranking"][0]["service"], "cart");
    assert_eq!(learned["similar_incidents"][0]["metric"], "cpu");

    let text = diagnose(home.path(), &service.address, next, &["--no-record"]).stdout;
    for part in [
        "learned from 5 confirmed incidents: ",
        "without what was learned cart is first too",
        "confirmed root cause cart (cpu)",
    ] {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
    let unlearned = answer(home.path(), &service.address, next, &["--set", "evidence.learn=false"]);
    assert_eq!(unlearned["learned_weights"], Value::Null);
    assert_eq!(unlearned["ranking"][0]["score"], learned["ranking"][0]["unlearned_score"]);

    // One of the five: only four others are left, too few to teach.
    let itself = answer(home.path(), &service.address, taught[0], &["--no-record"]);
    assert_eq!(itself["learned_weights"], Value::Null, "an incident must not teach itself");
}

/// A dataset of one incident per front end, each labelled with the demo's culprit.
fn shop(home: &Path) -> PathBuf {
    let demo = recording::demo_incident(home).unwrap();
    let folder = home.join("shop");
    for front_end in FRONT_ENDS {
        let incident = folder.join(front_end);
        recording::copy_unlabelled(&demo, &incident).unwrap();
        let file = incident.join("incident.json");
        let mut known: Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
        known["front_end"] = front_end.into();
        fs::write(&file, known.to_string()).unwrap();
        let label = json!({"root_cause_services": ["cart"], "root_cause_metric": "cpu"});
        fs::write(incident.join("label.json"), label.to_string()).unwrap();
    }
    folder
}

fn evaluate(home: &Path, more: &[&str]) -> Ended {
    command::run(home, &[&["evaluate", "shop", "--bootstrap", "200"], more].concat()).unwrap()
}

fn learning(home: &Path, more: &[&str]) -> Value {
    let ended = evaluate(home, &[&["--output", "json"], more].concat());
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let mut report: Value = serde_json::from_str(&ended.stdout).unwrap();
    report["learning"].take()
}

#[test]
fn an_evaluation_reports_what_learning_is_worth_the_same_whatever_runs_at_once() {
    let home = tempfile::tempdir().unwrap();
    shop(home.path());
    let methods = ["--method", "evidence", "--method", "automap", "--method", "n-sigma"];
    let report = |from: &str, jobs: &str| {
        learning(home.path(), &[&methods[..], &["--learn", from, "--jobs", jobs]].concat())
    };
    let found = report("leave-one-out", "1");
    assert_eq!(found["from"], "leave-one-out");
    let names: Vec<&str> =
        found["gains"].as_array().unwrap().iter().map(|gain| gain["method"].as_str().unwrap()).collect();
    assert_eq!(names, ["evidence, learned", "automap, learned"]);
    assert_eq!(found["gains"][0]["on"][0]["dataset"], "shop");
    assert_eq!(found["gains"][0]["on"][0]["incidents"], 0.0, "the demo is right without learning");
    assert_eq!(report("leave-one-out", "4"), found);
    assert_eq!(report("folds=2", "2")["from"], "folds=2");
}

#[test]
fn rounds_have_a_curve_in_table_and_page_and_wrong_usage_is_told() {
    let home = tempfile::tempdir().unwrap();
    shop(home.path());
    let found = learning(home.path(), &["--method", "evidence", "--learn", "rounds"]);
    let rounds = found["curves"][0]["rounds"].as_array().unwrap();
    assert_eq!(rounds.iter().map(|round| round["incidents"].as_u64().unwrap()).max(), Some(7));
    let ended =
        evaluate(home.path(), &["--method", "evidence", "--learn", "rounds", "--report", "page.html"]);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert!(ended.stdout.contains("As more incidents were confirmed"), "{}", ended.stdout);
    let page = fs::read_to_string(home.path().join("page.html")).unwrap();
    assert!(page.contains("What confirmed incidents teach") && page.contains("share of incidents seen"));

    for (flags, part) in [
        (["--method", "evidence", "--learn", "folds=1"], "folds=K with K from 2"),
        (["--method", "n-sigma", "--learn", "rounds"], "none of the methods learns"),
    ] {
        let ended = evaluate(home.path(), &flags);
        assert_eq!(ended.code, 2, "{}", ended.stderr);
        assert!(ended.stderr.contains(part), "{}", ended.stderr);
    }
}
