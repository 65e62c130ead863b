//! `automap bench`.

use automap_integration_tests::command;
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
    for figure in ["cpu_seconds", "wall_seconds", "matrix_product_cpu_seconds", "peak_memory_bytes"] {
        assert!(one[figure].as_f64().is_some_and(|value| value >= 0.0), "{figure}: {one}");
    }
    assert!(one["tests"].as_u64().unwrap() >= 20 * 19 / 2 * 7);
    assert!(one["edges"].as_u64().unwrap() > 0);
    let graph = |report: &Value| (report["tests"].clone(), report["edges"].clone());
    assert_eq!(graph(&one), graph(&bench(&["--threads", "3"])));
    assert_ne!(graph(&one), graph(&bench(&["--seed", "1"])));
    assert!(bench(&["--shared-load"])["tests"].as_u64() > one["tests"].as_u64());
    assert_eq!(bench(&["--ci-test", "g2", "--metrics", "2"])["metrics"], 2);
}

#[test]
fn impossible_sizes_are_wrong_usage() {
    let home = tempfile::tempdir().unwrap();
    for flags in [["--services", "0"], ["--metrics", "8"], ["--threads", "none"], ["--alpha", "2"]] {
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
