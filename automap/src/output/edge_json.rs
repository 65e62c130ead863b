//! What edges of a behaviour graph tell, as JSON.

use std::collections::BTreeMap;

use automap_proto::{
    behavior_graph::{BehaviorGraph, EdgeWeights},
    edge_test::EdgeTest,
    metric::MetricKind,
};
use serde::Serialize;

/// The tests of an edge in one metric type.
#[derive(Debug, Serialize)]
pub(super) struct EdgeTestJson {
    metric: MetricKind,
    /// Given nothing.
    p_value: f64,
    /// The largest given nothing or one neighbour of either service; absent where it was not computed.
    #[serde(skip_serializing_if = "Option::is_none")]
    largest_p_value: Option<f64>,
    /// Rows in which both services have a value.
    samples: u32,
}

/// The weights of the metric types in which an edge stands.
pub(super) fn weights(weights: &EdgeWeights) -> BTreeMap<&'static str, f64> {
    MetricKind::ALL
        .into_iter()
        .filter(|kind| weights.weight(*kind) > 0.0)
        .map(|kind| (kind.name(), weights.weight(kind)))
        .collect()
}

/// The tests of a pair, in the order of metric types.
pub(super) fn tests(graph: &BehaviorGraph, from: usize, to: usize) -> Vec<EdgeTestJson> {
    let told = graph.tests(from, to).iter().map(|&EdgeTest { metric, p_value, samples, largest_p_value }| {
        EdgeTestJson { metric, p_value, largest_p_value, samples }
    });
    told.collect()
}
