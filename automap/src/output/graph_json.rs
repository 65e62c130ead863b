//! A behaviour graph as JSON, for programs.

use std::collections::BTreeMap;

use automap_proto::behavior_graph::BehaviorGraph;
use serde::Serialize;

use super::edge_json::{self, EdgeTestJson};

/// The JSON form of a behaviour graph. An undirected edge stands once.
#[derive(Debug, Serialize)]
pub struct GraphJson<'a> {
    nodes: &'a [String],
    edges: Vec<EdgeJson<'a>>,
    tests: u64,
}

#[derive(Debug, Serialize)]
struct EdgeJson<'a> {
    from: &'a str,
    to: &'a str,
    directed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    confidence: Option<f64>,
    weights: BTreeMap<&'static str, f64>,
    /// In the metric types in which the edge stands and was tested.
    tests: Vec<EdgeTestJson>,
}

impl<'a> GraphJson<'a> {
    /// `tests` is the number of conditional independence tests that were made.
    pub fn new(graph: &'a BehaviorGraph, tests: u64) -> Self {
        let services = graph.services();
        let edges = graph.drawn_edges().map(|(from, to, directed, weights)| EdgeJson {
            from: &services[from],
            to: &services[to],
            directed,
            confidence: graph.confidence(from, to),
            weights: edge_json::weights(weights),
            tests: edge_json::tests(graph, from, to),
        });
        Self { nodes: services, edges: edges.collect(), tests }
    }
}
