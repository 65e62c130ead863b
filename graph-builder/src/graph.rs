//! One behaviour graph from the skeletons of all metric types.

use automap_proto::{
    behavior_graph::{BehaviorGraph, EdgeWeights},
    invalid::Invalid,
    metric::{METRIC_COUNT, MetricKind},
};
use petgraph::graphmap::UnGraphMap;

use crate::{orient::orient, skeleton::Skeleton};

/// In which metric types an edge survives its tests, in the order of [`MetricKind::ALL`].
pub type Bits = [bool; METRIC_COUNT];

/// Joins the skeletons of the tested metric types: an edge goes only when it is independent in **all** of them
/// (section 2, step 3). The bit of a metric type that was not tested is not set.
///
/// # Complexity
/// O(edges of all skeletons).
pub fn combine(skeletons: &[(usize, Skeleton)]) -> UnGraphMap<u32, Bits> {
    let mut combined = UnGraphMap::new();
    for (kind, skeleton) in skeletons {
        for (first, second) in skeleton.pairs() {
            if let Some(bits) = combined.edge_weight_mut(first, second) {
                let bits: &mut Bits = bits;
                bits[*kind] = true;
            } else {
                let mut bits: Bits = [false; METRIC_COUNT];
                bits[*kind] = true;
                combined.add_edge(first, second, bits);
            }
        }
    }
    combined
}

/// The behaviour graph of `services` (sorted names) from the skeleton of each tested metric type: edges, their
/// directions, and W_ijk = b_ijk / Σ_k b_ijk (section 2, steps 3 to 5). An undirected edge stands both ways.
///
/// # Errors
/// [`BehaviorGraph`] refuses the names.
///
/// # Complexity
/// That of [`orient`].
pub fn behavior_graph(
    services: &[String],
    skeletons: Vec<(MetricKind, Skeleton)>,
) -> Result<BehaviorGraph, Invalid> {
    let skeletons: Vec<(usize, Skeleton)> =
        skeletons.into_iter().map(|(kind, skeleton)| (kind.index(), skeleton)).collect();
    let combined = combine(&skeletons);
    let orientation = orient(&combined, services.len(), &skeletons);
    let mut graph = BehaviorGraph::new(services.to_vec())?;
    for (from, to) in orientation.arrows() {
        let bits = combined.edge_weight(from as u32, to as u32);
        if let Some(weights) = bits.and_then(|bits| EdgeWeights::from_counts(bits.map(u32::from))) {
            graph.set_edge(from, to, weights)?;
        }
    }
    Ok(graph)
}
