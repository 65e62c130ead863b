//! Where the copies lie in which a damaged store is read.

use std::{
    fmt, fs,
    io::ErrorKind,
    path::{Path, PathBuf},
};

use super::{error::StoreError, room, unreadable::Unreadable};

/// With less room than this the engine writes nothing more.
const LEAST_BYTES: u64 = 1 << 20;

/// A directory for copies that goes when it is dropped.
#[derive(Debug)]
pub(super) struct Scratch {
    path: PathBuf,
    way_out: &'static str,
}

impl Scratch {
    /// In the directory for temporary files, which `TMPDIR` names.
    ///
    /// # Errors
    /// [`StoreError::Scratch`] where nothing can be made there.
    pub(super) fn temporary() -> Result<Self, StoreError> {
        let path = std::env::temp_dir().join(format!("automap-store-{}", uuid::Uuid::now_v7()));
        Self::make(path, "free space there, or name another directory with TMPDIR")
    }

    /// Beside a file that is being written from the copies: its volume has to have room anyway, and may be all that can be
    /// written. What a killed process left there goes.
    ///
    /// # Errors
    /// [`StoreError::Scratch`] where nothing can be made there.
    pub(super) fn beside(file: &Path) -> Result<Self, StoreError> {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        let path = file.with_file_name(format!(".{name}.scratch"));
        Self::make(path, "free space there, or have the file written to another volume")
    }

    fn make(path: PathBuf, way_out: &'static str) -> Result<Self, StoreError> {
        let scratch = Self { path, way_out };
        let emptied = match fs::remove_dir_all(&scratch.path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            outcome => outcome,
        };
        match emptied.and_then(|()| fs::create_dir_all(&scratch.path)) {
            Ok(()) => Ok(scratch),
            Err(error) => Err(scratch.refused(error)),
        }
    }

    /// A place in it.
    pub(super) fn directory(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// What was found when a copy was made here: the copy, or what is wrong with the store.
    ///
    /// # Errors
    /// The copy found no room here, or it is not the store's fault that it cannot be read.
    pub(super) fn judged<T>(&self, outcome: Result<T, Unreadable>) -> Result<Result<T, String>, StoreError> {
        match outcome {
            Ok(copy) => Ok(Ok(copy)),
            Err(Unreadable::Refused(StoreError::Full { problem, .. })) => Err(self.refused(problem)),
            Err(Unreadable::Refused(error)) => Err(error),
            // An engine that has no room gives up in more than one way.
            Err(Unreadable::Damaged(problem))
                if room::free(&self.path).is_some_and(|free| free < LEAST_BYTES) =>
            {
                Err(self.refused(format_args!("less than 1 MiB is free ({problem})")))
            }
            Err(Unreadable::Damaged(problem)) => Ok(Err(problem)),
        }
    }

    /// The error of a copy that cannot be kept here: it says nothing about the store.
    pub(super) fn refused(&self, problem: impl fmt::Display) -> StoreError {
        let place = self.path.parent().filter(|place| *place != Path::new(""));
        let directory = place.unwrap_or(Path::new(".")).to_owned();
        StoreError::Scratch { directory, problem: format!("{problem}; {}", self.way_out) }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be removed the next of that name removes, or whoever clears the directory for temporary files.
        fs::remove_dir_all(&self.path).ok();
    }
}
