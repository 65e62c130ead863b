//! The files of the engine, and opening it on them.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use sled::{Config, Db};

use super::error::{StoreError, is_full};

/// Name of the one tree.
pub(crate) const TREE: &str = "records";
/// Where damaged files are moved to.
const MOVED_ASIDE: &str = "moved-aside";
/// What the directory of a damaged engine in it begins with; a number follows.
const DAMAGED: &str = "damaged-";
/// Damaged engines that stay for a look.
const KEPT_ASIDE: usize = 3;
/// Where journal and checkpoint lie.
pub(crate) const JOURNAL: &str = "journal";
/// Files of the engine beside its snapshots.
const ENGINE_FILES: [&str; 3] = ["conf", "db", "blobs"];

/// An engine that is open.
#[derive(Debug)]
pub(crate) struct Engine {
    pub(crate) database: Db,
    config: Config,
}

impl Engine {
    /// Whether it failed in the background. What is in its cache it goes on answering; every change it then refuses with
    /// the error of that time, whatever the disk says now, until it is opened again. O(1).
    pub(crate) fn has_failed(&self) -> bool {
        self.config.global_error().is_err()
    }

    /// Whether it failed for want of room. O(1).
    pub(crate) fn ran_out_of_room(&self) -> bool {
        matches!(self.config.global_error(), Err(sled::Error::Io(error)) if is_full(&error))
    }
}

/// Opens the engine in `path`, made when it is not there.
///
/// sled refuses to open when the newest of its snapshot files is half-written, which a crash can leave behind. A
/// snapshot only shortens the replay of the log, so a damaged one is moved aside and the open is tried once more.
pub(crate) fn open_database(path: &Path, cache_bytes: u64) -> Result<Db, StoreError> {
    Ok(open_engine(path, cache_bytes, Chores::Done)?.database)
}

/// Whether the engine rewrites its files in the background.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Chores {
    /// It does, and so frees what it has outlived.
    Done,
    /// It does not, as a full disk wants it: an engine that fails to write cannot be read any more either.
    Left,
}

/// Opens the engine in `path` with its chores or without.
pub(crate) fn open_engine(path: &Path, cache_bytes: u64, chores: Chores) -> Result<Engine, StoreError> {
    let mut config = Config::new().path(path).cache_capacity(cache_bytes);
    if chores == Chores::Left {
        config = config.flush_every_ms(None);
    }
    let first = match config.open() {
        Err(error @ sled::Error::Corruption { .. }) => error,
        Err(error) => return Err(refused(path, &error)),
        Ok(database) => return Ok(Engine { database, config }),
    };
    let moved = move_damaged_snapshots(path).map_err(|error| StoreError::Open {
        path: path.to_owned(),
        problem: format!("its snapshot is half-written and cannot be moved aside: {error}"),
    })?;
    if moved.is_empty() {
        return Err(refused(path, &first));
    }
    tracing::warn!(store = %path.display(), ?moved, "a half-written snapshot was moved aside; replaying the log");
    let database = config.open().map_err(|error| refused(path, &error))?;
    Ok(Engine { database, config })
}

fn refused(path: &Path, error: &sled::Error) -> StoreError {
    let path = path.to_owned();
    match error {
        sled::Error::Io(io) if io.to_string().contains("could not acquire lock") => StoreError::InUse(path),
        sled::Error::Io(io) if is_full(io) => StoreError::Full { path, problem: io.to_string() },
        other => StoreError::Open { path, problem: format!("the engine's files are damaged ({other})") },
    }
}

/// Moves all snapshots away when the newest is damaged; the log alone then rebuilds what they held.
fn move_damaged_snapshots(path: &Path) -> io::Result<Vec<PathBuf>> {
    let mut snapshots: Vec<PathBuf> = engine_files(path)?
        .into_iter()
        .filter(|file| file.file_name().is_some_and(|name| name.to_string_lossy().starts_with("snap.")))
        .collect();
    snapshots.sort();
    let damaged = match snapshots.last() {
        Some(newest) => !is_whole(&fs::read(newest)?),
        None => false,
    };
    if !damaged {
        return Ok(Vec::new());
    }
    let aside = path.join(MOVED_ASIDE);
    fs::create_dir_all(&aside)?;
    for snapshot in &snapshots {
        if let Some(name) = snapshot.file_name() {
            fs::rename(snapshot, aside.join(name))?;
        }
    }
    Ok(snapshots)
}

/// sled ends a snapshot with its length (8 bytes) and the CRC32 of what comes before both.
fn is_whole(snapshot: &[u8]) -> bool {
    let Some((rest, sum)) = snapshot.split_last_chunk::<4>() else {
        return false;
    };
    rest.split_last_chunk::<8>()
        .is_some_and(|(body, _)| !body.is_empty() && crc32fast::hash(body) == u32::from_le_bytes(*sum))
}

/// The engine's files in `path`.
pub(crate) fn engine_files(path: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(path)? {
        let file = entry?;
        let name = file.file_name();
        let name = name.to_string_lossy();
        if ENGINE_FILES.contains(&&*name) || name.starts_with("snap.") {
            found.push(file.path());
        }
    }
    Ok(found)
}

/// Moves the engine's files into a new directory below `path` and answers it.
pub(crate) fn move_engine_aside(path: &Path) -> io::Result<PathBuf> {
    let number = damaged_engines(path)?.last().map_or(1, |(newest, _)| newest.saturating_add(1));
    let aside = path.join(MOVED_ASIDE).join(format!("{DAMAGED}{number}"));
    fs::create_dir_all(&aside)?;
    for file in engine_files(path)? {
        if let Some(name) = file.file_name() {
            fs::rename(&file, aside.join(name))?;
        }
    }
    Ok(aside)
}

/// Removes the damaged engines that were moved aside below `path`, but for the newest.
pub(crate) fn forget_damaged(path: &Path) -> io::Result<()> {
    let damaged = damaged_engines(path)?;
    for (_, old) in &damaged[..damaged.len().saturating_sub(KEPT_ASIDE)] {
        fs::remove_dir_all(old)?;
    }
    Ok(())
}

/// The damaged engines that were moved aside below `path` by their numbers, rising.
fn damaged_engines(path: &Path) -> io::Result<Vec<(u64, PathBuf)>> {
    let mut found = Vec::new();
    let entries = match fs::read_dir(path.join(MOVED_ASIDE)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(found),
        listed => listed?,
    };
    for entry in entries {
        let place = entry?.path();
        let name = place.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if let Some(number) = name.strip_prefix(DAMAGED).and_then(|number| number.parse().ok()) {
            found.push((number, place));
        }
    }
    found.sort();
    Ok(found)
}

/// The file that sled locks and appends to.
pub(crate) fn log_file(path: &Path) -> PathBuf {
    path.join("db")
}

/// Makes what the engine wrote so far durable: it leaves that to the system.
pub(crate) fn sync_engine(path: &Path) -> io::Result<()> {
    for file in engine_files(path)? {
        match File::open(file) {
            // The engine drops an old snapshot when it has a new one.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            opened => opened?.sync_all()?,
        }
    }
    sync_directory(path)
}

/// Makes the names of a directory's files as durable as their contents.
pub(crate) fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::store_lock::await_release;

    fn filled(path: &Path) {
        let database = open_database(path, 1 << 20).unwrap();
        database.insert(b"key", b"value").unwrap();
        database.flush().unwrap();
        drop(database);
        await_release(path).unwrap();
    }

    #[test]
    fn a_half_written_snapshot_is_moved_aside_and_nothing_is_lost() {
        for name in ["snap.FFFFFFFFFFFFFFF0", "snap.FFFFFFFFFFFFFFF0.generating"] {
            let directory = tempfile::tempdir().unwrap();
            filled(directory.path());
            fs::write(directory.path().join(name), [7; 100]).unwrap();
            assert!(sled::open(directory.path()).is_err(), "the crash must be one that sled refuses");
            let database = open_database(directory.path(), 1 << 20).unwrap();
            assert_eq!(database.get(b"key").unwrap().unwrap(), b"value");
            assert!(directory.path().join(MOVED_ASIDE).join(name).exists());
        }
    }

    #[test]
    fn a_whole_snapshot_stays_where_it_is() {
        let directory = tempfile::tempdir().unwrap();
        filled(directory.path());
        drop(open_database(directory.path(), 1 << 20).unwrap());
        assert!(move_damaged_snapshots(directory.path()).unwrap().is_empty());
    }

    #[test]
    fn a_second_opener_is_told_that_the_store_is_in_use() {
        let directory = tempfile::tempdir().unwrap();
        let _held = open_database(directory.path(), 1 << 20).unwrap();
        let error = open_database(directory.path(), 1 << 20).unwrap_err();
        assert_eq!(error, StoreError::InUse(directory.path().to_owned()));
        assert!(error.to_string().contains("in use by another process"));
    }
}
