//! What a server shows and demands.

use std::{path::PathBuf, sync::Arc, time::Duration};

use automap_proto::invalid::Invalid;
use rustls::server::WebPkiClientVerifier;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{HTTP2, material, reload::Reloading};

/// TLS of a server; without a certificate it speaks in clear.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct ServerTlsConfig {
    /// PEM file with the server's certificate and the chain above it. With it the server speaks TLS only.
    pub certificate: Option<PathBuf>,
    /// PEM file with the key of the certificate.
    pub key: Option<PathBuf>,
    /// PEM file with the authorities whose clients are let in. With it every client must show a certificate.
    pub client_ca: Option<PathBuf>,
    /// How often the files are looked at for a change, seconds; at least 1.
    pub reload_seconds: u64,
}

impl Default for ServerTlsConfig {
    fn default() -> Self {
        Self { certificate: None, key: None, client_ca: None, reload_seconds: 10 }
    }
}

impl ServerTlsConfig {
    /// Whether the server speaks TLS.
    pub const fn is_on(&self) -> bool {
        self.certificate.is_some()
    }

    /// # Errors
    /// Settings contradict each other; `table` is where they are.
    pub fn check(&self, table: &str) -> Result<(), Invalid> {
        let needs = |field: &str, other: &str| {
            Err(Invalid::new(
                format!("{table}.{field}"),
                format!("needs {table}.{other} beside it; set both"),
            ))
        };
        match (&self.certificate, &self.key, &self.client_ca) {
            (Some(_), None, _) => return needs("certificate", "key"),
            (None, Some(_), _) => return needs("key", "certificate"),
            (None, None, Some(_)) => return needs("client-ca", "certificate"),
            _ => {}
        }
        if self.reload_seconds == 0 {
            return Err(Invalid::new(
                format!("{table}.reload-seconds"),
                "is 0; files are looked at every 1 s or more",
            ));
        }
        Ok(())
    }

    /// Reads the files and follows them; `None` when the server speaks in clear. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// Settings contradict each other, or a file cannot be used.
    pub fn start(&self, table: &str) -> Result<Option<Arc<Reloading<rustls::ServerConfig>>>, Invalid> {
        self.start_speaking(table, HTTP2)
    }

    /// The same for connections that speak `protocol`, as TLS negotiates it.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn start_speaking(
        &self,
        table: &str,
        protocol: &'static [u8],
    ) -> Result<Option<Arc<Reloading<rustls::ServerConfig>>>, Invalid> {
        self.check(table)?;
        let (Some(certificate), Some(key)) = (self.certificate.clone(), self.key.clone()) else {
            return Ok(None);
        };
        let client_ca = self.client_ca.clone();
        let files = [Some(certificate.clone()), Some(key.clone()), client_ca.clone()].into_iter().flatten();
        let (files, table) = (files.collect(), table.to_owned());
        let build = move || {
            let provider = material::provider();
            let builder = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider))
                .with_safe_default_protocol_versions()
                .map_err(|error| Invalid::new(&table, error.to_string()))?;
            let builder = match &client_ca {
                None => builder.with_no_client_auth(),
                Some(file) => {
                    let field = format!("{table}.client-ca");
                    let roots = Arc::new(material::authorities(&field, file)?);
                    let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider)
                        .build()
                        .map_err(|error| Invalid::new(field, error.to_string()))?;
                    builder.with_client_cert_verifier(verifier)
                }
            };
            let identity = material::identity(&table, &certificate, &key)?;
            let mut config = builder
                .with_single_cert(identity.chain, identity.key)
                .map_err(|error| Invalid::new(format!("{table}.key"), format!("does not fit: {error}")))?;
            config.alpn_protocols = vec![protocol.into()];
            Ok(config)
        };
        Reloading::start("certificates", files, Duration::from_secs(self.reload_seconds), build).map(Some)
    }
}
