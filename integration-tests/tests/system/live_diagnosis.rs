//! A diagnosis whose metrics are asked of a real server: in one process, and through four.

use std::{path::Path, process::Command};

use automap_integration_tests::{
    answers,
    command::{self, Ended},
    metrics_server::MetricsServer,
    processes::Service,
    python,
    samples::{START, Samples},
    setup::Setup,
};

pub(crate) const INTERVAL: i64 = 15;
pub(crate) const LENGTH: i64 = 4800;
/// When `b` becomes slow and busy.
const FAULT: i64 = 4200;

/// `web` calls `a`, `b` and `c`; `b` is at fault.
pub(crate) fn samples() -> Samples {
    let times = || (0..=LENGTH).step_by(INTERVAL as usize);
    let mut samples = Samples::default();
    // Loads and noise that differ by service and never repeat within the window.
    let noise = |seed: f64, time: i64| {
        (time as f64 * (0.013 + seed * 0.0071)).sin() * (time as f64 * 0.0517 * seed).cos()
    };
    for (index, service) in ["web", "a", "b", "c"].into_iter().enumerate() {
        let seed = 1.0 + index as f64 * 0.37;
        let faulty = move |time: i64| service == "b" && time >= FAULT;
        let slow =
            move |time: i64| if faulty(time) || (service == "web" && time >= FAULT) { 0.5 } else { 0.05 };
        let sum = |of: &dyn Fn(i64) -> f64, until: i64| {
            (0..=until).step_by(INTERVAL as usize).map(|time| of(time) * INTERVAL as f64).sum::<f64>()
        };
        let rate = move |time: i64| 20.0 + 4.0 * noise(seed, time);
        let count = |name: &str| format!("{name}{{service=\"{service}\"}}");
        samples.add(&count("pymicro_request_duration_seconds_count"), times(), |time| Some(sum(&rate, time)));
        let busy = move |time: i64| rate(time) * slow(time) * (1.0 + 0.1 * noise(seed + 1.0, time));
        samples.add(&count("pymicro_request_duration_seconds_sum"), times(), |time| Some(sum(&busy, time)));
        let requests = format!("pymicro_requests_total{{service=\"{service}\",status=\"200\"}}");
        samples.add(&requests, times(), |time| Some(sum(&rate, time)));
        let cpu =
            move |time: i64| (0.3 + 0.05 * noise(seed + 2.0, time)) * if faulty(time) { 4.0 } else { 1.0 };
        samples.add(&count("process_cpu_seconds_total"), times(), |time| Some(sum(&cpu, time)));
        let memory = move |time: i64| Some(1e8 + 1e6 * noise(seed + 3.0, time));
        samples.add(&count("process_resident_memory_bytes"), times(), memory);
    }
    samples
}

fn diagnose(home: &Path, source: &str, more: &[&str]) -> Ended {
    let at = (START + LENGTH).to_string();
    let mut arguments = vec![
        "diagnose",
        "--source",
        source,
        "--front-end",
        "web",
        "--at",
        &at,
        "--output",
        "json",
        "--no-record",
    ];
    arguments.extend(more);
    command::run(home, &arguments).unwrap()
}

#[test]
fn an_incident_is_diagnosed_from_a_server_alike_in_one_process_through_four_and_from_its_recording() {
    let home = tempfile::tempdir().unwrap();
    let server = MetricsServer::prometheus(home.path(), &samples(), &[]).unwrap();
    let url = server.url();
    let ended = diagnose(home.path(), &url, &["--preset", "pymicro", "--step", "15"]);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let alone = ended.stdout.clone();
    let embedded: serde_json::Value = serde_json::from_str(&alone).unwrap();
    assert_eq!(embedded["ranking"][0]["service"], "b", "{}", ended.stdout);

    let collector = format!(
        "[collector.server]\nlisten = \"127.0.0.1:0\"\n[collector.sources.shop]\nurl = {url:?}\npreset = \"pymicro\"\nstep = \"15s\"\n"
    );
    let collector = Service::start(home.path(), "collector", &collector).unwrap();
    let builder = "[graph-builder.server]\nlisten = \"127.0.0.1:0\"\n";
    let builder = Service::start(home.path(), "graph-builder", builder).unwrap();
    let store = home.path().join("store");
    let profiler = format!("[profiler]\npath = {store:?}\n[profiler.server]\nlisten = \"127.0.0.1:0\"\n");
    let profiler = Service::start(home.path(), "profiler", &profiler).unwrap();
    let peers = [&collector, &builder, &profiler].map(|peer| peer.address.as_str());
    let walker = Setup::default().walker(home.path(), peers).unwrap();
    let ended = diagnose(home.path(), "shop", &["--server", &walker.address]);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let comparable = |text: &str| answers::without_ids_and_timings(text).unwrap();
    assert_eq!(comparable(&ended.stdout), comparable(&alone));

    // No caller can have an address asked that is not configured.
    let ended = diagnose(home.path(), "shopp", &["--server", &walker.address]);
    assert_eq!(ended.code, 1, "{}", ended.stderr);
    assert!(ended.stderr.contains("did you mean shop?"), "{}", ended.stderr);
    let ended = diagnose(home.path(), &url, &["--server", &walker.address]);
    assert_eq!(ended.code, 2, "{}", ended.stderr);
    assert!(ended.stderr.contains("collector.sources.NAME"), "{}", ended.stderr);

    let (from, to) = ((START + LENGTH - 4200).to_string(), (START + LENGTH).to_string());
    let start = (START + FAULT).to_string();
    let collected = command::run(
        home.path(),
        &[
            "collect",
            "--source",
            &url,
            "--preset",
            "pymicro",
            "--step",
            "15s",
            "--from",
            &from,
            "--to",
            &to,
            "--out",
            "incident",
            "--front-end",
            "web",
            "--anomaly-start",
            &start,
            "--system",
            "default",
        ],
    )
    .unwrap();
    assert_eq!(collected.code, 0, "{}", collected.stderr);
    let recorded =
        command::run(home.path(), &["diagnose", "incident", "--output", "json", "--no-record"]).unwrap();
    assert_eq!(recorded.code, 0, "{}", recorded.stderr);
    let recorded: serde_json::Value = serde_json::from_str(&recorded.stdout).unwrap();
    assert_eq!(recorded["ranking"], embedded["ranking"]);
}

#[test]
fn normal_behaviour_is_learned_from_a_server_hour_by_hour_and_incidents_are_left_out() {
    let home = tempfile::tempdir().unwrap();
    let server = MetricsServer::prometheus(home.path(), &samples(), &[]).unwrap();
    let (from, to) = (START.to_string(), (START + LENGTH).to_string());
    let url = server.url();
    let arguments =
        ["learn", "--source", &url, "--preset", "pymicro", "--step", "15s", "--from", &from, "--to", &to];
    let learn = |store: &str| {
        let ended = command::run(
            home.path(),
            &[&arguments[..], &["--system", "shop", "--store", store, "--output", "json"]].concat(),
        )
        .unwrap();
        assert_eq!(ended.code, 0, "{}", ended.stderr);
        let learned: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
        (learned[0]["rows"].as_u64().unwrap(), learned[0]["abnormal_rows"].as_u64().unwrap())
    };
    // 320 intervals in two parts that share the row between them.
    let (rows, abnormal) = learn("fresh");
    assert!((318..=322).contains(&rows) && abnormal == 0, "{rows} {abnormal}");

    // The last 40 intervals are the incident's.
    let known = ["diagnose", "--source", &url, "--preset", "pymicro", "--step", "15", "--front-end", "web"];
    let when = ["--at", &to, "--system", "shop", "--store", "taught"];
    let ended = command::run(home.path(), &[&known[..], &when].concat()).unwrap();
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let (rows_without, abnormal) = learn("taught");
    assert_eq!(rows_without + abnormal, rows);
    assert!((40..=42).contains(&abnormal), "{abnormal}");

    let ended =
        command::run(home.path(), &["learn", "--source", &url, "--from", &to, "--to", &from]).unwrap();
    assert_eq!(ended.code, 2, "{}", ended.stderr);
    assert!(ended.stderr.contains("--from lies behind --to"), "{}", ended.stderr);
}

#[test]
fn sources_are_configured_by_file_environment_and_flag() {
    let home = tempfile::tempdir().unwrap();
    let server = MetricsServer::prometheus(home.path(), &samples(), &[]).unwrap();
    let config = home.path().join("automap.toml");
    std::fs::write(&config, "[collector.sources.shop]\nurl = \"http://127.0.0.1:1\"\npreset = \"linkerd\"\n")
        .unwrap();
    let (from, to) = (START.to_string(), (START + LENGTH).to_string());
    let ended = command::automap(home.path())
        .unwrap()
        .env("AUTOMAP_COLLECTOR__SOURCES__SHOP__URL", server.url())
        .args([
            "collect",
            "--source",
            "shop",
            "--config",
            "automap.toml",
            "--preset",
            "pymicro",
            "--format",
            "npy",
        ])
        .args(["--from", &from, "--to", &to, "--out", "arrays"])
        .output()
        .unwrap();
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    assert_eq!(std::fs::read_to_string(home.path().join("arrays/services.txt")).unwrap(), "a\nb\nc\nweb\n");
    let checked = Command::new(python::interpreter().unwrap())
        .args([
            "-c",
            "import numpy as np, sys\n\
             names = open('arrays/services.txt').read().split()\n\
             times, cpu = np.load('arrays/timestamps.npy'), np.load('arrays/cpu.npy')\n\
             assert cpu.shape == (4, times.size) == (4, 321), cpu.shape\n\
             b = cpu[names.index('b')]\n\
             assert np.nanmean(b[-30:]) > 3 * np.nanmean(b[:200]), b\n\
             assert np.isnan(b[0]) and not np.isnan(b[1:]).any(), b[:3]",
        ])
        .current_dir(home.path())
        .output()
        .unwrap();
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
    let shown = command::run(
        home.path(),
        &["config", "show", "collector", "--config", "automap.toml", "--output", "json"],
    )
    .unwrap();
    assert!(shown.stdout.contains("collector.sources.shop.url"), "{}", shown.stdout);
    let wrong = command::run(home.path(), &["check", "--source", "shop"]).unwrap();
    assert_eq!(wrong.code, 2, "{}", wrong.stderr);
}
