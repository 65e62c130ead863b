//! What a command writes where: results to standard output, everything else to standard error.

use std::{fs, path::Path, process::Command};

use automap_integration_tests::{
    command::{self, Ended},
    recording,
};
use serde_json::Value;

/// Commands that answer with JSON, in a home with the demo's incident.
const ANSWERING: [&[&str]; 4] = [
    &["demo", "--output", "json"],
    &["diagnose", "incident", "--output", "json"],
    &["graph", "incident", "--output", "json"],
    &["evaluate", "incidents", "--method", "evidence", "--output", "json"],
];

fn home() -> tempfile::TempDir {
    let home = tempfile::tempdir().unwrap();
    let incident = recording::demo_incident(home.path()).unwrap();
    let labelled = home.path().join("incidents/demo");
    recording::copy_unlabelled(&incident, &labelled).unwrap();
    fs::write(labelled.join("label.json"), r#"{"root_cause_services": ["cart"]}"#).unwrap();
    home
}

fn run(home: &Path, arguments: &[&str], more: &[&str]) -> Ended {
    command::run(home, &[arguments, more].concat()).unwrap()
}

#[test]
fn json_is_all_that_standard_output_gets_however_much_is_told() {
    let home = home();
    for arguments in ANSWERING {
        for more in [&[][..], &["-vv"], &["--quiet"]] {
            let ended = run(home.path(), arguments, more);
            assert_eq!(ended.code, 0, "{arguments:?}: {}", ended.stderr);
            let answer: Value = serde_json::from_str(&ended.stdout).unwrap();
            assert!(answer.is_object(), "{arguments:?}");
            let logs = ended.stderr.contains("answered");
            assert_eq!(logs, more == ["-vv"], "{arguments:?} {more:?}: {}", ended.stderr);
            if more == ["--quiet"] {
                assert_eq!(ended.stderr, "", "{arguments:?}");
            }
        }
    }
}

#[test]
fn programs_find_the_names_that_they_rely_on() {
    let home = home();
    let ended = run(home.path(), &["diagnose", "incident", "--output", "json"], &[]);
    let answer: Value = serde_json::from_str(&ended.stdout).unwrap();
    for (pointer, is_right) in [
        ("/diagnosis_id", Value::is_string as fn(&Value) -> bool),
        ("/incident_id", Value::is_string),
        ("/system", Value::is_string),
        ("/front_end", Value::is_string),
        ("/method", Value::is_string),
        ("/seed", Value::is_u64),
        ("/window/start", Value::is_f64),
        ("/window/end", Value::is_f64),
        ("/window/step_seconds", Value::is_f64),
        ("/window/samples", Value::is_u64),
        ("/window/missing_fraction", Value::is_f64),
        ("/normal_window/samples", Value::is_u64),
        ("/ranking/0/rank", Value::is_u64),
        ("/ranking/0/service", Value::is_string),
        ("/ranking/0/score", Value::is_f64),
        ("/ranking/0/evidence/0/metric", Value::is_string),
        ("/ranking/0/evidence/0/series", Value::is_string),
        ("/ranking/0/evidence/0/deviation", Value::is_f64),
        ("/ranking/0/evidence/0/times_normal_spread", Value::is_f64),
        ("/ranking/0/evidence/0/direction", Value::is_string),
        ("/ranking/0/path/0", Value::is_string),
        ("/ranking/0/path_share", Value::is_f64),
        ("/ranking/0/path_hops/0", Value::is_string),
        ("/metric_weights", Value::is_object),
        ("/similar_incidents", Value::is_array),
        ("/settings", Value::is_object),
        ("/warnings", Value::is_array),
        ("/version", Value::is_string),
        ("/versions/collector", Value::is_string),
        ("/versions/graph-builder", Value::is_string),
        ("/versions/profiler", Value::is_string),
        ("/versions/walker", Value::is_string),
        ("/coverage", Value::is_array),
        ("/seconds", Value::is_object),
    ] {
        let found = answer.pointer(pointer);
        assert!(found.is_some_and(is_right), "{pointer} is {found:?} in {answer:#}");
    }
}

#[test]
fn a_file_that_cannot_be_replaced_is_written_in_place() {
    let home = tempfile::tempdir().unwrap();
    // As containers have it: a file is mounted, into a directory that may be written or not.
    let mounted = "mount -t tmpfs tmpfs at && touch at/graph.svg && mount --bind real.svg at/graph.svg";
    fs::create_dir(home.path().join("at")).unwrap();
    for more in ["", "&& mount -o remount,ro at"] {
        fs::write(home.path().join("real.svg"), "before ".repeat(1 << 20)).unwrap();
        let script = format!("{mounted} {more} && exec \"$@\"");
        let words = ["unshare", "--map-root-user", "--mount", "sh", "-c", &script, "sh"];
        let mut demo = command::automap_behind(&words, home.path()).unwrap();
        let ended: Ended = demo.args(["demo", "--graph", "at/graph.svg"]).output().unwrap().into();
        assert_eq!(ended.code, 0, "{more}: {}", ended.stderr);
        let drawn = fs::read_to_string(home.path().join("real.svg")).unwrap();
        assert!(drawn.contains("<svg") && drawn.ends_with("</svg>\n"), "{more}: {} bytes", drawn.len());
        assert!(!drawn.contains("before"), "{more}");
    }
}

#[test]
fn quiet_commands_still_tell_their_errors() {
    let home = home();
    let ended = run(home.path(), &["diagnose", "incident", "--front-end", "nobody"], &["-q"]);
    assert_eq!(ended.code, 2);
    assert!(ended.stderr.starts_with("error: ") && ended.stderr.lines().count() == 1, "{}", ended.stderr);
    assert_eq!(ended.stdout, "");
}

#[test]
fn flags_win_over_the_filter_of_the_environment() {
    let home = home();
    let mut command = command::automap(home.path()).unwrap();
    command.args(["diagnose", "incident", "-v"]).env("AUTOMAP_LOG", "off");
    let ended: Ended = command.output().unwrap().into();
    assert!(ended.stderr.contains("answered"), "{}", ended.stderr);
    let mut command = command::automap(home.path()).unwrap();
    command.args(["diagnose", "incident", "-q"]).env("AUTOMAP_LOG", "info");
    let ended: Ended = command.output().unwrap().into();
    assert_eq!(ended.stderr, "");
}

#[test]
fn a_reader_that_has_gone_is_no_error_and_no_panic() {
    let home = home();
    let gone = || {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        writer
    };
    for arguments in ANSWERING {
        let ended: Ended = command::automap(home.path())
            .unwrap()
            .args(arguments)
            .arg("--quiet")
            .stdout(gone())
            .output()
            .unwrap()
            .into();
        assert_eq!((ended.code, ended.stderr.as_str()), (0, ""), "{arguments:?}");
        let deaf: Ended = command::automap(home.path())
            .unwrap()
            .args(arguments)
            .arg("-vv")
            .stderr(gone())
            .output()
            .unwrap()
            .into();
        assert_eq!(deaf.code, 0, "{arguments:?}");
        assert!(serde_json::from_str::<Value>(&deaf.stdout).is_ok(), "{arguments:?}: {}", deaf.stdout);
    }
}

#[test]
fn metrics_come_through_a_pipe_as_from_a_file() {
    let home = home();
    let metrics = fs::read(home.path().join("incident/metrics.csv")).unwrap();
    let known = fs::read_to_string(home.path().join("incident/incident.json")).unwrap();
    let known: Value = serde_json::from_str(&known).unwrap();
    let (front_end, start) = (known["front_end"].as_str().unwrap(), known["anomaly_start"].to_string());
    let flags = ["--front-end", front_end, "--anomaly-start", start.trim_matches('"'), "--output", "json"];
    for command in [&["diagnose", "--no-record"][..], &["graph"]] {
        let read = |place, input: &[u8]| {
            let arguments = [command, &[place], &flags].concat();
            let ended = command::run_with_input(home.path(), &arguments, input).unwrap();
            assert_eq!(ended.code, 0, "{arguments:?}: {}", ended.stderr);
            let answer: Value = serde_json::from_str(&ended.stdout).unwrap();
            answer.get("ranking").unwrap_or(&answer).clone()
        };
        let wanted = read("incident/metrics.csv", &[]);
        for place in ["-", "/dev/stdin"] {
            assert_eq!(read(place, &metrics), wanted, "{command:?} {place}");
        }
    }
    let malformed =
        command::run_with_input(home.path(), &["diagnose", "-"], "timestamp,web_cpu\n1,x\n").unwrap();
    assert_eq!(malformed.code, 2, "{}", malformed.stderr);
    assert!(malformed.stderr.contains("--front-end"), "{}", malformed.stderr);
    let arguments = [&["diagnose", "-"][..], &flags].concat();
    let malformed = command::run_with_input(home.path(), &arguments, "timestamp,web_cpu\n1,x\n").unwrap();
    assert!(malformed.stderr.contains("standard input line 2"), "{}", malformed.stderr);
}

/// Runs a command on a terminal and answers what appears there.
fn on_a_terminal(home: &Path, environment: &[(&str, &str)]) -> String {
    let binary = command::binary().unwrap();
    let line = format!("{} diagnose incident -v", binary.display());
    let output = Command::new("script")
        .args(["--quiet", "--return", "--command", &line, "/dev/null"])
        .env_clear()
        .env("HOME", home)
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("TERM", "xterm")
        .envs(environment.iter().copied())
        .current_dir(home)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn colours_appear_on_a_terminal_unless_they_are_not_wanted() {
    let home = home();
    let coloured = |text: &str| text.contains("\u{1b}[3") || text.contains("\u{1b}[1m");
    let usual = on_a_terminal(home.path(), &[]);
    assert!(usual.contains("answered") && coloured(&usual), "{usual}");
    let plain = on_a_terminal(home.path(), &[("NO_COLOR", "1")]);
    assert!(plain.contains("answered") && !coloured(&plain), "{plain}");
}
