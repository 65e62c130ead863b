//! Recorded incidents of real systems; AUTOMAP_INCIDENTS names their directory.

use std::path::PathBuf;

use automap_integration_tests::{command, recording, skeletons::SkeletonCase};
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

/// What the default method must reach beside a simple one, whatever scores `.ci/accuracy` compares with.
#[test]
fn evidence_ranks_clearly_better_than_the_baselines() {
    let home = tempfile::tempdir().unwrap();
    let root = std::env::var("AUTOMAP_INCIDENTS").unwrap();
    let mut arguments = vec!["evaluate", &root, "--output", "json"];
    for method in ["evidence", "n-sigma", "random"] {
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
    assert!(evidence >= 0.50, "evidence {evidence}");
    assert!(evidence >= mean("n-sigma") + 0.25, "evidence {evidence}, n-sigma {}", mean("n-sigma"));
    assert!(evidence >= mean("random") + 0.40, "evidence {evidence}, random {}", mean("random"));
}

/// The series of one metric type of an incident that vary, have no gap, and are no copy of an earlier one.
fn series_of(dataset: &str, metric: &str) -> Vec<Vec<f64>> {
    let text = std::fs::read_to_string(incident(dataset).join("metrics.csv")).unwrap();
    let mut lines = text.lines().map(|line| line.split(',').collect::<Vec<_>>());
    let header = lines.next().unwrap();
    let rows: Vec<Vec<&str>> = lines.collect();
    let mut found: Vec<Vec<f64>> = Vec::new();
    for (column, name) in header.iter().enumerate() {
        if name.rsplit_once('_').is_none_or(|(_, own)| own != metric) {
            continue;
        }
        let series: Option<Vec<f64>> = rows.iter().map(|row| row[column].parse().ok()).collect();
        let Some(series) = series.filter(|series| series.iter().any(|value| *value != series[0])) else {
            continue;
        };
        if !found.contains(&series) {
            found.push(series);
        }
    }
    assert!(found.len() > 5, "{dataset} {metric}: {}", found.len());
    found
}

#[test]
fn skeletons_of_recorded_series_are_those_of_causal_learn() {
    let mut cases = Vec::new();
    for (dataset, metric, max_condition) in [
        ("nezha-ob", "latency", 2),
        ("nezha-ob", "memory", 2),
        ("nezha-tt", "cpu", 1),
        ("petshop", "latency", 1),
    ] {
        for (ci_test, alpha, bins) in [("chi2", 0.01, 2), ("g2", 0.01, 3)] {
            let series = series_of(dataset, metric);
            cases.push(SkeletonCase { series, ci_test, alpha, max_condition, bins });
        }
    }
    super::causal_learn::compare_with_rule(&cases);
}

#[test]
fn fisher_z_skeletons_of_recorded_series_are_those_of_causal_learn() {
    let case = |dataset, metric| SkeletonCase {
        series: series_of(dataset, metric),
        ci_test: "fisher-z",
        alpha: 0.01,
        max_condition: 2,
        bins: 3,
    };
    let cases = [case("nezha-ob", "cpu"), case("nezha-ob", "latency"), case("nezha-tt", "memory")];
    super::causal_learn::assert_same_skeletons(&cases);
}
