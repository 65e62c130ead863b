//! A gRPC server with health, reflection, TLS, limits and a graceful end.
//!
//! | module | what it holds |
//! |---|---|
//! | [`config`] | how a service listens and what it bears |
//! | `accept` | connections: taken in, told apart, given up on |
//! | `connection` | an accepted connection, in clear or over TLS |
//! | `preface` | the first bytes of a caller |
//! | `limits` | how many calls at once, and until when |

mod accept;
pub mod config;
mod connection;
mod limits;
mod preface;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use automap_proto::invalid::Invalid;
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::{service::Routes, transport::Server};

pub use config::ServerConfig;
pub use connection::Peer;

use crate::{
    access::{Access, Policy, layer::AccessLayer},
    admin::Admin,
    process_metrics,
    telemetry::{call_metrics::CallMetrics, methods, server_calls::ServerCalls},
};

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
    /// The HTTP port failed.
    #[error("cannot listen on {address}; choose another http.listen")]
    Http {
        /// Where.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// A setting is wrong.
    #[error(transparent)]
    Configuration(#[from] Invalid),
    /// Reflection could not be built from the contract.
    #[error("cannot offer reflection: {0}")]
    Reflection(#[from] tonic_reflection::server::Error),
    /// The transport failed.
    #[error("the gRPC server failed: {0}")]
    Transport(#[from] tonic::transport::Error),
}

impl ServeError {
    /// The same error with its setting seen from the configuration that holds `server` in its table `role`.
    #[must_use]
    pub fn within(self, role: &str) -> Self {
        match self {
            Self::Configuration(invalid) if invalid.field().starts_with("server.") => {
                Self::Configuration(invalid.within(role))
            }
            other => other,
        }
    }
}

/// The header of every answer with the version of the service that gave it.
pub const VERSION_HEADER: &str = "automap-version";

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
/// `policy` names the service, under which health is reported, and says what each of its RPCs demands.
///
/// # Errors
/// A setting below `server` is wrong, a certificate or the file of tokens cannot be used, or reflection or the transport
/// failed.
pub async fn serve(
    listener: TcpListener,
    config: &ServerConfig,
    policy: &'static Policy,
    routes: Routes,
    shutdown: CancellationToken,
) -> Result<(), ServeError> {
    serve_observed(listener, config, policy, routes, Registry::default(), shutdown).await
}

/// The same with metrics of the service's own in `registry`, which the admin port answers with the others.
///
/// # Errors
/// As [`serve`].
pub async fn serve_observed(
    listener: TcpListener,
    config: &ServerConfig,
    policy: &'static Policy,
    routes: Routes,
    registry: Registry,
    shutdown: CancellationToken,
) -> Result<(), ServeError> {
    config.check("server")?;
    let access = Access::start("server", config)?;
    serve_judged(listener, config, (access, policy), routes, registry, shutdown).await
}

/// The same with callers judged by an `access` that others use, too, such as a port of HTTP.
///
/// # Errors
/// As those of [`serve`].
pub async fn serve_judged(
    listener: TcpListener,
    config: &ServerConfig,
    (access, policy): (Access, &'static Policy),
    routes: Routes,
    registry: Registry,
    shutdown: CancellationToken,
) -> Result<(), ServeError> {
    config.check("server")?;
    let service_name = policy.service;
    let tls = config.tls.start("server.tls")?;
    let (calls, _admin) = observe(config, service_name, registry, &shutdown).await?;
    let (health, health_service) = tonic_health::server::health_reporter();
    health.set_service_status(service_name, tonic_health::ServingStatus::Serving).await;
    let reflection = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(automap_proto::FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    let (reflection_v1, reflection_v1alpha) = (reflection().build_v1()?, reflection().build_v1alpha()?);
    let incoming = accept::connections(listener, tls, config, shutdown.clone());
    let stopping = shutdown.clone();
    let server = Server::builder()
        .max_concurrent_streams(config.concurrent_streams)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .http2_keepalive_interval(Some(Duration::from_secs(30)))
        // What every call passes, from the outside in.
        .layer(calls)
        .layer(AccessLayer::new(access.clone(), policy))
        .layer(limits::LimitsLayer::new(config, access.quota()))
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
    mut registry: Registry,
    shutdown: &CancellationToken,
) -> Result<(ServerCalls, Option<Admin>), ServeError> {
    let role = methods::role(service_name);
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
