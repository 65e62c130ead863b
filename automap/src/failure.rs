//! What a command ends with: an error and its exit code.

use std::process::ExitCode;

use automap_proto::{incident::TooLittleData, invalid::Invalid};
use automap_service_kit::error::{ErrorCode, ServiceError};

/// Why a command ends without an answer.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// A file, a source or a service failed: exit code 1.
    #[error("{0:#}")]
    Failed(anyhow::Error),
    /// The command was called wrongly: exit code 2.
    #[error("{0}")]
    Usage(String),
    /// There is too little data: exit code 3.
    #[error("{0}")]
    TooLittleData(String),
    /// An evaluation found a method worse than before: exit code 4.
    #[error("worse than before, beyond the 95 % interval of the paired difference:{0}")]
    Worse(String),
    /// A store is damaged, or not all of it could be saved: exit code 5.
    #[error("{0}")]
    Damaged(String),
    /// Whoever read standard output has gone; there is nobody to tell.
    #[error("standard output was closed")]
    OutputClosed,
}

impl Failure {
    /// The exit code of the process.
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Failed(_) => 1,
            Self::Usage(_) => 2,
            Self::TooLittleData(_) => 3,
            Self::Worse(_) => 4,
            Self::Damaged(_) => 5,
            Self::OutputClosed => 0,
        })
    }
}

impl Failure {
    /// Whether a service failed, as opposed to refusing what it was asked.
    pub fn is_of_service(&self) -> bool {
        let Self::Failed(error) = self else { return false };
        error.downcast_ref::<ServiceError>().is_some_and(|error| {
            !matches!(error.code(), ErrorCode::InvalidInput | ErrorCode::TooLittleData | ErrorCode::NotFound)
        })
    }
}

impl Failure {
    /// The error of a service that is full and said when to come back.
    pub fn overload(&self) -> Option<ServiceError> {
        let Self::Failed(error) = self else { return None };
        let error = error.downcast_ref::<ServiceError>()?;
        (error.code() == ErrorCode::Overloaded && error.retry_delay().is_some()).then(|| error.clone())
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::Failed(error)
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        if error.kind() == std::io::ErrorKind::BrokenPipe {
            Self::OutputClosed
        } else {
            Self::Failed(error.into())
        }
    }
}

impl From<TooLittleData> for Failure {
    fn from(error: TooLittleData) -> Self {
        Self::TooLittleData(error.to_string())
    }
}

impl From<Invalid> for Failure {
    fn from(error: Invalid) -> Self {
        Self::Usage(error.to_string())
    }
}

/// Fields of a request that come from flags: when one is wrong, the command was called wrongly.
const FLAG_FIELDS: [&str; 4] = ["front_end", "settings", "context", "parameter"];

impl From<ServiceError> for Failure {
    fn from(error: ServiceError) -> Self {
        match (error.code(), error.field()) {
            (ErrorCode::TooLittleData, _) => Self::TooLittleData(error.message().into()),
            (ErrorCode::InvalidInput, Some(field))
                if FLAG_FIELDS.iter().any(|flag| field.starts_with(flag)) =>
            {
                Self::Usage(error.message().into())
            }
            _ => Self::Failed(anyhow::Error::new(error)),
        }
    }
}
