//! `automap graph`.

use std::collections::BTreeSet;

use automap_integration_tests::{command, recording};
use serde_json::Value;

fn graph(home: &std::path::Path, more: &[&str]) -> Value {
    let mut arguments = vec!["graph", "incident", "--output", "json"];
    arguments.extend(more);
    let ended = command::run(home, &arguments).unwrap();
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    serde_json::from_str(&ended.stdout).unwrap()
}

#[test]
fn nodes_edges_weights_and_tests_are_reported() {
    let home = tempfile::tempdir().unwrap();
    recording::demo_incident(home.path()).unwrap();
    let whole = graph(home.path(), &["--window", "normal"]);
    assert_eq!(whole["nodes"].as_array().unwrap().len(), 16);
    assert!(whole["tests"].as_u64().unwrap() >= 16 * 15 / 2 * 7);
    let edges = whole["edges"].as_array().unwrap();
    assert!(!edges.is_empty());
    let mut pairs = BTreeSet::new();
    for edge in edges {
        let total: f64 =
            edge["weights"].as_object().unwrap().values().map(|weight| weight.as_f64().unwrap()).sum();
        assert!((total - 1.0).abs() < 1e-12, "{edge}");
        assert!(edge["directed"].is_boolean());
        let (from, to) = (edge["from"].as_str().unwrap(), edge["to"].as_str().unwrap());
        assert!(pairs.insert((from.min(to), from.max(to))), "{edge} stands twice");
    }
}

#[test]
fn metrics_depth_level_and_window_change_the_graph() {
    let home = tempfile::tempdir().unwrap();
    recording::demo_incident(home.path()).unwrap();
    let only_cpu = graph(home.path(), &["--metrics", "cpu,io"]);
    for edge in only_cpu["edges"].as_array().unwrap() {
        assert!(
            edge["weights"].as_object().unwrap().keys().all(|metric| metric == "cpu" || metric == "io"),
            "{edge}"
        );
    }
    let tests = |more: &[&str]| graph(home.path(), more)["tests"].as_u64().unwrap();
    // Availability is constant for most services, and a constant needs no test.
    let varying = ["--metrics", "latency,throughput,congestion,cpu,io,memory", "--window", "all"];
    let level_zero = tests(&[&varying[..], &["--max-condition", "0"]].concat());
    assert_eq!(level_zero, 16 * 15 / 2 * 6);
    assert!(tests(&[&varying[..], &["--max-condition", "5"]].concat()) > level_zero);
    for removal in ["front-end", "factor"] {
        assert_ne!(graph(home.path(), &["--load-removal", removal]), graph(home.path(), &[]));
    }
    let edges = |more: &[&str]| graph(home.path(), more)["edges"].as_array().unwrap().len();
    assert!(edges(&["--alpha", "0.2"]) >= edges(&["--alpha", "0.0001"]));
}

#[test]
fn edges_tell_how_sure_they_are_when_asked() {
    let home = tempfile::tempdir().unwrap();
    recording::demo_incident(home.path()).unwrap();
    let told = graph(home.path(), &["--bootstrap-edges", "20"]);
    let shares: Vec<f64> =
        told["edges"].as_array().unwrap().iter().map(|edge| edge["confidence"].as_f64().unwrap()).collect();
    assert!(!shares.is_empty() && shares.iter().all(|share| (0.0..=1.0).contains(share)), "{shares:?}");
    assert_eq!(told, graph(home.path(), &["--bootstrap-edges", "20"]));
    assert_ne!(told, graph(home.path(), &["--bootstrap-edges", "20", "--seed", "1"]));
    assert!(graph(home.path(), &[])["edges"][0].get("confidence").is_none());

    let drawing = home.path().join("graph.dot");
    let arguments =
        ["diagnose", "incident", "--no-record", "--bootstrap-edges", "10", "--graph", "graph.dot"];
    let ended = command::run(home.path(), &arguments).unwrap();
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let text = std::fs::read_to_string(drawing).unwrap();
    assert!(text.contains(" %\""), "{text}");
}

#[test]
fn drawings_and_wrong_flags() {
    let home = tempfile::tempdir().unwrap();
    recording::demo_incident(home.path()).unwrap();
    let run = |more: &[&str]| {
        let mut arguments = vec!["graph", "incident"];
        arguments.extend(more);
        command::run(home.path(), &arguments).unwrap()
    };
    assert!(run(&["--output", "dot"]).stdout.starts_with("digraph"));
    assert!(run(&["--output", "svg"]).stdout.contains("</svg>"));
    for (flags, part) in [
        (["--alpha", "0"], "alpha"),
        (["--ci-test", "magic"], "fisher-z, chi2 or g2"),
        (["--bins", "4"], "2, 3 or 5"),
        (["--load-removal", "all"], "off, front-end or factor"),
        (["--metrics", "latncy"], "did you mean latency?"),
    ] {
        let ended = run(&flags);
        assert_eq!(ended.code, 2, "{}", ended.stderr);
        assert!(ended.stderr.contains(part), "{}", ended.stderr);
    }
}

#[test]
fn a_front_end_that_is_no_service_is_wrong_usage_here_too() {
    let home = tempfile::tempdir().unwrap();
    recording::demo_incident(home.path()).unwrap();
    let ended = command::run(home.path(), &["graph", "incident", "--front-end", "chekout"]).unwrap();
    assert_eq!(ended.code, 2, "{}", ended.stderr);
    assert!(ended.stderr.contains("did you mean checkout?"), "{}", ended.stderr);
}

#[test]
fn tables_test_edges_in_graphs_and_diagnoses() {
    let home = tempfile::tempdir().unwrap();
    recording::demo_incident(home.path()).unwrap();
    let edges =
        |more: &[&str]| graph(home.path(), &[&["--window", "all"][..], more].concat())["edges"].clone();
    let coarse = edges(&["--ci-test", "g2", "--bins", "2"]);
    assert_ne!(coarse, edges(&["--ci-test", "g2", "--bins", "3"]));
    assert_eq!(coarse, edges(&["--ci-test", "g2", "--bins", "2", "--alpha", "0.01"]));
    assert_ne!(coarse, edges(&["--ci-test", "chi2", "--bins", "2", "--alpha", "0.2"]));

    let arguments = ["diagnose", "incident", "--method", "automap", "--no-record", "--output", "json"];
    let settings = ["--set", "automap.ci-test=chi2", "--set", "automap.bins=2"];
    let ended = command::run(home.path(), &[&arguments[..], &settings].concat()).unwrap();
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let answer: Value = serde_json::from_str(&ended.stdout).unwrap();
    let echoed = answer.to_string();
    for setting in [r#""automap.ci-test":"chi2""#, r#""automap.alpha":"0.01""#, r#""automap.bins":"2""#] {
        assert!(echoed.contains(setting), "{setting}: {echoed}");
    }
}
