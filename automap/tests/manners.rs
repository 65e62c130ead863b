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
    for part in [
        "demo",
        "diagnose",
        "collect",
        "check",
        "evaluate",
        "experiment",
        "graph",
        "serve",
        "completions",
        "man",
        "Exit codes:",
    ] {
        assert!(text(&help.stdout).contains(part), "{part}");
    }
}

#[test]
fn every_subcommand_has_examples() {
    for subcommand in
        ["demo", "diagnose", "collect", "check", "evaluate", "graph", "serve", "completions", "man"]
    {
        let help = text(&automap(&[subcommand, "--help"]).stdout);
        assert!(help.contains(&format!("Examples:\n  automap {subcommand}")), "{help}");
    }
}

#[test]
fn every_command_of_a_group_has_examples_and_a_manual_page() {
    let directory = tempfile::tempdir().unwrap();
    assert!(automap(&["man", "--directory", directory.path().to_str().unwrap()]).status.success());
    let store = ["verify", "export", "import", "backup", "compact", "stats", "salvage"];
    let incidents = ["list", "show", "confirm", "reject", "similar", "delete"];
    let experiment = ["plan", "run", "report"];
    for (group, subcommands) in
        [("store", &store[..]), ("incidents", &incidents), ("experiment", &experiment)]
    {
        for subcommand in subcommands {
            let help = text(&automap(&[group, subcommand, "--help"]).stdout);
            assert!(help.contains(&format!("Examples:\n  automap {group} {subcommand}")), "{help}");
            assert!(
                directory.path().join(format!("automap-{group}-{subcommand}.1")).is_file(),
                "{subcommand}"
            );
            assert!(bash_offers(&["automap", group, subcommand]).contains(&(*subcommand).to_owned()));
        }
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

/// What bash offers after `words`, with the completion script of the command.
fn bash_offers(words: &[&str]) -> Vec<String> {
    let script = text(&automap(&["completions", "bash"]).stdout);
    let last = words.len() - 1;
    let program = format!(
        "{script}\nCOMP_WORDS=({}); COMP_CWORD={last}; _automap automap '{}' '{}'; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
        words.join(" "),
        words[last],
        words[last - 1]
    );
    let output = Command::new("bash").args(["-c", &program]).output().unwrap();
    assert!(output.stderr.is_empty(), "{}", text(&output.stderr));
    text(&output.stdout).lines().map(str::to_owned).collect()
}

#[test]
fn bash_completes_subcommands_flags_and_values() {
    assert_eq!(bash_offers(&["automap", "dia"]), ["diagnose"]);
    assert_eq!(bash_offers(&["automap", "diagnose", "--front"]), ["--front-end"]);
    assert_eq!(bash_offers(&["automap", "diagnose", "--method", "ev"]), ["evidence"]);
    assert_eq!(bash_offers(&["automap", "check", "--preset", "kub"]), ["kubernetes"]);
    assert_eq!(bash_offers(&["automap", "serve", "w"]), ["walker"]);
    assert_eq!(bash_offers(&["automap", "graph", "--ci-test", ""]), ["fisher-z", "chi2", "g2"]);
    assert_eq!(bash_offers(&["automap", "graph", "--bins", ""]), ["2", "3", "5"]);
}

#[test]
fn every_shell_has_a_script() {
    for (shell, part) in [
        ("bash", "complete -F _automap"),
        ("zsh", "#compdef automap"),
        ("fish", "complete -c automap"),
        ("elvish", "edit:completion:arg-completer[automap]"),
        ("powershell", "Register-ArgumentCompleter"),
    ] {
        let script = automap(&["completions", shell]);
        assert_eq!(script.status.code(), Some(0), "{shell}");
        assert!(text(&script.stdout).contains(part), "{shell}");
        assert!(script.stderr.is_empty(), "{shell}");
    }
    assert_eq!(automap(&["completions", "csh"]).status.code(), Some(2));
}

#[test]
fn the_manual_has_a_page_for_the_command_and_one_for_each_subcommand() {
    let page = text(&automap(&["man"]).stdout);
    assert!(page.contains(".TH automap 1"), "{page}");
    let directory = tempfile::tempdir().unwrap();
    let ended = automap(&["man", "--directory", directory.path().to_str().unwrap()]);
    assert_eq!(ended.status.code(), Some(0));
    assert!(ended.stdout.is_empty());
    for subcommand in
        ["demo", "diagnose", "collect", "check", "evaluate", "graph", "serve", "completions", "man"]
    {
        assert!(page.contains(&format!("automap\\-{subcommand}(1)")), "{subcommand}: {page}");
        let file = directory.path().join(format!("automap-{subcommand}.1"));
        let page = std::fs::read_to_string(file).unwrap();
        assert!(page.contains("Examples:"), "{page}");
    }
    let nowhere = automap(&["man", "--directory", "/proc/nowhere"]);
    assert_eq!(nowhere.status.code(), Some(1));
    assert!(text(&nowhere.stderr).contains("cannot write into /proc/nowhere"));
}

#[test]
fn a_reader_that_has_gone_is_no_error_and_no_panic() {
    for arguments in [&["--help"][..], &["--version"], &["completions", "zsh"], &["man"]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let ended =
            Command::new(env!("CARGO_BIN_EXE_automap")).args(arguments).stdout(writer).output().unwrap();
        assert_eq!(ended.status.code(), Some(0), "{arguments:?}");
        assert_eq!(text(&ended.stderr), "", "{arguments:?}");
    }
}

#[test]
fn quiet_and_verbose_contradict_each_other() {
    let ended = automap(&["demo", "--quiet", "--verbose"]);
    assert_eq!(ended.status.code(), Some(2));
    assert!(text(&ended.stderr).contains("--verbose"));
}
