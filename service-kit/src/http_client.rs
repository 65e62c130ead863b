//! A client of HTTP servers that follows renewed certificates.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use automap_proto::invalid::Invalid;
use reqwest::{Client, ClientBuilder, redirect};

use crate::tls::{client::trusting_nobody, reload::Reloading};

type Configure = Box<dyn Fn(ClientBuilder) -> Result<ClientBuilder, Invalid> + Send + Sync>;

/// Answers a client with the newest certificates. It follows no redirect, which would carry credentials elsewhere.
pub struct HttpClient {
    tls: Option<Arc<Reloading<rustls::ClientConfig>>>,
    configure: Configure,
    /// The client and the certificates that it was built with.
    built: Mutex<(Client, Option<Arc<rustls::ClientConfig>>)>,
}

impl fmt::Debug for HttpClient {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("HttpClient").field("tls", &self.tls).finish_non_exhaustive()
    }
}

impl HttpClient {
    /// A client that trusts what `tls` says, nobody without it, with what `configure` sets beside.
    ///
    /// # Errors
    /// A setting cannot be used.
    pub fn new(
        tls: Option<Arc<Reloading<rustls::ClientConfig>>>,
        configure: impl Fn(ClientBuilder) -> Result<ClientBuilder, Invalid> + Send + Sync + 'static,
    ) -> Result<Self, Invalid> {
        let built = Mutex::new(build(tls.as_deref(), &configure)?);
        Ok(Self { tls, configure: Box::new(configure), built })
    }

    /// The client of now.
    ///
    /// # Errors
    /// It cannot be built with the newest certificates.
    pub fn current(&self) -> Result<Client, Invalid> {
        let mut built = self.built.lock().unwrap_or_else(PoisonError::into_inner);
        if let (Some(tls), Some(used)) = (&self.tls, &built.1)
            && !Arc::ptr_eq(&tls.current(), used)
        {
            *built = build(Some(tls), &self.configure)?;
        }
        Ok(built.0.clone())
    }
}

fn build(
    tls: Option<&Reloading<rustls::ClientConfig>>,
    configure: impl Fn(ClientBuilder) -> Result<ClientBuilder, Invalid>,
) -> Result<(Client, Option<Arc<rustls::ClientConfig>>), Invalid> {
    let used = tls.map(Reloading::current);
    let rustls_config = match &used {
        Some(current) => rustls::ClientConfig::clone(current),
        None => trusting_nobody()?,
    };
    let builder = Client::builder()
        .tls_backend_preconfigured(rustls_config)
        .user_agent(concat!("automap/", env!("CARGO_PKG_VERSION")))
        .redirect(redirect::Policy::none());
    let client = configure(builder)?.build().map_err(|error| Invalid::new("url", error.to_string()))?;
    Ok((client, used))
}
