//! Calls of HTTP between the parts of Pymicro, over connections that are kept.

use std::{net::IpAddr, time::Duration};

use axum::body::{Body, Bytes, to_bytes};
use http::{Method, Request, StatusCode};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use tokio::time::timeout;

/// The largest answer that is read.
const ANSWER_BYTES: usize = 4 << 20;

/// A client; clones share its connections.
#[derive(Debug, Clone)]
pub(crate) struct HttpClient(Client<HttpConnector, Body>);

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoAnswer {
    #[error("it took longer than {0:?}")]
    Late(Duration),
    #[error("{0}")]
    Broken(String),
}

impl HttpClient {
    /// A client whose connections come from `source`.
    pub(crate) fn from_address(source: Option<IpAddr>) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.set_local_address(source);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(Duration::from_secs(30))
            .build(connector);
        Self(client)
    }

    /// Sends a request and reads its answer to the end.
    pub(crate) async fn call(
        &self,
        method: Method,
        url: &str,
        body: impl Into<Body>,
        patience: Duration,
    ) -> Result<(StatusCode, Bytes), NoAnswer> {
        let request = Request::builder().method(method).uri(url).body(body.into());
        let request = request.map_err(|error| NoAnswer::Broken(format!("{url} is no address: {error}")))?;
        let answered = async {
            let answer = self.0.request(request).await.map_err(innermost)?;
            let (head, body) = answer.into_parts();
            let body = to_bytes(Body::new(body), ANSWER_BYTES).await.map_err(innermost)?;
            Ok((head.status, body))
        };
        timeout(patience, answered).await.map_err(|_| NoAnswer::Late(patience))?
    }
}

/// The innermost cause, which says what happened; the outer ones say `client error`.
fn innermost(error: impl std::error::Error + 'static) -> NoAnswer {
    let mut cause: &dyn std::error::Error = &error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    NoAnswer::Broken(cause.to_string())
}
