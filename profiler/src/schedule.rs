//! What the server does on its own: retention, checkpoints, exports.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use automap_proto::time::UnixMillis;
use automap_service_kit::{error::ServiceError, work};
use tokio::time::{Instant, MissedTickBehavior, interval_at};
use tokio_util::sync::CancellationToken;

use crate::{
    config::ProfilerConfig,
    service::now,
    store::{ProfileStore, export_file::export_to},
};

/// What scheduled exports end in.
const EXTENSION: &str = "export";

/// Runs the chores until `shutdown`. One that fails is logged and tried again at its next time.
pub async fn run(store: Arc<dyn ProfileStore>, config: ProfilerConfig, shutdown: CancellationToken) {
    let every = |length: u64, unit: Duration| {
        let period = unit.saturating_mul(u32::try_from(length.max(1)).unwrap_or(u32::MAX));
        let mut ticks = interval_at(Instant::now() + period, period);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ticks
    };
    let schedule = &config.schedule;
    let mut housekeeping = every(schedule.housekeeping_minutes, Duration::from_secs(60));
    let mut exports = every(schedule.export_hours, Duration::from_secs(3600));
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            _ = housekeeping.tick(), if schedule.housekeeping_minutes > 0 => {
                let (store, rules) = (Arc::clone(&store), config.retention);
                let done = work::run(move |_| Ok(store.housekeep(&rules, now())?)).await;
                match done {
                    Ok(done) => {
                        if done.removed > 0 {
                            tracing::info!(removed = done.removed, "records outlived their time");
                        }
                        if done.damaged > 0 {
                            tracing::error!(damaged = done.damaged, "records are damaged; a restart reads them from the journal");
                        }
                    }
                    Err(error) => tracing::error!(%error, "housekeeping failed"),
                }
            }
            _ = exports.tick(), if schedule.export_hours > 0 => {
                let store = Arc::clone(&store);
                let directory = schedule.export_directory.clone().unwrap_or_else(|| config.path.join("exports"));
                let kept = schedule.exports_kept;
                let done = work::run(move |_| export_and_prune(store.as_ref(), &directory, kept, now())).await;
                match done {
                    Ok(file) => tracing::info!(file = %file.display(), "the store was exported"),
                    Err(error) => tracing::error!(%error, "the scheduled export failed"),
                }
            }
        }
    }
}

/// Exports the store into a file of `directory` named for the time, and removes all but the newest `kept` exports.
///
/// # Errors
/// A record is damaged, or the file system refused.
pub fn export_and_prune(
    store: &dyn ProfileStore,
    directory: &Path,
    kept: usize,
    at: UnixMillis,
) -> Result<PathBuf, ServiceError> {
    let refused = |error: io::Error| ServiceError::internal(format!("{}: {error}", directory.display()));
    fs::create_dir_all(directory).map_err(refused)?;
    let file = export_name(directory, at);
    export_to(store, &file)?;
    prune(directory, kept, &file).map_err(refused)?;
    Ok(file)
}

/// The export of a time in a directory of exports.
pub fn export_name(directory: &Path, at: UnixMillis) -> PathBuf {
    directory.join(format!("{:015}.{EXTENSION}", at.0.max(0)))
}

/// Removes all but `kept` exports of a directory, and what cut-off ones left: `written` stays, which was written just now, and the
/// newest of the others, some of which may be of a time to come.
///
/// # Errors
/// The file system refused.
pub fn prune(directory: &Path, kept: usize, written: &Path) -> io::Result<()> {
    remove_unfinished(directory)?;
    let mut exports: Vec<PathBuf> = fs::read_dir(directory)?
        .filter_map(|entry| entry.ok().map(|found| found.path()))
        .filter(|path| is_scheduled(path) && path.file_name() != written.file_name())
        .collect();
    exports.sort();
    let surplus = exports.len().saturating_sub(kept.saturating_sub(1));
    for old in &exports[..surplus] {
        fs::remove_file(old)?;
    }
    Ok(())
}

/// Removes what exports left behind that a crash cut short: this directory has one writer, and it has just finished.
fn remove_unfinished(directory: &Path) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let finished = name.strip_prefix('.').and_then(|name| name.strip_suffix(".unfinished"));
        if finished.is_some_and(|name| is_scheduled(Path::new(name))) {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}

/// Whether a file is one that the schedule wrote: others are nobody's to remove.
fn is_scheduled(path: &Path) -> bool {
    let stem = path.file_stem().and_then(|name| name.to_str()).unwrap_or_default();
    path.extension().is_some_and(|found| found == EXTENSION)
        && stem.len() == 15
        && stem.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use automap_proto::v1;
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
        _directory: tempfile::TempDir,
    }

    impl Scheduled {
        fn start(housekeeping_minutes: u64, export_hours: u64) -> Self {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join("store");
            let store: Arc<dyn ProfileStore> = Arc::new(
                SledStore::open(&path, StoreOptions { cache_mib: 8, ..StoreOptions::default() }).unwrap(),
            );
            let exports = directory.path().join("exports");
            let schedule = ScheduleConfig {
                housekeeping_minutes,
                export_hours,
                export_directory: Some(exports.clone()),
                ..ScheduleConfig::default()
            };
            let config = ProfilerConfig { path, schedule, ..ProfilerConfig::default() };
            let shutdown = CancellationToken::new();
            let running = tokio::spawn(run(Arc::clone(&store), config, shutdown.clone()));
            Self { store, exports, shutdown, running, _directory: directory }
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
        let scheduled = Scheduled::start(10, 1);
        // A second behind the ticks, at each round.
        sleep(SECOND).await;
        for name in ["first", "second"] {
            scheduled.put_old(name);
            sleep(10 * MINUTE - 2 * SECOND).await;
            assert!(scheduled.keeps(name), "{name} is removed too early");
            sleep(2 * SECOND).await;
            assert!(!scheduled.keeps(name), "{name} is not removed on time");
        }
        // Of the first hour twenty minutes and a second have passed.
        for (hour, wait) in [(1, 39 * MINUTE), (2, 59 * MINUTE)] {
            sleep(wait).await;
            assert_eq!(scheduled.take_exports(), 0, "an export before hour {hour}");
            sleep(MINUTE).await;
            assert_eq!(scheduled.take_exports(), 1, "no export at hour {hour}");
        }
        scheduled.end().await;
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_never_to_be_done_is_not_done_and_shutdown_ends_it_all_the_same() {
        let scheduled = Scheduled::start(0, 0);
        scheduled.put_old("kept");
        sleep(MINUTE * 60 * 24 * 365).await;
        assert!(scheduled.keeps("kept"));
        assert_eq!(scheduled.take_exports(), 0);
        scheduled.end().await;
    }

    #[test]
    fn the_newest_exports_are_kept_and_foreign_files_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let store = SledStore::open(&directory.path().join("store"), StoreOptions::default()).unwrap();
        let exports = directory.path().join("exports");
        fs::create_dir(&exports).unwrap();
        fs::write(exports.join("mine.export"), "x").unwrap();
        fs::write(exports.join(".000000000000000.export.unfinished"), "half").unwrap();
        for time in 1..=5 {
            export_and_prune(&store, &exports, 2, UnixMillis(time)).unwrap();
        }
        let names = || {
            let found = fs::read_dir(&exports).unwrap();
            let mut names: Vec<String> =
                found.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
            names.sort();
            names
        };
        assert_eq!(names(), ["000000000000004.export", "000000000000005.export", "mine.export"]);
        // The clock was set back.
        export_and_prune(&store, &exports, 2, UnixMillis(2)).unwrap();
        assert_eq!(names(), ["000000000000002.export", "000000000000005.export", "mine.export"]);
    }
}
