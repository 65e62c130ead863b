//! `automap bench`.

use automap_integration_tests::{command, recording};
use serde_json::Value;

#[test]
fn figures_of_a_build_are_reported_and_its_graph_depends_on_the_load_alone() {
    let home = tempfile::tempdir().unwrap();
    let bench = |more: &[&str]| -> Value {
        let arguments = ["bench", "graph", "--services", "20", "--samples", "200", "--output", "json"];
        let ended = command::run(home.path(), &[&arguments[..], more].concat()).unwrap();
        assert_eq!(ended.code, 0, "{}", ended.stderr);
        serde_json::from_str(&ended.stdout).unwrap()
    };
    let one = bench(&[]);
    for figure in [
        "cpu_seconds",
        "wall_seconds",
        "level_zero_cpu_seconds",
        "matrix_product_cpu_seconds",
        "peak_memory_bytes",
    ] {
        assert!(one[figure].as_f64().is_some_and(|value| value >= 0.0), "{figure}: {one}");
    }
    assert!(one["tests"].as_u64().unwrap() >= 20 * 19 / 2 * 7);
    assert!(one["edges"].as_u64().unwrap() > 0);
    let graph = |report: &Value| (report["tests"].clone(), report["edges"].clone());
    assert_eq!(graph(&one), graph(&bench(&["--threads", "3"])));
    assert_ne!(graph(&one), graph(&bench(&["--seed", "1"])));
    let shared = bench(&["--shared-load"]);
    assert!(shared["tests"].as_u64() > one["tests"].as_u64());
    let freed = bench(&["--shared-load", "--load-removal", "factor"]);
    assert!(freed["tests"].as_u64() < shared["tests"].as_u64());
    let cut = bench(&["--shared-load", "--budget", "2k"]);
    assert!(cut["tests"].as_u64() <= Some(2000) && !cut["warnings"].as_array().unwrap().is_empty(), "{cut}");
    assert_eq!(graph(&cut), graph(&bench(&["--shared-load", "--budget", "2k", "--threads", "2"])));
    assert_eq!(bench(&["--ci-test", "g2", "--metrics", "2"])["metrics"], 2);
    assert_eq!(one["edge_tests"], Value::Null);
    let told = bench(&["--edge-tests"]);
    assert!(told["edge_tests"]["with_to_without"].as_f64().is_some_and(|ratio| ratio > 0.0), "{told}");
}

#[test]
fn worker_processes_build_the_same_graph() {
    let home = tempfile::tempdir().unwrap();
    let arguments = [
        "bench",
        "graph",
        "--services",
        "200",
        "--metrics",
        "1",
        "--shared-load",
        "--bootstrap-edges",
        "2",
        "--workers",
        "2",
        "--output",
        "json",
    ];
    let ended = command::run(home.path(), &arguments).unwrap();
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let report: Value = serde_json::from_str(&ended.stdout).unwrap();
    let spread = &report["spread"];
    assert_eq!(spread["same_graph"], true, "{report}");
    let shards: Vec<u64> =
        spread["shards"].as_array().unwrap().iter().map(|count| count.as_u64().unwrap()).collect();
    assert_eq!(shards.len(), 3, "{report}");
    let of_resamples =
        spread["resample_shards"].as_array().unwrap().iter().map(|count| count.as_u64().unwrap());
    assert!((1..shards.iter().sum()).contains(&of_resamples.sum::<u64>()), "{report}");
    assert_eq!(report["resamples"]["resamples"], 2);
    assert!(spread["bytes_shipped"].as_u64().unwrap() > 200 * 720 * 8, "{report}");
    for figure in ["wall_seconds", "wall_to_threads", "seconds_to_first_shard"] {
        assert!(spread[figure].as_f64().is_some_and(|value| value > 0.0), "{figure}: {report}");
    }
}

#[test]
fn simulated_clusters_keep_the_promises_of_the_coordinator() {
    let home = tempfile::tempdir().unwrap();
    let ended =
        command::run(home.path(), &["bench", "coordinator", "--seeds", "50", "--output", "json"]).unwrap();
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let summary: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(summary["seeds"], 50);
    assert!(
        ["faults", "resamples"].iter().all(|figure| summary[figure].as_u64() > Some(0))
            && summary["shards"].as_u64() > Some(500),
        "{summary}"
    );
}

#[test]
fn graphs_are_compared_with_call_graphs_for_every_removal_of_load() {
    let home = tempfile::tempdir().unwrap();
    recording::demo_incident(home.path()).unwrap();
    let run = || command::run(home.path(), &["bench", "call-graph", ".", "--output", "json"]).unwrap();
    std::fs::remove_file(home.path().join("incident/call_graph.csv")).ok();
    assert_eq!(run().code, 2);
    std::fs::write(home.path().join("incident/call_graph.csv"), "caller,callee\nweb,checkout\n").unwrap();
    let ended = run();
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let rows: Vec<Value> = serde_json::from_str(&ended.stdout).unwrap();
    let removals: Vec<&str> = rows.iter().map(|row| row["load_removal"].as_str().unwrap()).collect();
    assert_eq!(removals, ["off", "front-end", "factor"]);
    assert!(rows.iter().all(|row| row["incidents"] == 1 && row["tests"].as_f64() > Some(0.0)), "{rows:?}");
}

#[test]
fn a_diagnosis_is_measured_beside_reading_its_metrics() {
    let home = tempfile::tempdir().unwrap();
    let arguments = ["bench", "diagnose", "--services", "40", "--samples", "120", "--output", "json"];
    let ended = command::run(home.path(), &arguments).unwrap();
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let found: Value = serde_json::from_str(&ended.stdout).unwrap();
    for figure in ["read_cpu_seconds", "along_calls_to_read", "along_throughput_to_read"] {
        assert!(found[figure].as_f64().is_some_and(|value| value > 0.0), "{figure}: {found}");
    }
    assert_eq!(found["culprit_first"], serde_json::json!([true, true]));
}

#[test]
fn impossible_sizes_are_wrong_usage() {
    let home = tempfile::tempdir().unwrap();
    for flags in
        [["--services", "0"], ["--metrics", "8"], ["--threads", "none"], ["--alpha", "2"], ["--budget", "0"]]
    {
        let ended = command::run(home.path(), &[&["bench", "graph"][..], &flags].concat()).unwrap();
        assert_eq!(ended.code, 2, "{}", ended.stderr);
        assert!(ended.stderr.contains(flags[0].trim_start_matches('-')), "{}", ended.stderr);
    }
}

#[test]
fn figures_of_a_store_are_reported() {
    let home = tempfile::tempdir().unwrap();
    let arguments = ["bench", "store", "--incidents", "300", "--output", "json"];
    let ended = command::run(home.path(), &arguments).unwrap();
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let report: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(report["incidents"], 300);
    assert_eq!(report["vector_bytes"], 300 * 180 * 4);
    for figure in ["open_seconds", "top_10_seconds", "scan_seconds", "resident_bytes"] {
        assert!(report[figure].as_f64().is_some_and(|value| value > 0.0), "{figure}: {report}");
    }
}

#[test]
fn callers_who_come_all_at_once_are_all_answered_and_alike() {
    let home = tempfile::tempdir().unwrap();
    let arguments = "bench concurrent --calls 24 --bursts 2 --services 12 --samples 240 --output json";
    let ended = command::run(home.path(), &arguments.split(' ').collect::<Vec<_>>()).unwrap();
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let report: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!((&report["lost"], &report["wrong"]), (&Value::from(0), &Value::from(0)), "{report}");
    assert!(report["burst_to_alone"].as_f64().unwrap() > 0.0, "{report}");
    let bursts = report["bursts"].as_array().unwrap();
    assert_eq!(bursts.len(), 2, "{report}");
    for burst in bursts {
        assert!(burst["p99_seconds"].as_f64() >= burst["p50_seconds"].as_f64(), "{report}");
        assert!(burst["resident_peak_bytes"].as_u64() >= burst["resident_before_bytes"].as_u64(), "{report}");
    }
}
