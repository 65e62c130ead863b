//! Where a service answers HTTP, and how it is reached from outside.

use std::net::SocketAddr;

use automap_proto::invalid::Invalid;
use http::Uri;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::tls::ServerTlsConfig;

/// Where a service answers HTTP, for people and for alerts.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct HttpConfig {
    /// Address and port; nowhere unless set.
    pub listen: Option<SocketAddr>,
    /// Certificates.
    pub tls: ServerTlsConfig,
    /// How people reach it, for links, such as `https://automap.example.org`; unless set, the address it listens on.
    pub external_url: Option<String>,
}

impl HttpConfig {
    /// # Errors
    /// Settings contradict each other, or the URL is none; `table` is where they are.
    pub fn check(&self, table: &str) -> Result<(), Invalid> {
        if let Some(url) = &self.external_url {
            let wrong = |why: &str| {
                Invalid::new(
                    format!("{table}.external-url"),
                    format!("{url} {why}; give one such as https://automap.example.org"),
                )
            };
            let parsed: Uri = url.parse().map_err(|_| wrong("is no URL"))?;
            if !matches!(parsed.scheme_str(), Some("http" | "https")) || parsed.authority().is_none() {
                return Err(wrong("does not begin with http:// or https:// and a host"));
            }
            if parsed.query().is_some() || !matches!(parsed.path(), "" | "/") {
                return Err(wrong("has a path or a query"));
            }
        }
        self.tls.check(&format!("{table}.tls"))
    }

    /// The URL of the root as people reach it, without a slash at its end; `address` is where the server listens.
    pub fn url(&self, address: SocketAddr) -> String {
        let scheme = if self.tls.is_on() { "https" } else { "http" };
        self.external_url
            .as_ref()
            .map_or_else(|| format!("{scheme}://{address}"), |url| url.trim_end_matches('/').to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reached_at(url: &str) -> HttpConfig {
        HttpConfig { external_url: Some(url.into()), ..HttpConfig::default() }
    }

    #[test]
    fn links_lead_to_the_url_outside_or_to_the_address() {
        let address = "127.0.0.1:4314".parse().unwrap();
        assert_eq!(HttpConfig::default().url(address), "http://127.0.0.1:4314");
        assert_eq!(reached_at("https://automap.example.org/").url(address), "https://automap.example.org");
    }

    #[test]
    fn an_external_url_is_a_scheme_and_a_host() {
        for good in ["http://automap", "https://automap.example.org:8443/"] {
            reached_at(good).check("walker.http").unwrap();
        }
        for bad in ["automap", "ftp://automap", "https://a/path", "https://a/?q", "javascript:alert(1)", ""] {
            let error = reached_at(bad).check("walker.http").unwrap_err();
            assert_eq!(error.field(), "walker.http.external-url", "{bad}");
        }
    }
}
