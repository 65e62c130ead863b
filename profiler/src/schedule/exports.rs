//! Exports that are named for their time: where they go, and which stay.

use std::{
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use automap_proto::time::UnixMillis;
use automap_service_kit::error::ServiceError;

use crate::{
    config::ProfilerConfig,
    store::{ProfileStore, error::StoreError, export_file::export_to, room::require_room},
};

/// What scheduled exports end in.
const EXTENSION: &str = "export";

/// Where scheduled exports go, and how many stay.
#[derive(Debug, Clone)]
pub struct ExportPlace {
    directory: PathBuf,
    kept: usize,
    store: PathBuf,
    reserve_mib: u64,
}

impl ExportPlace {
    /// As configured.
    pub fn new(config: &ProfilerConfig) -> Self {
        let schedule = &config.schedule;
        Self {
            directory: schedule.export_directory.clone().unwrap_or_else(|| config.path.join("exports")),
            kept: schedule.exports_kept,
            store: config.path.clone(),
            reserve_mib: config.reserve_mib,
        }
    }

    /// Exports the store into a file that is named for the time, and removes all but the newest exports.
    ///
    /// # Errors
    /// There is no room, a record is damaged, or the file system refused.
    pub fn export(&self, store: &dyn ProfileStore, at: UnixMillis) -> Result<PathBuf, ServiceError> {
        let directory = &self.directory;
        let refused = |error: io::Error| ServiceError::internal(format!("{}: {error}", directory.display()));
        fs::create_dir_all(directory).map_err(refused)?;
        remove_unfinished(directory).map_err(refused)?;
        // Where fewer are kept than before, those that are too many make room.
        keep_newest(&scheduled(directory).map_err(refused)?, self.kept).map_err(refused)?;
        let bytes = match scheduled(directory).map_err(refused)?.last() {
            Some(last) => fs::metadata(last).map_err(refused)?.len(),
            None => {
                let found = store.statistics()?;
                found.checkpoint_bytes.saturating_add(found.journal_bytes)
            }
        };
        require_room(directory, self.reserve_mib().map_err(refused)?, bytes).map_err(no_room)?;
        let file = export_name(directory, at);
        export_to(store, &file)?;
        prune(directory, self.kept, &file).map_err(refused)?;
        Ok(file)
    }

    /// What an export leaves free, MiB: the reserve is for the volume of the store.
    fn reserve_mib(&self) -> io::Result<u64> {
        let volume = |path: &Path| fs::metadata(path).map(|found| found.dev());
        Ok(if volume(&self.directory)? == volume(&self.store)? { self.reserve_mib } else { 0 })
    }

    /// The time of the newest export. What claims to be of a time to come was written before the clock was set back, and is none.
    pub fn newest(&self, now: UnixMillis) -> Option<UnixMillis> {
        let exports = scheduled(&self.directory).ok()?;
        let time = |path: &PathBuf| path.file_stem()?.to_str()?.parse().ok().map(UnixMillis);
        exports.iter().rev().filter_map(time).find(|at| *at <= now)
    }
}

/// An export finds no room, and what helps.
fn no_room(error: StoreError) -> ServiceError {
    let way_out = match &error {
        StoreError::Full { path, problem } => format!(
            "there is no room for an export in {}: {problem}; enlarge the volume, or keep fewer \
             (profiler.schedule.exports-kept)",
            path.display()
        ),
        other => other.to_string(),
    };
    ServiceError::from(error).with_message(&way_out)
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
    let mut others = scheduled(directory)?;
    others.retain(|path| path.file_name() != written.file_name());
    keep_newest(&others, kept.saturating_sub(1))
}

/// Removes all but the newest `kept` of `exports`, which stand oldest first.
fn keep_newest(exports: &[PathBuf], kept: usize) -> io::Result<()> {
    let surplus = exports.len().saturating_sub(kept);
    exports[..surplus].iter().try_for_each(fs::remove_file)
}

/// Removes what exports left behind that a crash cut short: this directory has one writer, which writes nothing now.
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

/// The exports of a directory, oldest first.
fn scheduled(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(directory)?.filter_map(|entry| entry.ok().map(|found| found.path()));
    let mut exports: Vec<PathBuf> = entries.filter(|path| is_scheduled(path)).collect();
    exports.sort();
    Ok(exports)
}

/// Whether a file is one that the schedule wrote: others are nobody's to remove.
fn is_scheduled(path: &Path) -> bool {
    let stem = path.file_stem().and_then(|name| name.to_str()).unwrap_or_default();
    path.extension().is_some_and(|found| found == EXTENSION)
        && stem.len() == 15
        && stem.bytes().all(|byte| byte.is_ascii_digit())
}
