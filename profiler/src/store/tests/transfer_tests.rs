//! Export and import.

use super::*;

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
fn an_export_with_any_flipped_bit_is_noticed_when_it_is_read_back_and_does_not_stay() {
    let from = tempfile::tempdir().unwrap();
    let source = open(&from);
    source.put_diagnosis(&diagnosis("d-1", 100, 1)).unwrap();
    source.put_diagnosis(&diagnosis("d-2", 100, 1)).unwrap();
    let file = from.path().join("000000000000001.export");
    let records = export_to(&source, &file).unwrap();
    let whole = std::fs::read(&file).unwrap();
    read_back(&file, records).unwrap();
    assert_eq!(std::fs::read(&file).unwrap(), whole);
    for bit in 0..whole.len() * 8 {
        let mut flipped = whole.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        std::fs::write(&file, flipped).unwrap();
        let error = read_back(&file, records).unwrap_err().to_string();
        assert!(error.contains("was removed") && !file.exists(), "bit {bit}: {error}");
    }
    std::fs::write(&file, &whole).unwrap();
    let error = read_back(&file, records + 1).unwrap_err().to_string();
    assert!(error.contains(&format!("({records} records of")), "{error}");
}

#[test]
fn an_export_imported_into_an_empty_store_gives_the_same_store() {
    let (from, into) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let source = filled(&from);
    source.put_diagnosis(&diagnosis("d-large", 300, 20_000)).unwrap();
    let records = export(&source);
    let target = open(&into);
    // The windows are asked for before the import, so that a stale sum would show.
    assert_eq!(target.normal_sum(&selector(), &[], &AbnormalTimes::default()).unwrap().windows(), 0);
    assert_eq!(target.import(records.clone(), ImportMode::Merge).unwrap(), records.len() as u64 - 1);
    assert_eq!(
        target.import(records.clone(), ImportMode::Merge).unwrap(),
        records.len() as u64 - 1,
        "again changes nothing"
    );
    assert_eq!(export(&target), records);
    assert_eq!(similar(&target, true, None), ["inc-1"]);
    assert_eq!(target.normal_sum(&selector(), &[], &AbnormalTimes::default()).unwrap().windows(), 2);
    target.close().unwrap();
    let reopened = open(&into);
    assert_eq!(similar(&reopened, true, None), ["inc-1"]);
    assert_eq!(list(&reopened, &ListQuery::default()).0, ["inc-2", "inc-1"]);
    assert_eq!(reopened.list_diagnoses(&ListQuery::default(), &|_| true).unwrap().records.len(), 2);
}

#[test]
fn an_import_with_anything_wrong_changes_nothing() {
    let (from, into) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let good = export(&filled(&from));
    assert_eq!(check(good.iter().cloned().map(Ok)), Ok(good.len() as u64 - 1));
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
        let checked = check(records.iter().cloned().map(Ok)).unwrap_err();
        assert!(matches!(checked, StoreError::Invalid(_)), "{what}: {checked}");
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

/// Rows of cart's cpu at these minutes, all of one value.
fn cart_rows(minutes: std::ops::Range<i64>, value: f64) -> BTreeMap<String, ServiceRows> {
    let times: Vec<UnixMillis> = minutes.map(|minute| UnixMillis(minute * 60_000)).collect();
    let series = BTreeMap::from([((MetricKind::Cpu, "cpu".to_owned()), vec![value; times.len()])]);
    BTreeMap::from([("cart".to_owned(), ServiceRows::new(times, series).unwrap())])
}

#[test]
fn imported_rows_of_normal_times_join_those_that_are_kept() {
    // Three days each, which overlap by one and do not all fit. Rows decay faster than by default.
    let (day, decay) = (24 * 60, Decay::days(1));
    let options = StoreOptions { cache_mib: 8, decay, ..StoreOptions::default() };
    let open = |directory: &TempDir| SledStore::open(directory.path(), options).unwrap();
    let directories: [TempDir; 3] = std::array::from_fn(|_| tempfile::tempdir().unwrap());
    let [from, into, whole] = directories.each_ref().map(open);
    from.add_normal_rows("shop", &cart_rows(2 * day..5 * day, 1.0)).unwrap();
    into.add_normal_rows("shop", &cart_rows(0..3 * day, 1.0)).unwrap();
    into.add_normal_rows("bank", &cart_rows(0..9, 7.0)).unwrap();
    for store in [&from, &into] {
        let kept = store.normal_rows("shop", &[]).unwrap()["cart"].times().len();
        assert!(kept < 3 * day as usize, "{kept} rows: the sample is bounded");
    }
    whole.add_normal_rows("shop", &cart_rows(0..5 * day, 1.0)).unwrap();

    into.import(export(&from), ImportMode::Merge).unwrap();
    // Rows of one time were drawn by one rule in both stores: together they are what one store would have kept.
    assert_eq!(into.normal_rows("shop", &[]).unwrap(), whole.normal_rows("shop", &[]).unwrap());
    assert_eq!(into.normal_rows("bank", &[]).unwrap(), cart_rows(0..9, 7.0));
    let merged = export(&into);
    into.import(export(&from), ImportMode::Merge).unwrap();
    assert_eq!(export(&into), merged, "a second import adds nothing");
    into.close().unwrap();
    assert!(care::verify(directories[1].path()).unwrap().is_sound());
}

#[test]
fn imported_rows_are_left_or_put_in_place_of_those_that_are_kept_as_told() {
    let from = tempfile::tempdir().unwrap();
    let store = open(&from);
    store.add_normal_rows("shop", &cart_rows(5..10, 2.0)).unwrap();
    let records = export(&store);
    for (mode, expected) in
        [(ImportMode::KeepExisting, cart_rows(0..6, 1.0)), (ImportMode::Replace, cart_rows(5..10, 2.0))]
    {
        let directory = tempfile::tempdir().unwrap();
        let target = open(&directory);
        target.add_normal_rows("shop", &cart_rows(0..6, 1.0)).unwrap();
        target.import(records.clone(), mode).unwrap();
        assert_eq!(target.normal_rows("shop", &[]).unwrap(), expected, "{mode:?}");
    }
}
