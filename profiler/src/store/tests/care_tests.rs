//! Retention, full disks, migration, verification and compaction.

use super::*;

#[test]
fn housekeeping_removes_what_outlived_its_time_and_keeps_the_rest() {
    let directory = tempfile::tempdir().unwrap();
    let store = filled(&directory);
    let day = 86_400_000;
    let rules = Retention { unconfirmed_days: 10, confirmed_days: 100, ..Retention::default() };
    assert_eq!(store.housekeep(&rules, UnixMillis(9 * day)).unwrap().removed, 0);
    // The diagnosis and the incident that nobody confirmed.
    assert_eq!(store.housekeep(&rules, UnixMillis(20 * day)).unwrap().removed, 2);
    assert_eq!(list(&store, &ListQuery::default()).0, ["inc-1"]);
    assert_eq!(store.housekeep(&rules, UnixMillis(200 * day)).unwrap().removed, 1);
    assert_eq!(store.normal_sum(&selector(), &[], &AbnormalTimes::default()).unwrap().windows(), 2);
}

#[test]
fn a_full_disk_refuses_changes_and_lets_reads_go_on() {
    let directory = tempfile::tempdir().unwrap();
    filled(&directory).close().unwrap();
    let options = StoreOptions { reserve_mib: u64::MAX, ..StoreOptions::default() };
    let store = SledStore::open(directory.path(), options).unwrap();
    let error = store.record_incident(&incident("inc-3", 300)).unwrap_err();
    assert!(matches!(error, StoreError::Full { .. }), "{error}");
    assert!(error.to_string().contains("reserve-mib"), "{error}");
    assert_eq!(similar(&store, false, None), ["inc-1", "inc-2"]);
    assert_eq!(store.incident(&id("inc-3")).unwrap(), None);
}

/// Rows as a build of format version 1 wrote them.
const VERSION_1_ROWS: &str = include_str!("../../../tests/formats/version-1.rows");

fn version_1_store(path: &Path) {
    let bytes = |hex: &str| -> Vec<u8> {
        (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
    };
    let database = engine_files::open_database(path, 1 << 20).unwrap();
    let tree = database.open_tree("records").unwrap();
    for line in VERSION_1_ROWS.lines() {
        let (key, value) = line.split_once(' ').unwrap();
        tree.insert(bytes(key), bytes(value)).unwrap();
    }
    database.flush().unwrap();
    drop((tree, database));
    store_lock::await_release(path).unwrap();
}

#[test]
fn a_store_of_format_version_1_is_migrated_with_everything_in_it() {
    let (directory, today) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    version_1_store(directory.path());
    let store = open(&directory);
    let wanted = filled(&today);
    for name in ["inc-1", "inc-2"] {
        // Version 1 kept no evidence.
        let known = wanted.incident(&id(name)).unwrap();
        let known = known.map(|known| PastIncident { evidence: IncidentEvidence::new(), ..known });
        assert_eq!(store.incident(&id(name)).unwrap(), known);
    }
    assert_eq!(store.diagnosis(&id("d-1")).unwrap(), wanted.diagnosis(&id("d-1")).unwrap());
    assert_eq!(
        store.normal_sum(&selector(), &[], &AbnormalTimes::default()).unwrap(),
        wanted.normal_sum(&selector(), &[], &AbnormalTimes::default()).unwrap()
    );
    assert_eq!(similar(&store, true, None), ["inc-1"]);
    assert_eq!(list(&store, &ListQuery::default()).0, ["inc-2", "inc-1"]);
    store.confirm(&id("inc-2"), confirmation(&["cart"])).unwrap();
    store.close().unwrap();
    let report = care::verify(directory.path()).unwrap();
    assert_eq!((report.engine_problems, report.journal_problems), (vec![], vec![]));
    assert_eq!(similar(&open(&directory), true, None), ["inc-1", "inc-2"]);
}

/// Entities and end of an export by a build of format `version`, which sealed every record so.
fn export_of_version(version: u16) -> Vec<StoredRecord> {
    let old = tempfile::tempdir().unwrap();
    version_1_store(old.path());
    let mut records = export(&open(&old));
    records.pop();
    let mut tally = ExportTally::default();
    for record in &mut records {
        let payload = sealed::unseal(&record.key, &record.value).unwrap().to_vec();
        record.value = sealed::seal_as(version, &record.key, &payload);
        tally.add(record);
    }
    let end = tally.end();
    let payload = sealed::unseal(&end.key, &end.value).unwrap().to_vec();
    records.push(StoredRecord { value: sealed::seal_as(version, &end.key, &payload), ..end });
    records
}

#[test]
fn exports_of_format_version_1_are_taken_and_those_of_a_newer_one_told_apart() {
    let records = export_of_version(1);
    assert!(records.iter().all(|record| record.value[..2] == [0, 1]));
    let target = tempfile::tempdir().unwrap();
    assert_eq!(open(&target).import(records, ImportMode::EmptyOnly).unwrap(), 8);
    let (mut ended_newer, newer) = (export_of_version(1), export_of_version(3));
    *ended_newer.last_mut().unwrap() = newer.last().unwrap().clone();
    for records in [newer, ended_newer] {
        let target = tempfile::tempdir().unwrap();
        let error = open(&target).import(records, ImportMode::EmptyOnly).unwrap_err();
        assert!(error.to_string().contains("use a newer build"), "{error}");
    }
}

#[test]
fn an_interrupted_migration_begins_again() {
    let directory = tempfile::tempdir().unwrap();
    version_1_store(directory.path());
    let store = open(&directory);
    let wanted = export(&store);
    store.close().unwrap();
    std::fs::remove_dir_all(directory.path().join("journal")).unwrap();
    tamper_rows(directory.path(), |tree| {
        tree.remove([0]).unwrap();
        let (key, _) = tree.scan_prefix([18]).next().unwrap().unwrap();
        tree.remove(key).unwrap();
    });
    assert_eq!(export(&open(&directory)), wanted);
}

#[test]
fn a_sound_store_verifies_and_each_damage_is_named() {
    let directory = tempfile::tempdir().unwrap();
    filled(&directory).close().unwrap();
    let report = care::verify(directory.path()).unwrap();
    assert_eq!((report.engine_problems, report.journal_problems), (vec![], vec![]));
    assert_eq!(report.records["incidents"], 2);
    assert_eq!(report.records["normal windows"], 2);
    let body = Entity::Incident(id("inc-2")).section(BODY);
    tamper(directory.path(), &body, |bytes| bytes[20] ^= 4);
    let report = care::verify(directory.path()).unwrap();
    assert_eq!(report.engine_problems.len(), 1, "{report:?}");
    assert!(report.engine_problems[0].contains("incident inc-2"), "{report:?}");
    let file = directory.path().join("out.export");
    let saved = salvage(directory.path(), &file, &[]).unwrap();
    assert_eq!((saved.missing, saved.doubtful), (vec![], vec![]), "the journal has it");
    let whole = directory.path().join("whole.export");
    std::fs::rename(&file, &whole).unwrap();
    std::fs::remove_dir_all(directory.path().join("journal")).unwrap();
    let saved = salvage(directory.path(), &file, std::slice::from_ref(&whole)).unwrap();
    assert_eq!(saved.records["incidents"], 2);
    assert!(saved.doubtful.iter().any(|from| from.contains("incident inc-2: from the export")), "{saved:?}");
    let saved = salvage(directory.path(), &file, &[]).unwrap();
    assert!(saved.missing.iter().any(|problem| problem.contains("incident inc-2")), "{saved:?}");
    assert_eq!(saved.records["incidents"], 1);
    let target = tempfile::tempdir().unwrap();
    open(&target).import(read_export(&file).unwrap(), ImportMode::EmptyOnly).unwrap();
    assert!(care::verify(target.path()).unwrap().engine_problems.is_empty());
    assert!(care::verify(&directory.path().join("nowhere")).is_err());
    let empty = tempfile::tempdir().unwrap();
    open(&empty).close().unwrap();
    assert!(care::verify(empty.path()).unwrap().is_sound(), "a store without a change is sound");
}

/// Damages both copies of a store in which `inc-2` is an incident.
fn lose_an_incident(path: &Path) {
    let body = Entity::Incident(id("inc-2")).section(BODY);
    tamper(path, &body, |bytes| bytes[20] ^= 4);
    std::fs::remove_dir_all(path.join("journal")).unwrap();
}

#[test]
fn salvage_takes_what_is_lost_from_the_exports_that_the_schedule_left_in_the_store() {
    let directory = tempfile::tempdir().unwrap();
    let exports = directory.path().join("exports");
    let store = filled(&directory);
    std::fs::create_dir(&exports).unwrap();
    export_to(&store, &exports.join("000000000000002.export")).unwrap();
    store.close().unwrap();
    std::fs::write(exports.join("000000000000003.export"), "cut short").unwrap();
    std::fs::write(exports.join("note"), "of somebody").unwrap();
    lose_an_incident(directory.path());
    let file = directory.path().join("saved");
    let saved = salvage(directory.path(), &file, &[]).unwrap();
    assert_eq!(saved.records["incidents"], 2);
    let has = |text: &str| saved.doubtful.iter().filter(|line| line.contains(text)).count();
    assert_eq!(has("incident inc-2: from the export"), 1, "{saved:?}");
    assert_eq!((has("cannot be read"), has("000000000000003.export")), (1, 1), "{saved:?}");
    assert!(!saved.missing.iter().any(|line| line.contains("inc-2:")), "{saved:?}");
    let target = tempfile::tempdir().unwrap();
    let restored = open(&target);
    restored.import(read_export(&file).unwrap(), ImportMode::EmptyOnly).unwrap();
    assert_eq!(restored.incident(&id("inc-2")).unwrap().unwrap(), incident("inc-2", 200));
    let left = std::fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().file_name());
    let left: Vec<_> = left.filter(|name| name.to_string_lossy().starts_with('.')).collect();
    assert!(left.is_empty(), "of its copies nothing stays: {left:?}");
}

#[test]
fn salvage_takes_the_newest_readable_export_of_a_directory_and_says_where_there_is_none() {
    let (directory, backups) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let store = filled(&directory);
    let backup = |time: u8| backups.path().join(format!("{time:015}.export"));
    store.put_diagnosis(&diagnosis("d-old", 300, 3)).unwrap();
    export_to(&store, &backup(1)).unwrap();
    store.close().unwrap();
    // The newer one has no such diagnosis any more.
    let other = tempfile::tempdir().unwrap();
    export_to(&filled(&other), &backup(2)).unwrap();
    std::fs::write(backup(3), "cut short").unwrap();
    for file in ["db", "conf"] {
        std::fs::remove_file(directory.path().join(file)).unwrap();
    }
    std::fs::remove_dir_all(directory.path().join("journal")).unwrap();
    std::fs::create_dir(directory.path().join("journal")).unwrap();
    let file = other.path().join("saved");
    let saved = salvage(directory.path(), &file, &[backups.path().to_owned()]).unwrap();
    assert_eq!((saved.records["incidents"], saved.records["diagnoses"]), (2, 1), "{saved:?}");
    let from = format!("incident inc-2: from the export {}", backup(2).display());
    assert!(saved.doubtful.contains(&from), "{saved:?}");
    assert_eq!(saved.doubtful.iter().filter(|line| line.contains("cannot be read")).count(), 1, "{saved:?}");
    let empty = tempfile::tempdir().unwrap();
    let saved = salvage(directory.path(), &file, &[empty.path().to_owned()]).unwrap();
    assert!(saved.doubtful.iter().any(|line| line.starts_with("no export in ")), "{saved:?}");
}

#[test]
fn compacting_keeps_every_record_and_frees_what_was_overwritten() {
    let directory = tempfile::tempdir().unwrap();
    let store = filled(&directory);
    for services in [10_000, 1] {
        for number in 0..20 {
            store.put_diagnosis(&diagnosis(&format!("d-{number}"), number, services)).unwrap();
        }
    }
    let wanted = export(&store);
    assert!(care::compact(directory.path(), StoreOptions::default()).is_err(), "it is in use");
    store.close().unwrap();
    let (before, after) = care::compact(directory.path(), StoreOptions::default()).unwrap();
    assert!(after < before, "{before} to {after} bytes");
    assert_eq!(export(&open(&directory)), wanted);
}

#[test]
fn large_records_stay_out_of_the_blob_files_of_the_engine() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(&directory);
    for number in 0..20 {
        store.put_diagnosis(&diagnosis(&format!("d-{number}"), number, 5_000)).unwrap();
    }
    store.close().unwrap();
    let blobs = std::fs::read_dir(directory.path().join("blobs")).map_or(0, Iterator::count);
    assert_eq!(blobs, 0);
}
