//! Large recordings: read as a stream, in bounded memory.

use std::{
    fs::File,
    io::{BufWriter, Write as _},
    path::Path,
    process::Stdio,
    time::Duration,
};

use automap_integration_tests::command;

/// A recording of `services` services with `metrics` series each and `rows` rows; the last twenty are the incident, in
/// which the last service's latency rises.
fn write_recording(file: &Path, services: usize, metrics: &[&str], rows: usize) {
    let mut output = BufWriter::new(File::create(file).unwrap());
    write!(output, "timestamp").unwrap();
    for service in 0..services {
        for metric in metrics {
            write!(output, ",s{service:04}_{metric}").unwrap();
        }
    }
    writeln!(output).unwrap();
    let mut state = 1_u64;
    for row in 0..rows {
        write!(output, "{}", 1_000_000 + row * 5).unwrap();
        for service in 0..services {
            for metric in metrics {
                // A linear congruential generator is noise enough here, and fast.
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let noise = (state >> 33) as f64 / f64::from(u32::MAX);
                let fault = row + 20 >= rows && service + 1 == services && *metric == "latency";
                write!(output, ",{:.9}", noise + if fault { 9.0 } else { 0.0 }).unwrap();
            }
        }
        writeln!(output).unwrap();
    }
    output.flush().unwrap();
}

/// Diagnoses a lone metrics file; answers standard output and the largest resident memory, MiB.
fn diagnose(home: &Path, rows: usize, more: &[&str]) -> (serde_json::Value, u64) {
    let start = (1_000_000 + (rows - 20) * 5).to_string();
    let mut process = command::automap(home)
        .unwrap()
        .args([
            "diagnose",
            "metrics.csv",
            "--front-end",
            "s0000",
            "--anomaly-start",
            &start,
            "--output",
            "json",
        ])
        .args(more)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let status = format!("/proc/{}/status", process.id());
    let watcher = std::thread::spawn(move || {
        let mut peak = 0;
        while let Ok(text) = std::fs::read_to_string(&status) {
            let Some(line) = text.lines().find(|line| line.starts_with("VmHWM:")) else {
                break;
            };
            let kilobytes = line.split_whitespace().nth(1).and_then(|number| number.parse::<u64>().ok());
            peak = peak.max(kilobytes.unwrap_or(0) / 1024);
            std::thread::sleep(Duration::from_millis(20));
        }
        peak
    });
    let mut text = String::new();
    std::io::Read::read_to_string(process.stdout.as_mut().unwrap(), &mut text).unwrap();
    assert!(process.wait().unwrap().success());
    (serde_json::from_str(&text).unwrap(), watcher.join().unwrap())
}

#[test]
fn five_thousand_columns_are_diagnosed() {
    let home = tempfile::tempdir().unwrap();
    write_recording(
        &home.path().join("metrics.csv"),
        1000,
        &["latency", "throughput", "cpu", "memory", "io"],
        80,
    );
    let (answer, _) = diagnose(home.path(), 80, &["--method", "n-sigma"]);
    assert_eq!(answer["ranking"].as_array().unwrap().len(), 1000);
    assert_eq!(answer["ranking"][0]["service"], "s0999");
}

#[test]
fn a_file_of_200_mb_is_diagnosed_in_bounded_memory() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("metrics.csv");
    let rows = 85_000;
    write_recording(&file, 50, &["latency", "cpu", "memory", "io"], rows);
    let megabytes = std::fs::metadata(&file).unwrap().len() / 1_000_000;
    assert!(megabytes >= 200, "{megabytes} MB");
    let (answer, peak) = diagnose(home.path(), rows, &["--method", "n-sigma"]);
    assert_eq!(answer["ranking"][0]["service"], "s0049");
    // The samples take 130 MiB as doubles. Collector and walker hold them at once here, and sorting copies once.
    assert!(peak < 700, "{peak} MiB");
    std::fs::remove_file(&file).unwrap();
}
