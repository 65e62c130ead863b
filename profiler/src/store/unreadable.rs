//! Why one of the two copies of a store is not read.

use std::io;

use super::error::StoreError;

/// What stands between a copy and its reader.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Unreadable {
    /// The copy is damaged: what is wrong with it. The other may be whole.
    Damaged(String),
    /// Something that says nothing about the copy, such as a full disk.
    Refused(StoreError),
}

impl From<StoreError> for Unreadable {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Full { .. } | StoreError::Scratch { .. } => Self::Refused(error),
            other => Self::Damaged(other.to_string()),
        }
    }
}

impl From<sled::Error> for Unreadable {
    fn from(error: sled::Error) -> Self {
        StoreError::from(error).into()
    }
}

impl From<io::Error> for Unreadable {
    fn from(error: io::Error) -> Self {
        StoreError::from(error).into()
    }
}

impl From<String> for Unreadable {
    fn from(problem: String) -> Self {
        Self::Damaged(problem)
    }
}

impl From<&str> for Unreadable {
    fn from(problem: &str) -> Self {
        Self::Damaged(problem.to_owned())
    }
}
