//! `automap serve`: one service, or all of them, until SIGTERM.

use automap_service_kit::{
    config::Loaded,
    server::{self, ServeError},
    shutdown,
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{
    arguments::{Role, ServeArgs},
    embedded::Embedded,
    failure::Failure,
    services_config::{self, ServicesConfig},
};

/// Runs the command.
///
/// # Errors
/// The configuration is wrong, a port is taken, or a service failed.
pub async fn serve(args: ServeArgs) -> Result<(), Failure> {
    let loaded = services_config::load(args.role, &args.config)?;
    for ignored in loaded.ignored() {
        tracing::warn!("{ignored}");
    }
    if matches!(args.role, Role::Collector | Role::All)
        && let Some(missing) = loaded.config.missing_sources().first()
    {
        return Err(services_config::refuse(&loaded, missing));
    }
    bear_many_connections();
    let stop = shutdown::on_signal()?;
    run(args.role, loaded.config.clone(), stop).await.map_err(|error| ended(&loaded, error))
}

async fn run(role: Role, config: ServicesConfig, stop: CancellationToken) -> anyhow::Result<()> {
    match role {
        Role::Collector => {
            let listener = listen("collector", &config.collector.server).await?;
            automap_collector::serve(listener, config.collector, stop).await?;
        }
        Role::GraphBuilder => {
            let listener = listen("graph-builder", &config.graph_builder.server).await?;
            automap_graph_builder::serve(listener, config.graph_builder, stop).await?;
        }
        Role::Profiler => {
            let store = automap_profiler::open_store(&config.profiler).await.map_err(ServeError::from)?;
            let listener = listen("profiler", &config.profiler.server).await?;
            automap_profiler::serve(listener, store, config.profiler, stop).await?;
        }
        Role::Walker => {
            let listener = listen("walker", &config.walker.server).await?;
            automap_walker::serve(listener, config.walker, stop).await?;
        }
        Role::All => {
            let services = Embedded::start_configured(config).await?;
            let addresses = services.addresses();
            tracing::info!(?addresses, "all services listen");
            let (_, address) = addresses.walker.split_once("://").unwrap_or_default();
            tracing::info!(role = "walker", address, "listening");
            services.run_until(stop).await?;
        }
    }
    Ok(())
}

/// A wrong setting is wrong usage; a store that cannot be opened may be a good setting at a bad time.
fn ended(loaded: &Loaded<ServicesConfig>, error: anyhow::Error) -> Failure {
    match error.downcast_ref() {
        Some(ServeError::Configuration(invalid)) if invalid.field() != "profiler.path" => {
            services_config::refuse(loaded, invalid)
        }
        _ => Failure::Failed(error),
    }
}

/// Many systems allow a process 1024 open files unless it asks for more; a connection is one.
fn bear_many_connections() {
    if let Err(error) = rlimit::increase_nofile_limit(u64::MAX) {
        tracing::warn!(%error, "the limit of open files could not be raised");
    }
}

async fn listen(role: &'static str, config: &server::ServerConfig) -> anyhow::Result<TcpListener> {
    let listener = server::bind(config).await?;
    tracing::info!(role, address = %listener.local_addr()?, "listening");
    Ok(listener)
}
