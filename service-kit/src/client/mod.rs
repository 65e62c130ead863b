//! Channels to other services: TLS, several addresses of one name, deadlines passed on, faults told in sentences.
//!
//! | module | what it holds |
//! |---|---|
//! | [`config`] | how other services are reached |
//! | [`balanced`] | calls spread over the addresses of a name |
//! | [`fleet`] | every address on its own |
//! | `members` | the addresses of a name, and which one is next |
//! | `resolution` | a name looked up again and again |
//! | `connector`, `named_connector` | one connection, in clear or over TLS |
//! | `stream` | its bytes, with a look at the first ones |
//! | `token` | the token that is shown with each call |
//! | `fault`, `told` | what a broken connection means, as a sentence |

pub mod balanced;
pub mod config;
mod connector;
pub mod fault;
pub mod fleet;
mod members;
mod named_connector;
mod resolution;
mod stream;
mod token;
mod told;

use std::{sync::Arc, time::Duration};

use automap_proto::invalid::Invalid;
use rustls::pki_types::ServerName;
use tonic::transport::{Channel as Connection, Endpoint, Uri};

use balanced::Balanced;
pub use config::ClientConfig;
use connector::{Connector, Security};
use fleet::Fleet;
use members::Members;
use named_connector::NamedConnector;
use resolution::Target;
use token::ShownToken;

use crate::{
    server::{CONNECTION_WINDOW_BYTES, STREAM_WINDOW_BYTES},
    telemetry::client_calls::ObservedClient,
    tls::reload::Reloading,
};

/// What generated clients call through: calls that are traced, and spread over the addresses of a name.
pub type Channel = ObservedClient<Balanced>;

/// A peer that answers no ping for this long has hung, and its calls fail.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// Makes channels as configured.
#[derive(Debug, Clone)]
pub struct Dialer {
    config: ClientConfig,
    tls: Option<Arc<Reloading<rustls::ClientConfig>>>,
    token: Option<ShownToken>,
}

impl Dialer {
    /// Reads certificates where one of `urls` wants them, and the token where there is one; `table` is where the settings are. Must be called within a tokio
    /// runtime.
    ///
    /// # Errors
    /// A setting is wrong, or a certificate or the token cannot be used.
    pub fn new(table: &str, config: &ClientConfig, urls: &[&str]) -> Result<Self, Invalid> {
        config.check(table, urls)?;
        let secure = urls.iter().any(|url| url.starts_with("https://"));
        let tls = secure.then(|| config.tls.start(&format!("{table}.tls"))).transpose()?;
        let token = config.token_file.as_deref();
        let token = token.map(|file| ShownToken::start(&format!("{table}.token-file"), file)).transpose()?;
        Ok(Self { config: config.clone(), tls, token })
    }

    /// A channel to `url` (`http://host:port`, `https://host:port`) that connects on its first call and again after a
    /// fault. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// The URL cannot be parsed, or it wants TLS and this dialer was made without it; `field` names the setting it came
    /// from.
    pub fn channel(&self, field: &str, url: &str) -> Result<Channel, Invalid> {
        Ok(ObservedClient::new(Balanced::new(self.members(field, url)?, self.token.clone())))
    }

    /// Every address behind `urls` on its own; as [`Self::channel`] otherwise.
    ///
    /// # Errors
    /// As those of [`Self::channel`].
    pub fn fleet<'a>(&self, field: &str, urls: impl Iterator<Item = &'a str>) -> Result<Fleet, Invalid> {
        let names = urls.map(|url| self.members(field, url)).collect::<Result<_, _>>()?;
        Ok(Fleet::new(names, self.token.clone()))
    }

    fn members(&self, field: &str, url: &str) -> Result<Arc<Members>, Invalid> {
        let target = Target::parse(field, url)?;
        let security = self.security(field, &target)?;
        let patience = Duration::from_secs(self.config.connect_seconds);
        let origin = target.origin().clone();
        let connect = move |address, told| {
            let connector = Connector { address, security: security.clone(), patience, told };
            endpoint(&origin).connect_with_connector_lazy(connector)
        };
        let every = Duration::from_secs(self.config.resolve_seconds);
        Ok(Members::start(target, every, connect))
    }

    /// A connection to `url` without balancing, spans and deadlines, for what exports spans itself.
    ///
    /// # Errors
    /// As those of [`Self::channel`].
    pub(crate) fn untraced(&self, field: &str, url: &str) -> Result<Connection, Invalid> {
        let target = Target::parse(field, url)?;
        let security = self.security(field, &target)?;
        let origin = target.origin().clone();
        let patience = Duration::from_secs(self.config.connect_seconds);
        Ok(endpoint(&origin).connect_with_connector_lazy(NamedConnector { target, security, patience }))
    }

    fn security(&self, field: &str, target: &Target) -> Result<Option<Security>, Invalid> {
        match (target.secure(), &self.tls) {
            (false, _) => Ok(None),
            (true, Some(config)) => {
                let name = self.server_name(field, target)?;
                Ok(Some(Security { config: Arc::clone(config), name }))
            }
            (true, None) => {
                let problem = format!("{} wants TLS, and no certificates were read", target.origin());
                Err(Invalid::new(field, problem))
            }
        }
    }

    fn server_name(&self, field: &str, target: &Target) -> Result<ServerName<'static>, Invalid> {
        let name = self.config.tls.server_name.clone().unwrap_or_else(|| target.host().to_owned());
        ServerName::try_from(name.clone())
            .map_err(|_| Invalid::new(field, format!("{name} is no name that a certificate can prove")))
    }
}

/// Whether a channel can go to `url`.
///
/// # Errors
/// It cannot be parsed; `field` names the setting it came from.
pub fn check_url(field: &str, url: &str) -> Result<(), Invalid> {
    Target::parse(field, url).map(|_| ())
}

/// A channel to `url` (`http://host:port`) with the defaults. Must be called within a tokio runtime.
///
/// # Errors
/// As those of [`Dialer::channel`].
pub fn channel(field: &str, url: &str) -> Result<Channel, Invalid> {
    Dialer { config: ClientConfig::default(), tls: None, token: None }.channel(field, url)
}

/// The transport is told `http://` even for TLS, which the connector does, and the true origin beside it.
fn endpoint(origin: &Uri) -> Endpoint {
    Endpoint::from_static("http://peer")
        .origin(origin.clone())
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .http2_keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(KEEP_ALIVE)
        .keep_alive_while_idle(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn addresses_without_scheme_or_host_are_refused() {
        for url in ["", "walker:4310", "ftp://walker", "http://", "http:// walker"] {
            assert_eq!(channel("walker.collector", url).unwrap_err().field(), "walker.collector", "{url}");
        }
        assert!(channel("walker.collector", "http://[::1]:4310").is_ok());
    }

    #[tokio::test]
    async fn a_fleet_has_every_address_once_and_names_as_they_are_found() {
        let dialer = Dialer { config: ClientConfig::default(), tls: None, token: None };
        let urls =
            ["http://127.0.0.1:1", "http://localhost:1", "http://127.0.0.1:2", "http://nowhere.invalid:3"];
        let fleet = dialer.fleet("peers", urls.into_iter()).unwrap();
        let found = async {
            while fleet.members().len() < 3 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        // localhost may be the same address, and ::1 as well.
        tokio::time::timeout(Duration::from_secs(1), found).await.ok();
        let addresses: Vec<String> = fleet.members().keys().map(ToString::to_string).collect();
        for address in ["127.0.0.1:1", "127.0.0.1:2"] {
            assert_eq!(addresses.iter().filter(|known| *known == address).count(), 1, "{addresses:?}");
        }
        assert_eq!(dialer.fleet("peers", ["x"].into_iter()).unwrap_err().field(), "peers");
    }
}
