//! `automap serve`: one service, or all of them, until SIGTERM.

use automap_collector::CollectorConfig;
use automap_graph_builder::GraphBuilderConfig;
use automap_profiler::ProfilerConfig;
use automap_service_kit::{
    config,
    server::{self, ServeError},
    shutdown,
};
use automap_walker::WalkerConfig;
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;

use crate::{
    arguments::{Role, ServeArgs},
    embedded::Embedded,
    failure::Failure,
};

/// The configuration file: a table per role. A service reads its own and ignores the others, so that one file can
/// serve them all.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct ServicesConfig {
    /// Of the collector.
    pub collector: CollectorConfig,
    /// Of the graph-builder.
    pub graph_builder: GraphBuilderConfig,
    /// Of the profiler.
    pub profiler: ProfilerConfig,
    /// Of the walker.
    pub walker: WalkerConfig,
}

/// Variables that override the file start with this.
const ENVIRONMENT_PREFIX: &str = "AUTOMAP_";

/// A wrong setting is wrong usage; a store that cannot be opened may be a good setting at a bad time.
fn ended(error: ServeError) -> Failure {
    match error {
        ServeError::Configuration(invalid) if invalid.field() != "profiler.path" => Failure::from(invalid),
        other => Failure::Failed(anyhow::Error::new(other)),
    }
}

/// Runs the command.
///
/// # Errors
/// The configuration is wrong, a port is taken, or a service failed.
pub async fn serve(args: ServeArgs) -> Result<(), Failure> {
    let config: ServicesConfig =
        config::load(&ServicesConfig::default(), args.config.as_deref(), ENVIRONMENT_PREFIX)
            .map_err(|error| Failure::Usage(error.to_string()))?;
    let stop = shutdown::on_signal()?;
    match args.role {
        Role::Collector => {
            let listener = listen("collector", &config.collector.server).await?;
            automap_collector::serve(listener, config.collector, stop).await.map_err(ended)?;
        }
        Role::GraphBuilder => {
            let listener = listen("graph-builder", &config.graph_builder.server).await?;
            automap_graph_builder::serve(listener, config.graph_builder, stop).await.map_err(ended)?;
        }
        Role::Profiler => {
            let listener = listen("profiler", &config.profiler.server).await?;
            automap_profiler::serve(listener, config.profiler, stop).await.map_err(ended)?;
        }
        Role::Walker => {
            let listener = listen("walker", &config.walker.server).await?;
            automap_walker::serve(listener, config.walker, stop).await.map_err(ended)?;
        }
        Role::All => {
            let services = Embedded::start_configured(config).await?;
            let addresses = services.addresses();
            tracing::info!(?addresses, "all services listen");
            tracing::info!(
                role = "walker",
                address = addresses.walker.trim_start_matches("http://"),
                "listening"
            );
            services.run_until(stop).await?;
        }
    }
    Ok(())
}

async fn listen(role: &'static str, config: &server::ServerConfig) -> anyhow::Result<TcpListener> {
    let listener = server::bind(config).await?;
    tracing::info!(role, address = %listener.local_addr()?, "listening");
    Ok(listener)
}
