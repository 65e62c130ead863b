//! Moves of the walk: forward along edges, backward against them, and staying (section "random walk" of the paper).
//!
//! out(i) and in(i) are the ends of edges from and to i; an undirected edge stands both ways, so its neighbour is in
//! both and its forward and backward contributions add.

use automap_proto::{behavior_graph::EdgeWeights, metric::METRIC_COUNT};

use super::AutomapInput;
use crate::transition_matrix::TransitionMatrix;

/// W_iik of staying: alike for every metric, so that a self vector sums to 1 as an edge's does.
const SELF_WEIGHT: f64 = 1.0 / METRIC_COUNT as f64;

/// The transition matrix of the walk; a service without any move teleports in proportion to `relevance`.
///
/// ```text
/// forward   f_ij = Σ_k w_k · W_ijk · c(j, fe, k) / Σ_{l ∈ out(i) ∪ {i}} c(l, fe, k)      0/0 = 0
/// backward  ρ · f_ji / Σ_{l ∈ in(i)} f_li, from all forward values as they were before normalisation
/// self      max(0, f_ii − max_j f_ij) with W_iik = 1/7, none at the front end
/// ```
///
/// `input` was checked. O(edges · metric types).
pub(super) fn transition(input: &AutomapInput<'_>, relevance: &[f64], backward: f64) -> TransitionMatrix {
    let services = input.graph.services().len();
    let forward = Forward::new(input);

    let mut moves: Vec<Vec<(usize, f64)>> = vec![Vec::new(); services];
    let mut arriving = vec![0.0; services];
    let mut strongest = vec![0.0_f64; services];
    for &(from, to, value) in &forward.edges {
        moves[from].push((to, value));
        arriving[to] += value;
        strongest[from] = strongest[from].max(value);
    }
    for &(from, to, value) in &forward.edges {
        if arriving[to] > 0.0 {
            moves[to].push((from, backward * value / arriving[to]));
        }
    }
    for (service, row) in moves.iter_mut().enumerate() {
        if service != input.front_end {
            row.push((service, (forward.stay[service] - strongest[service]).max(0.0)));
        }
    }
    TransitionMatrix::from_weights(moves, relevance)
}

/// All forward values, before any normalisation.
struct Forward {
    /// (i, j, f_ij) in the order of the graph's edges.
    edges: Vec<(usize, usize, f64)>,
    /// f_ii
    stay: Vec<f64>,
}

impl Forward {
    fn new(input: &AutomapInput<'_>) -> Self {
        let services = input.graph.services().len();
        // Σ_{l ∈ out(i) ∪ {i}} c(l, fe, k), one list per metric type.
        let mut denominators = input.correlations.clone();
        for (from, to, _) in input.graph.edges() {
            for (sums, correlations) in denominators.iter_mut().zip(input.correlations) {
                sums[from] += correlations[to];
            }
        }
        let value = |from: usize, to: usize, edge: &[f64; METRIC_COUNT]| -> f64 {
            (0..METRIC_COUNT)
                .filter(|&metric| denominators[metric][from] > 0.0)
                .map(|metric| {
                    let share = input.correlations[metric][to] / denominators[metric][from];
                    input.weights[metric] * edge[metric] * share
                })
                .sum()
        };
        let edges = input
            .graph
            .edges()
            .map(|(from, to, edge): (usize, usize, &EdgeWeights)| (from, to, value(from, to, edge.weights())))
            .collect();
        let stay =
            (0..services).map(|service| value(service, service, &[SELF_WEIGHT; METRIC_COUNT])).collect();
        Self { edges, stay }
    }
}
