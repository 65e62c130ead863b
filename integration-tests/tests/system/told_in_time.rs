//! What a person must know to trust an answer stands before it, or in it.

use std::{fmt::Write as _, fs, path::Path};

use automap_integration_tests::command::{self, Ended};

/// A file of sixty rows, five seconds apart, in which only what `fault` names moves in the last twenty.
fn write_metrics(path: &Path, time: &str, fault: &str) {
    let mut text = format!("{time},web_latency,web_throughput,{fault}\n");
    for row in 0..60_u32 {
        let flat = |period: u32| f64::from(row * 7 % period) / 10.0;
        let rising = if row < 40 { flat(4) } else { 50.0 + flat(4) };
        writeln!(text, "{},{},{},{rising}", 1_772_359_200 + row * 5, 10.0 + flat(5), 20.0 + flat(3)).unwrap();
    }
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn diagnose(home: &Path, file: &str, more: &[&str]) -> Ended {
    let start = ["diagnose", file, "--front-end", "web", "--anomaly-start", "1772359400"];
    let ended = command::run(home, &[&start[..], more].concat()).unwrap();
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    ended
}

#[test]
fn an_answer_that_names_no_root_cause_names_the_columns_that_were_not_read() {
    let home = tempfile::tempdir().unwrap();
    write_metrics(&home.path().join("shop/m.csv"), "timestamp", "db_CPU");
    let told = diagnose(home.path(), "shop/m.csv", &[]).stdout;
    let mut lines = told.lines();
    assert!(lines.next().unwrap().starts_with("No service left its normal behaviour"), "{told}");
    let reason = lines.next().unwrap();
    assert!(
        reason.contains("left out 1 column") && reason.contains("\"db_CPU\" (did you mean cpu?)"),
        "{told}"
    );
    assert_eq!(told.matches("db_CPU").count(), 1, "it is told once: {told}");

    write_metrics(&home.path().join("shop/m.csv"), "timestamp", "db_cpu");
    let told = diagnose(home.path(), "shop/m.csv", &[]).stdout;
    assert!(told.starts_with("Most likely root cause of the alert on web: db\n"), "{told}");
}

#[test]
fn the_answer_says_which_memory_was_used_when_its_system_was_guessed() {
    let home = tempfile::tempdir().unwrap();
    write_metrics(&home.path().join("shop-7/m.csv"), "timestamp", "db_cpu");
    let told = |more: &[&str]| diagnose(home.path(), "shop-7/m.csv", more).stdout;
    assert!(
        told(&[]).contains("\nremembered under system shop-7, called like the directory"),
        "{}",
        told(&[])
    );
    let named = told(&["--system", "bank"]);
    assert!(
        named.contains("\nbank by evidence: ") && !named.contains("called like the directory"),
        "{named}"
    );
}

#[test]
fn a_file_read_in_another_layout_because_of_its_time_column_is_told_before_the_answer() {
    let home = tempfile::tempdir().unwrap();
    write_metrics(&home.path().join("shop/m.csv"), "time", "db_memory");
    let ended = diagnose(home.path(), "shop/m.csv", &[]);
    let first = ended.stderr.lines().find(|line| line.starts_with("warning: ")).unwrap_or_default();
    assert!(
        first.contains("read as a file of RCAEval, because its time column is `time`"),
        "{}",
        ended.stderr
    );
    let reason = ended.stdout.lines().nth(1).unwrap();
    assert!(reason.contains("read as a file of RCAEval") && reason.contains("db_memory"), "{}", ended.stdout);

    write_metrics(&home.path().join("shop/m.csv"), "timestamp", "db_memory");
    let ended = diagnose(home.path(), "shop/m.csv", &[]);
    assert!(!ended.stderr.contains("RCAEval"), "{}", ended.stderr);
}
