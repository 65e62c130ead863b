//! How other services are reached.

use std::path::PathBuf;

use automap_proto::invalid::Invalid;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{resolution::Target, token::check_secrecy};
use crate::tls::ClientTlsConfig;

/// How other services are reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct ClientConfig {
    /// How often names are looked up again, seconds: calls go to all addresses of a name in turn.
    pub resolve_seconds: u64,
    /// How long connecting may take, TLS included, seconds.
    pub connect_seconds: u64,
    /// Tries of a call that may be repeated without harm, the first one included; 1 means no second try.
    pub attempts: usize,
    /// File with the token that is shown with each call, read anew when it changes.
    pub token_file: Option<PathBuf>,
    /// Show the token also to other machines over http://, where something else, such as a mesh, keeps it secret.
    pub token_in_clear: bool,
    /// Certificates.
    pub tls: ClientTlsConfig,
}

impl Default for ClientConfig {
    fn default() -> Self {
        Self {
            resolve_seconds: 10,
            connect_seconds: 5,
            attempts: 3,
            token_file: None,
            token_in_clear: false,
            tls: ClientTlsConfig::default(),
        }
    }
}

impl ClientConfig {
    /// # Errors
    /// A number makes no sense, or settings contradict each other; `table` is where they are, `urls` the addresses that
    /// are reached with them.
    pub fn check(&self, table: &str, urls: &[&str]) -> Result<(), Invalid> {
        let numbers = [
            ("resolve-seconds", self.resolve_seconds),
            ("connect-seconds", self.connect_seconds),
            ("attempts", self.attempts as u64),
        ];
        if let Some((name, _)) = numbers.iter().find(|(_, number)| *number == 0) {
            return Err(Invalid::new(format!("{table}.{name}"), "is 0; it must be at least 1"));
        }
        if self.token_file.is_some() && !self.token_in_clear {
            for url in urls {
                // An address that cannot be read is told by whoever connects to it.
                Target::parse(table, url).ok().map_or(Ok(()), |target| check_secrecy(table, &target))?;
            }
        }
        self.tls.check(&format!("{table}.tls"), urls)
    }
}
