//! A connection to whichever address of a name takes one, looked up each time.

use std::{
    future::Future,
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use hyper_util::rt::TokioIo;
use tonic::transport::Uri;
use tower::Service;

use super::{
    connector::{Connector, Security},
    resolution::Target,
    stream::PeerStream,
    told::Told,
};

/// Connects to its target, whatever URI it is asked for.
#[derive(Debug, Clone)]
pub(super) struct NamedConnector {
    pub(super) target: Target,
    pub(super) security: Option<Security>,
    pub(super) patience: Duration,
}

impl NamedConnector {
    async fn connect(self) -> io::Result<TokioIo<PeerStream>> {
        let mut refused = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
        for address in self.target.look_up().await? {
            let security = self.security.clone();
            let connector = Connector { address, security, patience: self.patience, told: Told::default() };
            match connector.connect().await {
                Ok(stream) => return Ok(stream),
                Err(error) => refused = error,
            }
        }
        Err(refused)
    }
}

impl Service<Uri> for NamedConnector {
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
