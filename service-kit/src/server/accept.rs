//! Connections: taken in, told apart, and given up on when they keep silent.

use std::{io, sync::Arc, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::{Semaphore, mpsc},
};
use tokio_rustls::TlsAcceptor;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;

use super::{
    config::ServerConfig,
    connection::{Connection, Transport},
    preface,
};
use crate::tls::reload::Reloading;

/// Pause after the system could not give a connection, as when all file descriptors are taken.
const RECOVERY: Duration = Duration::from_millis(100);

/// How long a refused caller may take to read why. Closed at once, the system would drop what it was told.
const FAREWELL: Duration = Duration::from_secs(1);

/// Connections that wait for the server to take them up.
const READY: usize = 64;

/// TLS as it stands.
pub(super) type ServerTls = Arc<Reloading<rustls::ServerConfig>>;

/// Accepts connections until `shutdown`. Each one opens in a task of its own, so that a slow one holds up nobody.
pub(super) fn connections(
    listener: TcpListener,
    tls: Option<ServerTls>,
    config: &ServerConfig,
    shutdown: CancellationToken,
) -> ReceiverStream<io::Result<Connection>> {
    let (sender, receiver) = mpsc::channel(READY);
    let places = Arc::new(Semaphore::new(config.max_connections));
    let patience = Duration::from_secs(config.handshake_seconds);
    tokio::spawn(async move {
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = shutdown.cancelled() => return,
            };
            let (stream, peer) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(RECOVERY).await;
                    continue;
                }
            };
            let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
                tracing::warn!(%peer, "refused a connection: there are server.max-connections of them");
                continue;
            };
            let (sender, tls) = (sender.clone(), tls.clone());
            tokio::spawn(async move {
                match tokio::time::timeout(patience, open(stream, tls)).await {
                    // The server may be stopping; then the connection is closed.
                    Ok(Ok(transport)) => {
                        sender.send(Ok(Connection::new(transport, place))).await.ok();
                    }
                    Ok(Err(error)) => tracing::info!(%peer, %error, "closed a connection that did not open"),
                    Err(_) => tracing::info!(%peer, "closed a connection that kept silent"),
                }
            });
        }
    });
    ReceiverStream::new(receiver)
}

/// Negotiates TLS where the server has it, and reads the opening of HTTP/2.
async fn open(stream: TcpStream, tls: Option<ServerTls>) -> io::Result<Transport> {
    // Without this, small answers wait for delayed acknowledgements: 40 ms a call.
    stream.set_nodelay(true)?;
    let mut transport = match tls {
        None => Transport::Clear(stream),
        Some(tls) => match TlsAcceptor::from(tls.current()).accept(stream).into_fallible().await {
            Ok(stream) => Transport::Tls(Box::new(stream)),
            Err((error, stream)) => {
                bid_farewell(stream).await;
                return Err(error);
            }
        },
    };
    match preface::read(&mut transport).await {
        Ok(()) => Ok(transport),
        Err(error) => {
            if let Transport::Clear(stream) = transport {
                bid_farewell(stream).await;
            }
            Err(error)
        }
    }
}

/// Lets a caller read the last words, such as which alert ended TLS: closing a socket with unread bytes resets it, and
/// the words would be lost.
async fn bid_farewell(mut stream: TcpStream) {
    if stream.shutdown().await.is_err() {
        return;
    }
    let mut rest = [0; 1024];
    let drain = async { while !matches!(stream.read(&mut rest).await, Ok(0) | Err(_)) {} };
    // A caller that keeps sending is cut off.
    tokio::time::timeout(FAREWELL, drain).await.ok();
}
