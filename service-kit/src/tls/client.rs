//! What a client shows and trusts.

use std::{path::PathBuf, sync::Arc, time::Duration};

use automap_proto::invalid::Invalid;
use rustls::{RootCertStore, pki_types::ServerName};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{HTTP2, material, reload::Reloading};

/// TLS of a client towards addresses that begin with `https://`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct ClientTlsConfig {
    /// PEM file with the authorities that are trusted; without it those of the system.
    pub ca: Option<PathBuf>,
    /// PEM file with the certificate that is shown to servers that want one.
    pub certificate: Option<PathBuf>,
    /// PEM file with the key of the certificate.
    pub key: Option<PathBuf>,
    /// The name that servers must prove, where it is not the host of their address.
    pub server_name: Option<String>,
    /// How often the files are looked at for a change, seconds; at least 1.
    pub reload_seconds: u64,
}

impl Default for ClientTlsConfig {
    fn default() -> Self {
        Self { ca: None, certificate: None, key: None, server_name: None, reload_seconds: 10 }
    }
}

impl ClientTlsConfig {
    /// The first key that is set and has no meaning for addresses in clear.
    fn first_set(&self) -> Option<&'static str> {
        [
            ("ca", self.ca.is_some()),
            ("certificate", self.certificate.is_some()),
            ("key", self.key.is_some()),
            ("server-name", self.server_name.is_some()),
        ]
        .into_iter()
        .find_map(|(name, set)| set.then_some(name))
    }

    /// # Errors
    /// Settings contradict each other, or TLS is configured for addresses of which none speaks it; `table` is where they
    /// are.
    pub fn check(&self, table: &str, urls: &[&str]) -> Result<(), Invalid> {
        let wrong = |field: &str, problem: String| Err(Invalid::new(format!("{table}.{field}"), problem));
        match (&self.certificate, &self.key) {
            (Some(_), None) => return wrong("certificate", format!("needs {table}.key beside it; set both")),
            (None, Some(_)) => return wrong("key", format!("needs {table}.certificate beside it; set both")),
            _ => {}
        }
        if let (Some(name), false) = (self.first_set(), urls.iter().any(|url| url.starts_with("https://"))) {
            return wrong(
                name,
                format!(
                    "is set, and no address speaks TLS: write https:// in {}, or leave it out",
                    urls.join(", ")
                ),
            );
        }
        if let Some(name) = &self.server_name
            && ServerName::try_from(name.as_str()).is_err()
        {
            return wrong("server-name", format!("{name} is neither a DNS name nor an IP address"));
        }
        if self.reload_seconds == 0 {
            return wrong("reload-seconds", "is 0; files are looked at every 1 s or more".into());
        }
        Ok(())
    }

    /// Reads the files and follows them. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// A file cannot be used, or no authority is named and the system has none.
    pub fn start(&self, table: &str) -> Result<Arc<Reloading<rustls::ClientConfig>>, Invalid> {
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
    ) -> Result<Arc<Reloading<rustls::ClientConfig>>, Invalid> {
        let (ca, certificate, key) = (self.ca.clone(), self.certificate.clone(), self.key.clone());
        let files = [&ca, &certificate, &key].into_iter().flatten().cloned().collect();
        let table = table.to_owned();
        let build = move || {
            let field = format!("{table}.ca");
            let roots = match &ca {
                Some(file) => material::authorities(&field, file)?,
                None => system_authorities(&field)?,
            };
            let builder = rustls::ClientConfig::builder_with_provider(material::provider())
                .with_safe_default_protocol_versions()
                .map_err(|error| Invalid::new(&table, error.to_string()))?
                .with_root_certificates(roots);
            let mut config = match (&certificate, &key) {
                (Some(certificate), Some(key)) => {
                    let identity = material::identity(&table, certificate, key)?;
                    builder.with_client_auth_cert(identity.chain, identity.key).map_err(|error| {
                        Invalid::new(format!("{table}.key"), format!("does not fit: {error}"))
                    })?
                }
                _ => builder.with_no_client_auth(),
            };
            config.alpn_protocols = vec![protocol.into()];
            Ok(config)
        };
        Reloading::start("certificates", files, Duration::from_secs(self.reload_seconds), build)
    }
}

/// What a client that only speaks in clear has in place of TLS: it trusts nobody.
///
/// # Errors
/// The cryptography of this build offers no version of TLS.
pub fn trusting_nobody() -> Result<rustls::ClientConfig, Invalid> {
    let builder = rustls::ClientConfig::builder_with_provider(material::provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| Invalid::new("tls", error.to_string()))?;
    Ok(builder.with_root_certificates(RootCertStore::empty()).with_no_client_auth())
}

fn system_authorities(field: &str) -> Result<RootCertStore, Invalid> {
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if added == 0 {
        return Err(Invalid::new(field, "is not set, and this system trusts no authority; name a PEM file"));
    }
    Ok(roots)
}
