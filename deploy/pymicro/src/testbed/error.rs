//! What can go wrong with a testbed.

use std::{
    io,
    path::{Path, PathBuf},
};

use crate::fault::InvalidFault;

/// Why a testbed does not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A setting, a service or a fault that cannot be.
    #[error("{0}")]
    Invalid(String),
    /// A fault that cannot be.
    #[error(transparent)]
    Fault(#[from] InvalidFault),
    /// The directory, or something in it, cannot be written.
    #[error("{}: {reason}", path.display())]
    Directory {
        /// What cannot be written.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// Another testbed runs in this directory.
    #[error("another testbed runs in {}: stop it, or name another directory", .0.display())]
    InUse(PathBuf),
    /// A program could not be started.
    #[error("cannot start {program}: {reason}")]
    Start {
        /// Which.
        program: String,
        /// Why, with the way out.
        reason: String,
    },
    /// Something was not ready in time, or ended.
    #[error("{what}; {log}")]
    NotReady {
        /// What, and since when.
        what: String,
        /// The end of its log.
        log: String,
    },
    /// A part of the testbed does not answer, or not as it should.
    #[error("{0}")]
    Answer(String),
    /// Something is not as it should be without faults.
    #[error("the testbed is not well: {0}")]
    NotWell(String),
}

impl Error {
    pub(super) fn directory(path: &Path, error: &io::Error) -> Self {
        Self::Directory { path: path.to_owned(), reason: error.to_string() }
    }
}
