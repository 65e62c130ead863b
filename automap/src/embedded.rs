//! All four services in this process, on loopback listeners of their own: the same code path as in a cluster.

use std::{path::Path, sync::Arc};

use anyhow::Context as _;
use automap_profiler::store::ProfileStore;
use automap_service_kit::server::{self, ServeError, ServerConfig};
use tokio::{net::TcpListener, task::JoinSet};
use tokio_util::sync::CancellationToken;

use crate::services_config::{ServicesConfig, scheme};

/// The running services; [`Embedded::stop`] ends them.
#[derive(Debug)]
pub struct Embedded {
    addresses: Addresses,
    stop_walker: CancellationToken,
    walker: JoinSet<anyhow::Result<()>>,
    stop_peers: CancellationToken,
    peers: JoinSet<anyhow::Result<()>>,
}

/// Addresses of the four services, `http://127.0.0.1:port`.
#[derive(Debug, Clone)]
pub struct Addresses {
    /// Address of the collector.
    pub collector: String,
    /// Address of the graph-builder.
    pub graph_builder: String,
    /// Address of the profiler.
    pub profiler: String,
    /// Address of the walker.
    pub walker: String,
}

impl Embedded {
    /// Starts the services on free loopback ports with their memory in `store`.
    ///
    /// # Errors
    /// The store cannot be opened, or a port cannot be bound.
    pub async fn start(store: &Path) -> anyhow::Result<Self> {
        let mut config = ServicesConfig::default().for_one_command();
        config.profiler.path = store.into();
        Self::start_configured(config).await
    }

    /// Starts the services as configured; the walker is told where the other three listen.
    ///
    /// # Errors
    /// The store cannot be opened, or a port cannot be bound.
    pub async fn start_configured(config: ServicesConfig) -> anyhow::Result<Self> {
        let store = automap_profiler::open_store(&config.profiler).await.map_err(ServeError::from)?;
        Self::start_on(store, config).await
    }

    /// The same with a store that is open already, at `profiler.path`.
    ///
    /// # Errors
    /// A port cannot be bound.
    pub async fn start_on(store: Arc<dyn ProfileStore>, config: ServicesConfig) -> anyhow::Result<Self> {
        let ServicesConfig { collector, graph_builder, profiler, mut walker } = config;
        let collector_listener = server::bind(&collector.server).await?;
        let graph_builder_listener = server::bind(&graph_builder.server).await?;
        let profiler_listener = server::bind(&profiler.server).await?;
        let walker_listener = server::bind(&walker.server).await?;
        let addresses = Addresses {
            collector: address(&collector_listener, &collector.server)?,
            graph_builder: address(&graph_builder_listener, &graph_builder.server)?,
            profiler: address(&profiler_listener, &profiler.server)?,
            walker: address(&walker_listener, &walker.server)?,
        };
        walker.collector.clone_from(&addresses.collector);
        walker.graph_builder.clone_from(&addresses.graph_builder);
        walker.profiler.clone_from(&addresses.profiler);
        let (stop_walker, stop_peers) = (CancellationToken::new(), CancellationToken::new());
        let stop = || stop_peers.clone();
        let collector = automap_collector::serve(collector_listener, collector, stop());
        let graph_builder = automap_graph_builder::serve(graph_builder_listener, graph_builder, stop());
        let profiler = automap_profiler::serve(profiler_listener, store, profiler, stop());
        let mut peers = JoinSet::new();
        peers.spawn(async { collector.await.context("the collector ended") });
        peers.spawn(async { graph_builder.await.context("the graph-builder ended") });
        peers.spawn(async { profiler.await.context("the profiler ended") });
        let walker_service = automap_walker::serve(walker_listener, walker, stop_walker.clone());
        let mut walker = JoinSet::new();
        walker.spawn(async { walker_service.await.context("the walker ended") });
        Ok(Self { addresses, stop_walker, walker, stop_peers, peers })
    }

    /// Where the services listen.
    pub const fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// Waits until a service fails or `shutdown` is cancelled, then stops all.
    ///
    /// # Errors
    /// The error of the service that failed.
    pub async fn run_until(mut self, shutdown: CancellationToken) -> anyhow::Result<()> {
        let first = tokio::select! {
            () = shutdown.cancelled() => Ok(()),
            ended = self.walker.join_next() => flatten(ended),
            ended = self.peers.join_next() => flatten(ended),
        };
        let stopped = self.stop().await;
        first.and(stopped)
    }

    /// Stops the walker, which may still need the others for its last answers, then the others; waits until the store is
    /// closed.
    ///
    /// # Errors
    /// A service ended with an error.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        let mut outcome = Ok(());
        self.stop_walker.cancel();
        while let Some(ended) = self.walker.join_next().await {
            outcome = outcome.and(flatten(Some(ended)));
        }
        self.stop_peers.cancel();
        while let Some(ended) = self.peers.join_next().await {
            outcome = outcome.and(flatten(Some(ended)));
        }
        outcome
    }
}

fn flatten(ended: Option<Result<anyhow::Result<()>, tokio::task::JoinError>>) -> anyhow::Result<()> {
    match ended {
        None => Ok(()),
        Some(joined) => joined?,
    }
}

fn address(listener: &TcpListener, server: &ServerConfig) -> std::io::Result<String> {
    let mut address = listener.local_addr()?;
    if address.ip().is_unspecified() {
        address.set_ip(std::net::Ipv4Addr::LOCALHOST.into());
    }
    Ok(format!("{}://{address}", scheme(server)))
}
