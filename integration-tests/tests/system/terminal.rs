//! A diagnosis on a terminal of eighty columns: the verdict, then three lines for each of the top causes.

use std::{path::Path, process::Command};

use automap_integration_tests::{command, recording};

const BOLD: &str = "\u{1b}[1m";
const PLAIN: &str = "\u{1b}[0m";

/// What a terminal of eighty columns shows in the end, after what was progress.
fn shown(home: &Path, variables: &[(&str, &str)]) -> String {
    let line = format!(
        "stty cols 80; exec '{}' diagnose incident --no-record",
        command::binary().unwrap().display()
    );
    let output = Command::new("script")
        .args(["-qec", &line, "/dev/null"])
        .env_clear()
        .env("HOME", home)
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("TERM", "xterm-256color")
        .envs(variables.iter().copied())
        .current_dir(home)
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}");
    // Progress ends with a line that is cleared.
    text.rsplit("\r\u{1b}[2K").next().unwrap().replace('\r', "")
}

#[test]
fn the_verdict_comes_first_and_every_line_fits_in_colour_and_without() {
    let home = tempfile::tempdir().unwrap();
    recording::demo_incident(home.path()).unwrap();
    let plain = shown(home.path(), &[("NO_COLOR", "1")]);
    assert!(!plain.contains('\u{1b}'), "{plain:?}");
    assert!(plain.lines().all(|line| line.chars().count() <= 80), "{plain}");
    let lines: Vec<&str> = plain.lines().collect();
    assert!(
        lines[0].starts_with("Most likely root cause of the alert on ") && lines[0].ends_with(": cart"),
        "{plain}"
    );
    assert!(lines[1].starts_with("  right in "), "{plain}");
    for rank in 1..=3 {
        let begin = lines.iter().position(|line| line.starts_with(&format!("{rank}. "))).unwrap();
        assert!(
            lines[begin + 1].contains("normal spreads") || lines[begin + 1].contains("normal range"),
            "{plain}"
        );
        assert!(lines[begin + 2].starts_with("   ") && lines[begin + 2].contains("walk"), "{plain}");
        let next = lines[begin + 3];
        assert!(next.starts_with(&format!("{}. ", rank + 1)), "three lines each: {plain}");
    }
    let bold = shown(home.path(), &[]);
    assert!(bold.starts_with(BOLD), "{bold:?}");
    assert_eq!(bold.replace(BOLD, "").replace(PLAIN, ""), plain);
}
