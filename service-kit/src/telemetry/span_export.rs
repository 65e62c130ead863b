//! Spans on their way to an OTLP receiver.

use std::{
    fmt,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use opentelemetry::KeyValue;
use opentelemetry_otlp::{ExporterBuildError, RetryPolicy, SpanExporter, WithTonicConfig as _};
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    trace::{SdkTracerProvider, SpanData, SpanExporter as Exporter},
};
use tonic::transport::Channel;

/// The provider of a process whose spans go to the receiver that `OTEL_EXPORTER_OTLP_*` name. The endpoint, headers,
/// timeout, batches, sampler and resource are read from the environment by the library; `channel` stands in for the
/// endpoint. Must be called within a tokio runtime, which carries the connection.
///
/// # Errors
/// The endpoint cannot be used.
pub(crate) fn exporting(
    resource: Resource,
    retry: bool,
    channel: Option<Channel>,
) -> Result<SdkTracerProvider, ExporterBuildError> {
    let policy = if retry { RetryPolicy::recommended() } else { RetryPolicy::disabled() };
    let exporter = SpanExporter::builder().with_tonic().with_retry_policy(policy);
    let exporter = match channel {
        Some(channel) => exporter.with_channel(channel).build()?,
        None => exporter.build()?,
    };
    let reported = Reported { exporter, failing: AtomicBool::new(false) };
    Ok(SdkTracerProvider::builder().with_resource(resource).with_batch_exporter(reported).build())
}

/// A provider whose spans have identities and go nowhere.
pub(crate) fn propagating() -> SdkTracerProvider {
    SdkTracerProvider::builder().build()
}

/// Who the process is: what `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES` say, else `service_name`.
pub(crate) fn resource(service_name: &str, get: impl Fn(&str) -> Option<String>) -> Resource {
    let named = get("OTEL_SERVICE_NAME").is_some_and(|name| !name.is_empty())
        || get("OTEL_RESOURCE_ATTRIBUTES").is_some_and(|attributes| {
            attributes.split(',').any(|pair| pair.trim_start().starts_with("service.name="))
        });
    let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
    let resource = Resource::builder().with_attribute(version);
    if named { resource.build() } else { resource.with_service_name(service_name.to_owned()).build() }
}

/// An exporter that says once when the receiver fails and once when it is back, in place of at every batch.
struct Reported {
    exporter: SpanExporter,
    failing: AtomicBool,
}

impl fmt::Debug for Reported {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Reported").field("failing", &self.failing).finish_non_exhaustive()
    }
}

impl Exporter for Reported {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let exported = self.exporter.export(batch).await;
        match (&exported, self.failing.swap(exported.is_err(), Ordering::Relaxed)) {
            (Err(error), false) => {
                tracing::warn!(%error, "spans cannot be exported and are dropped; calls go on without");
            }
            (Ok(()), true) => tracing::info!("spans are exported again"),
            _ => {}
        }
        exported
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry::Key;

    use super::*;

    fn service_name(variables: &[(&str, &str)]) -> Option<String> {
        let found = resource("automap-walker", |name| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        });
        found.get(&Key::new("service.name")).map(|name| name.to_string())
    }

    #[test]
    fn a_process_is_named_for_its_role_unless_the_environment_names_it() {
        assert_eq!(service_name(&[]).as_deref(), Some("automap-walker"));
        // The library reads the variables themselves from the process.
        assert_ne!(service_name(&[("OTEL_SERVICE_NAME", "shop")]).as_deref(), Some("automap-walker"));
        let attributes = ("OTEL_RESOURCE_ATTRIBUTES", "a=b, service.name=shop");
        assert_ne!(service_name(&[attributes]).as_deref(), Some("automap-walker"));
        let attributes = ("OTEL_RESOURCE_ATTRIBUTES", "deployment=prod");
        assert_eq!(service_name(&[attributes]).as_deref(), Some("automap-walker"));
    }
}
