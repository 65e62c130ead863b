//! Why a query failed, as a sentence with the way out, and whether another try makes sense.

use std::time::Duration;

use automap_service_kit::error::{ErrorCode, ServiceError};

use super::{answer_stream::AnswerFault, rows::RowFault};
use crate::listing::cut_sentence;

/// What kind of failure it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FaultKind {
    /// Nobody answers there, or the answer broke off: it may pass.
    Unreachable,
    /// The server is overloaded or failing: it may pass.
    Busy,
    /// It took longer than it may.
    Timeout,
    /// The query touches more samples than the server allows: a part of it may go.
    TooManySamples,
    /// The server refuses, or is not what it should be; so it will the next time.
    Refused,
    /// The expression is wrong, or its answer does not fit.
    BadQuery,
    /// The answer is larger than is borne.
    TooLarge,
}

impl FaultKind {
    /// All kinds.
    pub(crate) const ALL: [Self; 7] = [
        Self::Unreachable,
        Self::Busy,
        Self::Timeout,
        Self::TooManySamples,
        Self::Refused,
        Self::BadQuery,
        Self::TooLarge,
    ];

    /// The name under which it is counted.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::Busy => "busy",
            Self::Timeout => "timeout",
            Self::TooManySamples => "too_many_samples",
            Self::Refused => "refused",
            Self::BadQuery => "bad_query",
            Self::TooLarge => "too_large",
        }
    }
}

/// A query that failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub(crate) struct QueryFault {
    pub(crate) kind: FaultKind,
    message: String,
    /// When the server asks to be asked again.
    pub(crate) retry_after: Option<Duration>,
}

impl QueryFault {
    pub(crate) fn new(kind: FaultKind, message: impl Into<String>) -> Self {
        Self { kind, message: cut_sentence(message.into()), retry_after: None }
    }

    pub(crate) fn after(self, retry_after: Option<Duration>) -> Self {
        Self { retry_after, ..self }
    }

    /// Says what was being done: `context: message`.
    pub(crate) fn context(self, context: &str) -> Self {
        Self { message: format!("{context}: {}", self.message), ..self }
    }

    pub(crate) const fn may_pass(&self) -> bool {
        matches!(self.kind, FaultKind::Unreachable | FaultKind::Busy)
    }
}

impl From<AnswerFault> for QueryFault {
    fn from(fault: AnswerFault) -> Self {
        let kind = match fault {
            AnswerFault::CutOff { .. } => FaultKind::Unreachable,
            AnswerFault::Malformed(_) => FaultKind::Refused,
            AnswerFault::TooLarge(_) => FaultKind::TooLarge,
        };
        Self::new(kind, format!("the answer {fault}"))
    }
}

impl From<RowFault> for QueryFault {
    fn from(fault: RowFault) -> Self {
        let kind = match fault {
            RowFault::TooLarge(_) | RowFault::TooManyRows { .. } => FaultKind::TooLarge,
            _ => FaultKind::BadQuery,
        };
        Self::new(kind, fault.to_string())
    }
}

impl From<QueryFault> for ServiceError {
    fn from(fault: QueryFault) -> Self {
        let code = match fault.kind {
            // Tried often enough here: whoever asked need not.
            FaultKind::Unreachable | FaultKind::Busy | FaultKind::Timeout => ErrorCode::Unavailable,
            FaultKind::TooManySamples | FaultKind::Refused | FaultKind::BadQuery | FaultKind::TooLarge => {
                ErrorCode::InvalidInput
            }
        };
        let error = Self::new(code, fault.message);
        match fault.retry_after {
            Some(delay) => error.retry_after(delay),
            None => error,
        }
    }
}

/// What an answer that is no success means. `said` is the server's own message, or the beginning of what it sent.
pub(crate) fn refusal(status: u16, url: &str, said: &str, location: Option<&str>) -> QueryFault {
    let quoted = if said.is_empty() { String::new() } else { format!(" ({said})") };
    let answered = format!("answered {status}{quoted}");
    let too_many = said.contains("too many samples")
        || said.contains("exceeded maximum resolution")
        || said.contains("maxSamplesPer")
        || said.contains("maxPointsPer");
    match status {
        _ if too_many => QueryFault::new(FaultKind::TooManySamples, answered),
        300..400 => QueryFault::new(
            FaultKind::Refused,
            match location {
                Some(location) => format!("{answered}: it points to {location}; set url to where it moved"),
                None => format!("{answered}: it points elsewhere; set url to where it moved"),
            },
        ),
        // A proxy of VictoriaMetrics answers 400 to a token that it does not know.
        _ if status == 401 || (status == 400 && said.contains("auth token")) => QueryFault::new(
            FaultKind::Refused,
            format!(
                "{answered}: it does not know who asks; set bearer-token-file (--source-token-file), or username and password-file, and for a \
                 server with tenants the header X-Scope-OrgID (--header X-Scope-OrgID=TENANT)"
            ),
        ),
        403 => QueryFault::new(
            FaultKind::Refused,
            format!("{answered}: whoever asks may not read there; use another token, user or tenant"),
        ),
        // What VictoriaMetrics says, with status 400.
        _ if status == 404 || said.contains("unsupported path") => QueryFault::new(
            FaultKind::Refused,
            format!(
                "{answered}: there is no /api/v1 below {url}; set url with the path prefix of the server, such as \
                 /prometheus, /select/0/prometheus for a cluster of VictoriaMetrics, or /prometheus for Mimir"
            ),
        ),
        400 | 422 => QueryFault::new(FaultKind::BadQuery, answered),
        // The server's own limit: the same query takes as long the next time.
        503 | 504 if said.contains("timed out") || said.contains("timeout") => {
            QueryFault::new(FaultKind::Timeout, answered)
        }
        429 | 500..600 => QueryFault::new(FaultKind::Busy, answered),
        _ => QueryFault::new(FaultKind::Refused, answered),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_decides_what_can_be_done() {
        let kind = |status, said| refusal(status, "http://p:9090", said, None).kind;
        assert_eq!(
            kind(422, "query processing would load too many samples into memory"),
            FaultKind::TooManySamples
        );
        assert_eq!(kind(400, "exceeded maximum resolution of 11,000 points"), FaultKind::TooManySamples);
        assert_eq!(kind(422, "many-to-many matching not allowed"), FaultKind::BadQuery);
        assert_eq!(kind(429, ""), FaultKind::Busy);
        assert_eq!(kind(503, ""), FaultKind::Busy);
        assert_eq!(kind(503, "query timed out in expression evaluation"), FaultKind::Timeout);
        assert_eq!(kind(418, ""), FaultKind::Refused);
        let said = |status| refusal(status, "http://p:9090", "no", Some("http://q/")).to_string();
        assert!(said(302).contains("http://q/"));
        assert!(said(401).contains("bearer-token-file"));
        let unknown = refusal(400, "http://p:9090", "cannot find the provided auth token", None);
        assert!(unknown.to_string().contains("bearer-token-file"));
        assert!(said(404).contains("path prefix"));
    }

    #[test]
    fn only_what_may_pass_is_tried_again() {
        assert!(QueryFault::from(AnswerFault::CutOff { bytes: 3 }).may_pass());
        assert!(!QueryFault::from(AnswerFault::Malformed("x".into())).may_pass());
        assert!(!QueryFault::new(FaultKind::Timeout, "x").may_pass());
        let error = ServiceError::from(QueryFault::new(FaultKind::Busy, "answered 503"));
        assert_eq!(error.code(), ErrorCode::Unavailable);
    }
}
