//! Errors of a person in a hurry name what is wrong, and the way out.

use std::{fs, path::Path, process::Stdio};

use automap_integration_tests::{
    command::{self, Ended},
    processes::{Service, all_on_free_ports},
    recording,
};

/// The command is refused with this code, and says all of this on one line.
fn assert_refused(home: &Path, arguments: &[&str], code: i32, said: &[&str]) -> Ended {
    let ended = command::run(home, arguments).unwrap();
    assert_eq!((ended.code, ended.stdout.as_str()), (code, ""), "{arguments:?}: {}", ended.stderr);
    for said in said {
        assert!(ended.stderr.contains(said), "{arguments:?}: no {said:?} in {}", ended.stderr);
    }
    ended
}

#[test]
fn files_that_are_no_metrics_as_they_stand_are_told_what_they_are() {
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("m.csv.gz"), [0x1f, 0x8b, 8, 0, 0, 0, 0, 0]).unwrap();
    assert_refused(home.path(), &["diagnose", "m.csv.gz"], 2, &["m.csv.gz: is compressed", "gunzip"]);
    let mut piped = command::automap(home.path()).unwrap();
    let ended: Ended = piped.args(["diagnose", "/dev/stdin"]).stdin(Stdio::null()).output().unwrap().into();
    assert_eq!(ended.code, 2, "{}", ended.stderr);
    assert!(ended.stderr.contains("/dev/stdin: is a pipe or a device"), "{}", ended.stderr);
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
    assert_refused(home.path(), &elsewhere, 2, &["--server: there is no walker", "4310"]);
    assert_eq!(profiler.terminate().unwrap(), Some(0));
}

#[test]
fn an_export_that_cannot_be_written_is_not_laid_on_the_store() {
    let home = tempfile::tempdir().unwrap();
    recording::demo_incident(home.path()).unwrap();
    assert_eq!(command::run(home.path(), &["diagnose", "incident", "--store", "store"]).unwrap().code, 0);
    let into = |place: &str| ["store", "export", place, "--store", "store"].map(str::to_owned);
    for (place, code, said) in
        [("none/all.export", 1, "cannot write none/all.export"), ("/dev/null", 2, "/dev/null: is a device")]
    {
        let ended = command::run(home.path(), &into(place)).unwrap();
        assert_eq!(ended.code, code, "{}", ended.stderr);
        assert!(
            ended.stderr.contains(said) && !ended.stderr.contains("the store failed"),
            "{}",
            ended.stderr
        );
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
