//! A receiver of spans in this process, as a collector of OpenTelemetry is.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use opentelemetry_proto::tonic::{
    collector::trace::v1::{
        ExportTraceServiceRequest, ExportTraceServiceResponse,
        trace_service_server::{TraceService, TraceServiceServer},
    },
    common::v1::{KeyValue, any_value},
    trace::v1::{ResourceSpans, Span, span::SpanKind},
};
use tokio::{net::TcpListener, runtime::Runtime};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status, transport::Server};

/// How long spans may be on their way.
const PATIENCE: Duration = Duration::from_secs(180);

/// A span that came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceivedSpan {
    /// `service.name` of the process that sent it.
    pub service: String,
    /// Its name.
    pub name: String,
    /// Which side of a call it is.
    pub kind: SpanKind,
    /// Its trace, hexadecimal.
    pub trace: String,
    /// Its id, hexadecimal.
    pub id: String,
    /// The id of its parent; empty for a root.
    pub parent: String,
    /// Its attributes, as text.
    pub attributes: BTreeMap<String, String>,
    /// Whether it failed.
    pub failed: bool,
}

/// The receiver; it stops when dropped.
#[derive(Debug)]
pub struct OtlpReceiver {
    /// Where it listens, `http://127.0.0.1:port`.
    pub endpoint: String,
    received: Received,
    _runtime: Runtime,
}

#[derive(Debug, Clone, Default)]
struct Received(Arc<Mutex<Vec<ReceivedSpan>>>);

impl OtlpReceiver {
    /// Starts it on a free loopback port and a thread of its own.
    ///
    /// # Errors
    /// There is no port or no thread to be had.
    pub fn start() -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0"))?;
        let endpoint = format!("http://{}", listener.local_addr()?);
        let received = Received::default();
        let service = TraceServiceServer::new(received.clone());
        runtime.spawn(
            Server::builder().add_service(service).serve_with_incoming(TcpListenerStream::new(listener)),
        );
        Ok(Self { endpoint, received, _runtime: runtime })
    }

    /// The environment in which a process exports to it, soon, and waits at its end until everything is taken.
    pub fn environment(&self) -> [(&str, &str); 3] {
        [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &self.endpoint),
            ("OTEL_BSP_SCHEDULE_DELAY", "50"),
            ("OTEL_BSP_EXPORT_TIMEOUT", "120000"),
        ]
    }

    /// What came in so far.
    pub fn spans(&self) -> Vec<ReceivedSpan> {
        self.received.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What came in by the time that `complete` says so.
    ///
    /// # Errors
    /// It does not become complete in time; the error shows what came in.
    pub fn wait_until(
        &self,
        complete: impl Fn(&[ReceivedSpan]) -> bool,
    ) -> anyhow::Result<Vec<ReceivedSpan>> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let spans = self.spans();
            if complete(&spans) {
                return Ok(spans);
            }
            if Instant::now() > deadline {
                bail!("the spans are not complete: {spans:#?}");
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

/// The ancestors of a span from its root down to itself, each as `service: name`; a client is marked by an arrow.
///
/// # Errors
/// A parent is missing.
pub fn ancestry(
    spans: &[ReceivedSpan],
    span: &ReceivedSpan,
    outer_parent: &str,
) -> anyhow::Result<Vec<String>> {
    let mut path = Vec::new();
    let mut current = span;
    loop {
        let arrow = if current.kind == SpanKind::Client { " ->" } else { "" };
        path.push(format!("{}: {}{arrow}", current.service, current.name));
        if current.parent == outer_parent {
            break;
        }
        current = spans
            .iter()
            .find(|known| known.id == current.parent && known.trace == current.trace)
            .with_context(|| format!("the parent of {current:?} is missing"))?;
    }
    path.reverse();
    Ok(path)
}

#[tonic::async_trait]
impl TraceService for Received {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let mut spans = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        spans.extend(request.into_inner().resource_spans.into_iter().flat_map(read));
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

fn read(resource: ResourceSpans) -> impl Iterator<Item = ReceivedSpan> {
    let attributes = resource.resource.map(|resource| resource.attributes).unwrap_or_default();
    let service = texts(attributes).remove("service.name").unwrap_or_default();
    let spans = resource.scope_spans.into_iter().flat_map(|scope| scope.spans);
    spans.map(move |span| read_span(service.clone(), span))
}

fn read_span(service: String, span: Span) -> ReceivedSpan {
    ReceivedSpan {
        service,
        kind: span.kind(),
        trace: hexadecimal(&span.trace_id),
        id: hexadecimal(&span.span_id),
        parent: hexadecimal(&span.parent_span_id),
        failed: span.status.as_ref().is_some_and(|status| status.code == 2),
        attributes: texts(span.attributes),
        name: span.name,
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn texts(attributes: Vec<KeyValue>) -> BTreeMap<String, String> {
    let text = |value| match value {
        any_value::Value::StringValue(text) => text,
        any_value::Value::IntValue(number) => number.to_string(),
        other => format!("{other:?}"),
    };
    attributes.into_iter().filter_map(|pair| Some((pair.key, text(pair.value?.value?)))).collect()
}
