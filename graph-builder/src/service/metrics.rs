//! The graph-builder's own metrics.

use std::{fmt, sync::Arc};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric as _},
    metrics::{MetricType, counter::Counter, gauge::ConstGauge},
    registry::Registry,
};

use super::peers::Peers;

/// What is counted; clones share it.
#[derive(Debug, Clone, Default)]
pub(super) struct BuildMetrics {
    /// Tests of conditional independence of the graphs that were built here, whoever made them.
    pub(super) tests: Counter,
    /// Graphs that were built.
    pub(super) graphs: Counter,
}

impl BuildMetrics {
    pub(super) fn register(&self, peers: Option<Arc<Peers>>, registry: &mut Registry) {
        let tests = "Tests of conditional independence of graphs that this process built, those of its peers among them, resamples aside";
        registry.register("automap_ci_tests", tests, self.tests.clone());
        registry.register("automap_graphs", "Graphs that were built", self.graphs.clone());
        if let Some(peers) = peers {
            registry.register_collector(Box::new(PeerCount(peers)));
        }
    }
}

/// Counted at each scrape.
#[derive(Debug)]
struct PeerCount(Arc<Peers>);

impl Collector for PeerCount {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let found = i64::try_from(self.0.members().len()).unwrap_or(i64::MAX);
        ConstGauge::new(found).encode(encoder.encode_descriptor(
            "automap_peers",
            "Graph-builders behind the configured names, this one among them where it is",
            None,
            MetricType::Gauge,
        )?)
    }
}
