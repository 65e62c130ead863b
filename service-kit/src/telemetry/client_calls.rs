//! Calls that go out: a span for each, which whoever is called gets as its parent.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use http::{Request, Response};
use http_body::Body as HttpBody;
use tonic::{body::Body, codegen::Bytes};
use tower::Service;
use tracing::{Instrument as _, Span};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use super::{
    call::{Call, Side},
    call_body::{CallBody, Counted},
    trace_context,
};

/// A channel whose calls are observed.
#[derive(Debug, Clone)]
pub struct ObservedClient<S> {
    inner: S,
}

impl<S> ObservedClient<S> {
    /// Observes the calls of `inner`.
    pub const fn new(inner: S) -> Self {
        Self { inner }
    }
}

impl<S, B> Service<Request<Body>> for ObservedClient<S>
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

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let span = span(request.uri().path());
        trace_context::inject(&span.context(), request.headers_mut());
        let mut call = Call::begin(span, Side::Client);
        let bytes = Arc::clone(&call.sent);
        let request = request.map(|body| Body::new(Counted { body, bytes }));
        let answer = call.span.in_scope(|| self.inner.call(request)).instrument(call.span.clone());
        Box::pin(async move {
            match answer.await {
                Ok(response) => {
                    call.saw(response.headers());
                    let bytes = Arc::clone(&call.received);
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

/// The span of a call of `/automap.v1.WalkerService/Diagnose`.
fn span(path: &str) -> Span {
    let rpc = path.trim_start_matches('/');
    let span = tracing::info_span!("ask", rpc, otel.name = rpc, otel.kind = "client");
    if let Some((service, method)) = rpc.split_once('/') {
        span.set_attribute("rpc.system", "grpc");
        span.set_attribute("rpc.service", service.to_owned());
        span.set_attribute("rpc.method", method.to_owned());
    }
    span
}
