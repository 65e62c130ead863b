//! Channels to other services.

use std::time::Duration;

use automap_proto::invalid::Invalid;
use tonic::transport::Endpoint;

use crate::{
    server::{CONNECTION_WINDOW_BYTES, STREAM_WINDOW_BYTES},
    telemetry::client_calls::ObservedClient,
};

/// What generated clients call through: a connection whose calls are traced.
pub type Channel = ObservedClient<tonic::transport::Channel>;

/// A peer that answers no ping for this long has hung, and its calls fail.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// A channel to `url` (`http://host:port`) that connects on its first call and again after a fault.
///
/// # Errors
/// The URL cannot be parsed; `field` names the setting it came from.
pub fn channel(field: &str, url: &str) -> Result<Channel, Invalid> {
    let endpoint = Endpoint::from_shared(url.to_owned())
        .ok()
        .filter(|endpoint| endpoint.uri().scheme_str() == Some("http") && endpoint.uri().host().is_some())
        .ok_or_else(|| {
            Invalid::new(field, format!("{url} is no address of a service; use http://host:port"))
        })?;
    let endpoint = endpoint
        .connect_timeout(Duration::from_secs(5))
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(KEEP_ALIVE)
        .keep_alive_while_idle(true);
    Ok(ObservedClient::new(endpoint.connect_lazy()))
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
}
