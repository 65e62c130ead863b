//! `automap evaluate` as a person uses it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use automap_integration_tests::{browser, command, recording};
use serde_json::{Value, json};

/// A folder of `count` copies of the demo's incident, labelled with its culprit.
fn shop(home: &Path, count: usize) -> PathBuf {
    let demo = recording::demo_incident(home).unwrap();
    let folder = home.join("shop");
    for index in 0..count {
        let incident = folder.join(format!("incident-{index}"));
        recording::copy_unlabelled(&demo, &incident).unwrap();
        label(&incident, "cart");
    }
    folder
}

fn label(incident: &Path, culprit: &str) {
    let answer =
        json!({"root_cause_services": [culprit], "root_cause_metric": "cpu", "fault_type": "cpu_contention"});
    fs::write(incident.join("label.json"), answer.to_string()).unwrap();
}

fn evaluate(home: &Path, more: &[&str]) -> command::Ended {
    let mut arguments = vec!["evaluate", "shop", "--bootstrap", "200"];
    arguments.extend(more);
    command::run(home, &arguments).unwrap()
}

#[test]
fn the_report_opens_in_a_browser_with_its_charts_and_fetches_nothing() {
    let home = tempfile::tempdir().unwrap();
    shop(home.path(), 2);
    let methods = ["--method", "evidence", "--method", "n-sigma", "--method", "random"];
    let ended = evaluate(home.path(), &[&methods[..], &["--ablations", "--report", "report.html"]].concat());
    assert_eq!(ended.code, 0, "{}", ended.stderr);

    let report = home.path().join("report.html");
    let shown = browser::show(&report, home.path()).unwrap();
    for part in ["How good are the answers?", "Where it fails", "Methods compared", "What each step is worth"]
    {
        assert!(shown.document.contains(part), "{part}");
    }
    assert!(shown.document.contains("cpu contention") && shown.document.contains("shop/incident-1"));
    assert_eq!(shown.requests, [""; 0]);

    let paper = browser::print(&report, home.path()).unwrap();
    assert!(paper.starts_with(b"%PDF") && paper.len() > 20_000, "{} bytes", paper.len());
}

#[test]
fn every_chart_of_the_report_shows_its_marks_on_wide_and_narrow_screens() {
    let home = tempfile::tempdir().unwrap();
    shop(home.path(), 3);
    let methods = ["--method", "evidence", "--method", "n-sigma", "--method", "random"];
    let ended = evaluate(home.path(), &[&methods[..], &["--ablations", "--report", "report.html"]].concat());
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    // Points or bars that a chart shows at least: of three methods, of 21 variants, of one dataset with one fault.
    let expected = [
        ("outcomes", 1),
        ("faults", 1),
        ("methods-ac1", 3),
        ("methods-avg5", 3),
        ("gains", 2),
        ("ablations", 21),
        ("seconds", 3),
        ("memory", 3),
        ("risk-coverage", 2),
        ("precision-recall", 2),
        ("reliability", 3),
        ("metric", 1),
    ];
    for width in [1200, 500] {
        let layout = browser::measure(&home.path().join("report.html"), home.path(), width).unwrap();
        let found: Vec<&str> = layout.charts.iter().map(|chart| chart.id.as_str()).collect();
        assert_eq!(found, expected.map(|(id, _)| id));
        for (chart, (_, marks)) in layout.charts.iter().zip(expected) {
            assert!(chart.marks >= marks && chart.words >= 3, "{width} pixels: {chart:?}");
            assert_eq!((chart.collisions, chart.cut), (0, 0), "{width} pixels: {chart:?}");
        }
        assert!(layout.cells >= 2, "one of services, one of metric types");
        assert!(layout.overflow <= 0.0, "{width} pixels: {} too wide", layout.overflow);
    }
}

#[test]
fn the_report_lets_nothing_be_fetched_even_when_something_is_smuggled_in() {
    let home = tempfile::tempdir().unwrap();
    shop(home.path(), 1);
    let ended = evaluate(home.path(), &["--method", "n-sigma", "--report", "report.html"]);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let smuggled = "<img src=\"http://smuggled.invalid/x.png\"></main>";
    let page = fs::read_to_string(home.path().join("report.html")).unwrap().replace("</main>", smuggled);
    let bare = home.path().join("bare.html");
    fs::write(&bare, smuggled).unwrap();
    assert_eq!(
        browser::show(&bare, home.path()).unwrap().requests.len(),
        1,
        "the proxy sees what is fetched"
    );
    let changed = home.path().join("changed.html");
    fs::write(&changed, page).unwrap();
    let shown = browser::show(&changed, home.path()).unwrap();
    assert!(shown.document.contains("smuggled.invalid"));
    assert_eq!(shown.requests, [""; 0]);
}

#[test]
fn the_same_incidents_give_the_same_scores_whatever_runs_at_once() {
    let home = tempfile::tempdir().unwrap();
    shop(home.path(), 3);
    let scores = |jobs: &str, file: &str| {
        let methods = ["--method", "evidence", "--method", "cloud-ranger", "--method", "naive"];
        let ended = evaluate(
            home.path(),
            &[&methods[..], &["--jobs", jobs, "--scores", file, "--output", "json"]].concat(),
        );
        assert_eq!(ended.code, 0, "{}", ended.stderr);
        let mut report: Value = serde_json::from_str(&ended.stdout).unwrap();
        for dataset in report["datasets"].as_array_mut().unwrap() {
            for method in dataset["methods"].as_array_mut().unwrap() {
                let fields = method.as_object_mut().unwrap();
                assert!(fields.remove("seconds_per_incident").unwrap().as_f64().unwrap() > 0.0);
                assert!(fields.remove("peak_memory_bytes").unwrap().as_u64().unwrap() > 1 << 20);
            }
        }
        (report.to_string(), fs::read(home.path().join(file)).unwrap())
    };
    assert_eq!(scores("1", "one.json"), scores("4", "four.json"));
}

#[test]
fn a_method_that_got_worse_ends_with_four_and_is_named() {
    let home = tempfile::tempdir().unwrap();
    let folder = shop(home.path(), 6);
    let kept = evaluate(home.path(), &["--method", "n-sigma", "--method", "random", "--scores", "old.json"]);
    assert_eq!(kept.code, 0, "{}", kept.stderr);
    let same = evaluate(home.path(), &["--method", "n-sigma", "--compare", "old.json"]);
    assert_eq!(same.code, 0, "{}", same.stderr);
    for index in 0..6 {
        label(&folder.join(format!("incident-{index}")), "profile");
    }
    let worse = evaluate(
        home.path(),
        &["--method", "n-sigma", "--method", "random", "--compare", "old.json", "--scores", "new.json"],
    );
    assert_eq!(worse.code, 4, "{}", worse.stderr);
    assert!(worse.stderr.contains("n-sigma on shop: AC@1 changed by -"), "{}", worse.stderr);
    assert!(!worse.stderr.contains("random on"), "chance did not get worse: {}", worse.stderr);
    assert!(worse.stdout.contains("n-sigma"), "the figures are printed all the same");
    assert!(home.path().join("new.json").exists());
}

#[test]
fn several_delays_are_reported_beside_the_first_and_averaged() {
    let home = tempfile::tempdir().unwrap();
    let folder = shop(home.path(), 2);
    for index in 0..2 {
        let path = folder.join(format!("incident-{index}/incident.json"));
        let mut known: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        known["anomaly_end"] = json!(known["anomaly_start"].as_f64().unwrap() + 300.0);
        fs::write(&path, known.to_string()).unwrap();
    }
    let methods = ["--method", "evidence", "--method", "random", "--delay", "0,0.25,-0.5"];
    let found = evaluate(home.path(), &[&methods[..], &["--output", "json"]].concat());
    assert_eq!(found.code, 0, "{}", found.stderr);
    let report: Value = serde_json::from_str(&found.stdout).unwrap();
    assert_eq!(report["settings"]["delays"], json!([0.0, 0.25, -0.5]), "{report}");
    let evidence = &report["methods"][0];
    for alert in evidence["alerts"].as_array().unwrap() {
        assert_eq!(alert["on"][0]["ac1"]["value"], 1.0, "{report}");
        assert_eq!(alert["refused"], 0, "{report}");
    }
    assert_eq!(evidence["all"][0]["dataset"], "shop", "{report}");
    assert!(report["gains"][0]["on"][0]["avg5"]["low"].as_f64().unwrap() > 0.0, "{report}");
    let table = evaluate(home.path(), &methods);
    for part in ["2 incidents, each with an alert at 3 times", "0.25 late", "0.5 early"] {
        assert!(table.stdout.contains(part), "{part}: {}", table.stdout);
    }
}

#[test]
fn scores_on_standard_output_follow_what_is_printed() {
    let home = tempfile::tempdir().unwrap();
    shop(home.path(), 2);
    let out = home.path().join("out");
    let mut command = command::automap(home.path()).unwrap();
    command.args(["evaluate", "shop", "--bootstrap", "200", "--method", "random", "--scores", "/dev/stdout"]);
    assert!(command.stdout(fs::File::create(&out).unwrap()).status().unwrap().success());
    let kept = evaluate(home.path(), &["--method", "random", "--scores", "scores.json"]);
    assert_eq!(kept.code, 0, "{}", kept.stderr);
    let (all, scores) =
        (fs::read_to_string(out).unwrap(), fs::read_to_string(home.path().join("scores.json")).unwrap());
    let printed = all.strip_suffix(&scores).expect("the scores come last");
    assert_eq!(printed.lines().next(), kept.stdout.lines().next());
    assert_eq!(printed.lines().count(), kept.stdout.lines().count(), "{printed}");
}

#[test]
fn what_cannot_be_measured_is_told_before_anything_runs_and_leaves_nothing() {
    let home = tempfile::tempdir().unwrap();
    let folder = shop(home.path(), 2);
    fs::write(home.path().join("other.json"), "{\"format\": \"shopping list\"}").unwrap();
    let scored = evaluate(home.path(), &["--method", "random", "--scores", "old.json"]);
    assert_eq!(scored.code, 0, "{}", scored.stderr);
    fs::remove_dir_all(folder.join("incident-1")).unwrap();
    let before = files(home.path());
    let cases: [(&[&str], i32, &str); 11] = [
        (&["--bootstrap", "0"], 2, "from 100 to 100000"),
        (&["--delay", "9"], 2, "have no unit"),
        (&["--delay", "soon"], 2, "a number of incident lengths"),
        (&["--delay", "0,0.5,0"], 2, "--delay 0 is given twice"),
        (&["--delay", "0,0.5"], 2, "--scores takes one --delay"),
        (&["--normal-window", "0"], 2, "a positive number of incident lengths"),
        (&["--exclude", "shopp"], 2, "did you mean shop?"),
        (&["--exclude", "shop"], 2, "--exclude leaves no dataset"),
        (&["--compare", "other.json"], 2, "is no evaluation"),
        (&["--compare", "old.json"], 2, "was measured on other incidents"),
        (&["--report", "no/such/report.html"], 2, "name a directory that exists"),
    ];
    for (flags, code, part) in cases {
        let flags = [&["evaluate", "shop", "--scores", "scores.json"], flags].concat();
        let ended = command::run(home.path(), &flags).unwrap();
        assert_eq!(ended.code, code, "{flags:?}: {}", ended.stderr);
        assert!(ended.stderr.contains(part), "{flags:?}: {}", ended.stderr);
        assert!(ended.stdout.is_empty());
        assert_eq!(files(home.path()), before, "{flags:?}");
    }
    fs::write(folder.join("incident-0/label.json"), "{}").unwrap();
    let ended = command::run(home.path(), &["evaluate", "shop", "--report", "report.html"]).unwrap();
    assert_eq!(ended.code, 1);
    assert!(ended.stderr.contains("label.json is no label"), "{}", ended.stderr);
    fs::remove_file(folder.join("incident-0/label.json")).unwrap();
    let ended = command::run(home.path(), &["evaluate", "shop"]).unwrap();
    assert!(ended.code == 1 && ended.stderr.contains("no labelled incident"), "{}", ended.stderr);
}

/// Names of what lies in `home`.
fn files(home: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(home)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}
