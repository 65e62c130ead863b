//! Reads while records are overwritten.

use std::sync::atomic::{AtomicBool, Ordering};

use super::*;

/// Reads of each reader.
const READS: usize = 8_000;
/// Writes that go on at least, whatever the readers do.
const WRITES: usize = 50;

/// Has `read` called by two threads, many times, while `write` is called with a rising number.
fn hammered(write: impl Fn(usize) + Sync, read: impl Fn() + Sync) {
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut written = 0;
            while written < WRITES || !done.load(Ordering::Relaxed) {
                write(written);
                written += 1;
            }
        });
        let readers: Vec<_> = (0..2).map(|_| scope.spawn(|| (0..READS).for_each(|_| read()))).collect();
        let outcomes: Vec<_> = readers.into_iter().map(std::thread::ScopedJoinHandle::join).collect();
        done.store(true, Ordering::Relaxed);
        writer.join().unwrap();
        for outcome in outcomes {
            outcome.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        }
    });
}

#[test]
fn a_record_that_is_overwritten_is_read_whole_and_of_one_version() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(&directory);
    // Summary, body and the number of its parts differ.
    let versions: Vec<DiagnosisRecord> = [(100, 600), (200, 1), (300, 300)]
        .iter()
        .map(|&(seconds, services)| {
            let wire = diagnosis("d-1", seconds, services).into_wire();
            DiagnosisRecord::new(v1::Diagnosis { walker: "w".repeat(services), ..wire }).unwrap()
        })
        .collect();
    store.put_diagnosis(&versions[2]).unwrap();
    hammered(
        |number| store.put_diagnosis(&versions[number % versions.len()]).unwrap(),
        || {
            let found = store.diagnosis(&id("d-1")).unwrap().unwrap();
            assert!(versions.contains(&found), "parts of several versions");
            for listed in store.list_diagnoses(&ListQuery::default(), &|_| true).unwrap().records {
                let summary = |version: &DiagnosisRecord| v1::Diagnosis {
                    behavior_graph: None,
                    ..version.wire().clone()
                };
                assert!(versions.iter().any(|version| summary(version) == *listed.wire()));
            }
        },
    );
}

#[test]
fn an_incident_that_comes_and_goes_is_there_or_not_and_never_damaged() {
    let directory = tempfile::tempdir().unwrap();
    let store = filled(&directory);
    let kept = incident("inc-1", 100);
    hammered(
        |number| match number % 2 {
            0 => store.delete_incident(&kept.id).unwrap(),
            _ => store.record_incident(&kept).unwrap(),
        },
        || {
            let found = store.incident(&kept.id).unwrap();
            assert!(found.is_none_or(|found| found.profile == kept.profile));
            similar(&store, false, None);
            assert!(list(&store, &ListQuery::default()).0.contains(&"inc-2".to_owned()));
        },
    );
}

#[test]
fn a_sum_that_is_read_while_windows_go_is_a_sum() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(&directory);
    let rules = Retention { normal_windows: 2, ..Retention::default() };
    hammered(
        |number| {
            let start = 30 * i64::try_from(number).unwrap();
            store.add_normal_window(&window(start)).unwrap();
            store.housekeep(&rules, UnixMillis(start * 1000)).unwrap();
        },
        || assert!(store.normal_sum(&selector(), &[], &AbnormalTimes::default()).unwrap().windows() <= 3),
    );
}
