//! The baseline `cloud-ranger`: a walk of second order over the impact graph of one metric.
//!
//! Wang et al., *CloudRanger: Root Cause Identification for Cloud Native Systems*, CCGRID 2018. The impact graph is
//! the PC graph of latency over all services, and C_i is how far the latency of service i moves with the front end's:
//!
//! ```text
//! along an edge i → j:  C_j     against it, j → i:  ρ·C_i     stay at i:  max(0, C_i − max over its edges of C_j)
//! ```
//!
//! rows normalised to p. The walk remembers the step that it came by: having gone k → i, it goes on to j in
//! proportion to (1 − β)·p_ki + β·p_ij, so that a strong step is followed by a freer one. Services are ranked by
//! visits. ρ = .2, β = .3 and 10,000 steps from the front end; where no edge leads on the walk begins anew there.

use automap_proto::behavior_graph::BehaviorGraph;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use crate::transition_matrix::TransitionMatrix;

/// ρ, weight of a step against an edge.
const BACKWARD: f64 = 0.2;
/// β, weight of the step ahead against the step that led here.
const AHEAD: f64 = 0.3;
/// Length of the walk.
const STEPS: usize = 10_000;

/// Share of the walk's steps that end at each service of the impact graph.
///
/// `correlation` is C, one value per service, 0 to 1; `front_end` is a position among the services. The same seed gives
/// the same walk (ChaCha with 8 rounds). O(steps · degree + edges · log degree).
pub fn cloud_ranger(
    impact: &BehaviorGraph,
    correlation: &[f64],
    front_end: Option<usize>,
    seed: u64,
) -> Vec<f64> {
    let mut visits = vec![0_u32; impact.services().len()];
    let Some(start) = front_end.filter(|start| *start < visits.len()) else {
        return vec![0.0; visits.len()];
    };
    let matrix = transition(impact, correlation, start);
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let (mut here, mut arrived_by) = (start, 0.0);
    for _ in 0..STEPS {
        let choice: f64 = rng.random();
        (here, arrived_by) = onward(matrix.row(here), arrived_by, choice).unwrap_or((start, 0.0));
        visits[here] += 1;
    }
    visits.into_iter().map(|count| f64::from(count) / STEPS as f64).collect()
}

/// Where a walk that came with probability `arrived_by` goes from a row of p for `uniform` in [0, 1), and with which
/// probability of p. `None` where nothing leads on.
fn onward(row: &[(usize, f64)], arrived_by: f64, uniform: f64) -> Option<(usize, f64)> {
    let weight = |ahead: f64| (1.0 - AHEAD) * arrived_by + AHEAD * ahead;
    let total: f64 = row.iter().map(|&(_, ahead)| weight(ahead)).sum();
    let mut left = uniform * total;
    for &(target, ahead) in row {
        left -= weight(ahead);
        if left < 0.0 {
            return Some((target, ahead));
        }
    }
    row.last().copied()
}

fn transition(impact: &BehaviorGraph, correlation: &[f64], front_end: usize) -> TransitionMatrix {
    let score = |service: usize| correlation.get(service).copied().unwrap_or(0.0);
    let mut weights = vec![Vec::new(); impact.services().len()];
    let mut best_ahead = vec![0.0_f64; weights.len()];
    for (from, to, _) in impact.edges() {
        weights[from].push((to, score(to)));
        best_ahead[from] = best_ahead[from].max(score(to));
        if impact.edge(to, from).is_none() {
            weights[to].push((from, BACKWARD * score(from)));
        }
    }
    for (service, row) in weights.iter_mut().enumerate() {
        if service != front_end {
            row.push((service, (score(service) - best_ahead[service]).max(0.0)));
        }
    }
    let teleport = vec![0.0; weights.len()];
    TransitionMatrix::from_weights(weights, &teleport)
}

#[cfg(test)]
mod tests {
    use automap_proto::behavior_graph::EdgeWeights;

    use super::*;

    fn graph(edges: &[(usize, usize)]) -> BehaviorGraph {
        let mut graph = BehaviorGraph::new((0..4).map(|index| format!("s{index}")).collect()).unwrap();
        let latency = EdgeWeights::from_counts([1, 0, 0, 0, 0, 0, 0]).unwrap();
        for &(from, to) in edges {
            graph.set_edge(from, to, latency).unwrap();
        }
        graph
    }

    #[test]
    fn transitions_worked_by_hand() {
        // s0 - s1 undirected, s1 → s2; C = 1, .5, .75, .9; the front end is s0.
        let matrix = transition(&graph(&[(0, 1), (1, 0), (1, 2)]), &[1.0, 0.5, 0.75, 0.9], 0);
        assert_eq!(matrix.row(0), [(1, 1.0)]);
        // s1: back along the undirected edge 1, on .75, no stay.
        let row = matrix.row(1);
        assert!((row[0].1 - 1.0 / 1.75).abs() < 1e-12 && (row[1].1 - 0.75 / 1.75).abs() < 1e-12);
        // s2: against the arrow .2·.5, stay .75.
        let row = matrix.row(2);
        assert!((row[0].1 - 0.1 / 0.85).abs() < 1e-12 && (row[1].1 - 0.75 / 0.85).abs() < 1e-12);
        assert_eq!(matrix.row(3), [(3, 1.0)]);
    }

    #[test]
    fn a_step_is_drawn_from_where_the_walk_came_by_and_what_lies_ahead() {
        let row = [(1, 0.25), (2, 0.75)];
        // At first only what lies ahead counts: .3·.25 of .3.
        assert_eq!(onward(&row, 0.0, 0.2), Some((1, 0.25)));
        assert_eq!(onward(&row, 0.0, 0.26), Some((2, 0.75)));
        // Having come by .5: .35 + .075 against .35 + .225, of 1.
        assert_eq!(onward(&row, 0.5, 0.42), Some((1, 0.25)));
        assert_eq!(onward(&row, 0.5, 0.43), Some((2, 0.75)));
        assert_eq!(onward(&[], 0.5, 0.5), None);
    }

    #[test]
    fn visits_are_shares_and_never_leave_the_graph() {
        let impact = graph(&[(0, 1), (1, 2)]);
        let found = cloud_ranger(&impact, &[1.0, 0.5, 0.9, 0.9], Some(0), 7);
        assert!((found.iter().sum::<f64>() - 1.0).abs() < 1e-9);
        assert!(found[2] > found[1] && found[3] == 0.0, "{found:?}");
        assert_eq!(found, cloud_ranger(&impact, &[1.0, 0.5, 0.9, 0.9], Some(0), 7));
        assert_eq!(cloud_ranger(&impact, &[], None, 7), [0.0; 4]);
    }
}
