//! One connection to one address, in clear or over TLS.

use std::{
    future::Future,
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tonic::transport::Uri;
use tower::Service;

use super::{
    fault::{self, Sentence},
    stream::{PeerStream, Transport},
    told::Told,
};
use crate::tls::reload::Reloading;

/// What a connection shows, trusts, and demands to be proved.
#[derive(Debug, Clone)]
pub(super) struct Security {
    pub(super) config: Arc<Reloading<rustls::ClientConfig>>,
    pub(super) name: ServerName<'static>,
}

/// Connects to one address, whatever URI it is asked for.
#[derive(Debug, Clone)]
pub(super) struct Connector {
    pub(super) address: SocketAddr,
    pub(super) security: Option<Security>,
    pub(super) patience: Duration,
    pub(super) told: Told,
}

impl Connector {
    pub(super) async fn connect(self) -> io::Result<TokioIo<PeerStream>> {
        self.told.forget();
        let within = |what: &str| {
            let seconds = self.patience.as_secs();
            let sentence = format!("{} did not {what} within {seconds} s", self.address);
            Sentence::error(io::ErrorKind::TimedOut, sentence)
        };
        let opening = tokio::time::timeout(self.patience, TcpStream::connect(self.address));
        let stream = opening.await.map_err(|_| within("take a connection"))?.map_err(|error| {
            Sentence::error(error.kind(), format!("cannot connect to {}: {error}", self.address))
        })?;
        stream.set_nodelay(true)?;
        let Some(Security { config, name }) = self.security.clone() else {
            return Ok(TokioIo::new(PeerStream::new(Transport::Clear(stream), self.told)));
        };
        let handshake = TlsConnector::from(config.current()).connect(name, stream);
        let stream = tokio::time::timeout(self.patience, handshake)
            .await
            .map_err(|_| within("answer in TLS"))?
            .map_err(fault::of_handshake)?;
        Ok(TokioIo::new(PeerStream::new(Transport::Tls(Box::new(stream)), self.told)))
    }
}

impl Service<Uri> for Connector {
    type Response = TokioIo<PeerStream>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        Box::pin(self.clone().connect())
    }
}
