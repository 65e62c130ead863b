//! Errors of a person in a hurry name what is wrong, and the way out.

use std::{fs, path::Path};

use automap_integration_tests::{
    command::{self, Ended},
    processes::{Service, all_on_free_ports},
    recording,
};

/// The command is refused with this code, and says all of this on one line.
fn assert_refused(home: &Path, arguments: &[&str], code: i32, said: &[&str]) -> Ended {
    let ended = command::run(home, arguments).unwrap();
    assert_eq!((ended.code, ended.stdout.as_str()), (code, ""), "{arguments:?}: {}", ended.stderr);
    let is_told = ended.stderr.lines().any(|line| said.iter().all(|said| line.contains(said)));
    assert!(is_told, "{arguments:?}: no line with all of {said:?} in {}", ended.stderr);
    ended
}

#[test]
fn files_that_are_no_metrics_as_they_stand_are_told_what_they_are() {
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("m.csv.gz"), [0x1f, 0x8b, 8, 0, 0, 0, 0, 0]).unwrap();
    assert_refused(home.path(), &["diagnose", "m.csv.gz"], 2, &["m.csv.gz: is compressed", "gunzip"]);
    // Nothing comes through standard input.
    assert_refused(home.path(), &["diagnose", "/dev/stdin"], 1, &["/dev/stdin is empty"]);
    assert_refused(home.path(), &["diagnose", "-"], 1, &["standard input is empty"]);
    let ended = command::run_with_input(home.path(), &["diagnose", "-"], [0x1f, 0x8b, 8]).unwrap();
    assert_eq!((ended.code, ended.stdout.as_str()), (2, ""), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("standard input: is compressed; unpack it first, as by zcat"),
        "{}",
        ended.stderr
    );
    assert_refused(home.path(), &["demo", "--incident", "all"], 2, &["--incident all", "--export DIR"]);
}

#[test]
fn times_are_told_as_people_write_them() {
    let home = tempfile::tempdir().unwrap();
    recording::demo_incident(home.path()).unwrap();
    let times = ["--anomaly-start", "2026-03-01T10:35:00Z", "--anomaly-end", "2026-03-01T10:30:00Z"];
    let said = ["would end at 2026-03-01T10:30:00Z before it starts at 2026-03-01T10:35:00Z"];
    assert_refused(home.path(), &[&["diagnose", "incident"][..], &times].concat(), 2, &said);
    let source = ["diagnose", "--source", "http://127.0.0.1:1", "--preset", "istio", "--front-end", "web"];
    assert_refused(home.path(), &[&source[..], &times].concat(), 2, &said);
    let step = ["diagnose", "incident", "--no-record", "--step", "5s"];
    assert_eq!(command::run(home.path(), &step).unwrap().code, 0);
}

#[test]
fn an_error_names_the_address_that_was_asked_and_none_that_nobody_chose() {
    let home = tempfile::tempdir().unwrap();
    recording::demo_incident(home.path()).unwrap();
    let source = ["diagnose", "--source", "http://127.0.0.1:1", "--preset", "istio", "--front-end", "web"];
    let ended = assert_refused(home.path(), &source, 1, &["http://127.0.0.1:1"]);
    assert!(!ended.stderr.contains("walker at"), "{}", ended.stderr);

    let configuration = all_on_free_ports(home.path());
    let profiler = Service::start(home.path(), "profiler", &configuration).unwrap();
    let elsewhere = ["diagnose", "incident", "--server", &profiler.address];
    let no_walker = format!("--server {}: there is no walker", profiler.address);
    assert_refused(home.path(), &elsewhere, 2, &[&no_walker, "4310"]);
    let source = ["--source", "prod", "--front-end", "web", "--step"];
    for (step, said) in [("400d", "--step: 400d must lie between"), ("5x", "--step: ")] {
        assert_refused(home.path(), &[&["diagnose", "incident"][..], &["--step", step]].concat(), 2, &[said]);
        let queried = [&["diagnose", "--server", &profiler.address][..], &source, &[step]].concat();
        assert_refused(home.path(), &queried, 2, &[said]);
    }

    // A walker whose own peer is of another role is a walker.
    let misled = format!("{configuration}\n[walker]\ncollector = \"{}\"\n", profiler.address);
    let walker = Service::start(home.path(), "walker", &misled).unwrap();
    let asked = ["diagnose", "incident", "--server", &walker.address];
    let ended = assert_refused(home.path(), &asked, 1, &["collector: Operation is not implemented"]);
    assert!(!ended.stderr.contains("there is no walker"), "{}", ended.stderr);
    assert_eq!(walker.terminate().unwrap(), Some(0));
    assert_eq!(profiler.terminate().unwrap(), Some(0));
}

#[test]
fn an_export_that_cannot_be_written_is_not_laid_on_the_store() {
    let home = tempfile::tempdir().unwrap();
    recording::demo_incident(home.path()).unwrap();
    assert_eq!(command::run(home.path(), &["diagnose", "incident", "--store", "store"]).unwrap().code, 0);
    let into = |place: &str| ["store", "export", place, "--store", "store"].map(str::to_owned);
    let salvaged = ["store", "salvage", "none/all.export", "--store", "store"].map(str::to_owned);
    for (words, code, said) in [
        (into("none/all.export"), 1, "error: cannot write none/all.export: No such file"),
        (salvaged, 1, "error: cannot write none/all.export: No such file"),
        (into("/dev/null"), 2, "/dev/null: is a device"),
    ] {
        let ended = command::run(home.path(), &words).unwrap();
        assert_eq!(ended.code, code, "{}", ended.stderr);
        let is_store = ended.stderr.contains("the store failed");
        assert!(ended.stderr.contains(said) && !is_store, "{}", ended.stderr);
    }
}

#[test]
fn the_last_line_of_an_answer_confirms_it() {
    let home = tempfile::tempdir().unwrap();
    recording::demo_incident(home.path()).unwrap();
    let ended = command::run(home.path(), &["diagnose", "incident", "--store", "store"]).unwrap();
    let last = ended.stdout.lines().last().unwrap().trim();
    let words: Vec<&str> = last.split(' ').collect();
    assert_eq!(words[..3], ["automap", "incidents", "confirm"], "{last}");
    assert!(words[3].starts_with("inc-") && words[4] == "cart", "{last}");
    assert_eq!(command::run(home.path(), &words[1..]).unwrap().code, 0, "{last}");
    let listed = command::run(home.path(), &["incidents", "list", "--store", "store"]).unwrap();
    assert!(listed.stdout.contains(words[3]) && listed.stdout.contains("recorded"), "{}", listed.stdout);
}
