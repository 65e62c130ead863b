//! One answer, however the services are deployed.

use std::{fs, path::Path};

use automap_integration_tests::{
    answers::without_ids_and_timings,
    command,
    processes::{FourProcesses, Service, all_on_free_ports},
    recording,
};

/// Runs `diagnose` on `incident` and answers what must not differ.
pub(crate) fn diagnose(home: &Path, incident: &Path, more: &[&str], threads: Option<&str>) -> String {
    let mut command = command::automap(home).unwrap();
    command.arg("diagnose").arg(incident).args(["--output", "json", "--seed", "7"]).args(more);
    if let Some(count) = threads {
        command.env("RAYON_NUM_THREADS", count).env("TOKIO_WORKER_THREADS", count);
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    without_ids_and_timings(&String::from_utf8(output.stdout).unwrap()).unwrap()
}

/// Diagnoses `incident` in every deployment and asserts that all answers are alike.
pub(crate) fn assert_one_answer(incident: &Path, method: &str) {
    let home = tempfile::tempdir().unwrap();
    let flags = ["--method", method, "--set", "automap.solver=monte-carlo"];
    let stored = |name: &str| {
        let mut all: Vec<String> = flags.iter().map(|flag| (*flag).to_owned()).collect();
        all.extend(["--store".into(), home.path().join(name).display().to_string()]);
        all
    };
    let run = |more: Vec<String>, threads| {
        let borrowed: Vec<&str> = more.iter().map(String::as_str).collect();
        diagnose(home.path(), incident, &borrowed, threads)
    };
    let reference = run(stored("first"), None);
    assert_eq!(run(stored("first"), None), reference, "the second time");
    assert_eq!(run(stored("one"), Some("1")), reference, "with one thread");
    assert_eq!(run(stored("two"), Some("2")), reference, "with two threads");

    let shuffled = home.path().join("shuffled");
    recording::copy_unlabelled(incident, &shuffled).unwrap();
    recording::shuffle_columns(&shuffled.join("metrics.csv")).unwrap();
    let more = stored("shuffled-store");
    let borrowed: Vec<&str> = more.iter().map(String::as_str).collect();
    assert_eq!(diagnose(home.path(), &shuffled, &borrowed, None), reference, "with shuffled columns");

    let mut four = FourProcesses::start(home.path(), home.path()).unwrap();
    let remote = |server: &str| {
        let mut all: Vec<String> = flags.iter().map(|flag| (*flag).to_owned()).collect();
        all.extend(["--server".into(), server.to_owned()]);
        all
    };
    assert_eq!(run(remote(&four.walker.address), None), reference, "with four processes");
    assert_eq!(run(remote(&four.walker.address), None), reference, "with four processes, the second time");
    assert!(four.run());

    let one_home = tempfile::tempdir().unwrap();
    let one = Service::start(one_home.path(), "all", &all_on_free_ports(one_home.path())).unwrap();
    assert_eq!(run(remote(&one.address), None), reference, "with one process");
}

#[test]
fn every_deployment_gives_the_same_bytes_for_evidence() {
    let home = tempfile::tempdir().unwrap();
    assert_one_answer(&recording::demo_incident(home.path()).unwrap(), "evidence");
}

#[test]
fn every_deployment_gives_the_same_bytes_for_automap() {
    let home = tempfile::tempdir().unwrap();
    let incident = recording::demo_incident(home.path()).unwrap();
    // Without a call graph the behaviour graph alone has to explain.
    fs::remove_file(incident.join("call_graph.csv")).unwrap();
    assert_one_answer(&incident, "automap");
}
