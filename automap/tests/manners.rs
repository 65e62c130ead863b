//! Manners of the command that need no service. That this package has such a test also makes cargo build the command
//! for the tests of the whole system.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a failed unwrap is a failed test, also in the functions that tests share"
)]

use std::process::{Command, Output};

fn automap(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_automap")).args(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn help_names_every_subcommand_and_the_exit_codes() {
    let help = automap(&["--help"]);
    assert_eq!(help.status.code(), Some(0));
    for part in ["demo", "diagnose", "evaluate", "graph", "serve", "Exit codes:"] {
        assert!(text(&help.stdout).contains(part), "{part}");
    }
}

#[test]
fn every_subcommand_has_examples() {
    for subcommand in ["demo", "diagnose", "evaluate", "graph", "serve"] {
        let help = text(&automap(&[subcommand, "--help"]).stdout);
        assert!(help.contains(&format!("Examples:\n  automap {subcommand}")), "{help}");
    }
}

#[test]
fn wrong_usage_ends_with_two_and_a_suggestion_on_standard_error() {
    let ended = automap(&["diagnsoe"]);
    assert_eq!(ended.status.code(), Some(2));
    assert!(ended.stdout.is_empty());
    assert!(text(&ended.stderr).contains("diagnose"));
    assert_eq!(automap(&[]).status.code(), Some(2));
}
