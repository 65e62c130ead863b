//! Why a recording cannot be collected.

use std::{fmt, io};

use automap_proto::invalid::Invalid;
use automap_service_kit::error::{ErrorCode, ServiceError};

use crate::listing::cut_sentence;

/// What kind of trouble it is, in the terms that a caller acts on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CollectErrorKind {
    /// There is no such file or directory.
    NotFound,
    /// It is there and the operating system refuses to read it.
    Unreadable,
    /// Its content is not what it must be.
    Malformed,
    /// Its content is right and holds no row to work with.
    TooLittleData,
    /// It holds more than the limit.
    TooLarge,
    /// Whoever asked for it is gone.
    Stopped,
}

/// A recording that cannot be collected. Displays as a sentence that names file, line and column where there are
/// any.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CollectError {
    kind: CollectErrorKind,
    message: String,
    /// The field of a request that is wrong, where one is.
    field: Option<Invalid>,
}

impl CollectError {
    /// `message` is a sentence in lower case that names the thing and the way out.
    pub(crate) fn new(kind: CollectErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: cut_sentence(message.into()), field: None }
    }

    /// Content that is not what it must be.
    pub(crate) fn malformed(message: impl Into<String>) -> Self {
        Self::new(CollectErrorKind::Malformed, message)
    }

    /// The error of opening or reading `file`.
    pub(crate) fn reading(file: impl fmt::Display, error: &io::Error) -> Self {
        if error.get_ref().is_some_and(|inner| inner.is::<crate::stop::CallerGone>()) {
            return Self::new(
                CollectErrorKind::Stopped,
                format!("{file}: the caller is gone before the file was read"),
            );
        }
        match error.kind() {
            io::ErrorKind::NotFound => {
                Self::new(CollectErrorKind::NotFound, format!("{file}: there is no such file or directory"))
            }
            _ => Self::new(CollectErrorKind::Unreadable, format!("{file} cannot be read: {error}")),
        }
    }

    /// What kind of trouble it is.
    pub const fn kind(&self) -> CollectErrorKind {
        self.kind
    }

    /// The sentence.
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for CollectError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl std::error::Error for CollectError {}

impl From<Invalid> for CollectError {
    fn from(invalid: Invalid) -> Self {
        Self { field: Some(invalid.clone()), ..Self::malformed(invalid.to_string()) }
    }
}

impl From<CollectError> for ServiceError {
    fn from(error: CollectError) -> Self {
        if let Some(invalid) = error.field {
            return invalid.into();
        }
        let code = match error.kind {
            CollectErrorKind::NotFound => ErrorCode::NotFound,
            CollectErrorKind::Unreadable => ErrorCode::Unavailable,
            CollectErrorKind::Malformed | CollectErrorKind::TooLarge => ErrorCode::InvalidInput,
            CollectErrorKind::TooLittleData => ErrorCode::TooLittleData,
            CollectErrorKind::Stopped => ErrorCode::Cancelled,
        };
        Self::new(code, error.message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kind_of_an_io_error_decides_what_a_caller_may_do() {
        let missing = CollectError::reading("shop/metrics.csv", &io::ErrorKind::NotFound.into());
        assert_eq!(missing.kind(), CollectErrorKind::NotFound);
        assert_eq!(missing.to_string(), "shop/metrics.csv: there is no such file or directory");
        let denied = CollectError::reading("metrics.csv", &io::ErrorKind::PermissionDenied.into());
        assert_eq!(ServiceError::from(denied).code(), ErrorCode::Unavailable);
        let unnamed = CollectError::from(Invalid::missing("source.recording"));
        assert_eq!(ServiceError::from(unnamed).field(), Some("source.recording"));
        let gone = CollectError::reading("metrics.csv", &io::Error::other(crate::stop::CallerGone));
        assert_eq!(ServiceError::from(gone).code(), ErrorCode::Cancelled);
    }
}
