//! The admin port: `/metrics` for Prometheus, `/healthz` and `/readyz` for probes. Plain HTTP, and nothing that changes
//! anything.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Router,
    extract::State,
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
    routing::get,
};
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use prometheus_client::{encoding::text::encode, registry::Registry};
use tokio::{net::TcpListener, sync::Semaphore, task::JoinSet};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

/// Connections at once. Scrapers and probes need a handful.
const CONNECTIONS: usize = 64;

/// How long a connection may take to send the head of a request, and how long it may stay idle between two.
const HEAD_PATIENCE: Duration = Duration::from_secs(10);

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// An admin port that answers until it is dropped.
#[derive(Debug)]
#[must_use = "the port closes when this is dropped"]
pub struct Admin {
    address: SocketAddr,
    _task: AbortOnDropHandle<()>,
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
        let address = listener.local_addr()?;
        let router = Router::new()
            .route("/metrics", get(metrics))
            .route("/healthz", get(|| async { "ok\n" }))
            .route("/readyz", get(ready))
            .with_state(Answers { registry, stopping });
        let task = AbortOnDropHandle::new(tokio::spawn(accept(listener, router)));
        Ok(Self { address, _task: task })
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
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

/// Serves connections, each on a task of its own, and drops them all when it is dropped itself. `axum::serve` would bound
/// neither their number nor the time of a request's head.
async fn accept(listener: TcpListener, router: Router) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let mut connections = JoinSet::new();
    while let Ok(place) = Arc::clone(&places).acquire_owned().await {
        while connections.try_join_next().is_some() {}
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Out of file descriptors, most likely: the next try must not spin.
                tracing::warn!(%error, "the admin port cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let service = TowerToHyperService::new(router.clone());
        connections.spawn(async move {
            let _place = place;
            let served = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD_PATIENCE)
                .serve_connection(TokioIo::new(stream), service)
                .await;
            if let Err(error) = served {
                tracing::debug!(%error, "a connection of the admin port broke off");
            }
        });
    }
}
