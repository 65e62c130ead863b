//! Normal behaviour that is learned from recordings and comes back where a normal window is short.

use std::{
    fs,
    path::Path,
    time::{SystemTime, UNIX_EPOCH},
};

use automap_integration_tests::{
    command,
    metrics_server::MetricsServer,
    processes::{FourProcesses, Service, all_on_free_ports},
    recording,
    samples::START,
};
use automap_proto::v1::{self, profiler_service_client::ProfilerServiceClient};
use automap_service_kit::client;
use serde_json::Value;

use crate::live_diagnosis::{INTERVAL, LENGTH, samples};

fn json(home: &Path, arguments: &[&str]) -> Value {
    let ended = command::run(home, arguments).unwrap();
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    serde_json::from_str(&ended.stdout).unwrap()
}

/// Writes the demo's incident to `short` with the last `rows` rows before its anomaly and all after.
fn cut(home: &Path, rows: usize) {
    let full = home.join("incident");
    recording::copy_unlabelled(&full, &home.join("short")).unwrap();
    let known: Value =
        serde_json::from_str(&fs::read_to_string(full.join("incident.json")).unwrap()).unwrap();
    let start = known["anomaly_start"].as_f64().unwrap();
    let text = fs::read_to_string(full.join("metrics.csv")).unwrap();
    let (header, lines) = text.split_once('\n').unwrap();
    let lines: Vec<&str> = lines.lines().collect();
    let time = |line: &str| line.split(',').next().unwrap().parse::<f64>().unwrap();
    let alert = lines.iter().position(|line| time(line) >= start).unwrap();
    let kept = lines[alert - rows..].join("\n");
    fs::write(home.join("short/metrics.csv"), format!("{header}\n{kept}\n")).unwrap();
}

#[test]
fn what_was_learned_comes_back_where_a_normal_window_is_short() {
    let home = tempfile::tempdir().unwrap();
    recording::demo_incident(home.path()).unwrap();
    cut(home.path(), 20);
    let diagnose = ["diagnose", "short", "--store", "store", "--no-record", "--output", "json"];
    let with_history = [&diagnose[..], &["--set", "evidence.history-rows=200"]].concat();
    let remembered = |answer: &Value| {
        let warnings = answer["warnings"].as_array().unwrap();
        warnings.iter().any(|one| one.as_str().unwrap().contains("180 remembered rows of normal times"))
    };
    let before = json(home.path(), &with_history);
    assert!(!remembered(&before), "nothing was learned yet: {}", before["warnings"]);

    let learn = ["learn", "incident", "--store", "store", "--output", "json"];
    let graphs = json(home.path(), &[&learn[..], &["--graph-window", "10m"]].concat());
    assert!(graphs[0]["graphs"].as_u64().unwrap() >= 3, "{graphs}");
    let again = json(home.path(), &[&learn[..], &["--graph-window", "10m"]].concat());
    assert_eq!(again[0]["graphs"], 0, "the same windows are known already");
    let learned = json(home.path(), &learn);
    assert_eq!((&learned[0]["system"], &learned[0]["services"]), (&"demo-shop".into(), &16.into()));
    assert_eq!((&learned[0]["rows"], &learned[0]["abnormal_rows"]), (&600.into(), &60.into()));
    assert_eq!(json(home.path(), &learn), learned, "the same rows count once");

    let with = json(home.path(), &with_history);
    assert!(remembered(&with), "{}", with["warnings"]);
    assert_eq!(with["ranking"][0]["service"], "cart");
    let without = json(home.path(), &[&diagnose[..], &["--set", "evidence.history-rows=0"]].concat());
    assert!(!remembered(&without));
    assert_ne!(with["ranking"][0]["score"], without["ranking"][0]["score"]);

    let none = command::run(home.path(), &["learn", "store", "--store", "store"]).unwrap();
    assert_eq!(none.code, 2, "{}", none.stderr);
    assert!(none.stderr.contains("no recording was found"), "{}", none.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_walker_learns_on_its_own_and_the_profiler_tells_what_is_normal() {
    let home = tempfile::tempdir().unwrap();
    recording::demo_incident(home.path()).unwrap();
    let configuration = all_on_free_ports(home.path())
        + &format!("[collector]\nrecordings-root = {:?}\n", home.path())
        + "[walker.learn.shop]\nrecording = \"incident\"\nevery-minutes = 1440\n";
    let service = Service::start(home.path(), "all", &configuration).unwrap();
    let line = service.log_line("normal behaviour was learned").unwrap();
    assert_eq!((&line["fields"]["system"], &line["fields"]["rows"]), (&"demo-shop".into(), &600.into()));
    service.terminate().unwrap();

    let four = FourProcesses::start(home.path(), home.path()).unwrap();
    let ended = command::run(home.path(), &["learn", "incident", "--server", &four.walker.address]).unwrap();
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert!(ended.stdout.contains("600 normal rows of 16 services of demo-shop"), "{}", ended.stdout);
    let channel = client::channel("address", &four.profiler.address).unwrap();
    let request =
        v1::GetBaselinesRequest { system: "demo-shop".into(), services: vec!["cart".into()], at: None };
    let answer = ProfilerServiceClient::new(channel).get_baselines(request).await.unwrap().into_inner();
    let cpu = answer.baselines.iter().find(|one| one.name == "cpu").unwrap();
    assert!(cpu.values <= 928 && cpu.values > 100, "a bounded sample: {cpu:?}");
    assert!(cpu.spread > 0.0 && cpu.quantiles.is_sorted() && cpu.quantiles[2] == cpu.median, "{cpu:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_walker_learns_on_its_own_what_a_server_measured_of_late() {
    let home = tempfile::tempdir().unwrap();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs().cast_signed();
    // The last samples are as new as they can be.
    let moved = (now - START - LENGTH) / INTERVAL * INTERVAL;
    let server = MetricsServer::prometheus(home.path(), &samples().moved(moved), &[]).unwrap();
    let url = server.url();
    let configuration = all_on_free_ports(home.path())
        + &format!("[collector.sources.shop]\nurl = {url:?}\npreset = \"pymicro\"\nstep = \"15s\"\n")
        + "[walker.learn.shop]\nsource = \"shop\"\nsystem = \"shop\"\nevery-minutes = 40\n";
    let learn = || {
        let service = Service::start(home.path(), "all", &configuration).unwrap();
        let line = service.log_line("normal behaviour was learned").unwrap();
        assert_eq!(line["fields"]["system"], "shop");
        (line["fields"]["rows"].as_i64().unwrap(), service)
    };
    let (rows, service) = learn();
    // The time between two turns, and five minutes more; the server may have begun a little later than its samples end.
    assert!((40 * 60 / INTERVAL - 20..=45 * 60 / INTERVAL + 2).contains(&rows), "{rows} rows");
    service.terminate().unwrap();
    let (_, service) = learn();
    service.terminate().unwrap();

    let store = home.path().join("store");
    let profiler = format!("[profiler]\npath = {store:?}\n[profiler.server]\nlisten = \"127.0.0.1:0\"\n");
    let profiler = Service::start(home.path(), "profiler", &profiler).unwrap();
    let channel = client::channel("address", &profiler.address).unwrap();
    let request = v1::GetBaselinesRequest { system: "shop".into(), ..Default::default() };
    let answer = ProfilerServiceClient::new(channel).get_baselines(request).await.unwrap().into_inner();
    let services: std::collections::BTreeSet<&str> =
        answer.baselines.iter().map(|one| one.service.as_str()).collect();
    assert_eq!(services.into_iter().collect::<Vec<_>>(), ["a", "b", "c", "web"]);
    let cpu = answer.baselines.iter().find(|one| one.service == "a" && one.metric() == v1::MetricKind::Cpu);
    let cpu = cpu.unwrap();
    assert!(cpu.values > 100 && (0.2..0.4).contains(&cpu.median), "{cpu:?}");
}
