//! Logs, traces and metrics of a process.
//!
//! | module | what it holds |
//! |---|---|
//! | [`self`] | one subscriber for log lines and spans |
//! | `environment`, `otlp_tls`, `span_export` | what `OTEL_*` say, and the spans on their way |
//! | `trace_context` | W3C trace context in headers and in the environment |
//! | [`methods`] | the RPCs that a service knows |
//! | [`call_metrics`] | rate, errors and duration of calls |
//! | `call`, `call_body` | one call from its first byte to its last |
//! | [`server_calls`], [`client_calls`] | calls that come in, and calls that go out |
//! | [`sizes`] | the sizes that matter, on the span of the call |

mod call;
mod call_body;
pub mod call_metrics;
pub mod client_calls;
mod environment;
pub mod methods;
mod otlp_tls;
pub mod server_calls;
pub mod sizes;
mod span_export;
mod trace_context;

use std::{env, time::Duration};

use opentelemetry::trace::{Status, TracerProvider as _};
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::{Level, Span};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use tracing_subscriber::{
    Layer as _, Registry, filter::filter_fn, layer::SubscriberExt as _, util::SubscriberInitExt as _,
};

use crate::logging::{self, FILTER_VARIABLE, FilterError, LogFormat};
use environment::{Export, TraceSettings, trace_settings};

/// Spans and events of the project's own crates; those of the transport would trace the export itself.
const OWN_TARGETS: &str = "automap";

/// What a process is, as far as its telemetry goes.
#[derive(Debug, Clone)]
pub struct Process {
    /// `service.name` in traces unless the environment says another.
    pub name: String,
    /// Which log lines are written when neither flags nor `AUTOMAP_LOG` say.
    pub default_filter: &'static str,
    /// Which log lines flags ask for; they win over `AUTOMAP_LOG`.
    pub filter: Option<String>,
    /// How log lines look.
    pub format: LogFormat,
    /// Write the lines of the audit, whatever the filter of log lines says.
    pub audited: bool,
    /// Try again when spans cannot be exported. Only a process that goes on has the time.
    pub retry_export: bool,
    /// How long the end may wait for the last spans to be taken, where `OTEL_BSP_EXPORT_TIMEOUT` does not say.
    pub exit_patience: Duration,
}

impl Process {
    /// A command that a person waits for.
    pub fn command() -> Self {
        Self {
            name: "automap".into(),
            default_filter: "error",
            filter: None,
            format: LogFormat::Human,
            audited: false,
            retry_export: false,
            exit_patience: Duration::from_millis(250),
        }
    }

    /// A service; `role` is `walker`, `collector` and so on, or `None` for all of them in one process.
    pub fn service(role: Option<&str>, format: LogFormat) -> Self {
        Self {
            name: role.map_or_else(|| "automap".into(), |role| format!("automap-{role}")),
            default_filter: "info",
            filter: None,
            format,
            audited: true,
            retry_export: true,
            exit_patience: Duration::from_secs(2),
        }
    }
}

/// The telemetry of this process; [`Telemetry::end`] sends the last spans.
#[derive(Debug)]
#[must_use = "the last spans are lost unless it is ended"]
pub struct Telemetry {
    provider: Option<SdkTracerProvider>,
    exit_patience: Duration,
}

/// Installs log lines and spans for this process. Must be called within a tokio runtime. A second call changes nothing.
///
/// # Errors
/// `AUTOMAP_LOG` cannot be read.
pub fn install(process: &Process) -> Result<Telemetry, FilterError> {
    let from_environment = || {
        env::var_os(FILTER_VARIABLE)
            .map(|text| text.to_string_lossy().into_owned())
            .filter(|text| !text.trim().is_empty())
    };
    let text = process.filter.clone().or_else(from_environment);
    let filter = logging::parse_filter(text.as_deref().unwrap_or(process.default_filter))?;
    let (provider, warning) = tracer_provider(process);
    let spans = provider.as_ref().map(|provider| {
        tracing_opentelemetry::layer()
            .with_tracer(provider.tracer("automap"))
            .with_context_activation(false)
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_tracked_inactivity(false)
            .with_filter(filter_fn(|metadata| {
                let worth_exporting = metadata.is_span() || *metadata.level() <= Level::WARN;
                worth_exporting && metadata.target().starts_with(OWN_TARGETS)
            }))
    });
    let installed = Registry::default()
        .with(spans)
        .with(logging::layer(process.format, filter, process.audited))
        .try_init();
    if let Err(error) = installed {
        tracing::debug!(%error, "telemetry was set up before");
        return Ok(Telemetry { provider: None, exit_patience: Duration::ZERO });
    }
    if let Some(warning) = warning {
        tracing::warn!("{warning}");
    }
    let told = env::var("OTEL_BSP_EXPORT_TIMEOUT").ok().and_then(|text| text.trim().parse().ok());
    Ok(Telemetry { provider, exit_patience: told.map_or(process.exit_patience, Duration::from_millis) })
}

fn tracer_provider(process: &Process) -> (Option<SdkTracerProvider>, Option<String>) {
    let get = |name: &str| env::var(name).ok();
    let TraceSettings { export, warning } = trace_settings(get);
    match export {
        Export::Disabled => (None, warning),
        Export::Off => (Some(span_export::propagating()), warning),
        Export::Otlp => match exporting(process, get) {
            Ok(provider) => (Some(provider), warning),
            Err(error) => {
                (Some(span_export::propagating()), Some(format!("spans are not exported: {error}")))
            }
        },
    }
}

fn exporting(process: &Process, get: impl Fn(&str) -> Option<String>) -> Result<SdkTracerProvider, String> {
    let channel = otlp_tls::secure_channel(&get)
        .map_err(|invalid| format!("{}: {}", invalid.field(), invalid.problem()))?;
    span_export::exporting(span_export::resource(&process.name, &get), process.retry_export, channel)
        .map_err(|error| error.to_string())
}

/// The span of a whole command, `automap diagnose`, below the parent that `TRACEPARENT` names.
pub fn command_span(name: &str) -> Span {
    let span = tracing::info_span!("command", otel.name = name);
    // Without tracing there is no span to have a parent.
    span.set_parent(trace_context::from_environment(|name| env::var(name).ok())).ok();
    span
}

/// The span of what is done over and over without anyone asking, such as a heartbeat: nothing below it is exported.
pub fn background_span() -> Span {
    let span = tracing::info_span!("background");
    // Without tracing there is no span to have a parent.
    span.set_parent(trace_context::not_sampled()).ok();
    span
}

/// Puts `span`, which has no parent yet, into the trace of the work that is under way, without making that work last as long
/// as the span does.
pub fn continue_trace(span: Span) -> Span {
    span.set_parent(Span::current().context()).ok();
    span
}

/// Says in the trace that what `span` stands for failed.
pub fn mark_failed(span: &Span, failure: &dyn std::fmt::Display) {
    span.set_status(Status::error(failure.to_string()));
}

impl Telemetry {
    /// Sends the last spans, for as long as the process may wait. What the receiver does not take by then is lost.
    pub async fn end(self) {
        let Some(provider) = self.provider else { return };
        let patience = self.exit_patience;
        // The library blocks, and the thread that waits must not be one that carries the connection.
        let ended = tokio::task::spawn_blocking(move || provider.shutdown_with_timeout(patience)).await;
        if let Ok(Err(error)) = ended {
            tracing::debug!(%error, "the last spans were not exported");
        }
    }
}
