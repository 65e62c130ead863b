//! Why one of the two copies of a store is not read.

use std::{io, path::Path};

use super::{digest::State, error::StoreError, sealed::Damage};

/// What stands between a copy and its reader.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Unreadable {
    /// The copy is damaged: what is wrong with it. The other may be whole.
    Damaged(String),
    /// Something that is no damage: a full disk, or a store that a newer build wrote.
    Refused(StoreError),
}

/// The state of the store in `path`, as one of its copies has it.
pub(super) fn state(path: &Path, value: &[u8]) -> Result<State, Unreadable> {
    State::unseal(value).map_err(|damage| match damage {
        Damage::Version(_) => Unreadable::Refused(StoreError::Open {
            path: path.to_owned(),
            problem: format!("a newer build wrote it: {damage}"),
        }),
        other => Unreadable::Damaged(format!("its state is damaged: {other}")),
    })
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
