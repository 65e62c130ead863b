//! The collector as a service on a listener.

use automap_proto::v1::collector_service_server::CollectorServiceServer;
use automap_service_kit::server::{self, ServeError};
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;

use crate::{config::CollectorConfig, policy, query::failures::Failures, service::Collector};

/// Full name of the service, under which its health is reported.
pub const SERVICE_NAME: &str = "automap.v1.CollectorService";

/// Serves the collector on `listener` until `shutdown`.
///
/// # Errors
/// A setting is wrong, or the transport failed.
pub async fn serve(
    listener: TcpListener,
    config: CollectorConfig,
    shutdown: CancellationToken,
) -> Result<(), ServeError> {
    let server = config.server.clone();
    let (failures, mut registry) = (Failures::default(), Registry::default());
    failures.register(&mut registry);
    let collector = Collector::new(config, &failures).map_err(ServeError::Configuration)?;
    let routes = Routes::new(CollectorServiceServer::new(collector));
    let served = server::serve_observed(listener, &server, &policy::POLICY, routes, registry, shutdown).await;
    served.map_err(|error| error.within("collector"))
}
