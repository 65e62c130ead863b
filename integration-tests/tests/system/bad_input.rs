//! What the command says to wrong files and flags: a clear sentence and the right exit code.

use std::{fs, path::Path};

use automap_integration_tests::{command, recording};

const HEADER: &str = "timestamp,web_latency,web_cpu,db_latency,db_cpu\n";

/// Rows of two healthy services; the last six are the incident.
fn rows(count: usize) -> String {
    (0..count)
        .map(|row| {
            let wave = (row % 5) as f64 / 10.0;
            let fault = if row + 6 >= count { 3.0 } else { 0.0 };
            format!(
                "{},{},{},{},{}\n",
                1000 + 60 * row,
                0.1 + wave,
                0.2 + wave,
                0.3 - wave,
                0.4 + wave + fault
            )
        })
        .collect()
}

/// Diagnoses a recording with this metrics file, an anomaly in the last six of its `count` rows, and more flags.
fn diagnose(metrics: &str, count: usize, more: &[&str]) -> command::Ended {
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("metrics.csv"), metrics).unwrap();
    let start = (1000 + 60 * count.saturating_sub(6)).to_string();
    let mut arguments = vec!["diagnose", "metrics.csv", "--system", "test"];
    for (flag, value) in [("--front-end", "web"), ("--anomaly-start", start.as_str())] {
        if !more.contains(&flag) {
            arguments.extend([flag, value]);
        }
    }
    arguments.extend(more);
    command::run(home.path(), &arguments).unwrap()
}

#[track_caller]
fn assert_says(ended: &command::Ended, code: i32, parts: &[&str]) {
    assert_eq!(ended.code, code, "stdout: {} stderr: {}", ended.stdout, ended.stderr);
    assert!(ended.stdout.is_empty(), "{}", ended.stdout);
    for part in parts {
        assert!(ended.stderr.contains(part), "{part:?} is not in: {}", ended.stderr);
    }
}

#[test]
fn a_lone_metrics_file_is_diagnosed_with_flags() {
    let ended = diagnose(&(HEADER.to_owned() + &rows(40)), 40, &[]);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert!(ended.stdout.starts_with("Most likely root cause of the alert on web: db\n"), "{}", ended.stdout);
}

#[test]
fn a_missing_file_is_named() {
    let home = tempfile::tempdir().unwrap();
    assert_says(&command::run(home.path(), &["diagnose", "nowhere"]).unwrap(), 1, &["nowhere"]);
    fs::create_dir(home.path().join("empty")).unwrap();
    assert_says(&command::run(home.path(), &["diagnose", "empty"]).unwrap(), 1, &["empty", "metrics.csv"]);
}

#[test]
fn a_file_without_timestamps_is_named() {
    let metrics = (HEADER.to_owned() + &rows(40)).replacen("timestamp", "time_stamp", 1);
    assert_says(&diagnose(&metrics, 40, &[]), 1, &["metrics.csv", "timestamp"]);
    assert_says(&diagnose("", 40, &[]), 1, &["metrics.csv"]);
}

#[test]
fn a_bad_cell_is_named_with_line_and_column() {
    let metrics = HEADER.to_owned() + &rows(40).replacen("1180,", "1180,abc", 1);
    assert_says(&diagnose(&metrics, 40, &[]), 1, &["metrics.csv", "line 5", "web_latency", "abc"]);
}

#[test]
fn duplicate_timestamps_are_named() {
    let metrics = HEADER.to_owned() + &rows(40).replacen("1180,", "1120,", 1);
    assert_says(&diagnose(&metrics, 40, &[]), 1, &["metrics.csv", "line", "1120"]);
}

#[test]
fn rows_out_of_order_are_sorted_with_a_warning() {
    let mut lines: Vec<String> = rows(40).lines().map(str::to_owned).collect();
    lines.swap(3, 9);
    let ended = diagnose(&(HEADER.to_owned() + &lines.join("\n")), 40, &[]);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert!(ended.stdout.contains("warning: ") && ended.stdout.contains("sorted"), "{}", ended.stdout);
    let sorted = diagnose(&(HEADER.to_owned() + &rows(40)), 40, &[]);
    let table = |text: &str| text.lines().filter(|line| !line.starts_with("warning")).collect::<String>();
    assert_eq!(table(&ended.stdout), table(&sorted.stdout));
}

#[test]
fn a_front_end_that_is_no_service_gets_a_suggestion() {
    let metrics = HEADER.to_owned() + &rows(40);
    assert_says(&diagnose(&metrics, 40, &["--front-end", "wbe"]), 2, &["wbe"]);
    let home = tempfile::tempdir().unwrap();
    recording::demo_incident(home.path()).unwrap();
    let ended = command::run(home.path(), &["diagnose", "incident", "--front-end", "chekout"]).unwrap();
    assert_says(&ended, 2, &["chekout", "did you mean checkout?"]);
}

#[test]
fn too_few_rows_end_with_exit_code_three_and_what_was_found() {
    assert_says(&diagnose(&(HEADER.to_owned() + &rows(10)), 10, &[]), 3, &["4 normal and 6 incident rows"]);
    let late = diagnose(&(HEADER.to_owned() + &rows(40)), 40, &["--anomaly-start", "3280"]);
    assert_says(&late, 3, &["38 normal and 2 incident rows"]);
    let beyond = diagnose(&(HEADER.to_owned() + &rows(40)), 40, &["--anomaly-start", "99999"]);
    assert_says(&beyond, 3, &["40 normal and 0 incident rows"]);
}

#[test]
fn exclusions_that_leave_too_little_are_ignored_with_a_warning() {
    let home = tempfile::tempdir().unwrap();
    let incident = home.path().join("incident");
    fs::create_dir(&incident).unwrap();
    fs::write(incident.join("metrics.csv"), HEADER.to_owned() + &rows(20)).unwrap();
    let text =
        r#"{"front_end":"web","anomaly_start":1840,"step_seconds":60,"exclude_intervals":[[1000,1700]]}"#;
    fs::write(incident.join("incident.json"), text).unwrap();
    let ended = command::run(home.path(), &["diagnose", "incident"]).unwrap();
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert!(ended.stdout.contains("excluded intervals were ignored"), "{}", ended.stdout);
}

#[test]
fn data_without_any_change_or_any_sample_have_a_defined_answer() {
    let constant: String = (0..40).map(|row| format!("{},1,1,1,1\n", 1000 + 60 * row)).collect();
    let ended = diagnose(&(HEADER.to_owned() + &constant), 40, &["--output", "json"]);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let answer: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(answer["ranking"].as_array().unwrap().len(), 2);
    assert!(answer["ranking"][0]["evidence"].as_array().unwrap().is_empty());
    let scores = [&answer["ranking"][0]["score"], &answer["ranking"][1]["score"]];
    assert_eq!(scores[0], scores[1]);
    let missing: String = (0..40).map(|row| format!("{},,NaN,,\n", 1000 + 60 * row)).collect();
    assert_says(&diagnose(&(HEADER.to_owned() + &missing), 40, &[]), 3, &["0 normal and 0 incident rows"]);
}

#[test]
fn unknown_parameters_methods_and_times_are_wrong_usage() {
    let metrics = HEADER.to_owned() + &rows(40);
    let ended = diagnose(&metrics, 40, &["--set", "evidence.restrat=0.5"]);
    assert_says(&ended, 2, &["evidence.restrat", "did you mean evidence.restart?"]);
    assert_says(&diagnose(&metrics, 40, &["--set", "evidence.restart=7"]), 2, &["evidence.restart"]);
    assert_says(&diagnose(&metrics, 40, &["--method", "autompa"]), 2, &["did you mean automap?"]);
    assert_says(&diagnose(&metrics, 40, &["--anomaly-start", "yesterday"]), 2, &["yesterday"]);
    assert_says(&diagnose(&metrics, 40, &["--graph", "graph.png"]), 2, &[".svg, .dot or .html"]);
    assert_says(&diagnose(&metrics, 40, &["--server", "walker:4310"]), 2, &["walker:4310", "http://"]);
}

#[test]
fn what_is_not_known_has_to_be_named() {
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("metrics.csv"), HEADER.to_owned() + &rows(40)).unwrap();
    let ended = command::run(home.path(), &["diagnose", "metrics.csv", "--anomaly-start", "3160"]).unwrap();
    assert_says(&ended, 2, &["--front-end"]);
    let ended = command::run(home.path(), &["diagnose", "metrics.csv", "--front-end", "web"]).unwrap();
    assert_says(&ended, 2, &["--anomaly-start"]);
}

#[test]
fn a_walker_that_cannot_be_reached_is_named() {
    let metrics = HEADER.to_owned() + &rows(40);
    let ended = diagnose(&metrics, 40, &["--server", "http://127.0.0.1:9"]);
    assert_eq!(ended.code, 1, "{}", ended.stderr);
    assert!(ended.stderr.contains("127.0.0.1:9"), "{}", ended.stderr);
}

#[test]
fn a_closed_standard_output_is_no_crash() {
    let home = tempfile::tempdir().unwrap();
    recording::demo_incident(home.path()).unwrap();
    let script = format!("'{}' diagnose incident --output json | true", command::binary().unwrap().display());
    let output = std::process::Command::new("sh")
        .args(["-c", &script])
        .current_dir(home.path())
        .env("HOME", home.path())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(!text.contains("panicked") && !text.contains("error"), "{text}");
}

#[test]
fn an_rcaeval_directory_is_read_as_it_is() {
    let home = tempfile::tempdir().unwrap();
    let case = home.path().join("case");
    fs::create_dir(&case).unwrap();
    let mut text = String::from("time,web_latency-50,web_cpu,web_mem,db_latency-50,db_cpu,db_diskio\n");
    for row in 0..60 {
        let wave = f64::from(row % 7) / 10.0;
        let fault = if row >= 50 { 4.0 } else { 0.0 };
        text.push_str(&format!(
            "{},{},{},{},{},{},{}\n",
            100 + row,
            wave,
            wave,
            5.0 + wave,
            1.0 - wave,
            wave + fault,
            wave
        ));
    }
    fs::write(case.join("data.csv"), text).unwrap();
    fs::write(case.join("inject_time.txt"), "150\n").unwrap();
    let ended =
        command::run(home.path(), &["diagnose", "case", "--front-end", "web", "--output", "json"]).unwrap();
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let answer: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(answer["ranking"][0]["service"], "db");
    assert_eq!(answer["ranking"][0]["evidence"][0]["metric"], "cpu");
    assert_eq!(answer["window"]["samples"], 10);
}

#[test]
fn evaluation_without_incidents_is_an_error() {
    let home = tempfile::tempdir().unwrap();
    let ended = command::run(home.path(), &[Path::new("evaluate"), home.path()]).unwrap();
    assert_says(&ended, 1, &["no labelled incident"]);
}

#[test]
fn an_answer_is_printed_even_when_its_drawing_cannot_be_written() {
    let metrics = HEADER.to_owned() + &rows(40);
    let home = tempfile::tempdir().unwrap();
    let full = home.path().join("full.svg");
    std::os::unix::fs::symlink("/dev/full", &full).unwrap();
    let ended = diagnose(&metrics, 40, &["--graph", full.to_str().unwrap()]);
    assert_eq!(ended.code, 1);
    assert!(ended.stdout.starts_with("Most likely root cause"), "{}", ended.stdout);
    assert!(ended.stderr.contains("full.svg"), "{}", ended.stderr);
}

#[test]
fn a_service_that_falls_silent_is_named_and_healthy_data_name_nobody() {
    let mut silent = HEADER.to_owned();
    let mut healthy = HEADER.to_owned();
    for row in 0..40 {
        let wave = f64::from(row % 5) / 10.0;
        let db = if row < 34 { format!("{wave},{wave}") } else { ",".into() };
        silent.push_str(&format!("{},{wave},{wave},{db}\n", 1000 + 60 * row));
        healthy.push_str(&format!("{},{wave},{wave},{wave},{wave}\n", 1000 + 60 * row));
    }
    let ended = diagnose(&silent, 40, &[]);
    assert!(ended.stdout.contains("no samples during the incident"), "{}", ended.stdout);
    assert!(ended.stdout.contains("perhaps down: db"), "{}", ended.stdout);
    let ended = diagnose(&healthy, 40, &[]);
    assert!(ended.stdout.starts_with("No service left its normal behaviour"), "{}", ended.stdout);
}
