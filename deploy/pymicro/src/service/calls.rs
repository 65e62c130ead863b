//! Calls to other services.

use std::{net::IpAddr, sync::Arc, time::Duration};

use http::Method;
use tokio::time::Instant;

use super::metrics::Metrics;
use crate::{http_client::HttpClient, registry::Addresses, topology};

/// A service may take so long, and so much longer for each level of services below it.
const PATIENCE: Duration = Duration::from_secs(1);

/// Calls from one service to others.
#[derive(Debug)]
pub(super) struct Calls {
    client: HttpClient,
    addresses: Arc<Addresses>,
}

impl Calls {
    pub(super) fn new(source: Option<IpAddr>, addresses: Arc<Addresses>) -> Self {
        Self { client: HttpClient::from_address(source), addresses }
    }

    /// Calls an instance of `callee` and counts how it went; whether the answer was 200.
    pub(super) async fn call(&self, callee: &'static str, metrics: &Metrics) -> bool {
        let started = Instant::now();
        let patience = PATIENCE * (topology::height(callee) + 1);
        let status = match self.addresses.next(callee) {
            Some(address) => {
                let url = format!("http://{address}/");
                match self.client.call(Method::GET, &url, "", patience).await {
                    Ok((status, _)) => status.as_u16(),
                    Err(error) => {
                        tracing::debug!(callee, %error, "a call had no answer");
                        Metrics::NO_ANSWER
                    }
                }
            }
            None => Metrics::NO_ANSWER,
        };
        metrics.called(callee, status, started.elapsed());
        status == 200
    }
}
