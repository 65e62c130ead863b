//! Whose a directory is: one process at a time, and no directory of others.

use std::{
    fs::{self, File},
    io,
    path::Path,
    time::{Duration, Instant},
};

use super::{
    engine_files::{JOURNAL, log_file, sync_directory},
    error::{StoreError, is_full},
};

/// The file whose lock says that a store is in use.
const LOCK: &str = "lock";

/// How long a lock may outlive the store that held it: sled's background threads hold it a little longer.
const LOCK_PATIENCE: Duration = Duration::from_secs(5);

/// Takes the lock of the store in `path`, which is made when it is not there.
pub(crate) fn hold(path: &Path) -> Result<File, StoreError> {
    let failed = |error: io::Error| match is_full(&error) {
        true => StoreError::from(error).at(path),
        false => StoreError::Open { path: path.to_owned(), problem: error.to_string() },
    };
    create_durably(path).map_err(failed)?;
    let lock = File::options().create(true).append(true).open(path.join(LOCK)).map_err(failed)?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(fs::TryLockError::WouldBlock) => Err(StoreError::InUse(path.to_owned())),
        Err(fs::TryLockError::Error(error)) => Err(failed(error)),
    }
}

/// Makes a directory, with those above it, that a power failure does not take away again.
fn create_durably(path: &Path) -> io::Result<()> {
    let missing: Vec<&Path> =
        path.ancestors().take_while(|place| *place != Path::new("") && !place.exists()).collect();
    fs::create_dir_all(path)?;
    for made in missing {
        let parent = made.parent().filter(|parent| *parent != Path::new(""));
        sync_directory(parent.unwrap_or(Path::new(".")))?;
    }
    Ok(())
}

/// Waits until no one holds the lock of the database in `path`.
pub(crate) fn await_release(path: &Path) -> Result<(), StoreError> {
    let failed = |problem: String| StoreError::Failed(format!("{}: {problem}", path.display()));
    let file = match File::open(log_file(path)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        opened => opened.map_err(|error| failed(error.to_string()))?,
    };
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
/// The directory holds something and was not made by a store.
pub(super) fn refuse_foreign_directory(path: &Path) -> Result<(), StoreError> {
    let Ok(mut entries) = fs::read_dir(path) else { return Ok(()) };
    if entries.next().is_none()
        || path.join("conf").is_file()
        || path.join(JOURNAL).is_dir()
        || path.join(LOCK).is_file()
    {
        return Ok(());
    }
    let problem = "the directory holds other files; name a new or empty one".to_owned();
    Err(StoreError::Open { path: path.to_owned(), problem })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::engine_files::open_database;

    #[test]
    fn a_path_that_is_a_file_is_refused_with_its_name() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("store");
        fs::write(&file, "x").unwrap();
        for error in [open_database(&file, 1 << 20).unwrap_err(), hold(&file).unwrap_err()] {
            assert!(error.to_string().contains(&file.display().to_string()), "{error}");
        }
    }
}
