//! The admin port: `/metrics` for Prometheus, `/healthz` and `/readyz` for probes. Plain HTTP, and nothing that changes
//! anything.

use std::{io, net::SocketAddr, sync::Arc};

use axum::{
    Router,
    extract::State,
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
    routing::get,
};
use prometheus_client::{encoding::text::encode, registry::Registry};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::http::{HttpLimits, HttpServer};

/// Connections at once. Scrapers and probes need a handful.
const CONNECTIONS: usize = 64;

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// An admin port that answers until it is dropped.
#[derive(Debug)]
#[must_use = "the port closes when this is dropped"]
pub struct Admin {
    server: HttpServer,
}

#[derive(Debug, Clone)]
struct Answers {
    registry: Arc<Registry>,
    stopping: CancellationToken,
}

impl Admin {
    /// Opens the port. The service is ready until `stopping` is cancelled. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// The address cannot be bound.
    pub async fn open(
        address: SocketAddr,
        registry: Arc<Registry>,
        stopping: CancellationToken,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let router = Router::new()
            .route("/metrics", get(metrics))
            .route("/healthz", get(|| async { "ok\n" }))
            .route("/readyz", get(ready))
            .with_state(Answers { registry, stopping });
        let limits = HttpLimits { connections: CONNECTIONS, ..HttpLimits::default() };
        // It answers while the service stops, so it ends with the service and not before.
        let server = HttpServer::open(listener, router, limits, None, CancellationToken::new())?;
        Ok(Self { server })
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.server.address()
    }
}

async fn metrics(State(answers): State<Answers>) -> Response {
    let mut text = String::new();
    match encode(&mut text, &answers.registry) {
        Ok(()) => ([(CONTENT_TYPE, OPEN_METRICS)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}

async fn ready(State(answers): State<Answers>) -> (StatusCode, &'static str) {
    if answers.stopping.is_cancelled() {
        (StatusCode::SERVICE_UNAVAILABLE, "stopping\n")
    } else {
        (StatusCode::OK, "ready\n")
    }
}
