//! Recorded incidents of real systems; AUTOMAP_INCIDENTS names their directory.

use std::path::PathBuf;

use automap_integration_tests::{command, recording};
use serde_json::Value;

fn incident(dataset: &str) -> PathBuf {
    let root = std::env::var_os("AUTOMAP_INCIDENTS").expect("AUTOMAP_INCIDENTS names the recorded incidents");
    let mut incidents: Vec<PathBuf> = std::fs::read_dir(PathBuf::from(root).join(dataset))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    incidents.sort();
    incidents.swap_remove(0)
}

#[test]
fn every_deployment_gives_the_same_bytes_for_real_incidents() {
    for (dataset, method) in [("nezha-ob", "evidence"), ("nezha-tt", "automap"), ("petshop", "evidence")] {
        let home = tempfile::tempdir().unwrap();
        let copy = home.path().join("incident");
        recording::copy_unlabelled(&incident(dataset), &copy).unwrap();
        super::deployment::assert_one_answer(&copy, method);
    }
}

/// The accuracy gate: what the default method must reach, beside the baselines.
#[test]
fn evidence_ranks_clearly_better_than_the_baselines() {
    let home = tempfile::tempdir().unwrap();
    let root = std::env::var("AUTOMAP_INCIDENTS").unwrap();
    let mut arguments = vec!["evaluate", &root, "--output", "json"];
    for method in ["evidence", "automap", "n-sigma", "random"] {
        arguments.extend(["--method", method]);
    }
    let ended = command::run(home.path(), &arguments).unwrap();
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    println!("{}", ended.stdout);
    let report: Value = serde_json::from_str(&ended.stdout).unwrap();
    let datasets = report["datasets"].as_array().unwrap();
    let incidents: u64 = datasets.iter().map(|dataset| dataset["incidents"].as_u64().unwrap()).sum();
    assert_eq!(incidents, 114);
    for method in datasets.iter().flat_map(|dataset| dataset["methods"].as_array().unwrap()) {
        assert_eq!(method["refused"], 0, "{method}");
    }
    let mean = |name: &str| {
        let row = report["mean"].as_array().unwrap().iter().find(|row| row["method"] == name).unwrap();
        row["ac1"].as_f64().unwrap()
    };
    let evidence = mean("evidence");
    assert!(evidence >= 0.23, "evidence {evidence}");
    assert!(evidence >= mean("n-sigma") + 0.08, "evidence {evidence}, n-sigma {}", mean("n-sigma"));
    assert!(evidence >= mean("random") + 0.12, "evidence {evidence}, random {}", mean("random"));
}
