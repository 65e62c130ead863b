//! TLS before a service that speaks in clear.

use std::{
    net::SocketAddr,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::Context as _;
use rustls::{
    RootCertStore, ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    server::WebPkiClientVerifier,
};
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
    shown: Arc<Mutex<Arc<ServerConfig>>>,
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
        let shown = Arc::new(Mutex::new(Arc::new(configuration(identity, None)?)));
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0"))?;
        let address = format!("https://{}", listener.local_addr()?);
        let newest = Arc::clone(&shown);
        runtime.spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let acceptor =
                    TlsAcceptor::from(Arc::clone(&newest.lock().unwrap_or_else(PoisonError::into_inner)));
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
        Ok(Self { address, shown, _runtime: runtime })
    }

    /// Shows this certificate to whoever connects from now on, and lets in none but the clients of the authorities in
    /// `client_ca`.
    ///
    /// # Errors
    /// A file cannot be read.
    pub fn renew(&self, identity: &Identity, client_ca: &Path) -> anyhow::Result<()> {
        let renewed = Arc::new(configuration(identity, Some(client_ca))?);
        *self.shown.lock().unwrap_or_else(PoisonError::into_inner) = renewed;
        Ok(())
    }
}

fn configuration(identity: &Identity, client_ca: Option<&Path>) -> anyhow::Result<ServerConfig> {
    let chain = CertificateDer::pem_file_iter(&identity.certificate)?.collect::<Result<_, _>>()?;
    let key = PrivateKeyDer::from_pem_file(&identity.key).context("the key cannot be read")?;
    let provider = Arc::new(ring::default_provider());
    let builder =
        ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions()?;
    let builder = match client_ca {
        None => builder.with_no_client_auth(),
        Some(file) => {
            let mut roots = RootCertStore::empty();
            for authority in CertificateDer::pem_file_iter(file)? {
                roots.add(authority?)?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build()?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let mut config = builder.with_single_cert(chain, key)?;
    // Whichever of them the service behind speaks is the only one that its clients offer.
    config.alpn_protocols = vec![b"h2".into(), b"http/1.1".into()];
    Ok(config)
}
