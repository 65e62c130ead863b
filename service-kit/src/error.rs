//! The one mapping of errors to gRPC status.

use std::time::Duration;

use automap_proto::{incident::TooLittleData, invalid::Invalid};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use crate::client::fault::meaning;

/// `ErrorInfo.domain` of every error.
pub const ERROR_DOMAIN: &str = "automap.v1";

/// What went wrong, in the terms that a caller acts on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorCode {
    /// The request is wrong; the same request will never succeed.
    InvalidInput,
    /// The data hold too little to answer; more data may.
    TooLittleData,
    /// The caller did not prove who he is.
    Unauthenticated,
    /// The caller may not do this.
    PermissionDenied,
    /// There is no such thing.
    NotFound,
    /// The thing is in another state than the request needs.
    Conflict,
    /// The name is taken by something else.
    AlreadyExists,
    /// A source or a service that is needed cannot be reached.
    Unavailable,
    /// A limit was reached; try again later.
    Overloaded,
    /// The caller went away or asked to stop.
    Cancelled,
    /// The deadline passed.
    DeadlineExceeded,
    /// Stored data are damaged.
    DataLoss,
    /// A defect of AutoMAP.
    Internal,
}

impl ErrorCode {
    const ALL: [(Self, Code, &'static str); 13] = [
        (Self::InvalidInput, Code::InvalidArgument, "INVALID_INPUT"),
        (Self::TooLittleData, Code::FailedPrecondition, "TOO_LITTLE_DATA"),
        (Self::Unauthenticated, Code::Unauthenticated, "UNAUTHENTICATED"),
        (Self::PermissionDenied, Code::PermissionDenied, "PERMISSION_DENIED"),
        (Self::NotFound, Code::NotFound, "NOT_FOUND"),
        (Self::Conflict, Code::Aborted, "CONFLICT"),
        (Self::AlreadyExists, Code::AlreadyExists, "ALREADY_EXISTS"),
        (Self::Unavailable, Code::Unavailable, "UNAVAILABLE"),
        (Self::Overloaded, Code::ResourceExhausted, "OVERLOADED"),
        (Self::Cancelled, Code::Cancelled, "CANCELLED"),
        (Self::DeadlineExceeded, Code::DeadlineExceeded, "DEADLINE_EXCEEDED"),
        (Self::DataLoss, Code::DataLoss, "DATA_LOSS"),
        (Self::Internal, Code::Internal, "INTERNAL"),
    ];

    fn row(self) -> (Self, Code, &'static str) {
        Self::ALL[self as usize]
    }

    /// The gRPC code.
    pub fn grpc(self) -> Code {
        self.row().1
    }

    /// `ErrorInfo.reason`.
    pub fn reason(self) -> &'static str {
        self.row().2
    }
}

/// An error on its way to a caller.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ServiceError {
    code: ErrorCode,
    message: String,
    field: Option<String>,
    retry_after: Option<Duration>,
}

impl ServiceError {
    /// `message` is a sentence in lower case that names the thing and the way out.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), field: None, retry_after: None }
    }

    /// A defect of AutoMAP.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::Internal, message)
    }

    /// Tells the caller when another try makes sense.
    #[must_use]
    pub fn retry_after(mut self, delay: Duration) -> Self {
        self.retry_after = Some(delay);
        self
    }

    /// Names the field of the request that is wrong.
    #[must_use]
    pub fn of_field(mut self, field: &str) -> Self {
        self.field = Some(field.into());
        self
    }

    /// Says what was being done: `context: message`.
    #[must_use]
    pub fn context(mut self, context: &str) -> Self {
        self.message = format!("{context}: {}", self.message);
        self
    }

    /// The same with another sentence.
    #[must_use]
    pub fn with_message(&self, message: &str) -> Self {
        Self { message: message.into(), ..self.clone() }
    }

    /// What went wrong.
    pub const fn code(&self) -> ErrorCode {
        self.code
    }

    /// The sentence.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// When another try makes sense, where the service said so.
    pub const fn retry_delay(&self) -> Option<Duration> {
        self.retry_after
    }

    /// The field of the request that is wrong, where one is.
    pub fn field(&self) -> Option<&str> {
        self.field.as_deref()
    }
}

impl From<Invalid> for ServiceError {
    fn from(invalid: Invalid) -> Self {
        Self {
            field: Some(invalid.field().into()),
            ..Self::new(ErrorCode::InvalidInput, invalid.to_string())
        }
    }
}

impl From<TooLittleData> for ServiceError {
    fn from(error: TooLittleData) -> Self {
        Self::new(ErrorCode::TooLittleData, error.to_string())
    }
}

impl From<ServiceError> for Status {
    fn from(error: ServiceError) -> Self {
        let (_, code, reason) = error.code.row();
        let mut details = ErrorDetails::new();
        details.set_error_info(reason, ERROR_DOMAIN, std::collections::HashMap::new());
        if let Some(field) = error.field {
            details.add_bad_request_violation(field, error.message.clone());
        }
        if let Some(delay) = error.retry_after {
            details.set_retry_info(Some(delay));
        }
        Self::with_error_details(code, error.message, details)
    }
}

impl From<Status> for ServiceError {
    /// Reads an error of another service. Its own reason wins over the bare code. tonic reports its timeouts as `Cancelled`
    /// with the words "Timeout expired", which is a passed deadline, a message above the limit as `OutOfRange`, which is
    /// the sender's mistake, and a connection that broke as `Cancelled`, `Unknown` or `Internal` with a source, which no
    /// answer of a server has.
    fn from(status: Status) -> Self {
        let details = status.get_error_details();
        let reason = details.error_info().map(|info| info.reason.as_str());
        let found = ErrorCode::ALL
            .iter()
            .find(|(_, _, name)| Some(*name) == reason)
            .or_else(|| ErrorCode::ALL.iter().find(|(_, code, _)| *code == status.code()));
        let source = std::error::Error::source(&status);
        let code = match found {
            Some((ErrorCode::Cancelled, _, _)) if status.message().contains("Timeout expired") => {
                ErrorCode::DeadlineExceeded
            }
            Some((ErrorCode::Cancelled | ErrorCode::Internal, _, _)) if source.is_some() => {
                ErrorCode::Unavailable
            }
            Some((code, _, _)) => *code,
            None if status.code() == Code::OutOfRange => ErrorCode::InvalidInput,
            None if status.code() == Code::Unknown => ErrorCode::Unavailable,
            None => ErrorCode::Internal,
        };
        let field = details
            .bad_request()
            .and_then(|request| request.field_violations.first())
            .map(|violation| violation.field.clone());
        let retry_after = details.retry_info().and_then(|info| info.retry_delay);
        // Some answers, such as that of a server without the service, come without a word.
        let message = match source {
            // The transport's own words hide why a connection broke.
            Some(cause) if code == ErrorCode::Unavailable => meaning(cause),
            _ if status.message().is_empty() => status.code().description().to_owned(),
            _ => status.message().to_owned(),
        };
        Self { code, message, field, retry_after }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_the_order_of_the_codes() {
        for (index, (code, _, _)) in ErrorCode::ALL.iter().enumerate() {
            assert_eq!(*code as usize, index);
        }
    }

    #[test]
    fn every_error_survives_the_wire_with_field_and_retry() {
        for (code, _, _) in ErrorCode::ALL {
            let error = ServiceError::new(code, "no such thing").retry_after(Duration::from_secs(3));
            assert_eq!(ServiceError::from(Status::from(error.clone())), error);
        }
        let error = ServiceError::from(Invalid::new("frame.grid.step", "is zero"));
        let status = Status::from(error.clone());
        assert_eq!(status.code(), Code::InvalidArgument);
        assert_eq!(ServiceError::from(status).field(), Some("frame.grid.step"));
    }

    #[test]
    fn codes_that_tonic_chooses_get_their_meaning() {
        let error = ServiceError::from(Status::cancelled("Timeout expired"));
        assert_eq!(error.code(), ErrorCode::DeadlineExceeded);
        assert_eq!(ServiceError::from(Status::cancelled("by caller")).code(), ErrorCode::Cancelled);
        assert_eq!(ServiceError::from(Status::data_loss("gone")).code(), ErrorCode::DataLoss);
        assert_eq!(ServiceError::from(Status::out_of_range("large")).code(), ErrorCode::InvalidInput);
        assert_eq!(ServiceError::from(Status::unknown("h2 broke")).code(), ErrorCode::Unavailable);
        assert_eq!(ServiceError::from(Status::permission_denied("no")).code(), ErrorCode::PermissionDenied);
    }
}
