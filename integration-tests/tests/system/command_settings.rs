//! What a configuration says of methods and limits also holds for the services within a command.

use std::{fs, path::Path};

use automap_integration_tests::{
    command::{self, Ended},
    recording,
};
use serde_json::Value;

fn diagnose(home: &Path, variables: &[(&str, &str)], more: &[&str]) -> Ended {
    let mut command = command::automap(home).unwrap();
    command.args(["diagnose", "incident", "--no-record", "--output", "json"]).args(more);
    command.envs(variables.iter().copied()).output().unwrap().into()
}

fn setting(ended: &Ended, name: &str) -> Value {
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let answer: Value = serde_json::from_str(&ended.stdout).unwrap();
    answer["settings"][name].clone()
}

#[test]
fn a_diagnosis_of_a_recording_follows_file_environment_and_flags() {
    let home = tempfile::tempdir().unwrap();
    recording::demo_incident(home.path()).unwrap();
    let file = "[walker.server]\nlisten = \"0.0.0.0:4310\"\ntls.certificate = \"none.pem\"\ntls.key = \"none.key\"\n\
                [walker.parameters.evidence]\nhistory-rows = 7\n\
                [walker.parameters.edges]\nforbidden = \"web->cart\"\n";
    fs::write(home.path().join("automap.toml"), file).unwrap();
    let with = ["--config", "automap.toml"];
    let variable = [("AUTOMAP_WALKER__PARAMETERS__EVIDENCE__HISTORY_ROWS", "8")];
    let rows = "evidence.history-rows";
    assert_eq!(setting(&diagnose(home.path(), &[], &[]), rows), "0");
    assert_eq!(setting(&diagnose(home.path(), &[], &with), rows), "7");
    assert_eq!(setting(&diagnose(home.path(), &[], &with), "edges.forbidden"), "web->cart");
    assert_eq!(setting(&diagnose(home.path(), &[("AUTOMAP_CONFIG", "automap.toml")], &[]), rows), "7");
    assert_eq!(setting(&diagnose(home.path(), &variable, &with), rows), "8");
    let flags = [&with[..], &["--set", "evidence.history-rows=9"]].concat();
    assert_eq!(setting(&diagnose(home.path(), &variable, &flags), rows), "9");
}

#[test]
fn a_configuration_that_is_wrong_or_missing_is_wrong_usage() {
    let home = tempfile::tempdir().unwrap();
    recording::demo_incident(home.path()).unwrap();
    for (file, said) in [
        ("[walkr]\n", "wrong.toml:1: unknown key walkr; did you mean walker?"),
        (
            "[walker.parameters.edges]\nforbidden = \"web\"\n",
            "wrong.toml:2: walker.parameters.edges.forbidden",
        ),
    ] {
        fs::write(home.path().join("wrong.toml"), file).unwrap();
        let ended = diagnose(home.path(), &[], &["--config", "wrong.toml"]);
        assert_eq!((ended.code, ended.stdout.as_str()), (2, ""), "{}", ended.stderr);
        assert!(ended.stderr.contains(said), "no {said:?} in {}", ended.stderr);
    }
    let ended = diagnose(home.path(), &[], &["--config", "/no/such.toml"]);
    assert_eq!(ended.code, 2, "{}", ended.stderr);
    assert!(ended.stderr.contains("/no/such.toml"), "{}", ended.stderr);
    let learn = ["learn", "incident", "--store", "store", "--config", "wrong.toml"];
    assert_eq!(command::run(home.path(), &learn).unwrap().code, 2);
}

#[test]
fn drawings_and_traces_that_cannot_be_written_are_refused_before_the_diagnosis() {
    let home = tempfile::tempdir().unwrap();
    recording::demo_incident(home.path()).unwrap();
    for (flag, place) in [("--graph", "none/graph.svg"), ("--trace", "none/walk.jsonl")] {
        let ended = diagnose(home.path(), &[], &[flag, place]);
        assert_eq!((ended.code, ended.stdout.as_str()), (2, ""), "{}", ended.stderr);
        assert!(ended.stderr.contains(&format!("{flag} {place}: cannot write there")), "{}", ended.stderr);
    }
    let ended = diagnose(home.path(), &[], &["--trace", "/dev/full"]);
    assert_eq!(ended.code, 1, "{}", ended.stderr);
    assert!(ended.stderr.contains("cannot write /dev/full"), "{}", ended.stderr);
    // The trace goes through to the same descriptor as the answer.
    let ended = diagnose(home.path(), &[], &["--trace", "/dev/stdout"]);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert!(ended.stdout.starts_with('{') && ended.stdout.lines().last().unwrap().contains("\"walk\""));
}
