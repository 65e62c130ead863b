//! Listeners, and how a process tells where it listens.

use std::{
    io::{self, Write as _},
    net::SocketAddr,
};

use anyhow::Context as _;
use axum::{Router, serve::ListenerExt as _};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;

/// The one line that a process writes to standard output when it listens, as JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ready {
    /// Where it answers requests.
    pub(crate) listen: SocketAddr,
    /// Where faults can be had.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) control: Option<SocketAddr>,
}

impl Ready {
    /// Writes the line.
    pub(crate) fn tell(&self) -> anyhow::Result<()> {
        let mut stdout = io::stdout().lock();
        serde_json::to_writer(&mut stdout, self)?;
        writeln!(stdout)?;
        Ok(stdout.flush()?)
    }
}

/// Binds `address`.
pub(crate) async fn bind(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"))
}

/// Answers requests until `stop` ends and those that run have ended.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    stop: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let listener = listener.tap_io(|stream| {
        // Small answers must not wait for the acknowledgement of the one before.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "a connection closed at once");
        }
    });
    axum::serve(listener, router).with_graceful_shutdown(stop).await
}
