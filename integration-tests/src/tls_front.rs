//! TLS before a service that speaks in clear.

use std::{net::SocketAddr, sync::Arc};

use anyhow::Context as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
use tokio::{
    net::{TcpListener, TcpStream},
    runtime::Runtime,
};
use tokio_rustls::TlsAcceptor;

use crate::pki::Identity;

/// A proxy that speaks TLS to its callers; it stops when dropped.
#[derive(Debug)]
pub struct TlsFront {
    /// Where it listens, `https://127.0.0.1:port`.
    pub address: String,
    _runtime: Runtime,
}

impl TlsFront {
    /// Stands before the service at `address` (`http://127.0.0.1:port`), on a thread of its own, and shows this
    /// certificate, valid or not.
    ///
    /// # Errors
    /// A file cannot be read, `address` is none, or there is no port or no thread to be had.
    pub fn before(address: &str, identity: &Identity) -> anyhow::Result<Self> {
        let upstream: SocketAddr = address.trim_start_matches("http://").parse()?;
        let chain = CertificateDer::pem_file_iter(&identity.certificate)?.collect::<Result<_, _>>()?;
        let key = PrivateKeyDer::from_pem_file(&identity.key).context("the key cannot be read")?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(chain, key)?;
        config.alpn_protocols = vec![b"h2".into()];
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0"))?;
        let address = format!("https://{}", listener.local_addr()?);
        runtime.spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    // A client that breaks off, as on a certificate that it does not like, is no fault of this side.
                    let (Ok(mut client), Ok(mut server)) =
                        (acceptor.accept(client).await, TcpStream::connect(upstream).await)
                    else {
                        return;
                    };
                    tokio::io::copy_bidirectional(&mut client, &mut server).await.ok();
                });
            }
        });
        Ok(Self { address, _runtime: runtime })
    }
}
