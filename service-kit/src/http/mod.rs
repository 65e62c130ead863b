//! An HTTP server for people, alerts and probes: bounded in connections, in time and in size, in clear or over TLS.
//!
//! | module | what it holds |
//! |---|---|
//! | [`config`] | where a service answers HTTP, and how it is reached from outside |
//! | [`limits`] | what the server bears |
//! | `connection` | one connection from its first byte to its end |

pub mod config;
mod connection;
pub mod limits;

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Router,
    extract::{DefaultBodyLimit, Request},
    http::StatusCode,
    middleware::{self, Next},
    response::{IntoResponse as _, Response},
};
use rustls::pki_types::CertificateDer;
use tokio::{net::TcpListener, sync::Semaphore, task::JoinSet};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

pub use config::HttpConfig;
pub use limits::HttpLimits;

use crate::tls::reload::Reloading;

/// TLS as it stands.
pub type HttpTls = Arc<Reloading<rustls::ServerConfig>>;

/// Pause after the system could not give a connection, as when all file descriptors are taken.
const RECOVERY: Duration = Duration::from_millis(100);

/// Who is at the other end of a connection: an extension of every request.
#[derive(Debug, Clone)]
pub struct Peer {
    /// Its address.
    pub address: SocketAddr,
    /// The certificate that it showed and the server has checked, where the server asks for one.
    pub certificate: Option<CertificateDer<'static>>,
}

/// A server that answers until its shutdown, or until it is dropped.
#[derive(Debug)]
#[must_use = "the port closes when this is dropped"]
pub struct HttpServer {
    address: SocketAddr,
    task: AbortOnDropHandle<()>,
}

impl HttpServer {
    /// Answers `router` on `listener` until `shutdown`; then no connection is taken in, and requests under way may end for
    /// `limits.drain`. Must be called within a tokio runtime.
    ///
    /// Answers that go on for long, such as streams of events, must end by themselves at the same shutdown.
    ///
    /// # Errors
    /// The listener has no address.
    pub fn open(
        listener: TcpListener,
        router: Router,
        limits: HttpLimits,
        tls: Option<HttpTls>,
        shutdown: CancellationToken,
    ) -> io::Result<Self> {
        let address = listener.local_addr()?;
        let router = router
            .layer(middleware::from_fn(move |request, next| answer_in_time(limits.answer, request, next)))
            .layer(DefaultBodyLimit::max(limits.body_bytes));
        let task = tokio::spawn(accept(listener, router, limits, tls, shutdown));
        Ok(Self { address, task: AbortOnDropHandle::new(task) })
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits until the server has ended after its shutdown.
    pub async fn ended(self) {
        if let Err(error) = self.task.await {
            tracing::error!(%error, "an HTTP server broke off");
        }
    }
}

/// A handler reads the body of its request, so this bounds callers that send theirs drop by drop.
async fn answer_in_time(patience: Duration, request: Request, next: Next) -> Response {
    match tokio::time::timeout(patience, next.run(request)).await {
        Ok(response) => response,
        Err(_) => (StatusCode::REQUEST_TIMEOUT, "the request took too long\n").into_response(),
    }
}

/// Serves connections, each on a task of its own, and drops them all when it is dropped itself. `axum::serve` would bound
/// neither their number nor the time of a request's head.
async fn accept(
    listener: TcpListener,
    router: Router,
    limits: HttpLimits,
    tls: Option<HttpTls>,
    shutdown: CancellationToken,
) {
    let places = Arc::new(Semaphore::new(limits.connections));
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = shutdown.cancelled() => break,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of file descriptors, most likely: the next try must not spin.
                tracing::warn!(%error, "an HTTP port cannot accept a connection");
                tokio::time::sleep(RECOVERY).await;
                continue;
            }
        };
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
            tracing::warn!(%peer, connections = limits.connections, "refused a connection: an HTTP port has all it bears");
            continue;
        };
        let (router, tls, shutdown) = (router.clone(), tls.clone(), shutdown.clone());
        connections.spawn(async move {
            let _place = place;
            if let Err(error) = connection::serve(stream, peer, router, limits, tls, shutdown).await {
                tracing::debug!(%peer, %error, "an HTTP connection broke off");
            }
        });
    }
    drop(listener);
    let drained = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(limits.drain, drained).await.is_err() {
        tracing::warn!("drain time is over, dropping HTTP connections");
    }
}

#[cfg(test)]
mod tests;
