//! Who is on call gets an answer also where nothing can be remembered.

use std::{fs, path::Path};

use automap_integration_tests::{
    command::{self, Ended},
    processes::Service,
    recording,
    store_faults::profiler,
};
use serde_json::Value;

/// Diagnoses the incident in `home` with these variables for its own.
fn diagnose(home: &Path, variables: &[(&str, &str)], more: &[&str]) -> Ended {
    let mut command = command::automap(home).unwrap();
    command.env_remove("HOME").envs(variables.iter().copied());
    command.args(["diagnose", "incident", "--output", "json"]).args(more).output().unwrap().into()
}

/// It answered, said once what is wrong with the memory and what to do, and claims to have remembered nothing.
fn assert_answered_without_memory(ended: &Ended, problem: &str) {
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let answer: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(answer["ranking"][0]["service"], "cart");
    assert!(answer["incident_id"].is_null(), "{}", answer["incident_id"]);
    let warnings: Vec<&str> = ended.stderr.lines().filter(|line| line.starts_with("warning: ")).collect();
    assert_eq!(warnings.len(), 1, "{}", ended.stderr);
    for said in [problem, "is not remembered", "--store DIR", "--no-record"] {
        assert!(warnings[0].contains(said), "no {said:?} in {warnings:?}");
    }
}

#[test]
fn a_home_that_is_unknown_or_cannot_be_written_costs_the_memory_and_not_the_answer() {
    let home = tempfile::tempdir().unwrap();
    recording::demo_incident(home.path()).unwrap();
    let ended = diagnose(home.path(), &[], &[]);
    assert_answered_without_memory(&ended, "neither XDG_STATE_HOME nor HOME is set");
    let ended = diagnose(home.path(), &[("HOME", "/dev/null")], &[]);
    assert_answered_without_memory(&ended, "cannot create /dev/null/.local/state/automap/store");
    let quietly = diagnose(home.path(), &[], &["--no-record"]);
    assert_eq!((quietly.code, quietly.stderr.as_str()), (0, ""));

    // What is there to remember needs its memory.
    let mut learn = command::automap(home.path()).unwrap();
    let ended: Ended = learn.env_remove("HOME").args(["learn", "incident"]).output().unwrap().into();
    assert_eq!(ended.code, 1, "{}", ended.stderr);
    assert!(ended.stderr.contains("--store DIR"), "{}", ended.stderr);
}

#[test]
fn a_store_that_another_process_has_open_costs_the_memory_and_not_the_answer() {
    let home = tempfile::tempdir().unwrap();
    recording::demo_incident(home.path()).unwrap();
    let store = home.path().join("state/automap/store");
    let service = profiler::start(home.path(), &store, &[]).unwrap();
    let state = home.path().join("state");
    let variables = [("XDG_STATE_HOME", state.to_str().unwrap())];
    assert_answered_without_memory(&diagnose(home.path(), &variables, &[]), "in use by another process");
    let named = ["--store", store.to_str().unwrap()];
    assert_answered_without_memory(&diagnose(home.path(), &[], &named), "in use by another process");

    for (arguments, way_out) in
        [(["learn", "incident"], "--store DIR"), (["incidents", "list"], "ask it with --server URL")]
    {
        let ended = command::run(home.path(), &[&arguments[..], &named].concat()).unwrap();
        assert_eq!(ended.code, 1, "{}", ended.stderr);
        assert!(ended.stderr.contains("in use by another process"), "{}", ended.stderr);
        assert!(
            ended.stderr.contains(way_out) && !ended.stderr.contains("profiler.path"),
            "{}",
            ended.stderr
        );
    }
    assert_eq!(service.terminate().unwrap(), Some(0));

    let ended = diagnose(home.path(), &[], &named);
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""));
    let answer: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert!(answer["incident_id"].as_str().unwrap().starts_with("inc-"));
}

#[test]
fn a_disk_that_is_full_costs_the_memory_and_not_the_answer() {
    let home = tempfile::tempdir().unwrap();
    recording::demo_incident(home.path()).unwrap();
    let disk = home.path().join("disk");
    fs::create_dir(&disk).unwrap();
    let configuration = profiler::configuration(&home.path().join("store"));
    let service = Service::start_on_tmpfs(home.path(), &disk, 8, "profiler", &configuration).unwrap();
    let seen = format!("/proc/{}/root{}", service.id(), disk.display());
    super::store_disk::fill(&Path::new(&seen).join("ballast"));
    assert_answered_without_memory(
        &diagnose(home.path(), &[("HOME", &seen)], &[]),
        "No space left on device",
    );
    assert_eq!(service.terminate().unwrap(), Some(0));
}
