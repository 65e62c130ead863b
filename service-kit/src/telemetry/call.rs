//! One call from its first byte to its last, however it ends.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use opentelemetry::trace::Status as SpanStatus;
use tonic::{Code, Status};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use super::call_metrics::{MethodMetrics, code_name};

/// Who answers a call.
#[derive(Debug)]
pub(super) enum Side {
    /// This process.
    Server {
        metrics: Arc<MethodMetrics>,
        /// How much time the caller gave it.
        allowed: Option<Duration>,
    },
    /// Another one.
    Client,
}

/// A call under way. When it is dropped, the call is over: its code is the one that was seen last, or, where none was
/// seen, the caller went away or its time was over.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) span: Span,
    side: Side,
    began: Instant,
    /// Bytes that came in, and bytes that went out.
    pub(super) received: Arc<AtomicU64>,
    pub(super) sent: Arc<AtomicU64>,
    outcome: Option<(Code, String)>,
}

impl Call {
    pub(super) fn begin(span: Span, side: Side) -> Self {
        if let Side::Server { metrics, .. } = &side {
            metrics.begin();
        }
        Self {
            span,
            side,
            began: Instant::now(),
            received: Arc::default(),
            sent: Arc::default(),
            outcome: None,
        }
    }

    /// Takes the code of a call from its headers or trailers, where they have one.
    pub(super) fn saw(&mut self, headers: &http::HeaderMap) {
        if let Some(code) = headers.get(Status::GRPC_STATUS) {
            let message = headers.get(Status::GRPC_MESSAGE).map(|message| message.as_bytes());
            let message = String::from_utf8_lossy(message.unwrap_or_default()).into_owned();
            self.outcome = Some((Code::from_bytes(code.as_bytes()), message));
        }
    }

    /// The transport failed before there was a code.
    pub(super) fn broke(&mut self, error: &dyn std::fmt::Display) {
        self.outcome.get_or_insert_with(|| (Code::Unavailable, error.to_string()));
    }

    fn unseen_outcome(&self, took: Duration) -> Code {
        match self.side {
            Side::Server { allowed: Some(allowed), .. } if took >= allowed => Code::DeadlineExceeded,
            _ => Code::Cancelled,
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        let took = self.began.elapsed();
        let (code, message) =
            self.outcome.take().unwrap_or_else(|| (self.unseen_outcome(took), String::new()));
        let (received, sent) = (self.received.load(Ordering::Relaxed), self.sent.load(Ordering::Relaxed));
        self.span.set_attribute("rpc.grpc.status_code", i64::from(i32::from(code)));
        self.span.set_attribute("automap.bytes_received", i64::try_from(received).unwrap_or(i64::MAX));
        self.span.set_attribute("automap.bytes_sent", i64::try_from(sent).unwrap_or(i64::MAX));
        let failed = match self.side {
            Side::Server { .. } => is_fault(code),
            Side::Client => code != Code::Ok,
        };
        if failed {
            self.span.set_status(SpanStatus::error(
                format!("{} {message}", code_name(code)).trim_end().to_owned(),
            ));
        }
        if let Side::Server { metrics, .. } = &self.side {
            metrics.end(code, took, received, sent);
            let _in_call = self.span.enter();
            log(metrics.method.own, code, &message, took, received, sent);
        }
    }
}

/// Whether a server that answers `code` is at fault, as the conventions of OpenTelemetry have it.
const fn is_fault(code: Code) -> bool {
    matches!(
        code,
        Code::Unknown
            | Code::DeadlineExceeded
            | Code::Unimplemented
            | Code::Internal
            | Code::Unavailable
            | Code::DataLoss
    )
}

/// One line for a call that was answered. What was asked and answered stays out: it belongs to the caller.
fn log(own: bool, code: Code, message: &str, took: Duration, received: u64, sent: u64) {
    let (ms, code_name) = (took.as_secs_f64() * 1e3, code_name(code));
    let ms = (ms * 1e3).round() / 1e3;
    if matches!(code, Code::Unknown | Code::Internal | Code::DataLoss) {
        tracing::error!(code = code_name, ms, received, sent, message, "answered");
    } else if is_fault(code) && own {
        tracing::warn!(code = code_name, ms, received, sent, message, "answered");
    } else if own {
        tracing::info!(code = code_name, ms, received, sent, "answered");
    } else {
        tracing::debug!(code = code_name, ms, received, sent, "answered");
    }
}
