//! Manners of the command `pymicro`. That this package has such a test also makes cargo build the command for the tests of
//! the whole system.

#![allow(
    clippy::unwrap_used,
    reason = "a failed unwrap is a failed test, also in the functions that tests share"
)]

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Command, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

const PYMICRO: &str = env!("CARGO_BIN_EXE_pymicro");

fn pymicro(arguments: &[&str]) -> Output {
    Command::new(PYMICRO).args(arguments).output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn help_names_every_part() {
    let help = pymicro(&["--help"]);
    assert!(help.status.success());
    let text = String::from_utf8_lossy(&help.stdout);
    for part in ["service", "load", "proxy", "testbed"] {
        assert!(text.contains(part), "{part} is missing in {text}");
    }
}

#[test]
fn a_service_that_is_none_is_refused_with_those_that_are() {
    let refused = pymicro(&["service", "--service", "d", "--listen", "127.0.0.1:0"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(said(&refused).contains("name one of view, a, b"), "{}", said(&refused));
}

#[test]
fn faults_can_be_had_on_loopback_alone() {
    let home = std::env::temp_dir().join(format!("pymicro-command-{}", std::process::id()));
    let data = home.to_str().unwrap();
    let refused = pymicro(&[
        "service",
        "--service",
        "db1",
        "--listen",
        "127.0.0.1:0",
        "--data",
        data,
        "--control",
        "0.0.0.0:0",
    ]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(said(&refused).contains("not of loopback"), "{}", said(&refused));
    let refused = pymicro(&["proxy", "--control", "0.0.0.0:0"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(said(&refused).contains("not of loopback"), "{}", said(&refused));
    fs::remove_dir_all(home).unwrap();
}

#[test]
fn traffic_that_cannot_be_is_refused_by_name() {
    let refused = pymicro(&["load", "--swing", "2"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(said(&refused).contains("swing is 2"), "{}", said(&refused));
}

#[test]
fn a_tied_process_dies_with_a_parent_that_is_killed() {
    let script = format!("'{PYMICRO}' tie --parent $$ -- sleep 1000 & echo $!; wait");
    let mut parent = Command::new("sh").args(["-c", &script]).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(parent.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let process = format!("/proc/{}", line.trim());
    let state = || fs::read_to_string(Path::new(&process).join("cmdline")).unwrap_or_default();
    until("the program runs", || state().starts_with("sleep"));
    parent.kill().unwrap();
    parent.wait().unwrap();
    until("the program is gone", || state().is_empty());
}

#[test]
fn nothing_is_started_for_a_parent_that_is_gone() {
    let refused = pymicro(&["tie", "--parent", "1", "--", "echo", "started"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(refused.stdout.is_empty() && said(&refused).contains("is gone"), "{}", said(&refused));
}

fn until(what: &str, so: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !so() {
        assert!(Instant::now() < deadline, "in time: {what}");
        thread::sleep(Duration::from_millis(10));
    }
}
