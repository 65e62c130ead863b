//! Calls that come in: a span, a log line, and metrics for each.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use http::{HeaderMap, HeaderValue, Request, Response};
use http_body::Body as HttpBody;
use tonic::{body::Body, codegen::Bytes};
use tower::{Layer, Service};
use tracing::{Instrument as _, Span, field::Empty};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use super::{
    call::{Call, Side},
    call_body::{CallBody, Counted},
    call_metrics::CallMetrics,
    methods::{Method, role},
    trace_context,
};
use crate::{deadline, server::VERSION_HEADER};

/// All services of one build have it.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Observes every call of a server; the outermost layer, so that refused calls count as well.
#[derive(Debug, Clone)]
pub struct ServerCalls {
    role: Arc<str>,
    metrics: Arc<CallMetrics>,
}

impl ServerCalls {
    /// Observes the server of `service` (`automap.v1.WalkerService`).
    pub fn new(service: &str, metrics: Arc<CallMetrics>) -> Self {
        Self { role: role(service).into(), metrics }
    }
}

impl<S> Layer<S> for ServerCalls {
    type Service = ObservedServer<S>;

    fn layer(&self, inner: S) -> ObservedServer<S> {
        ObservedServer { inner, calls: self.clone() }
    }
}

/// A server whose calls are observed.
#[derive(Debug, Clone)]
pub struct ObservedServer<S> {
    inner: S,
    calls: ServerCalls,
}

impl<S, B> Service<Request<Body>> for ObservedServer<S>
where
    S: Service<Request<Body>, Response = Response<B>>,
    S::Future: Send + 'static,
    S::Error: std::fmt::Display,
    B: HttpBody<Data = Bytes> + Unpin,
{
    type Response = Response<CallBody<B>>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let metrics = self.calls.metrics.of(request.uri().path());
        let span = span(&self.calls.role, &metrics.method, request.headers());
        let side = Side::Server { metrics, allowed: deadline::from_headers(request.headers()) };
        let mut call = Call::begin(span, side);
        let bytes = Arc::clone(&call.received);
        let request = request.map(|body| Body::new(Counted { body, bytes }));
        let answer = call.span.in_scope(|| self.inner.call(request)).instrument(call.span.clone());
        Box::pin(async move {
            match answer.await {
                Ok(mut response) => {
                    response.headers_mut().insert(VERSION_HEADER, HeaderValue::from_static(VERSION));
                    call.saw(response.headers());
                    let bytes = Arc::clone(&call.sent);
                    Ok(response.map(|body| CallBody::new(body, bytes, call)))
                }
                Err(error) => {
                    call.broke(&error);
                    Err(error)
                }
            }
        })
    }
}

/// The span of a call, below the one that its caller named. Sizes are filled in by whoever learns them.
fn span(role: &str, method: &Method, headers: &HeaderMap) -> Span {
    let rpc = method.full_name();
    let span = tracing::info_span!(
        parent: None,
        "call",
        role,
        rpc,
        trace_id = Empty,
        caller = Empty,
        automap.services = Empty,
        automap.series = Empty,
        automap.rows = Empty,
        automap.frame_bytes = Empty,
        automap.graphs = Empty,
        automap.edges = Empty,
        automap.tests = Empty,
        otel.name = rpc,
        otel.kind = "server",
    );
    let parent = trace_context::extract(headers);
    let from_caller = trace_context::trace_id(&parent);
    // Without tracing there is no span to have a parent, and the log still names the caller's trace.
    span.set_parent(parent).ok();
    if let Some(trace) = trace_context::trace_id(&span.context()).or(from_caller) {
        span.record("trace_id", trace);
    }
    span.set_attribute("rpc.system", "grpc");
    span.set_attribute("rpc.service", method.service.clone());
    span.set_attribute("rpc.method", method.name.clone());
    span
}
