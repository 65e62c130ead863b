//! What is done when, and which exports stay.

use std::{fs, path::PathBuf};

use automap_proto::v1;
use automap_service_kit::error::ErrorCode;
use tokio::{task::JoinHandle, time::sleep};

use super::*;
use crate::{
    config::ScheduleConfig,
    diagnosis_record::DiagnosisRecord,
    record_id::RecordId,
    store::sled_store::{SledStore, StoreOptions},
};

const MINUTE: Duration = Duration::from_secs(60);
const SECOND: Duration = Duration::from_secs(1);

/// A store with a schedule that runs.
struct Scheduled {
    store: Arc<dyn ProfileStore>,
    exports: PathBuf,
    shutdown: CancellationToken,
    running: JoinHandle<()>,
}

impl Scheduled {
    fn start(directory: &Path, housekeeping_minutes: u64, export_hours: u64) -> Self {
        let path = directory.join("store");
        let store: Arc<dyn ProfileStore> = Arc::new(
            SledStore::open(&path, StoreOptions { cache_mib: 8, ..StoreOptions::default() }).unwrap(),
        );
        let exports = directory.join("exports");
        let schedule = ScheduleConfig {
            housekeeping_minutes,
            export_hours,
            export_directory: Some(exports.clone()),
            ..ScheduleConfig::default()
        };
        let config = ProfilerConfig { path, schedule, ..ProfilerConfig::default() };
        let shutdown = CancellationToken::new();
        let running = tokio::spawn(run(Arc::clone(&store), config, shutdown.clone()));
        Self { store, exports, shutdown, running }
    }

    /// Puts a diagnosis of 1970 into the store, which outlived every time.
    fn put_old(&self, name: &str) {
        let old = v1::Diagnosis {
            diagnosis_id: name.into(),
            system: "shop".into(),
            state: v1::DiagnosisState::Done.into(),
            created_at: Some(UnixMillis(1000).to_wire()),
            ..v1::Diagnosis::default()
        };
        self.store.put_diagnosis(&DiagnosisRecord::new(old).unwrap()).unwrap();
    }

    fn keeps(&self, name: &str) -> bool {
        self.store.diagnosis(&RecordId::new("id", name).unwrap()).unwrap().is_some()
    }

    /// The exports that are there; they are taken away.
    fn take_exports(&self) -> usize {
        let Ok(found) = fs::read_dir(&self.exports) else { return 0 };
        let files: Vec<PathBuf> = found.map(|file| file.unwrap().path()).collect();
        files.iter().for_each(|file| fs::remove_file(file).unwrap());
        files.len()
    }

    async fn end(self) {
        self.shutdown.cancel();
        tokio::time::timeout(MINUTE, self.running).await.unwrap().unwrap();
        self.store.close().unwrap();
    }
}

// Paused time goes on only when nothing is left to be done, blocking work included.
#[tokio::test(start_paused = true)]
async fn housekeeping_and_exports_come_on_time_again_and_again_until_shutdown() {
    let directory = tempfile::tempdir().unwrap();
    let scheduled = Scheduled::start(directory.path(), 10, 1);
    // A second behind what is done, at each round.
    sleep(SECOND).await;
    for name in ["first", "second"] {
        scheduled.put_old(name);
        sleep(10 * MINUTE - 2 * SECOND).await;
        assert!(scheduled.keeps(name), "{name} is removed too early");
        sleep(2 * SECOND).await;
        assert!(!scheduled.keeps(name), "{name} is not removed on time");
    }
    assert_eq!(scheduled.take_exports(), 1, "no export soon after the start");
    // Since then nineteen minutes and a second have passed.
    for (hour, wait) in [(1, 40 * MINUTE), (2, 59 * MINUTE)] {
        sleep(wait).await;
        assert_eq!(scheduled.take_exports(), 0, "an export before hour {hour}");
        sleep(MINUTE).await;
        assert_eq!(scheduled.take_exports(), 1, "no export at hour {hour}");
    }
    scheduled.end().await;
}

#[tokio::test(start_paused = true)]
async fn restarts_do_not_put_off_an_export() {
    let directory = tempfile::tempdir().unwrap();
    let exports = directory.path().join("exports");
    fs::create_dir(&exports).unwrap();
    let ago = |minutes: i64| export_name(&exports, UnixMillis(now().0 - minutes * 60_000));
    // One of before the clock was set back says nothing.
    for file in [ago(40), ago(-60)] {
        fs::write(file, "of an earlier process").unwrap();
    }
    for (minutes, written) in [(10, 0), (18, 0), (22, 1)] {
        let scheduled = Scheduled::start(directory.path(), 0, 1);
        sleep(minutes * MINUTE).await;
        assert_eq!(fs::read_dir(&exports).unwrap().count(), 2 + written, "{minutes}");
        scheduled.end().await;
    }
}

#[tokio::test(start_paused = true)]
async fn restarts_do_not_put_off_a_sweep() {
    let directory = tempfile::tempdir().unwrap();
    Scheduled::start(directory.path(), 10, 0).end().await;
    fs::write(directory.path().join("store/swept"), (now().0 - 8 * 60_000).to_string()).unwrap();
    let scheduled = Scheduled::start(directory.path(), 10, 0);
    scheduled.put_old("old");
    sleep(MINUTE + SECOND).await;
    assert!(scheduled.keeps("old"));
    sleep(MINUTE).await;
    assert!(!scheduled.keeps("old"));
    scheduled.end().await;
}

#[tokio::test]
async fn a_store_that_is_never_open_for_long_is_swept_once_a_day() {
    let directory = tempfile::tempdir().unwrap();
    let swept = directory.path().join("store/swept");
    let hour = 3_600_000;
    for (name, last, removed) in [
        ("it is new", None, false),
        ("a time to come", Some(now().0 + 25 * hour), false),
        ("it counts from there", None, false),
        ("23 hours ago", Some(now().0 - 23 * hour), false),
        ("25 hours ago", Some(now().0 - 25 * hour), true),
        ("just now", None, false),
    ] {
        if let Some(last) = last {
            fs::write(&swept, last.to_string()).unwrap();
        }
        let scheduled = Scheduled::start(directory.path(), 10, 0);
        scheduled.put_old("old");
        scheduled.end().await;
        let again = Scheduled::start(directory.path(), 0, 0);
        assert_eq!(again.keeps("old"), !removed, "{name}");
        again.end().await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_never_to_be_done_is_not_done_and_shutdown_ends_it_all_the_same() {
    let directory = tempfile::tempdir().unwrap();
    let scheduled = Scheduled::start(directory.path(), 0, 0);
    scheduled.put_old("kept");
    sleep(MINUTE * 60 * 24 * 365).await;
    assert!(scheduled.keeps("kept"));
    assert_eq!(scheduled.take_exports(), 0);
    scheduled.end().await;
}

/// A store, and where two exports of it stay.
fn exporting(directory: &Path, reserve_mib: u64) -> (SledStore, ExportPlace, PathBuf) {
    let (path, exports) = (directory.join("store"), directory.join("exports"));
    let store = SledStore::open(&path, StoreOptions::default()).unwrap();
    let schedule = ScheduleConfig {
        export_directory: Some(exports.clone()),
        exports_kept: 2,
        ..ScheduleConfig::default()
    };
    let config = ProfilerConfig { path, schedule, reserve_mib, ..ProfilerConfig::default() };
    (store, ExportPlace::new(&config), exports)
}

fn names(exports: &Path) -> Vec<String> {
    let name = |entry: fs::DirEntry| entry.file_name().into_string().unwrap();
    let mut names: Vec<String> = fs::read_dir(exports).unwrap().map(|entry| name(entry.unwrap())).collect();
    names.sort();
    names
}

#[test]
fn the_newest_exports_are_kept_and_foreign_files_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let (store, place, exports) = exporting(directory.path(), 4);
    fs::create_dir(&exports).unwrap();
    fs::write(exports.join("mine.export"), "x").unwrap();
    fs::write(exports.join(".000000000000000.export.unfinished"), "half").unwrap();
    for time in 1..=5 {
        place.export(&store, UnixMillis(time)).unwrap();
    }
    assert_eq!(names(&exports), ["000000000000004.export", "000000000000005.export", "mine.export"]);
    // The clock was set back.
    let written = place.export(&store, UnixMillis(2)).unwrap();
    assert!(written.is_file());
    assert_eq!(names(&exports), ["000000000000002.export", "000000000000005.export", "mine.export"]);
}

#[test]
fn no_export_takes_the_reserve_of_the_store() {
    let directory = tempfile::tempdir().unwrap();
    let (store, place, exports) = exporting(directory.path(), u64::MAX);
    // Fewer are kept than before: what is too many goes first, or no room would ever come of it.
    fs::create_dir(&exports).unwrap();
    for time in 1..=3 {
        fs::write(export_name(&exports, UnixMillis(time)), "of before").unwrap();
    }
    let error = place.export(&store, UnixMillis(4)).unwrap_err();
    assert_eq!(error.code(), ErrorCode::Overloaded);
    for part in ["no room for an export in", "profiler.reserve-mib", "profiler.schedule.exports-kept"] {
        assert!(error.message().contains(part), "{error}");
    }
    assert_eq!(names(&exports), ["000000000000002.export", "000000000000003.export"]);
}
