//! An experiment on the real testbed: real processes, a real ZooKeeper, a real Prometheus, real faults.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use automap_integration_tests::command;
use serde_json::Value;

/// How long a part of the experiment may take; machines of tests are slow and shared.
const PATIENCE: Duration = Duration::from_secs(420);

/// Four rounds of 36 s, with faults that show whatever else the machine does.
const PLAN: &str = r#"
rounds = 4
seed = 7
methods = ["evidence", "n-sigma", "automap"]
times = {normal = "20s", fault = "11s", recovery = "3s"}
metrics = {lag = "2s"}
traffic = {requests_per_second = 10.0}
faults = [
    {kind = "memory-stress", megabytes = 120},
    {kind = "pod-kill"},
    {kind = "network-delay", latency_ms = 200.0},
    {kind = "http-errors"},
]
"#;

/// `automap experiment run` as a process; killed when dropped.
struct Run {
    child: Child,
    log: PathBuf,
}

impl Run {
    fn start(home: &Path, log: &str) -> Self {
        let log = home.join(log);
        let child = command::automap(home)
            .unwrap()
            .args(["experiment", "run", "--plan", "plan.toml", "--out"])
            // As a whole path, by which processes of the testbed are known.
            .arg(home.join("run"))
            .stdout(Stdio::null())
            .stderr(fs::File::create(&log).unwrap())
            .spawn()
            .unwrap();
        Self { child, log }
    }

    fn said(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    /// Waits until `true_now`, while the experiment runs.
    fn until(&mut self, what: &str, true_now: impl Fn() -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !true_now() {
            assert!(self.child.try_wait().unwrap().is_none(), "it ended before {what}: {}", self.said());
            assert!(Instant::now() < deadline, "{what} does not come: {}", self.said());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &id]).status().unwrap().success());
    }

    fn end(&mut self) -> Option<i32> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            assert!(Instant::now() < deadline, "it does not end: {}", self.said());
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        // It may have ended.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn rounds(home: &Path) -> Vec<Value> {
    let Ok(text) = fs::read_to_string(home.join("run/experiment.json")) else { return Vec::new() };
    serde_json::from_str::<Value>(&text).unwrap()["rounds"].as_array().unwrap().clone()
}

/// Processes of the testbed, by what they were started with: it is `home` that is in their arguments or environment.
fn left_over(home: &Path) -> Vec<String> {
    let place = home.join("run/testbed").display().to_string();
    let mut found = Vec::new();
    for process in fs::read_dir("/proc").unwrap().filter_map(Result::ok) {
        let read = |name: &str| fs::read(process.path().join(name)).unwrap_or_default();
        let text = [read("cmdline"), read("environ")].concat();
        if String::from_utf8_lossy(&text).contains(&place) {
            found.push(process.path().display().to_string());
        }
    }
    found
}

/// A column of an incident: its mean over the normal rows, and its last value of the fault.
fn normal_and_last(incident: &Path, column: &str) -> (f64, Option<f64>) {
    let known: Value =
        serde_json::from_str(&fs::read_to_string(incident.join("incident.json")).unwrap()).unwrap();
    let start = known["anomaly_start"].as_f64().unwrap();
    let text = fs::read_to_string(incident.join("metrics.csv")).unwrap();
    let mut lines = text.lines().map(|line| line.split(',').collect::<Vec<_>>());
    let header = lines.next().unwrap();
    let place = header.iter().position(|name| *name == column).expect(column);
    let samples: Vec<(f64, Option<f64>)> =
        lines.map(|cells| (cells[0].parse().unwrap(), cells[place].parse().ok())).collect();
    let normal: Vec<f64> =
        samples.iter().filter(|(time, _)| *time < start).filter_map(|(_, value)| *value).collect();
    (normal.iter().sum::<f64>() / normal.len() as f64, samples.last().unwrap().1)
}

#[test]
fn four_rounds_are_harmed_recorded_diagnosed_and_reported_though_they_are_interrupted() {
    let _turn = crate::pymicro::turn();
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    fs::write(home.join("plan.toml"), PLAN).unwrap();

    let mut first = Run::start(home, "first.log");
    first.until("the first round", || {
        rounds(home).first().is_some_and(|one| one["outcomes"] != serde_json::json!({}))
    });
    first.signal("TERM");
    assert_eq!(first.end(), Some(1), "{}", first.said());
    assert!(first.said().contains("interrupted; faults were removed"), "{}", first.said());
    assert_eq!(left_over(home), [""; 0]);
    let before = rounds(home);
    assert_eq!(before.len(), 1);

    let mut killed = Run::start(home, "killed.log");
    killed.until("its testbed", || left_over(home).len() > 16);
    killed.signal("KILL");
    killed.end();
    let deadline = Instant::now() + PATIENCE;
    while !left_over(home).is_empty() {
        assert!(Instant::now() < deadline, "a killed experiment leaves {:?}", left_over(home));
        std::thread::sleep(Duration::from_millis(50));
    }

    let mut last = Run::start(home, "last.log");
    assert_eq!(last.end(), Some(0), "{}", last.said());
    assert_eq!(left_over(home), [""; 0]);
    let done = rounds(home);
    assert_eq!((done.len(), &done[0]), (4, &before[0]), "a round that is done is not done again");
    assert!(last.said().contains("round 4 of 4"), "{}", last.said());
    for (index, round) in done.iter().enumerate() {
        let incident = home.join(format!("run/pymicro/round-{:02}", index + 1));
        let (service, fault) = (round["service"].as_str().unwrap(), round["fault"].as_str().unwrap());
        let column = |metric: &str| normal_and_last(&incident, &format!("{service}_{metric}"));
        match fault {
            "memory-stress" => {
                let (normal, last) = column("memory");
                assert!(last.unwrap() > normal + 1e8, "{service}: {normal} to {last:?}");
            }
            "pod-kill" => assert_eq!(column("memory").1, None, "{service} was killed"),
            "http-errors" => {
                let (normal, last) = column("availability");
                assert!(normal > 0.9 && last.unwrap() < 0.1, "{service}: {normal} to {last:?}");
            }
            _ => {}
        }
    }

    let reported =
        command::run(home, &["experiment", "report", "run", "--output", "json", "--html", "report.html"])
            .unwrap();
    assert_eq!(reported.code, 0, "{}", reported.stderr);
    let report: Value = serde_json::from_str(&reported.stdout).unwrap();
    assert_eq!(report["experiment"]["rounds"].as_array().unwrap().len(), 4);
    assert_eq!(report["evaluation"]["fault_types"].as_array().unwrap().len(), 4);
    let methods: Vec<&str> = report["evaluation"]["mean"]
        .as_array()
        .unwrap()
        .iter()
        .map(|mean| mean["method"].as_str().unwrap())
        .collect();
    assert_eq!(methods, ["evidence", "evidence, learned", "n-sigma", "automap", "automap, learned"]);
    println!("AC@1, AC@3: {}", report["evaluation"]["mean"]);
    assert!(fs::read_to_string(home.join("report.html")).unwrap().contains("Every method by fault"));
    let other = command::run(home, &["experiment", "run", "--out", "run"]).unwrap();
    assert_eq!(other.code, 2);
    assert!(other.stderr.contains("another plan"), "{}", other.stderr);
}

#[test]
fn a_plan_tells_what_it_will_do_and_what_is_wrong_with_it() {
    let home = tempfile::tempdir().unwrap();
    let plan = command::run(home.path(), &["experiment", "plan"]).unwrap();
    fs::write(home.path().join("plan.toml"), &plan.stdout).unwrap();
    let schedule = ["experiment", "plan", "--schedule", "--plan", "plan.toml"];
    let told = command::run(home.path(), &schedule).unwrap();
    assert_eq!(told.stdout, command::run(home.path(), &schedule[..3]).unwrap().stdout);
    assert_eq!(told.stdout.lines().count(), 17, "{}", told.stdout);
    assert!(
        told.stdout.ends_with("16 rounds of 182 s: 49 min, and what the diagnoses take\n"),
        "{}",
        told.stdout
    );

    fs::write(home.path().join("plan.toml"), "rounds = 4\n[[faults]]\nkind = \"network-dely\"\n").unwrap();
    let wrong =
        command::run(home.path(), &["experiment", "run", "--plan", "plan.toml", "--out", "run"]).unwrap();
    assert_eq!(wrong.code, 2, "{}", wrong.stderr);
    assert!(wrong.stderr.contains("network-dely") && wrong.stderr.contains("plan.toml"), "{}", wrong.stderr);
    assert!(!home.path().join("run").exists(), "nothing was begun");
    let nowhere = command::run(home.path(), &["experiment", "report", "run"]).unwrap();
    assert_eq!(nowhere.code, 2);
    assert!(nowhere.stderr.contains("automap experiment run"), "{}", nowhere.stderr);
}
