//! What can go wrong with the store.

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use automap_proto::invalid::Invalid;
use automap_service_kit::error::{ErrorCode, ServiceError};

/// When a caller may try again after the disk was full.
const FULL_RETRY: Duration = Duration::from_secs(30);

/// An error of the store.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Another process holds the store.
    #[error(
        "the store {} is in use by another process; stop that process or set profiler.path to another directory",
        .0.display()
    )]
    InUse(PathBuf),
    /// The directory cannot be opened as a store.
    #[error("cannot open the store {}: {problem}", .path.display())]
    Open {
        /// The directory.
        path: PathBuf,
        /// Why, and the way out.
        problem: String,
    },
    /// A record is not what was written.
    #[error(
        "the stored {record} is damaged: {problem}; restart the profiler, which rebuilds it from its journal where that is whole"
    )]
    Damaged {
        /// Which record.
        record: String,
        /// What does not fit.
        problem: String,
    },
    /// A request or an imported record is invalid.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// There is no such record.
    #[error("{0}")]
    NotFound(String),
    /// The request contradicts what is kept.
    #[error("{0}")]
    Conflict(String),
    /// There is no room for the change; nothing of it is kept.
    #[error("the disk of the store {} is full: {problem}; free space or raise the volume", .path.display())]
    Full {
        /// The directory; empty until [`StoreError::at`] told it.
        path: PathBuf,
        /// What was refused.
        problem: String,
    },
    /// An export cannot be written; the store itself is as it was.
    #[error("cannot write {}: {problem}", .file.display())]
    Export {
        /// The file of the export.
        file: PathBuf,
        /// What was refused.
        problem: String,
    },
    /// There is no place for copies of a store that is read apart; nothing is known of the store.
    #[error("cannot keep copies of the store in {}: {problem}", .directory.display())]
    Scratch {
        /// Where they were to lie.
        directory: PathBuf,
        /// What was refused, and the way out.
        problem: String,
    },
    /// The storage engine failed.
    #[error("the store failed: {0}; check the disk and the log")]
    Failed(String),
    /// The service is shutting down.
    #[error("the store is closed")]
    Closed,
}

/// Whether an error of the system says that there is no room.
pub(super) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

impl StoreError {
    /// The same, with the store whose disk is full where the system alone has said so.
    pub(super) fn at(self, store: &Path) -> Self {
        match self {
            Self::Full { path, problem } if path.as_os_str().is_empty() => {
                Self::Full { path: store.to_owned(), problem }
            }
            other => other,
        }
    }
}

impl From<sled::Error> for StoreError {
    fn from(error: sled::Error) -> Self {
        match error {
            sled::Error::Io(error) => error.into(),
            sled::Error::Corruption { .. } => {
                Self::Damaged { record: "page of the storage engine".into(), problem: error.to_string() }
            }
            other => Self::Failed(other.to_string()),
        }
    }
}

impl From<io::Error> for StoreError {
    fn from(error: io::Error) -> Self {
        if is_full(&error) {
            return Self::Full { path: PathBuf::new(), problem: error.to_string() };
        }
        Self::Failed(error.to_string())
    }
}

impl From<StoreError> for ServiceError {
    fn from(error: StoreError) -> Self {
        let code = match &error {
            StoreError::Invalid(invalid) => return invalid.clone().into(),
            StoreError::InUse(_)
            | StoreError::Closed
            | StoreError::Export { .. }
            | StoreError::Scratch { .. }
            | StoreError::Failed(_) => ErrorCode::Unavailable,
            StoreError::Full { .. } => {
                return Self::new(ErrorCode::Overloaded, error.to_string()).retry_after(FULL_RETRY);
            }
            StoreError::Open { .. } => ErrorCode::Internal,
            StoreError::Damaged { .. } => ErrorCode::DataLoss,
            StoreError::NotFound(_) => ErrorCode::NotFound,
            StoreError::Conflict(_) => ErrorCode::Conflict,
        };
        Self::new(code, error.to_string())
    }
}
