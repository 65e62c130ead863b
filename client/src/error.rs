//! Why there is no answer.

use std::{io, path::PathBuf};

use automap_collector::error::CollectError;
use automap_proto::invalid::Invalid;
use automap_service_kit::error::{ErrorCode, ServiceError};

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An address, a certificate, a token or a request cannot be used; its field is named.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// A recording cannot be read.
    #[error(transparent)]
    Recording(#[from] CollectError),
    /// A file of a recording cannot be read.
    #[error("cannot read {file}: {source}")]
    File {
        /// Which.
        file: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The walker refused, failed, or cannot be reached. [`ServiceError::code`] says which.
    #[error(transparent)]
    Service(#[from] ServiceError),
    /// The walker's answer ended before what was asked for.
    #[error("the walker's answer ended before its {0}")]
    Incomplete(&'static str),
}

impl Error {
    /// What the walker said went wrong, where it is the walker that said it.
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Service(error) => Some(error.code()),
            _ => None,
        }
    }
}
