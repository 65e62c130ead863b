//! Calls: measured ones in edges.csv, forced and forbidden ones, and alerts that come late.

use std::{fmt::Write as _, fs, path::Path};

use automap_integration_tests::command;
use serde_json::Value;

const ROWS: usize = 60;
const INCIDENT: usize = 50;
const CALLS: [(&str, &str); 5] =
    [("cart", "db"), ("cart", "mq"), ("pay", "db"), ("web", "cart"), ("web", "pay")];

/// From 0 to 1, the same in every run.
fn noise(row: usize, salt: usize) -> f64 {
    ((row * 7919 + salt * 104_729 + row * row * 31) % 1009) as f64 / 1008.0
}

/// A shop whose database has no metrics of its own and became slow to reach: its callers wait for it, and the front end
/// for them.
fn incident(home: &Path) {
    let directory = home.join("incident");
    fs::create_dir(&directory).unwrap();
    let services = [("web", 4.0), ("cart", 2.0), ("pay", 2.0), ("mq", 0.0)];
    let mut metrics = String::from("timestamp");
    for (service, _) in services {
        write!(metrics, ",{service}_latency,{service}_cpu").unwrap();
    }
    let mut edges = String::from("timestamp,caller,callee,latency,throughput,availability\n");
    for row in 0..ROWS {
        let (time, late) = (1000 + 10 * row, row >= INCIDENT);
        write!(metrics, "\n{time}").unwrap();
        for (salt, (_, waiting)) in services.into_iter().enumerate() {
            let latency = 1.0 + 0.2 * noise(row, salt) + if late { waiting } else { 0.0 };
            write!(metrics, ",{latency},{}", 0.5 + 0.1 * noise(row, salt + 9)).unwrap();
        }
        for (salt, (caller, callee)) in CALLS.into_iter().enumerate() {
            let slow = late && (callee == "db" || caller == "web");
            let latency = 0.5 + 0.1 * noise(row, salt + 20) + if slow { 2.0 } else { 0.0 };
            writeln!(edges, "{time},{caller},{callee},{latency},10,1").unwrap();
        }
    }
    fs::write(directory.join("metrics.csv"), metrics).unwrap();
    fs::write(directory.join("edges.csv"), edges).unwrap();
    let known = format!(r#"{{"front_end": "web", "anomaly_start": {}}}"#, 1000 + 10 * INCIDENT);
    fs::write(directory.join("incident.json"), known).unwrap();
}

fn diagnose(home: &Path, more: &[&str]) -> command::Ended {
    command::run(home, &[&["diagnose", "incident", "--no-record"][..], more].concat()).unwrap()
}

fn answer(home: &Path, more: &[&str]) -> Value {
    let ended = diagnose(home, &[&["--output", "json"][..], more].concat());
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    serde_json::from_str(&ended.stdout).unwrap()
}

#[test]
fn a_culprit_that_only_its_callers_measure_is_found_and_explained() {
    let home = tempfile::tempdir().unwrap();
    incident(home.path());
    let found = answer(home.path(), &[]);
    let first = &found["ranking"][0];
    assert_eq!(
        (&first["service"], &first["evidence"][0]["series"]),
        (&"db".into(), &"calls of its callers".into())
    );
    assert_eq!(found["verdict"]["walked_graph"], "calls");
    assert_eq!(first["path"][0], "web");
    let told = diagnose(home.path(), &[]);
    assert!(
        told.stdout.contains("edges.csv: 1 service has no metrics of its own, such as db"),
        "{}",
        told.stdout
    );
    let blind = answer(home.path(), &["--set", "evidence.measured-calls=false"]);
    assert_ne!(blind["ranking"][0]["service"], "db");
    for edge in found["edges"].as_array().unwrap() {
        assert!(edge["ci_share"].as_f64().is_some_and(|share| (0.0..=1.0).contains(&share)), "{edge}");
    }
}

#[test]
fn bad_measured_calls_are_named_by_line() {
    let home = tempfile::tempdir().unwrap();
    incident(home.path());
    let file = home.path().join("incident/edges.csv");
    let good = fs::read_to_string(&file).unwrap();
    let twice = good.lines().nth(1).unwrap();
    for (text, part) in [
        (format!("{good}{twice}\n"), "edges.csv line 302: the same caller and callee stand at 1000"),
        (good.replacen(",10,1", ",ten,1", 1), "edges.csv line 2, column throughput: \"ten\" is no number"),
        (good.replacen("caller", "from", 1), "edges.csv line 1: the header must be"),
    ] {
        fs::write(&file, text).unwrap();
        let ended = diagnose(home.path(), &[]);
        assert_eq!(ended.code, 1, "{}", ended.stderr);
        assert!(ended.stderr.contains(part), "{part}: {}", ended.stderr);
    }
}

#[test]
fn edges_are_forced_and_forbidden_by_name() {
    let home = tempfile::tempdir().unwrap();
    incident(home.path());
    let stands = |found: &Value, from: &str, to: &str| {
        found["edges"].as_array().unwrap().iter().any(|edge| {
            let pair = (edge["from"].as_str().unwrap(), edge["to"].as_str().unwrap());
            pair == (from, to) || (edge["directed"] == false && pair == (to, from))
        })
    };
    let forced = answer(home.path(), &["--set", "edges.forced=mq->web, cart->mq"]);
    assert!(stands(&forced, "mq", "web") && stands(&forced, "cart", "mq"));
    let forbidden = answer(home.path(), &["--set", "edges.forbidden=mq->web, web->mq, cart->mq"]);
    assert!(
        !stands(&forbidden, "mq", "web")
            && !stands(&forbidden, "web", "mq")
            && !stands(&forbidden, "cart", "mq")
    );
    for (setting, part) in [
        ("edges.forced=web->crt", "names crt, which is no service of this incident; did you mean cart?"),
        ("edges.forbidden=web", "must be caller->callee"),
    ] {
        let ended = diagnose(home.path(), &["--set", setting]);
        assert_eq!(ended.code, 2, "{}", ended.stderr);
        assert!(ended.stderr.contains(part), "{}", ended.stderr);
    }
}

#[test]
fn an_alert_that_may_be_late_needs_one_row_only() {
    let home = tempfile::tempdir().unwrap();
    incident(home.path());
    let start = (1000 + 10 * (ROWS - 2)).to_string();
    let refused = diagnose(home.path(), &["--anomaly-start", &start]);
    assert_eq!(refused.code, 3, "{}", refused.stderr);
    assert!(refused.stderr.contains("2 incident rows"), "{}", refused.stderr);
    let found = answer(home.path(), &["--anomaly-start", &start, "--late-alert"]);
    assert_eq!(found["ranking"].as_array().unwrap().len(), 5);
}
