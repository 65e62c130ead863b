//! A name looked up again and again.

use std::{
    io,
    net::{IpAddr, SocketAddr},
};

use automap_proto::invalid::Invalid;
use tonic::transport::Uri;

/// Where a channel goes.
#[derive(Debug, Clone)]
pub(super) struct Target {
    origin: Uri,
    host: String,
    port: u16,
    secure: bool,
}

impl Target {
    pub(super) fn parse(field: &str, url: &str) -> Result<Self, Invalid> {
        let wrong = || {
            Invalid::new(
                field,
                format!("{url} is no address of a service; use http://host:port or https://host:port"),
            )
        };
        let origin: Uri = url.parse().map_err(|_| wrong())?;
        let secure = match origin.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err(wrong()),
        };
        let host = origin.host().filter(|host| !host.is_empty()).ok_or_else(wrong)?;
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let port = origin.port_u16().unwrap_or(if secure { 443 } else { 80 });
        Ok(Self { origin, host, port, secure })
    }

    pub(super) const fn origin(&self) -> &Uri {
        &self.origin
    }

    pub(super) fn host(&self) -> &str {
        &self.host
    }

    pub(super) const fn secure(&self) -> bool {
        self.secure
    }

    /// The address, where the host is one and there is nothing to look up.
    pub(super) fn literal(&self) -> Option<SocketAddr> {
        self.host.parse::<IpAddr>().ok().map(|address| SocketAddr::new(address, self.port))
    }

    /// The addresses of the host, sorted and without doubles.
    pub(super) async fn look_up(&self) -> io::Result<Vec<SocketAddr>> {
        let found = tokio::net::lookup_host((self.host.as_str(), self.port)).await?;
        let mut addresses: Vec<SocketAddr> = found.collect();
        addresses.sort_unstable();
        addresses.dedup();
        if addresses.is_empty() {
            return Err(io::Error::new(io::ErrorKind::NotFound, "it has no address"));
        }
        Ok(addresses)
    }
}
