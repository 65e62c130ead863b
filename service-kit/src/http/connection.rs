//! One connection of an HTTP server, from its first byte to its end.

use std::{io, net::SocketAddr, pin::pin};

use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::{HttpLimits, HttpTls, Peer};

/// Largest head of a request, bytes.
const HEAD_BYTES: usize = 64 << 10;

/// Negotiates TLS where the server has it, then answers requests until the caller leaves or `shutdown`.
pub(super) async fn serve(
    stream: TcpStream,
    address: SocketAddr,
    router: Router,
    limits: HttpLimits,
    tls: Option<HttpTls>,
    shutdown: CancellationToken,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let Some(tls) = tls else {
        let peer = Peer { address, certificate: None };
        return converse(stream, peer, router, limits, shutdown).await;
    };
    let handshake = TlsAcceptor::from(tls.current()).accept(stream);
    let stream = tokio::time::timeout(limits.head, handshake)
        .await
        .map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "kept silent"))??;
    let shown = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
    let peer = Peer { address, certificate: shown.map(|certificate| certificate.clone().into_owned()) };
    converse(stream, peer, router, limits, shutdown).await
}

async fn converse(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    peer: Peer,
    router: Router,
    limits: HttpLimits,
    shutdown: CancellationToken,
) -> io::Result<()> {
    let service = TowerToHyperService::new(router.layer(Extension(peer)));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head)
        .max_buf_size(HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    let served = tokio::select! {
        served = connection.as_mut() => served,
        () = shutdown.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    served.map_err(io::Error::other)
}
