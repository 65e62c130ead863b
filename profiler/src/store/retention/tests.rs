//! What goes, what stays, and what changes meanwhile.

use std::path::Path;

use automap_proto::{metric::MetricKind, v1};

use super::*;
use crate::{
    confirmation::Confirmation,
    diagnosis_record::DiagnosisRecord,
    normal_rows::ServiceRows,
    normal_window::NormalWindow,
    past_incident::PastIncident,
    sample,
    store::{key::RowsKey, listing::ListQuery, open_store::Trust, sled_store::StoreOptions, store_lock},
};

#[test]
fn the_oldest_unconfirmed_go_first_and_confirmed_ones_live_longest() {
    let day = |days: i64| UnixMillis(days * DAY_MS);
    let id = |name: &str| RecordId::new("id", name).unwrap();
    let incidents = || {
        vec![
            (id("old-confirmed"), day(1), true),
            (id("new"), day(900), false),
            (id("middle"), day(700), false),
            (id("ancient-confirmed"), day(-9000), true),
        ]
    };
    let names = |rules: &Retention| -> Vec<String> {
        let gone = outlived(incidents(), rules, day(1000));
        gone.iter().map(|found| found.entity.to_string().replace("incident ", "")).collect()
    };
    let rules = Retention { unconfirmed_days: 200, confirmed_days: 3650, ..Retention::default() };
    assert_eq!(names(&rules), ["middle", "ancient-confirmed"]);
    let few = |incidents_per_system| Retention {
        incidents_per_system,
        unconfirmed_days: 10_000,
        confirmed_days: 20_000,
        ..rules
    };
    assert_eq!(names(&few(2)), ["middle", "new"]);
    assert_eq!(names(&few(1)), ["middle", "new", "ancient-confirmed"]);
    assert_eq!(names(&few(9)), [""; 0]);
}

#[test]
fn what_is_too_old_is_gone_before_the_rest_is_counted() {
    let day = |days: i64| UnixMillis(days * DAY_MS);
    let id = |name: &str| RecordId::new("id", name).unwrap();
    let incidents = vec![
        (id("ancient-confirmed"), day(-9000), true),
        (id("confirmed"), day(990), true),
        (id("new"), day(999), false),
    ];
    let rules = Retention { incidents_per_system: 2, ..Retention::default() };
    let gone: Vec<String> =
        outlived(incidents, &rules, day(1000)).iter().map(|found| found.entity.to_string()).collect();
    assert_eq!(gone, ["incident ancient-confirmed"]);
}

#[test]
fn each_system_has_its_own_diagnoses_and_those_of_confirmed_incidents_live_as_long_as_these() {
    let directory = tempfile::tempdir().unwrap();
    let store = OpenStore::open(directory.path(), StoreOptions::default(), Trust::Files).unwrap();
    let put = |name: &str, system: &str, day: i64, incident: &str| {
        let wire = v1::Diagnosis {
            diagnosis_id: name.into(),
            system: system.into(),
            incident_id: incident.into(),
            ..diagnosis(day).into_wire()
        };
        store.put_diagnosis(&DiagnosisRecord::new(wire).unwrap()).unwrap();
    };
    for name in ["inc-1", "inc-2"] {
        let incident = PastIncident::try_from(&sample::incident(name, 100, &["cart", "db"])).unwrap();
        store.record_incident(&incident).unwrap();
    }
    let confirmed = RecordId::new("id", "inc-1").unwrap();
    store.confirm(&confirmed, Confirmation::try_from(&sample::confirmation(&["db"])).unwrap()).unwrap();
    put("confirmed", "shop", 1, "inc-1");
    put("unconfirmed", "shop", 2, "inc-2");
    put("of-another-system", "bank", 3, "inc-1");
    put("quiet", "bank", 4, "");
    for number in 0..5 {
        put(&format!("noisy-{number}"), "shop", 100 + number, "");
    }
    let rules = Retention { unconfirmed_days: 365, confirmed_days: 1000, diagnoses: 3, ..RULES };
    let left = |now: i64| -> Vec<String> {
        store.housekeep(&rules, UnixMillis(now * DAY_MS)).unwrap();
        let listed = store.list_diagnoses(&ListQuery::default(), &|_| true).unwrap().records;
        listed.iter().map(|found| found.id().to_string()).collect()
    };
    assert_eq!(
        left(110),
        ["noisy-4", "noisy-3", "noisy-2", "quiet", "of-another-system", "confirmed"],
        "beyond three of shop"
    );
    assert_eq!(left(600), ["confirmed"]);
    assert_eq!(left(1002), [""; 0]);
}

#[test]
fn a_diagnosis_whose_incident_is_confirmed_meanwhile_stays() {
    let directory = tempfile::tempdir().unwrap();
    let store = of_long_ago(directory.path());
    let wire = v1::Diagnosis { incident_id: "inc-1".into(), ..diagnosis(0).into_wire() };
    store.put_diagnosis(&DiagnosisRecord::new(wire).unwrap()).unwrap();
    let mut swept = Swept::default();
    let gone = store.outlived(&RULES, UnixMillis(200 * DAY_MS), &mut swept).unwrap();
    assert!(gone.iter().any(|found| matches!(found.entity, Entity::Diagnosis(_))), "{gone:?}");
    let id = RecordId::new("id", "inc-1").unwrap();
    store.confirm(&id, Confirmation::try_from(&sample::confirmation(&["db"])).unwrap()).unwrap();
    store.remove_all(&gone, &mut swept).unwrap();
    assert!(store.diagnosis(&RecordId::new("id", "d-1").unwrap()).unwrap().is_some());
}

#[test]
fn the_age_of_a_window_counts_from_the_newest_of_its_system_whatever_its_length_and_settings() {
    let day = |days: i64| UnixMillis(days * DAY_MS);
    let window = |system: &str, days: i64, window_ms: u64, alpha: f64| {
        let mut wire = sample::normal_graph(days * DAY_MS / 1000);
        (wire.system, wire.window_ms) = (system.into(), window_ms);
        wire.settings.as_mut().unwrap().alpha = alpha;
        NormalKey::new(&NormalWindow::try_from(&wire).unwrap())
    };
    let mut all = [
        window("bank", 0, 30_000, 0.05),
        window("shop", 0, 60_000, 0.05),
        window("shop", 20, 60_000, 0.05),
        window("shop", 1, 30_000, 0.01),
        window("shop", 35, 30_000, 0.05),
        window("shop", 36, 30_000, 0.05),
    ];
    all.sort();
    let starts = |rules: &Retention, now: UnixMillis| -> Vec<i64> {
        let mut days: Vec<i64> =
            outlived_windows(&all, rules, now).iter().map(|found| found.at.0 / DAY_MS).collect();
        days.sort_unstable();
        days
    };
    let rules = Retention { normal_days: 28, ..Retention::default() };
    assert_eq!(starts(&rules, day(100)), [0, 1], "those of shop; bank has nothing newer");
    assert_eq!(starts(&rules, day(20)), [0; 0], "a clock that is ahead ages nothing");
    assert_eq!(starts(&Retention { normal_windows: 1, ..rules }, day(100)), [0, 1, 35]);
}

#[test]
fn of_a_system_and_its_settings_the_newest_windows_stay_whatever_their_lengths() {
    let window = |start_seconds: i64, window_ms: u64, alpha: f64| {
        let mut wire = sample::normal_graph(start_seconds);
        wire.window_ms = window_ms;
        wire.settings.as_mut().unwrap().alpha = alpha;
        NormalKey::new(&NormalWindow::try_from(&wire).unwrap())
    };
    let left = |all: &[NormalKey], normal_windows: usize| -> Vec<(i64, u64)> {
        let rules = Retention { normal_windows, normal_days: 100_000, ..Retention::default() };
        let gone = outlived_windows(all, &rules, UnixMillis(DAY_MS * 1_000));
        let gone: Vec<&Entity> = gone.iter().map(|found| &found.entity).collect();
        let stays = |key: &&NormalKey| !gone.contains(&&Entity::Normal((*key).clone()));
        all.iter().filter(stays).map(|key| (key.start().0 / 1000, key.window_ms())).collect()
    };
    // Lengths within a tenth are added up, so they count together.
    let mut near = [window(1, 30_000, 0.05), window(2, 31_000, 0.05), window(3, 32_000, 0.05)];
    near.sort();
    assert_eq!(left(&near, 2), [(2, 31_000), (3, 32_000)]);
    assert_eq!(left(&near, 3).len(), 3);
    // Each diagnosis has a length of its own, far from the others.
    let mut length = 30_000;
    let mut many = Vec::new();
    for number in 0..50 {
        many.push(window(number, length, 0.05));
        length += length / 4;
    }
    many.push(window(0, 30_000, 0.01));
    many.sort();
    let kept = left(&many, 2);
    assert_eq!(kept.len(), 2 * LENGTHS + 1, "other settings have their own");
    assert_eq!(kept.iter().filter(|(start, _)| *start >= 30).count(), 20, "the newest: {kept:?}");
    assert_eq!(left(&many, 5).len(), 51);
}

/// A store with an incident, a diagnosis and rows, all of long ago.
fn of_long_ago(directory: &Path) -> OpenStore {
    let store = OpenStore::open(directory, StoreOptions::default(), Trust::Files).unwrap();
    let incident = PastIncident::try_from(&sample::incident("inc-1", 100, &["cart", "db"])).unwrap();
    store.record_incident(&incident).unwrap();
    store.put_diagnosis(&diagnosis(0)).unwrap();
    store.add_normal_rows("shop", &rows("cart", 0)).unwrap();
    store.add_normal_rows("shop", &rows("db", 100)).unwrap();
    store
}

fn diagnosis(day: i64) -> DiagnosisRecord {
    DiagnosisRecord::new(v1::Diagnosis {
        diagnosis_id: "d-1".into(),
        system: "shop".into(),
        state: v1::DiagnosisState::Done.into(),
        created_at: Some(UnixMillis(day * DAY_MS).to_wire()),
        ..Default::default()
    })
    .unwrap()
}

fn rows(service: &str, day: i64) -> BTreeMap<String, ServiceRows> {
    let series = BTreeMap::from([((MetricKind::Cpu, "cpu".to_owned()), vec![0.5])]);
    let rows = ServiceRows::new(vec![UnixMillis(day * DAY_MS)], series).unwrap();
    BTreeMap::from([(service.to_owned(), rows)])
}

const RULES: Retention = Retention {
    unconfirmed_days: 10,
    confirmed_days: 10_000,
    incidents_per_system: 100,
    diagnoses: 100,
    normal_windows: 100,
    normal_days: 28,
};

#[test]
fn what_changes_between_being_found_and_being_removed_stays() {
    let directory = tempfile::tempdir().unwrap();
    let store = of_long_ago(directory.path());
    let (now, mut swept) = (UnixMillis(200 * DAY_MS), Swept::default());
    let gone = store.outlived(&RULES, now, &mut swept).unwrap();
    assert_eq!(gone.len(), 3, "{gone:?}");
    let id = RecordId::new("id", "inc-1").unwrap();
    store.confirm(&id, Confirmation::try_from(&sample::confirmation(&["db"])).unwrap()).unwrap();
    store.put_diagnosis(&diagnosis(199)).unwrap();
    store.add_normal_rows("shop", &rows("cart", 99)).unwrap();
    store.remove_all(&gone, &mut swept).unwrap();
    assert_eq!(swept, Swept::default());
    assert!(store.incident(&id).unwrap().is_some(), "it was confirmed");
    assert!(store.diagnosis(&RecordId::new("id", "d-1").unwrap()).unwrap().is_some(), "it is another now");
    assert_eq!(store.normal_rows("shop", &[]).unwrap().len(), 2, "a row came");
    assert_eq!(store.housekeep(&RULES, now).unwrap().removed, 0);
}

#[test]
fn a_damaged_record_keeps_no_other_from_its_end_and_is_counted() {
    let directory = tempfile::tempdir().unwrap();
    let store = of_long_ago(directory.path());
    for damaged in
        [Entity::Rows(RowsKey::new("shop", "db")), Entity::Incident(RecordId::new("id", "inc-1").unwrap())]
    {
        for row in store.tree.scan_prefix(damaged.prefix()) {
            let (key, value) = row.unwrap();
            store.tree.insert(key, &value[..value.len() - 1]).unwrap();
        }
    }
    store.add_normal_rows("shop", &rows("front", 100)).unwrap();
    let done = store.housekeep(&RULES, UnixMillis(200 * DAY_MS)).unwrap();
    // The diagnosis and the rows of cart; the incident and the rows of db cannot be read.
    assert_eq!((done.removed, done.damaged), (2, 2));
    assert_eq!(store.normal_rows("shop", &["front".to_owned()]).unwrap().len(), 1);
}

/// What is free where tests write, MiB.
fn free_mib(directory: &Path) -> u64 {
    let volume = rustix::fs::statvfs(directory).unwrap();
    (volume.f_bavail * volume.f_frsize) >> 20
}

#[test]
fn below_the_reserve_what_outlived_its_time_goes_and_frees_the_journal() {
    let directory = tempfile::tempdir().unwrap();
    of_long_ago(directory.path()).finish().unwrap();
    store_lock::await_release(directory.path()).unwrap();
    // Free is less than the reserve and more than half of it.
    let reserve_mib = free_mib(directory.path()) / 2 * 3;
    let options = StoreOptions { reserve_mib, checkpoint_mib: 0, ..StoreOptions::default() };
    let store = OpenStore::open(directory.path(), options, Trust::Files).unwrap();
    assert!(matches!(store.put_diagnosis(&diagnosis(199)), Err(StoreError::Full { .. })));
    let done = store.housekeep(&RULES, UnixMillis(200 * DAY_MS)).unwrap();
    assert_eq!(done.removed, 3);
    assert!(done.checkpoint_bytes.is_some());
}

#[test]
fn no_checkpoint_is_written_where_there_is_no_room_for_it() {
    let directory = tempfile::tempdir().unwrap();
    of_long_ago(directory.path()).finish().unwrap();
    store_lock::await_release(directory.path()).unwrap();
    let reserve_mib = free_mib(directory.path()) * 3;
    let options = StoreOptions { reserve_mib, checkpoint_mib: 0, ..StoreOptions::default() };
    let store = OpenStore::open(directory.path(), options, Trust::Files).unwrap();
    assert!(store.may_checkpoint().unwrap());
    let done = store.housekeep(&RULES, UnixMillis(DAY_MS)).unwrap();
    assert_eq!((done.removed, done.checkpoint_bytes), (0, None));
}

#[test]
fn no_checkpoint_takes_the_place_of_the_only_whole_copy_of_a_damaged_record() {
    type Work = fn(&OpenStore);
    let works: [(&str, Work); 2] = [
        ("housekeeping", |store| {
            let done = store.housekeep(&Retention::default(), UnixMillis(200 * DAY_MS)).unwrap();
            assert_eq!((done.damaged, done.checkpoint_bytes), (1, None));
        }),
        ("a stop after somebody asked for it", |store| {
            store.normal_rows("shop", &[]).unwrap_err();
        }),
    ];
    for (name, work) in works {
        let directory = tempfile::tempdir().unwrap();
        of_long_ago(directory.path()).finish().unwrap();
        store_lock::await_release(directory.path()).unwrap();
        let options = StoreOptions { checkpoint_mib: 0, ..StoreOptions::default() };
        let store = OpenStore::open(directory.path(), options, Trust::Files).unwrap();
        let whole = store.normal_rows("shop", &[]).unwrap();
        let lost = Entity::Rows(RowsKey::new("shop", "db"));
        for row in store.tree.scan_prefix(lost.prefix()) {
            store.tree.remove(row.unwrap().0).unwrap();
        }
        assert!(store.may_checkpoint().unwrap(), "{name}: the journal is large enough for one");
        work(&store);
        drop(store.finish().unwrap());
        store_lock::await_release(directory.path()).unwrap();
        let store = OpenStore::open(directory.path(), options, Trust::Files).unwrap();
        assert_eq!(store.normal_rows("shop", &[]).unwrap(), whole, "{name}");
    }
}
