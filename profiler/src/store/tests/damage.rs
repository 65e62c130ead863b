//! Damaged and lost files.

use super::*;

/// Changes the rows of an open store below a prefix behind its back.
fn spoil(store: &OpenStore, prefix: &[u8], change: impl Fn(&mut Vec<u8>)) {
    let mut changed = 0;
    for row in store.tree.scan_prefix(prefix) {
        let (key, value) = row.unwrap();
        let mut bytes = value.to_vec();
        change(&mut bytes);
        store.tree.insert(key, bytes).unwrap();
        changed += 1;
    }
    assert!(changed > 0, "nothing lies under that prefix");
}

fn opened(directory: &TempDir) -> OpenStore {
    OpenStore::open(directory.path(), StoreOptions::default(), Trust::Files).unwrap()
}

#[test]
fn a_flipped_byte_in_any_record_is_an_error_that_names_it_until_the_store_is_opened_again() {
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
        store.add_normal_rows("shop", &BTreeMap::from([("cart".to_owned(), rows)])).unwrap();
        let wanted = export(&store);
        store.close().unwrap();
        let store = opened(&directory);
        spoil(&store, &entity.section(section), |bytes| {
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
        });
        let error = match &entity {
            Entity::Incident(name) => store.incident(name).unwrap_err(),
            Entity::Diagnosis(name) => store.diagnosis(name).unwrap_err(),
            Entity::Normal(_) => store.normal_sum(&selector(), &[], &AbnormalTimes::default()).unwrap_err(),
            Entity::Rows(_) => store.normal_rows("shop", &[]).unwrap_err(),
        };
        assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
        assert!(error.to_string().contains(&entity.to_string()), "{error}");
        assert!(error.to_string().contains("checksum"), "{error}");
        assert!(store.export(None).is_err(), "an export must not hide it");
        assert!(store.checkpoint().is_err(), "nor a checkpoint, which would be the last to have it");
        assert!(store.incident(&id("inc-2")).unwrap().is_some(), "others are still there");
        drop(store.finish().unwrap());
        store_lock::await_release(directory.path()).unwrap();
        let store = open(&directory);
        assert_eq!(export(&store), wanted, "it is rebuilt from checkpoint and journal");
        assert!(
            directory.path().join("moved-aside/damaged-1/db").is_file(),
            "what was damaged stays for a look"
        );
    }
}

#[test]
fn a_torn_value_is_an_error_and_a_damaged_summary_fails_its_listing() {
    let directory = tempfile::tempdir().unwrap();
    filled(&directory).close().unwrap();
    let store = opened(&directory);
    let entity = Entity::Incident(id("inc-2"));
    spoil(&store, &entity.section(SUMMARY), |bytes| bytes.truncate(3));
    assert!(matches!(store.incident(&id("inc-2")), Err(StoreError::Damaged { .. })));
    let error = store.list_incidents(&ListQuery::default()).unwrap_err().to_string();
    assert!(error.contains("inc-2"), "{error}");
    let error = store.record_incident(&incident("inc-2", 200)).unwrap_err();
    assert!(matches!(error, StoreError::Damaged { .. }), "its confirmations would be lost: {error}");
}

#[test]
fn lost_old_and_foreign_rows_of_records_are_noticed_on_opening() {
    type Spoiling<'test> = &'test dyn Fn(&sled::Tree);
    let old = Entity::Diagnosis(id("d-1")).section(BODY);
    let stray = Entity::Diagnosis(id("d-0")).section(BODY);
    let changes: [(&str, &str, Spoiling<'_>); 3] = [
        ("lost", "diagnosis d-1:", &|tree| {
            let first = tree.scan_prefix(&old).keys().next().unwrap().unwrap();
            tree.remove(first).unwrap();
        }),
        ("old", "diagnosis d-1:", &|tree| {
            let prefix = Entity::Diagnosis(id("d-1")).section(BODY);
            for (key, value) in parts::cut(&prefix, b"what was there before").unwrap() {
                tree.insert(key, value).unwrap();
            }
        }),
        ("foreign", "diagnosis d-0:", &|tree| {
            for (key, value) in parts::cut(&stray, b"what nobody wrote").unwrap() {
                tree.insert(key, value).unwrap();
            }
        }),
    ];
    for (what, record, change) in changes {
        let directory = tempfile::tempdir().unwrap();
        let store = filled(&directory);
        let wanted = export(&store);
        store.close().unwrap();
        tamper_rows(directory.path(), change);
        let store = open(&directory);
        assert_eq!(export(&store), wanted, "{what}");
        store.close().unwrap();
        // With no other copy it is not opened as if nothing were wrong.
        tamper_rows(directory.path(), change);
        std::fs::remove_dir_all(directory.path().join("journal")).unwrap();
        let error = SledStore::open(directory.path(), StoreOptions::default()).unwrap_err().to_string();
        assert!(error.contains(record) && error.contains("automap store salvage"), "{what}: {error}");
    }
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
fn what_was_answered_with_an_error_is_not_promised_before_a_checkpoint_has_it() {
    let directory = tempfile::tempdir().unwrap();
    filled(&directory).close().unwrap();
    let journal = directory.path().join("journal");
    // The last change was not acknowledged: its sync failed.
    Acknowledged::open(&journal).unwrap().promise(5).unwrap();
    // A directory that no checkpoint can clear away.
    let blocked = journal.join("1.unfinished");
    std::fs::create_dir(&blocked).unwrap();
    let reopened = || OpenStore::open(directory.path(), StoreOptions::default(), Trust::Nothing);
    reopened().unwrap_err();
    assert_eq!(acknowledged(&journal), Some(5), "the disk may have no more");
    std::fs::remove_dir(blocked).unwrap();
    store_lock::await_release(directory.path()).unwrap();
    let store = reopened().unwrap();
    assert_eq!(acknowledged(&journal), Some(6));
    assert_eq!(store.statistics().unwrap().checkpoint, 6);
}

/// The checksums of all files below a directory, but for the snapshots that the engine makes whenever it opens a longer log.
fn files(path: &Path) -> BTreeMap<std::path::PathBuf, u32> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(path).unwrap() {
        let place = entry.unwrap().path();
        if place.is_dir() {
            found.extend(files(&place));
        } else if !place.file_name().unwrap().to_string_lossy().starts_with("snap.") {
            found.insert(place.clone(), crc32fast::hash(&std::fs::read(place).unwrap()));
        }
    }
    found
}

#[test]
fn a_store_of_a_newer_build_is_refused_as_such_and_left_as_it_is() {
    type Renewal = fn(&Path);
    let renewals: [(&str, Renewal); 4] = [
        ("the engine's state", |path| tamper(path, STATE_KEY, |bytes| *bytes = newer_state())),
        ("a change that a crash kept from the engine", newer_change),
        ("the journal of a damaged engine", |path| {
            newer_change(path);
            std::fs::write(path.join("db"), [0xa5; 4096]).unwrap();
        }),
        ("the checkpoint of a damaged engine", |path| {
            let mut writer = checkpoint::CheckpointWriter::new(&path.join("journal"), 6).unwrap();
            writer.add(STATE_KEY, &newer_state()).unwrap();
            writer.finish().unwrap().put_in_place(&path.join("journal")).unwrap();
            std::fs::write(last_segment(path), "").unwrap();
            std::fs::write(path.join("db"), [0xa5; 4096]).unwrap();
        }),
    ];
    for (what, renew) in renewals {
        let directory = tempfile::tempdir().unwrap();
        filled(&directory).close().unwrap();
        renew(directory.path());
        let before = files(directory.path());
        let saved = directory.path().join("saved.export");
        let errors = [
            SledStore::open(directory.path(), StoreOptions::default()).unwrap_err(),
            care::verify(directory.path()).unwrap_err(),
            salvage(directory.path(), &saved, &[]).unwrap_err(),
        ];
        for error in errors.map(|error| error.to_string()) {
            assert!(
                error.contains("a newer build wrote it") && error.ends_with("use a newer build"),
                "{error}"
            );
            assert!(!error.contains("salvage") && !error.contains("damaged"), "{what}: {error}");
        }
        assert_eq!(files(directory.path()), before, "{what}");
    }
}

fn newer_state() -> Vec<u8> {
    sealed::seal_as(3, STATE_KEY, &[0; 16])
}

/// Adds a change to the end of a journal as a newer build would.
fn newer_change(path: &Path) {
    let mut change = Change::default();
    change.insert(STATE_KEY.to_vec(), newer_state());
    let segment = last_segment(path);
    let bytes = std::fs::read(&segment).unwrap();
    std::fs::write(&segment, [bytes, journal::encode_frame(7, &change.encode())].concat()).unwrap();
}

#[test]
fn of_damaged_engines_the_newest_three_stay_for_a_look() {
    let directory = tempfile::tempdir().unwrap();
    filled(&directory).close().unwrap();
    let aside = directory.path().join("moved-aside");
    for time in 1..=11 {
        tamper(directory.path(), &vector_key(&id("inc-1")), |bytes| bytes[20] ^= 4);
        let store = open(&directory);
        assert_eq!(similar(&store, true, None), ["inc-1"]);
        store.close().unwrap();
        assert!(aside.join(format!("damaged-{time}/db")).is_file(), "{time}");
        std::fs::write(aside.join("note"), "of somebody").unwrap();
    }
    care::compact(directory.path(), StoreOptions::default()).unwrap();
    let mut names: Vec<_> =
        std::fs::read_dir(&aside).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["damaged-10", "damaged-11", "damaged-9", "note"]);
}
