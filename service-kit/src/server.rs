//! A gRPC server with health, reflection, limits and a graceful end.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use prometheus_client::registry::Registry;
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::{
    service::Routes,
    transport::{Server, server::TcpIncoming},
};

use crate::{
    admin::Admin,
    process_metrics,
    telemetry::{call_metrics::CallMetrics, methods, server_calls::ServerCalls},
};

/// How a service listens and what it bears.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct ServerConfig {
    /// Address and port; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Where `/metrics`, `/healthz` and `/readyz` are answered over HTTP; nowhere unless set.
    pub admin_listen: Option<SocketAddr>,
    /// How long running calls may go on after SIGTERM, seconds.
    pub drain_seconds: u64,
    /// Calls that one connection may have under way.
    pub concurrent_streams: u32,
    /// Largest frame that is taken, MiB of samples.
    pub max_frame_mib: usize,
}

impl ServerConfig {
    /// Defaults, listening on `port` of the loopback interface.
    pub fn on_port(port: u16) -> Self {
        Self { listen: SocketAddr::from(([127, 0, 0, 1], port)), ..Self::default() }
    }

    /// Largest frame, bytes.
    pub const fn max_frame_bytes(&self) -> usize {
        self.max_frame_mib << 20
    }
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            admin_listen: None,
            drain_seconds: 20,
            concurrent_streams: 256,
            max_frame_mib: 1024,
        }
    }
}

/// Largest message, bytes; bulk data travels in chunks below it.
pub const MAX_MESSAGE_BYTES: usize = 4 << 20;

/// HTTP/2 flow-control window of one call, bytes. The default of 64 KiB makes chunks of 1 MiB wait for acknowledgements.
pub const STREAM_WINDOW_BYTES: u32 = 4 << 20;

/// HTTP/2 flow-control window of one connection, bytes: many times that of a call, so that answers which nobody reads do
/// not hold up the other calls on the connection.
pub const CONNECTION_WINDOW_BYTES: u32 = 64 << 20;

/// The server could not run.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The listening socket failed.
    #[error("cannot listen on {address}; choose another server.listen")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// The admin port failed.
    #[error("cannot listen on {address}; choose another server.admin-listen")]
    Admin {
        /// Where.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// A setting is wrong.
    #[error(transparent)]
    Configuration(#[from] automap_proto::invalid::Invalid),
    /// Reflection could not be built from the contract.
    #[error("cannot offer reflection: {0}")]
    Reflection(#[from] tonic_reflection::server::Error),
    /// The transport failed.
    #[error("the gRPC server failed: {0}")]
    Transport(#[from] tonic::transport::Error),
}

/// Binds the configured address.
///
/// # Errors
/// The address cannot be bound.
pub async fn bind(config: &ServerConfig) -> Result<TcpListener, ServeError> {
    TcpListener::bind(config.listen)
        .await
        .map_err(|source| ServeError::Listen { address: config.listen, source })
}

/// Serves `routes` on `listener` until `shutdown`, then lets running calls finish for the drain time.
///
/// `service_name` is the full name (`automap.v1.WalkerService`) under which health is reported.
///
/// # Errors
/// Reflection or the transport failed.
pub async fn serve(
    listener: TcpListener,
    config: &ServerConfig,
    service_name: &'static str,
    routes: Routes,
    shutdown: CancellationToken,
) -> Result<(), ServeError> {
    let (calls, _admin) = observe(config, service_name, &shutdown).await?;
    let (health, health_service) = tonic_health::server::health_reporter();
    health.set_service_status(service_name, tonic_health::ServingStatus::Serving).await;
    let reflection = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(automap_proto::FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    let (reflection_v1, reflection_v1alpha) = (reflection().build_v1()?, reflection().build_v1alpha()?);
    // Without this, small answers wait for delayed acknowledgements: 40 ms a call.
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    let stopping = shutdown.clone();
    let server = Server::builder()
        .layer(calls)
        .max_concurrent_streams(config.concurrent_streams)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .http2_keepalive_interval(Some(Duration::from_secs(30)))
        .add_routes(routes)
        .add_service(health_service)
        .add_service(reflection_v1)
        .add_service(reflection_v1alpha)
        .serve_with_incoming_shutdown(incoming, async move {
            stopping.cancelled().await;
            health.set_service_status(service_name, tonic_health::ServingStatus::NotServing).await;
        });
    let drain = Duration::from_secs(config.drain_seconds);
    tokio::select! {
        served = server => served.map_err(ServeError::from),
        () = async { shutdown.cancelled().await; tokio::time::sleep(drain).await } => {
            tracing::warn!(service = service_name, seconds = config.drain_seconds, "drain time is over, dropping calls");
            Ok(())
        }
    }
}

/// Observes the calls of a server, and opens its admin port where one is wanted.
async fn observe(
    config: &ServerConfig,
    service_name: &str,
    shutdown: &CancellationToken,
) -> Result<(ServerCalls, Option<Admin>), ServeError> {
    let role = methods::role(service_name);
    let mut registry = Registry::default();
    process_metrics::register(&mut registry, &role);
    let calls = ServerCalls::new(service_name, Arc::new(CallMetrics::new(service_name, &mut registry)));
    let Some(address) = config.admin_listen else {
        return Ok((calls, None));
    };
    let admin = Admin::open(address, Arc::new(registry), shutdown.clone())
        .await
        .map_err(|source| ServeError::Admin { address, source })?;
    tracing::info!(role, address = %admin.address(), "admin port listens");
    Ok((calls, Some(admin)))
}
