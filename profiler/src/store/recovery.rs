//! Opening a sled directory, also after a crash.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use super::error::StoreError;

/// Where half-written snapshots are moved to.
const MOVED_ASIDE: &str = "moved-aside";

/// How long a lock may outlive the store that held it: sled's background threads hold it a little longer.
const LOCK_PATIENCE: Duration = Duration::from_secs(5);

/// Opens the database in `path`, made when it is not there.
///
/// sled refuses to open when the newest of its snapshot files is half-written, which a crash can leave behind. A
/// snapshot only shortens the replay of the log, so a damaged one is moved aside and the open is tried once more.
pub(crate) fn open_database(path: &Path, cache_bytes: u64) -> Result<sled::Db, StoreError> {
    let config = sled::Config::new().path(path).cache_capacity(cache_bytes);
    let first = match config.open() {
        Err(error @ sled::Error::Corruption { .. }) => error,
        opened => return opened.map_err(|error| refused(path, &error)),
    };
    let moved = move_damaged_snapshots(path).map_err(|error| StoreError::Open {
        path: path.to_owned(),
        problem: format!("its snapshot is half-written and cannot be moved aside: {error}"),
    })?;
    if moved.is_empty() {
        return Err(refused(path, &first));
    }
    tracing::warn!(store = %path.display(), ?moved, "a half-written snapshot was moved aside; replaying the log");
    config.open().map_err(|error| refused(path, &error))
}

fn refused(path: &Path, error: &sled::Error) -> StoreError {
    let path = path.to_owned();
    match error {
        sled::Error::Io(io) if io.to_string().contains("could not acquire lock") => StoreError::InUse(path),
        sled::Error::Corruption { .. } => StoreError::Open {
            path,
            problem: format!(
                "its log is damaged ({error}): move the directory away and import the last export"
            ),
        },
        other => StoreError::Open { path, problem: other.to_string() },
    }
}

/// Moves all snapshots away when the newest is damaged; the log alone then rebuilds what they held.
fn move_damaged_snapshots(path: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut snapshots = Vec::new();
    for entry in fs::read_dir(path)? {
        let found = entry?.path();
        if found.file_name().is_some_and(|name| name.to_string_lossy().starts_with("snap.")) {
            snapshots.push(found);
        }
    }
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

/// The file that sled locks and appends to.
pub(crate) fn log_file(path: &Path) -> PathBuf {
    path.join("db")
}

/// Waits until no one holds the lock of the database in `path`.
pub(crate) fn await_release(path: &Path) -> Result<(), StoreError> {
    let failed = |problem: String| StoreError::Failed(format!("{}: {problem}", path.display()));
    let file = File::open(log_file(path)).map_err(|error| failed(error.to_string()))?;
    let begun = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return file.unlock().map_err(|error| failed(error.to_string())),
            Err(_) if begun.elapsed() < LOCK_PATIENCE => std::thread::sleep(Duration::from_millis(2)),
            Err(error) => return Err(failed(format!("the lock was not released: {error}"))),
        }
    }
}

/// sled would write its files over whatever lies there under the same names.
///
/// # Errors
/// The directory holds something and was not made by sled.
pub(super) fn refuse_foreign_directory(path: &Path) -> Result<(), StoreError> {
    let Ok(mut entries) = fs::read_dir(path) else { return Ok(()) };
    if entries.next().is_none() || path.join("conf").is_file() {
        return Ok(());
    }
    let problem = "the directory holds other files; name a new or empty one".to_owned();
    Err(StoreError::Open { path: path.to_owned(), problem })
}

#[cfg(test)]
mod tests {
    use super::*;

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

    #[test]
    fn a_path_that_is_a_file_is_refused_with_its_name() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("store");
        fs::write(&file, "x").unwrap();
        let error = open_database(&file, 1 << 20).unwrap_err().to_string();
        assert!(error.contains(&file.display().to_string()), "{error}");
    }
}
