//! The first command that a new user runs.

use automap_integration_tests::{command, recording};

#[test]
fn the_demo_names_its_culprit_first_and_draws_the_graph() {
    let home = tempfile::tempdir().unwrap();
    let ended = command::run(home.path(), &["demo"]).unwrap();
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert!(
        ended.stdout.starts_with("Most likely root cause of the alert on web: cart\n"),
        "{}",
        ended.stdout
    );
    assert!(ended.stdout.contains("reached from web through checkout"), "{}", ended.stdout);
    assert!(ended.stderr.contains("automap diagnose incident"), "{}", ended.stderr);
    let drawing = std::fs::read_to_string(home.path().join("automap-demo.svg")).unwrap();
    assert!(drawing.contains("1. cart") && drawing.trim_end().ends_with("</svg>"));
}

#[test]
fn the_exported_demo_gives_the_same_ranking_as_the_demo() {
    let home = tempfile::tempdir().unwrap();
    let demo = command::run(home.path(), &["demo", "--output", "json"]).unwrap();
    let incident = recording::demo_incident(home.path()).unwrap();
    let directory = incident.to_str().unwrap();
    let diagnosed =
        command::run(home.path(), &["diagnose", directory, "--output", "json", "--graph", "graph.dot"])
            .unwrap();
    assert_eq!(diagnosed.code, 0, "{}", diagnosed.stderr);
    let ranking = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap()["ranking"].clone();
    assert_eq!(ranking(&demo.stdout), ranking(&diagnosed.stdout));
    assert!(std::fs::read_to_string(home.path().join("graph.dot")).unwrap().starts_with("digraph"));
    let again = command::run(home.path(), &["demo", "--export", "incident"]).unwrap();
    assert_eq!(again.code, 1);
    assert!(again.stderr.contains("does not exist yet"), "{}", again.stderr);
}
