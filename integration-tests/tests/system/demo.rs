//! The first command that a new user runs.

use std::{fs, path::Path};

use automap_integration_tests::{browser, command, recording};
use serde_json::Value;

#[test]
fn the_demo_names_its_culprit_first_and_draws_the_graph() {
    let home = tempfile::tempdir().unwrap();
    let ended = command::run(home.path(), &["demo", "--incident", "simulated"]).unwrap();
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert!(
        ended.stdout.starts_with("Most likely root cause of the alert on web: cart\n"),
        "{}",
        ended.stdout
    );
    assert!(ended.stdout.contains("web → checkout → cart, "), "{}", ended.stdout);
    assert!(ended.stderr.contains("automap diagnose incident"), "{}", ended.stderr);
    let drawing = fs::read_to_string(home.path().join("automap-demo.svg")).unwrap();
    assert!(drawing.contains("1. cart") && drawing.trim_end().ends_with("</svg>"));
}

#[test]
fn recorded_incidents_are_replayed_and_exported_with_their_answers_only_together() {
    let home = tempfile::tempdir().unwrap();
    let ended = command::run(home.path(), &["demo"]).unwrap();
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let culprit = ended.stderr.split("view alerts, and ").nth(1).unwrap().split_whitespace().next().unwrap();
    let verdict = format!("Most likely root cause of the alert on view: {culprit}\n");
    assert!(ended.stdout.starts_with(&verdict), "{}{}", ended.stderr, ended.stdout);
    let drawing = fs::read_to_string(home.path().join("automap-demo.svg")).unwrap();
    assert!(drawing.contains(&format!("1. {culprit}")));

    let one = command::run(home.path(), &["demo", "--export", "one"]).unwrap();
    assert_eq!(one.code, 0, "{}", one.stderr);
    assert!(home.path().join("one/metrics.csv").exists() && !home.path().join("one/label.json").exists());
    let all = command::run(home.path(), &["demo", "--incident", "all", "--export", "all"]).unwrap();
    assert_eq!(all.code, 0, "{}", all.stderr);
    let evaluated = command::run(
        home.path(),
        &["evaluate", "all", "--method", "evidence", "--method", "random", "--output", "json"],
    )
    .unwrap();
    assert_eq!(evaluated.code, 0, "{}", evaluated.stderr);
    let report: Value = serde_json::from_str(&evaluated.stdout).unwrap();
    let figure = |method: usize| report["mean"][method]["ac3"].as_f64().unwrap();
    assert!(figure(0) > figure(1) + 0.3, "{} of evidence, {} by chance", figure(0), figure(1));
    let wrong = command::run(home.path(), &["demo", "--incident", "simulatd"]).unwrap();
    assert_eq!(wrong.code, 2);
    assert!(wrong.stderr.contains("did you mean simulated?"), "{}", wrong.stderr);
}

#[test]
fn paths_of_a_recorded_incident_have_an_arrow_for_each_call_and_for_nothing_else() {
    let home = tempfile::tempdir().unwrap();
    let exported = command::run(home.path(), &["demo", "--incident", "round-03", "--export", "one"]).unwrap();
    assert_eq!(exported.code, 0, "{}", exported.stderr);
    let calls = fs::read_to_string(home.path().join("one/call_graph.csv")).unwrap();
    let is_call = |caller: &str, callee: &str| calls.lines().any(|line| line == format!("{caller},{callee}"));
    let diagnose = |more: &[&str]| {
        let ended = command::run(home.path(), &[&["diagnose", "one", "--no-record"], more].concat()).unwrap();
        assert_eq!(ended.code, 0, "{}", ended.stderr);
        ended.stdout
    };
    let answer: Value = serde_json::from_str(&diagnose(&["--output", "json"])).unwrap();
    let (mut steps, mut against) = (0, 0);
    for ranked in answer["ranking"].as_array().unwrap() {
        let path: Vec<&str> =
            ranked["path"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
        let hops = ranked["path_hops"].as_array().unwrap();
        assert_eq!(hops.len(), path.len().saturating_sub(1), "{ranked}");
        for (two, hop) in path.windows(2).zip(hops) {
            let (calls, called) = (is_call(two[0], two[1]), is_call(two[1], two[0]));
            assert_eq!((hop == "calls", hop == "called-by"), (calls, called), "{two:?}: {hop}");
            steps += 1;
            against += usize::from(called);
        }
    }
    assert!(against > 0 && against < steps / 2, "{against} of {steps}");

    let text = diagnose(&[]);
    let told: Vec<&str> = text.lines().filter(|line| line.contains(" of walks")).collect();
    assert_eq!(told.len(), 3, "{text}");
    for line in told {
        let words: Vec<&str> = line.split(',').next().unwrap().split_whitespace().collect();
        for step in words.windows(3).step_by(2) {
            let (caller, callee) = if step[1] == "←" { (step[2], step[0]) } else { (step[0], step[2]) };
            assert!(["→", "←"].contains(&step[1]) && is_call(caller, callee), "{line}");
        }
    }
}

#[test]
fn the_page_of_a_diagnosis_opens_in_a_browser_and_fetches_nothing() {
    let home = tempfile::tempdir().unwrap();
    recording::demo_incident(home.path()).unwrap();
    let ended = command::run(home.path(), &["diagnose", "incident", "--graph", "answer.html"]).unwrap();
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let page = home.path().join("answer.html");
    let shown = browser::show(&page, home.path()).unwrap();
    for part in [
        "root cause of the alert on web: cart",
        "<svg",
        "1. cart",
        "class=\"series\"",
        "had the cpu of cart stayed normal",
    ] {
        assert!(shown.document.contains(part), "{part}");
    }
    assert_eq!(shown.requests, [""; 0]);
    assert!(browser::print(&page, home.path()).unwrap().starts_with(b"%PDF"));
    let wrong = command::run(home.path(), &["diagnose", "incident", "--graph", "answer.png"]).unwrap();
    assert_eq!(wrong.code, 2);
    assert!(wrong.stderr.contains("must end in .svg, .dot or .html"), "{}", wrong.stderr);
}

/// Steps of a trace: walk, step, from, to, move, probability.
fn traced(home: &Path, more: &[&str]) -> Vec<Value> {
    let arguments = [&["diagnose", "incident", "--no-record", "--trace", "walk.jsonl"], more].concat();
    let ended = command::run(home, &arguments).unwrap();
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let text = fs::read_to_string(home.join("walk.jsonl")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_trace_holds_every_step_of_the_walks_and_they_hang_together() {
    let home = tempfile::tempdir().unwrap();
    recording::demo_incident(home.path()).unwrap();
    let published = ["--method", "automap", "--set", "automap.solver=monte-carlo"];
    for (more, jumps) in [(&[][..], false), (&published, true)] {
        let steps = traced(home.path(), more);
        assert!(steps.len() > 1000, "{}", steps.len());
        assert_eq!(steps[0]["from"], "web");
        for pair in steps.windows(2) {
            let goes_on = pair[0]["walk"] == pair[1]["walk"];
            let from = if goes_on { &pair[0]["to"] } else { &Value::from("web") };
            assert_eq!(&pair[1]["from"], from, "{pair:?}");
            let probability = pair[1]["probability"].as_f64().unwrap();
            assert!(probability > 0.0 && probability <= 1.0, "{pair:?}");
        }
        assert_eq!(steps.iter().any(|step| step["move"] == "jump"), jumps);
        assert_eq!(traced(home.path(), more), steps, "the same seed walks the same way");
    }
    assert!(traced(home.path(), &["--method", "random"]).is_empty());
}

#[test]
fn the_exported_demo_gives_the_same_ranking_as_the_demo() {
    let home = tempfile::tempdir().unwrap();
    let demo = command::run(home.path(), &["demo", "--incident", "simulated", "--output", "json"]).unwrap();
    let incident = recording::demo_incident(home.path()).unwrap();
    let directory = incident.to_str().unwrap();
    let diagnosed =
        command::run(home.path(), &["diagnose", directory, "--output", "json", "--graph", "graph.dot"])
            .unwrap();
    assert_eq!(diagnosed.code, 0, "{}", diagnosed.stderr);
    let ranking = |text: &str| serde_json::from_str::<Value>(text).unwrap()["ranking"].clone();
    assert_eq!(ranking(&demo.stdout), ranking(&diagnosed.stdout));
    assert!(fs::read_to_string(home.path().join("graph.dot")).unwrap().starts_with("digraph"));
    let again =
        command::run(home.path(), &["demo", "--incident", "simulated", "--export", "incident"]).unwrap();
    assert_eq!(again.code, 1);
    assert!(again.stderr.contains("does not exist yet"), "{}", again.stderr);
}
