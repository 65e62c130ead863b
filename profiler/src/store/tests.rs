//! The store as a whole, on a real directory.

use std::{collections::BTreeMap, path::Path};

use automap_proto::{metric::MetricKind, settings::GraphSettings, time::UnixMillis, v1};
use tempfile::TempDir;

use super::{
    AddedWindow, ProfileStore, SimilarityQuery, care,
    error::StoreError,
    export_file::{export_to, read_export},
    key::{BODY, Entity, NormalKey, RowsKey, SUMMARY, vector_key},
    listing::ListQuery,
    recovery,
    retention::Retention,
    salvage::salvage,
    sealed,
    sled_store::{SledStore, StoreOptions},
    transfer::{ExportTally, ImportMode, StoredRecord},
};
use crate::{
    confirmation::Confirmation,
    diagnosis_record::DiagnosisRecord,
    evidence_features::IncidentEvidence,
    normal_rows::{Decay, ServiceRows},
    normal_window::{NormalGroup, NormalSelector, NormalWindow},
    past_incident::PastIncident,
    record_id::RecordId,
    sample,
};

fn open(directory: &TempDir) -> SledStore {
    SledStore::open(directory.path(), StoreOptions { cache_mib: 8, ..StoreOptions::default() }).unwrap()
}

fn id(text: &str) -> RecordId {
    RecordId::new("id", text).unwrap()
}

fn incident(name: &str, recorded_seconds: i64) -> PastIncident {
    PastIncident::try_from(&sample::incident(name, recorded_seconds, &["cart", "db", "front"])).unwrap()
}

fn confirmation(root_causes: &[&str]) -> Confirmation {
    Confirmation::try_from(&sample::confirmation(root_causes)).unwrap()
}

fn window(start_seconds: i64) -> NormalWindow {
    NormalWindow::try_from(&sample::normal_graph(start_seconds)).unwrap()
}

fn selector() -> NormalSelector {
    NormalSelector { group: window(0).group().clone(), window_ms: 30_000 }
}

fn diagnosis(name: &str, created_seconds: i64, services: usize) -> DiagnosisRecord {
    let names = (0..services).map(|index| format!("service-{index:05}-{}", "x".repeat(40))).collect();
    let graph = v1::BehaviorGraph { services: names, edges: vec![] };
    DiagnosisRecord::new(v1::Diagnosis {
        diagnosis_id: name.into(),
        system: "shop".into(),
        state: v1::DiagnosisState::Done.into(),
        created_at: Some(UnixMillis(created_seconds * 1000).to_wire()),
        behavior_graph: Some(v1::ExplainedGraph { graph: Some(graph), ..Default::default() }),
        ..Default::default()
    })
    .unwrap()
}

fn similar(store: &SledStore, confirmed_only: bool, exclude: Option<&str>) -> Vec<String> {
    let query = SimilarityQuery {
        system: "shop".into(),
        profile: incident("query", 1).profile.unwrap(),
        limit: 10,
        confirmed_only,
        exclude: exclude.map(id),
    };
    store.similar_incidents(&query).unwrap().iter().map(|found| found.id.to_string()).collect()
}

fn list(store: &SledStore, query: &ListQuery) -> (Vec<String>, String) {
    let page = store.list_incidents(query).unwrap();
    (page.records.iter().map(|found| found.id.to_string()).collect(), page.next_page_token)
}

/// Changes stored values behind the store's back.
fn tamper(path: &Path, prefix: &[u8], change: impl Fn(&mut Vec<u8>)) {
    tamper_rows(path, |tree| {
        let mut changed = 0;
        for entry in tree.scan_prefix(prefix) {
            let (key, value) = entry.unwrap();
            let mut bytes = value.to_vec();
            change(&mut bytes);
            tree.insert(key, bytes).unwrap();
            changed += 1;
        }
        assert!(changed > 0, "nothing lies under that prefix");
    });
}

fn tamper_rows(path: &Path, change: impl Fn(&sled::Tree)) {
    let database = recovery::open_database(path, 1 << 20).unwrap();
    let tree = database.open_tree("records").unwrap();
    change(&tree);
    database.flush().unwrap();
    drop((tree, database));
    recovery::await_release(path).unwrap();
}

fn copy_all(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_all(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

fn export(store: &SledStore) -> Vec<StoredRecord> {
    let (mut records, mut tally) = (Vec::new(), ExportTally::default());
    loop {
        let position = records.last().map(|record: &StoredRecord| record.key.clone());
        let chunk = store.export(position.as_deref()).unwrap();
        if chunk.records.is_empty() {
            records.push(tally.end());
            return records;
        }
        chunk.records.iter().for_each(|record| tally.add(record));
        records.extend(chunk.records);
    }
}

/// A store with two incidents (one confirmed), two normal windows and a diagnosis.
fn filled(directory: &TempDir) -> SledStore {
    let store = open(directory);
    store.record_incident(&incident("inc-1", 100)).unwrap();
    store.record_incident(&incident("inc-2", 200)).unwrap();
    store.confirm(&id("inc-1"), confirmation(&["db"])).unwrap();
    store.add_normal_window(&window(0)).unwrap();
    store.add_normal_window(&window(30)).unwrap();
    store.put_diagnosis(&diagnosis("d-1", 100, 3)).unwrap();
    store
}

#[test]
fn everything_survives_a_reopen_in_the_same_process_at_once() {
    let directory = tempfile::tempdir().unwrap();
    for _ in 0..3 {
        filled(&directory).close().unwrap();
    }
    let store = open(&directory);
    let kept = store.incident(&id("inc-1")).unwrap().unwrap();
    assert_eq!(kept.confirmations.len(), 3);
    assert_eq!(kept.profile, incident("inc-1", 100).profile);
    assert_eq!(similar(&store, true, None), ["inc-1"]);
    assert_eq!(similar(&store, false, None), ["inc-1", "inc-2"]);
    assert_eq!(store.normal_sum(&selector(), &[]).unwrap().windows(), 2);
    assert_eq!(store.diagnosis(&id("d-1")).unwrap(), Some(diagnosis("d-1", 100, 3)));
    assert_eq!(store.incident(&id("inc-3")).unwrap(), None);
}

#[test]
fn a_closed_store_answers_that_it_is_closed() {
    let directory = tempfile::tempdir().unwrap();
    let store = filled(&directory);
    store.close().unwrap();
    store.close().unwrap();
    assert_eq!(store.incident(&id("inc-1")).unwrap_err(), StoreError::Closed);
}

#[test]
fn a_second_opener_is_refused_while_the_first_goes_on() {
    let directory = tempfile::tempdir().unwrap();
    let store = filled(&directory);
    let error = SledStore::open(directory.path(), StoreOptions { cache_mib: 8, ..StoreOptions::default() })
        .unwrap_err();
    assert!(matches!(error, StoreError::InUse(_)), "{error}");
    assert!(store.incident(&id("inc-1")).unwrap().is_some());
}

#[test]
fn a_flipped_byte_in_any_record_is_an_error_that_names_it() {
    for (entity, section) in [
        (Entity::Incident(id("inc-1")), SUMMARY),
        (Entity::Incident(id("inc-1")), BODY),
        (Entity::Diagnosis(id("d-1")), BODY),
        (Entity::Normal(NormalKey::new(&window(30))), BODY),
        (Entity::Rows(RowsKey::new("shop", "cart")), BODY),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let store = filled(&directory);
        let series = BTreeMap::from([((MetricKind::Cpu, "cpu".to_owned()), vec![0.5])]);
        let rows = ServiceRows::new(vec![UnixMillis(0)], series).unwrap();
        store
            .add_normal_rows("shop", &BTreeMap::from([("cart".to_owned(), rows)]), Decay::default())
            .unwrap();
        store.close().unwrap();
        tamper(directory.path(), &entity.section(section), |bytes| {
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
        });
        let store = open(&directory);
        let error = match &entity {
            Entity::Incident(name) => store.incident(name).unwrap_err(),
            Entity::Diagnosis(name) => store.diagnosis(name).unwrap_err(),
            Entity::Normal(_) => store.normal_sum(&selector(), &[]).unwrap_err(),
            Entity::Rows(_) => store.normal_rows("shop", &[]).unwrap_err(),
        };
        assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
        assert!(error.to_string().contains(&entity.to_string()), "{error}");
        assert!(error.to_string().contains("checksum"), "{error}");
        assert!(store.export(None).is_err(), "an export must not hide it");
        assert!(store.incident(&id("inc-2")).unwrap().is_some(), "others are still there");
    }
}

#[test]
fn a_torn_value_is_an_error_and_a_damaged_summary_fails_its_listing() {
    let directory = tempfile::tempdir().unwrap();
    filled(&directory).close().unwrap();
    let entity = Entity::Incident(id("inc-2"));
    tamper(directory.path(), &entity.section(SUMMARY), |bytes| bytes.truncate(3));
    let store = open(&directory);
    assert!(matches!(store.incident(&id("inc-2")), Err(StoreError::Damaged { .. })));
    let error = store.list_incidents(&ListQuery::default()).unwrap_err().to_string();
    assert!(error.contains("inc-2"), "{error}");
    let error = store.record_incident(&incident("inc-2", 200)).unwrap_err();
    assert!(matches!(error, StoreError::Damaged { .. }), "its confirmations would be lost: {error}");
}

#[test]
fn a_damaged_index_row_is_noticed_on_opening_and_the_store_rebuilt_from_its_journal() {
    let directory = tempfile::tempdir().unwrap();
    filled(&directory).close().unwrap();
    let before = export(&open(&directory));
    tamper(directory.path(), &vector_key(&id("inc-1")), |bytes| bytes[20] ^= 4);
    let store = open(&directory);
    assert_eq!(similar(&store, true, None), ["inc-1"]);
    assert_eq!(export(&store), before);
    assert!(directory.path().join("moved-aside/damaged-1/db").is_file(), "what was damaged stays for a look");
    store.close().unwrap();
    std::fs::remove_dir_all(directory.path().join("journal")).unwrap();
    tamper(directory.path(), &vector_key(&id("inc-1")), |bytes| bytes[20] ^= 4);
    let error = SledStore::open(directory.path(), StoreOptions::default()).unwrap_err();
    assert!(error.to_string().contains("automap store salvage"), "{error}");
    assert!(matches!(error, StoreError::Open { .. }), "{error}");
}

#[test]
fn changes_that_only_the_journal_has_are_replayed() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(&directory);
    store.record_incident(&incident("inc-1", 100)).unwrap();
    store.close().unwrap();
    let copy = tempfile::tempdir().unwrap();
    copy_all(directory.path(), copy.path());
    let store = open(&directory);
    store.record_incident(&incident("inc-2", 100)).unwrap();
    store.confirm(&id("inc-1"), confirmation(&["db"])).unwrap();
    let wanted = export(&store);
    store.close().unwrap();
    // An engine of yesterday with a journal of today.
    std::fs::remove_dir_all(copy.path().join("journal")).unwrap();
    copy_all(&directory.path().join("journal"), &copy.path().join("journal"));
    assert!(care::verify(copy.path()).unwrap().is_sound(), "as a kill leaves it");
    let store = open(&copy);
    assert_eq!(export(&store), wanted);
    assert_eq!(similar(&store, true, None), ["inc-1"]);
}

#[test]
fn a_store_without_a_journal_gets_one_that_can_rebuild_it() {
    let directory = tempfile::tempdir().unwrap();
    let store = filled(&directory);
    let wanted = export(&store);
    store.close().unwrap();
    std::fs::remove_dir_all(directory.path().join("journal")).unwrap();
    open(&directory).close().unwrap();
    for name in ["conf", "db"] {
        std::fs::write(directory.path().join(name), "").unwrap();
    }
    let store = open(&directory);
    assert_eq!(export(&store), wanted);
}

/// The last segment of a store's journal.
fn last_segment(path: &Path) -> std::path::PathBuf {
    let files = std::fs::read_dir(path.join("journal")).unwrap().map(|entry| entry.unwrap().path());
    files.filter(|file| file.extension().is_some_and(|ending| ending == "journal")).max().unwrap()
}

#[test]
fn what_only_the_engine_kept_goes_into_a_checkpoint_before_the_next_change() {
    let directory = tempfile::tempdir().unwrap();
    filled(&directory).close().unwrap();
    // A power failure that took the journal's last change and left the engine's.
    let segment = last_segment(directory.path());
    let bytes = std::fs::read(&segment).unwrap();
    std::fs::write(&segment, &bytes[..bytes.len() - 1]).unwrap();
    // And one more, just after the next segment was begun: its name says seven changes, and the journal has five.
    std::fs::write(segment.with_file_name(format!("{:020}.journal", 7)), "").unwrap();
    let store = open(&directory);
    assert_eq!(store.statistics().unwrap().checkpoint, 6, "the journal could not have rebuilt it");
    store.record_incident(&incident("inc-3", 300)).unwrap();
    let wanted = export(&store);
    store.close().unwrap();
    let report = care::verify(directory.path()).unwrap();
    assert_eq!((report.engine_problems, report.journal_problems), (vec![], vec![]));
    std::fs::write(directory.path().join("conf"), "").unwrap();
    assert_eq!(export(&open(&directory)), wanted);
}

#[test]
fn an_engine_that_lost_its_log_is_rebuilt_and_never_taken_for_an_empty_store() {
    for file in ["db", "conf"] {
        for checkpointed in [false, true] {
            let directory = tempfile::tempdir().unwrap();
            let store = filled(&directory);
            let wanted = export(&store);
            store.close().unwrap();
            if checkpointed {
                // Leaves a checkpoint and a journal without a change.
                care::compact(directory.path(), StoreOptions::default()).unwrap();
            }
            for lose in [|path: &Path| std::fs::write(path, ""), |path: &Path| std::fs::remove_file(path)] {
                lose(&directory.path().join(file)).unwrap();
                let store = open(&directory);
                assert_eq!(export(&store), wanted, "{file}, checkpoint: {checkpointed}");
                store.close().unwrap();
            }
        }
    }
}

#[test]
fn a_journal_without_its_end_rebuilds_nothing_silently() {
    let directory = tempfile::tempdir().unwrap();
    filled(&directory).close().unwrap();
    let segment = last_segment(directory.path());
    let bytes = std::fs::read(&segment).unwrap();
    std::fs::write(&segment, &bytes[..bytes.len() - 1]).unwrap();
    std::fs::write(directory.path().join("db"), "").unwrap();
    let error = SledStore::open(directory.path(), StoreOptions::default()).unwrap_err().to_string();
    assert!(error.contains("it ends at change 5 of 6"), "{error}");
    let saved = salvage(directory.path(), &directory.path().join("saved"), &[]).unwrap();
    assert!(saved.missing.iter().any(|line| line.contains("change 5 of 6")), "{saved:?}");
}

#[test]
fn a_store_whose_first_opening_was_cut_short_opens() {
    let directory = tempfile::tempdir().unwrap();
    open(&directory).close().unwrap();
    let fresh = tempfile::tempdir().unwrap();
    std::fs::create_dir(fresh.path().join("journal")).unwrap();
    std::fs::copy(last_segment(directory.path()), fresh.path().join("journal/00000000000000000001.journal"))
        .unwrap();
    std::fs::write(fresh.path().join("conf"), "").unwrap();
    let store = open(&fresh);
    store.record_incident(&incident("inc-1", 100)).unwrap();
    assert_eq!(store.statistics().unwrap().changes, 1);
}

#[test]
fn a_deleted_incident_is_gone_from_everywhere() {
    let directory = tempfile::tempdir().unwrap();
    let store = filled(&directory);
    store.delete_incident(&id("inc-1")).unwrap();
    assert!(matches!(store.delete_incident(&id("inc-1")), Err(StoreError::NotFound(_))));
    store.close().unwrap();
    let store = open(&directory);
    assert_eq!(store.incident(&id("inc-1")).unwrap(), None);
    assert_eq!(similar(&store, false, None), ["inc-2"]);
    assert_eq!(list(&store, &ListQuery::default()).0, ["inc-2"]);
    assert_eq!(store.statistics().unwrap().records["incidents"], 1);
}

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
    assert_eq!(store.normal_sum(&selector(), &[]).unwrap().windows(), 2);
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
const VERSION_1_ROWS: &str = include_str!("../../tests/formats/version-1.rows");

fn version_1_store(path: &Path) {
    let bytes = |hex: &str| -> Vec<u8> {
        (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
    };
    let database = recovery::open_database(path, 1 << 20).unwrap();
    let tree = database.open_tree("records").unwrap();
    for line in VERSION_1_ROWS.lines() {
        let (key, value) = line.split_once(' ').unwrap();
        tree.insert(bytes(key), bytes(value)).unwrap();
    }
    database.flush().unwrap();
    drop((tree, database));
    recovery::await_release(path).unwrap();
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
    assert_eq!(store.normal_sum(&selector(), &[]).unwrap(), wanted.normal_sum(&selector(), &[]).unwrap());
    assert_eq!(similar(&store, true, None), ["inc-1"]);
    assert_eq!(list(&store, &ListQuery::default()).0, ["inc-2", "inc-1"]);
    store.confirm(&id("inc-2"), confirmation(&["cart"])).unwrap();
    store.close().unwrap();
    let report = care::verify(directory.path()).unwrap();
    assert_eq!((report.engine_problems, report.journal_problems), (vec![], vec![]));
    assert_eq!(similar(&open(&directory), true, None), ["inc-1", "inc-2"]);
    // An export of version 1 is taken, too.
    let old = tempfile::tempdir().unwrap();
    version_1_store(old.path());
    let records = export(&open(&old));
    assert_eq!(records[0].value[..2], [0, 1], "entities keep the version they were written in");
    let target = tempfile::tempdir().unwrap();
    assert_eq!(open(&target).import(records, ImportMode::EmptyOnly).unwrap(), 8);
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
fn an_export_file_brings_everything_back_and_a_damaged_one_is_refused() {
    let (from, into) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let source = filled(&from);
    let file = from.path().join("store.export");
    let count = export_to(&source, &file).unwrap();
    let records = read_export(&file).unwrap();
    assert_eq!(records, export(&source));
    let target = open(&into);
    assert_eq!(target.import(records.clone(), ImportMode::EmptyOnly).unwrap(), count);
    let again = target.import(records, ImportMode::EmptyOnly).unwrap_err();
    assert!(matches!(again, StoreError::Conflict(_)), "{again}");
    let bytes = std::fs::read(&file).unwrap();
    for cut in [1, 100, bytes.len() - 3] {
        std::fs::write(&file, &bytes[..bytes.len() - cut]).unwrap();
        assert!(read_export(&file).is_err(), "{cut} bytes short");
    }
    std::fs::write(&file, [&bytes[..], b"x"].concat()).unwrap();
    assert!(read_export(&file).unwrap_err().to_string().contains("follows its end"));
}

#[test]
fn the_same_normal_window_is_kept_once_also_after_a_reopen() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(&directory);
    let add = |kept: &SledStore, start| kept.add_normal_window(&window(start)).unwrap();
    assert_eq!(add(&store, 0), AddedWindow { added: true, windows: 1 });
    assert_eq!(add(&store, 0), AddedWindow { added: false, windows: 1 });
    store.close().unwrap();
    let reopened = open(&directory);
    assert_eq!(add(&reopened, 0), AddedWindow { added: false, windows: 1 });
    assert_eq!(add(&reopened, 30), AddedWindow { added: true, windows: 2 });
    let sum = reopened.normal_sum(&selector(), &[window(30), window(60)]).unwrap();
    assert_eq!(sum.windows(), 3);
    assert_eq!(sum.graph().edge(2, 0).unwrap().counts(), Some(&[3, 0, 0, 0, 0, 0, 0]));
    assert_eq!(reopened.normal_sum(&selector(), &[]).unwrap().windows(), 2, "those beside are not kept");
}

#[test]
fn windows_of_other_systems_settings_and_lengths_are_not_added() {
    let directory = tempfile::tempdir().unwrap();
    let store = filled(&directory);
    let other = |change: &dyn Fn(&mut v1::NormalGraph)| {
        let mut wire = sample::normal_graph(300);
        change(&mut wire);
        store.add_normal_window(&NormalWindow::try_from(&wire).unwrap()).unwrap()
    };
    let alone = AddedWindow { added: true, windows: 1 };
    assert_eq!(other(&|wire| wire.system = "bank".into()), alone);
    assert_eq!(other(&|wire| wire.settings.as_mut().unwrap().alpha = 0.01), alone);
    assert_eq!(other(&|wire| wire.window_ms = 100_000), alone);
    assert_eq!(store.normal_sum(&selector(), &[]).unwrap().windows(), 2);
    let settings = GraphSettings::new(Default::default(), 0.01, 3, vec![]).unwrap();
    let stricter =
        NormalSelector { group: NormalGroup { system: "shop".into(), settings }, window_ms: 30_000 };
    assert_eq!(store.normal_sum(&stricter, &[]).unwrap().windows(), 1);
}

#[test]
fn confirmations_are_kept_as_history_and_the_last_one_counts() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(&directory);
    store.record_incident(&incident("inc-1", 100)).unwrap();
    assert_eq!(similar(&store, true, None), [""; 0], "an unconfirmed incident does not count");
    store.confirm(&id("inc-1"), confirmation(&["cart"])).unwrap();
    let found = store.confirm(&id("inc-1"), confirmation(&["db", "front"])).unwrap();
    assert_eq!(found.confirmations, [confirmation(&["cart"]), confirmation(&["db", "front"])]);
    assert_eq!(found.verdict().unwrap().root_causes, ["db", "front"]);
    assert_eq!(similar(&store, true, None), ["inc-1"]);
    assert_eq!(similar(&store, true, Some("inc-1")), [""; 0]);
    store.confirm(&id("inc-1"), confirmation(&[])).unwrap();
    assert_eq!(similar(&store, true, None), [""; 0], "a rejected diagnosis does not vote");
    let confirmed = ListQuery { confirmed_only: true, ..ListQuery::default() };
    assert_eq!(list(&store, &confirmed).0, [""; 0]);
    store.confirm(&id("inc-1"), confirmation(&["db"])).unwrap();
    assert_eq!(list(&store, &confirmed).0, ["inc-1"]);
}

#[test]
fn a_root_cause_must_be_a_service_of_a_known_incident() {
    let directory = tempfile::tempdir().unwrap();
    let store = filled(&directory);
    let error = store.confirm(&id("inc-1"), confirmation(&["carts"])).unwrap_err();
    assert!(
        matches!(&error, StoreError::Invalid(invalid) if invalid.field() == "confirmation.root_causes[0]")
    );
    assert!(error.to_string().contains("did you mean cart?"), "{error}");
    assert_eq!(store.incident(&id("inc-1")).unwrap().unwrap().confirmations.len(), 1);
    let error = store.confirm(&id("inc-9"), confirmation(&["db"])).unwrap_err();
    assert!(matches!(error, StoreError::NotFound(_)), "{error}");
}

#[test]
fn an_incident_recorded_again_is_replaced_and_keeps_its_confirmations() {
    let directory = tempfile::tempdir().unwrap();
    let store = filled(&directory);
    let mut again = incident("inc-1", 900);
    again.ranked_services.reverse();
    store.record_incident(&again).unwrap();
    let kept = store.incident(&id("inc-1")).unwrap().unwrap();
    assert_eq!(kept.ranked_services, again.ranked_services);
    assert_eq!(kept.confirmations, [confirmation(&["db"])]);
    let all = ListQuery::default();
    assert_eq!(list(&store, &all).0, ["inc-1", "inc-2"], "listed once, under its new time");
    let mut foreign = sample::incident("inc-1", 900, &["db"]);
    foreign.context.as_mut().unwrap().system = "bank".into();
    let error = store.record_incident(&PastIncident::try_from(&foreign).unwrap()).unwrap_err();
    assert!(matches!(error, StoreError::Conflict(_)), "{error}");
}

#[test]
fn pages_follow_each_other_newest_first_and_per_system() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(&directory);
    for number in 0..7 {
        store.record_incident(&incident(&format!("inc-{number}"), 100 * (number % 4))).unwrap();
    }
    let mut bank = sample::incident("bank-1", 5_000, &["db"]);
    bank.context.as_mut().unwrap().system = "bank".into();
    store.record_incident(&PastIncident::try_from(&bank).unwrap()).unwrap();
    let mut query = ListQuery { page_size: 3, ..ListQuery::default() };
    let (mut seen, mut pages) = (Vec::new(), 0);
    loop {
        let (names, token) = list(&store, &query);
        seen.extend(names);
        pages += 1;
        if token.is_empty() {
            break;
        }
        query.page_token = token;
    }
    assert_eq!(pages, 3);
    assert_eq!(seen, ["bank-1", "inc-3", "inc-2", "inc-6", "inc-1", "inc-5", "inc-0", "inc-4"]);
    let shop = ListQuery { system: Some("shop".into()), ..ListQuery::default() };
    assert_eq!(list(&store, &shop).0.len(), 7);
    let foreign = ListQuery { page_token: query.page_token, ..shop };
    assert!(matches!(store.list_incidents(&foreign), Err(StoreError::Invalid(_))));
    let listed = store.list_incidents(&ListQuery::default()).unwrap().records.remove(0);
    assert!(listed.profile.is_none() && listed.correlations[0].is_empty(), "listings are without bulk");
}

#[test]
fn a_diagnosis_replaces_its_earlier_state_and_is_listed_without_its_graph() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(&directory);
    // Far more than one part, then less, then no graph at all.
    for services in [3_000, 200] {
        let sent = diagnosis("d-1", 100, services);
        store.put_diagnosis(&sent).unwrap();
        assert_eq!(store.diagnosis(&id("d-1")).unwrap(), Some(sent));
    }
    store.put_diagnosis(&diagnosis("d-2", 50, 1)).unwrap();
    let page = store.list_diagnoses(&ListQuery::default()).unwrap();
    assert_eq!(page.records.iter().map(|found| found.id().as_str()).collect::<Vec<_>>(), ["d-1", "d-2"]);
    assert!(page.records.iter().all(|found| found.wire().behavior_graph.is_none()));
    let mut bare = diagnosis("d-1", 100, 1).into_wire();
    bare.behavior_graph = None;
    let bare = DiagnosisRecord::new(bare).unwrap();
    store.put_diagnosis(&bare).unwrap();
    assert_eq!(store.diagnosis(&id("d-1")).unwrap(), Some(bare));
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

#[test]
fn incidents_over_the_same_services_are_compared_service_by_service() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(&directory);
    let changed = |name: &str, edge: (u32, u32)| {
        let mut wire = sample::incident(name, 1, &["db"]);
        let graph = wire.anomaly_graph.as_mut().unwrap();
        (graph.edges[0].from, graph.edges[0].to) = edge;
        PastIncident::try_from(&wire).unwrap()
    };
    // By classes alone "moved" equals "same", and would come first by name.
    store.record_incident(&changed("moved", (1, 2))).unwrap();
    store.record_incident(&changed("same", (0, 1))).unwrap();
    let found = similar(&store, false, None);
    assert_eq!(found, ["same", "moved"]);
}

#[test]
fn an_export_imported_into_an_empty_store_gives_the_same_store() {
    let (from, into) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let source = filled(&from);
    source.put_diagnosis(&diagnosis("d-large", 300, 20_000)).unwrap();
    let records = export(&source);
    let target = open(&into);
    // The windows are asked for before the import, so that a stale sum would show.
    assert_eq!(target.normal_sum(&selector(), &[]).unwrap().windows(), 0);
    assert_eq!(target.import(records.clone(), ImportMode::Merge).unwrap(), records.len() as u64 - 1);
    assert_eq!(
        target.import(records.clone(), ImportMode::Merge).unwrap(),
        records.len() as u64 - 1,
        "again changes nothing"
    );
    assert_eq!(export(&target), records);
    assert_eq!(similar(&target, true, None), ["inc-1"]);
    assert_eq!(target.normal_sum(&selector(), &[]).unwrap().windows(), 2);
    target.close().unwrap();
    let reopened = open(&into);
    assert_eq!(similar(&reopened, true, None), ["inc-1"]);
    assert_eq!(list(&reopened, &ListQuery::default()).0, ["inc-2", "inc-1"]);
    assert_eq!(reopened.list_diagnoses(&ListQuery::default()).unwrap().records.len(), 2);
}

#[test]
fn an_import_with_anything_wrong_changes_nothing() {
    let (from, into) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let good = export(&filled(&from));
    let target = open(&into);
    let without = |index: usize| {
        let mut records = good.clone();
        records.remove(index);
        records
    };
    let resealed = |records: Vec<StoredRecord>| {
        let mut tally = ExportTally::default();
        records.iter().for_each(|record| tally.add(record));
        [records, vec![tally.end()]].concat()
    };
    let body = |records: &[StoredRecord]| records[..records.len() - 1].to_vec();
    let mut flipped = good.clone();
    let last = flipped[2].value.len() - 1;
    flipped[2].value[last] ^= 1;
    let mut newer = body(&good);
    newer[0].value[..2].copy_from_slice(&9_u16.to_be_bytes());
    let mut doubled = body(&good);
    doubled.push(good[0].clone());
    let foreign_key = StoredRecord { key: b"\x09x".to_vec(), value: sealed::seal(b"\x09x", b"x") };
    let mut foreign = body(&good);
    foreign.push(foreign_key);
    let mut misplaced = body(&good);
    let key = [Entity::Incident(id("inc-7")).section(SUMMARY), vec![0, 0]].concat();
    let payload = sealed::unseal(&good[1].key, &good[1].value).unwrap().to_vec();
    misplaced.push(StoredRecord { value: sealed::seal(&key, &payload), key });
    for (what, records) in [
        ("a flipped byte", flipped),
        ("another format version", resealed(newer)),
        ("a record twice", resealed(doubled)),
        ("a foreign key", resealed(foreign)),
        ("half an incident under another id", resealed(misplaced)),
        ("a missing record", without(1)),
        ("half an incident", resealed(body(&without(1)))),
        ("no end", body(&good)),
        ("nothing at all", Vec::new()),
    ] {
        let error = target.import(records, ImportMode::Merge).unwrap_err();
        assert!(matches!(error, StoreError::Invalid(_)), "{what}: {error}");
        assert_eq!(export(&target).len(), 1, "{what}");
        assert_eq!(similar(&target, false, None), [""; 0], "{what}");
    }
}

#[test]
fn an_import_that_contradicts_what_is_kept_is_refused_as_a_whole() {
    let (from, into) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let records = export(&filled(&from));
    let target = open(&into);
    target.record_incident(&incident("inc-2", 777)).unwrap();
    let before = export(&target);
    let error = target.import(records, ImportMode::Merge).unwrap_err();
    assert!(matches!(&error, StoreError::Conflict(text) if text.contains("incident inc-2")), "{error}");
    assert_eq!(export(&target), before);
    assert!(target.incident(&id("inc-1")).unwrap().is_none());
}

#[test]
fn an_import_keeps_or_replaces_what_is_there_as_told() {
    let from = tempfile::tempdir().unwrap();
    let records = export(&filled(&from));
    for (mode, recorded) in [(ImportMode::KeepExisting, 777), (ImportMode::Replace, 200)] {
        let into = tempfile::tempdir().unwrap();
        let target = open(&into);
        target.record_incident(&incident("inc-2", 777)).unwrap();
        target.confirm(&id("inc-2"), confirmation(&["cart"])).unwrap();
        target.import(records.clone(), mode).unwrap();
        let kept = target.incident(&id("inc-2")).unwrap().unwrap();
        assert_eq!(kept.recorded_at, UnixMillis(recorded * 1000), "{mode:?}");
        let confirmed = if mode == ImportMode::Replace { vec!["inc-1"] } else { vec!["inc-1", "inc-2"] };
        assert_eq!(similar(&target, true, None), confirmed, "{mode:?}");
        assert_eq!(target.statistics().unwrap().records["incidents"], 2);
        target.close().unwrap();
        assert!(care::verify(into.path()).unwrap().is_sound());
    }
}

#[test]
fn an_export_under_writes_holds_every_record_whole() {
    let from = tempfile::tempdir().unwrap();
    let source = filled(&from);
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for round in 0.. {
                for name in ["d-1", "d-2", "d-3"] {
                    source.put_diagnosis(&diagnosis(name, round, 1 + 400 * (round as usize % 5))).unwrap();
                }
                if done.load(std::sync::atomic::Ordering::Relaxed) {
                    break;
                }
            }
        });
        for _ in 0..10 {
            let into = tempfile::tempdir().unwrap();
            open(&into).import(export(&source), ImportMode::Merge).unwrap();
        }
        done.store(true, std::sync::atomic::Ordering::Relaxed);
    });
}

#[test]
fn of_many_who_add_the_same_window_at_once_one_does() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(&directory);
    let added = std::thread::scope(|scope| {
        let threads: Vec<_> =
            (0..8).map(|_| scope.spawn(|| store.add_normal_window(&window(0)).unwrap().added)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).filter(|&added| added).count()
    });
    assert_eq!(added, 1);
    assert_eq!(store.normal_sum(&selector(), &[]).unwrap().windows(), 1);
}

#[test]
fn a_directory_of_other_files_is_refused_and_left_as_it_was() {
    let directory = tempfile::tempdir().unwrap();
    let notes = directory.path().join("db");
    std::fs::write(&notes, "notes").unwrap();
    let error = SledStore::open(directory.path(), StoreOptions { cache_mib: 8, ..StoreOptions::default() })
        .unwrap_err()
        .to_string();
    assert!(error.contains("other files"), "{error}");
    assert_eq!(std::fs::read_to_string(notes).unwrap(), "notes");
}
