//! `automap store`, on directories and on a running profiler.

use std::{fs, path::Path};

use automap_integration_tests::{
    command::{self, Ended},
    processes::Service,
    recording,
    store_faults::profiler,
};
use serde_json::Value;

fn run(home: &Path, arguments: &[&str]) -> Ended {
    command::run(home, arguments).unwrap()
}

fn json(ended: &Ended) -> Value {
    serde_json::from_str(&ended.stdout).unwrap()
}

/// A home whose store has one diagnosed incident; answers the incident's id.
fn with_an_incident() -> (tempfile::TempDir, String) {
    let home = tempfile::tempdir().unwrap();
    recording::demo_incident(home.path()).unwrap();
    let ended = run(home.path(), &["diagnose", "incident", "--store", "store", "--output", "json"]);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let id = json(&ended)["incident_id"].as_str().unwrap().to_owned();
    (home, id)
}

fn records(home: &Path, store: &str) -> Value {
    let ended = run(home, &["store", "stats", "--store", store, "--output", "json"]);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    json(&ended)["records"].clone()
}

#[test]
fn an_export_brings_a_store_back_in_another_place() {
    let (home, id) = with_an_incident();
    let ended = run(home.path(), &["store", "export", "all.export", "--store", "store"]);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let ended = run(home.path(), &["store", "import", "all.export", "--store", "new"]);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let counts = records(home.path(), "store");
    assert_eq!(counts["incidents"], 1);
    assert_eq!(records(home.path(), "new"), counts);
    let ended = run(home.path(), &["incidents", "show", &id, "--store", "new", "--output", "json"]);
    assert_eq!(json(&ended)["incident_id"], id.as_str());
    let again = run(home.path(), &["store", "import", "all.export", "--store", "new", "--existing", "empty"]);
    assert_eq!(again.code, 1);
    assert!(again.stderr.contains("holds records already"), "{}", again.stderr);
    let verified = run(home.path(), &["store", "verify", "--store", "new", "--output", "json"]);
    assert_eq!((verified.code, &json(&verified)["sound"]), (0, &Value::Bool(true)));
    let compacted = run(home.path(), &["store", "compact", "--store", "new"]);
    assert_eq!(compacted.code, 0, "{}", compacted.stderr);
    assert_eq!(records(home.path(), "new"), counts);
}

#[test]
fn an_import_keeps_or_replaces_what_is_there_as_told() {
    let (home, id) = with_an_incident();
    run(home.path(), &["store", "export", "before.export", "--store", "store"]);
    let confirmed = run(home.path(), &["incidents", "confirm", &id, "cart", "--store", "store"]);
    assert_eq!(confirmed.code, 0, "{}", confirmed.stderr);
    let import = |existing: &str| {
        run(home.path(), &["store", "import", "before.export", "--store", "store", "--existing", existing])
    };
    let status = || {
        let ended = run(home.path(), &["incidents", "show", &id, "--store", "store", "--output", "json"]);
        json(&ended)["status"].as_str().unwrap().to_owned()
    };
    let refused = import("refuse");
    assert_eq!(refused.code, 1);
    assert!(refused.stderr.contains("--existing"), "{}", refused.stderr);
    assert_eq!(import("keep").code, 0);
    assert_eq!(status(), "confirmed");
    assert_eq!(import("replace").code, 0);
    assert_eq!(status(), "open");
}

#[test]
fn a_running_profiler_is_exported_backed_up_and_imported_into() {
    let (home, _) = with_an_incident();
    let service =
        Service::start(home.path(), "profiler", &profiler::configuration(&home.path().join("store")));
    let service = service.unwrap();
    let server = ["--server", &service.address];
    let ask = |arguments: &[&str]| run(home.path(), &[arguments, &server].concat());
    let stats = ask(&["store", "stats", "--output", "json"]);
    assert_eq!(json(&stats)["records"]["incidents"], 1, "{}", stats.stderr);
    for _ in 0..3 {
        let backup = ask(&["store", "backup", "backups", "--keep", "2"]);
        assert_eq!(backup.code, 0, "{}", backup.stderr);
    }
    assert_eq!(fs::read_dir(home.path().join("backups")).unwrap().count(), 2);
    assert_eq!(ask(&["store", "export", "all.export"]).code, 0);
    assert_eq!(ask(&["store", "import", "all.export"]).code, 0, "what is there already changes nothing");
    let refused = ask(&["store", "import", "all.export", "--existing", "empty"]);
    assert_eq!(refused.code, 1, "{}", refused.stderr);
    assert_eq!(service.terminate().unwrap(), Some(0));
}

#[test]
fn damage_is_told_with_an_exit_code_of_its_own_and_salvaged() {
    let (home, _) = with_an_incident();
    let counts = records(home.path(), "store");
    let db = home.path().join("store/db");
    let mut bytes = fs::read(&db).unwrap();
    bytes.iter_mut().for_each(|byte| *byte = 0xa5);
    fs::write(&db, bytes).unwrap();
    let verified = run(home.path(), &["store", "verify", "--store", "store"]);
    assert_eq!(verified.code, 5, "{}", verified.stderr);
    assert!(verified.stdout.contains("checkpoint and journal: sound"), "{}", verified.stdout);
    assert!(verified.stderr.contains("one copy is damaged"), "{}", verified.stderr);
    let saved = run(home.path(), &["store", "salvage", "saved.export", "--store", "store"]);
    assert_eq!(saved.code, 0, "{}{}", saved.stdout, saved.stderr);
    run(home.path(), &["store", "import", "saved.export", "--store", "new"]);
    assert_eq!(records(home.path(), "new"), counts);
    fs::remove_dir_all(home.path().join("store/journal")).unwrap();
    let lost = run(home.path(), &["store", "salvage", "lost.export", "--store", "store"]);
    assert_eq!(lost.code, 5, "{}", lost.stdout);
    assert!(lost.stdout.contains("missing: "), "{}", lost.stdout);
    let arguments = ["store", "salvage", "lost.export", "--store", "store", "--from-export", "saved.export"];
    let found = run(home.path(), &arguments);
    assert_eq!(found.code, 5, "an export may be older than the store was");
    assert!(found.stdout.contains("from the export saved.export"), "{}", found.stdout);
    let refused = run(home.path(), &["store", "export", "x.export", "--store", "store"]);
    assert_eq!(refused.code, 1);
    assert!(refused.stderr.contains("automap store salvage"), "{}", refused.stderr);
}

#[test]
fn what_is_no_store_no_export_or_no_profiler_is_told_so() {
    let (home, _) = with_an_incident();
    for arguments in [
        &["store", "verify", "--store", "incident"][..],
        &["store", "export", "x", "--store", "nowhere"],
        &["store", "stats", "--store", "nowhere"],
        &["incidents", "list", "--store", "nowhere"],
        &["store", "salvage", "x", "--store", "nowhere"],
    ] {
        let ended = run(home.path(), arguments);
        assert_eq!(ended.code, 1, "{arguments:?}: {}", ended.stderr);
        assert!(ended.stderr.contains("there is no store in it"), "{arguments:?}: {}", ended.stderr);
    }
    assert!(!home.path().join("nowhere").exists(), "asking makes no store");
    let ended = run(home.path(), &["store", "import", "incident/metrics.csv", "--store", "new"]);
    assert_eq!(ended.code, 1);
    assert!(ended.stderr.contains("no export of a store"), "{}", ended.stderr);
    assert!(!home.path().join("new").exists());
    let collector =
        Service::start(home.path(), "collector", "[collector.server]\nlisten = \"127.0.0.1:0\"\n");
    let collector = collector.unwrap();
    let ended = run(home.path(), &["incidents", "list", "--server", &collector.address]);
    assert_eq!(ended.code, 2, "{}", ended.stderr);
    assert!(ended.stderr.contains("is no profiler"), "{}", ended.stderr);
}
