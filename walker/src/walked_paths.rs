//! On which path the front end leads to each service: walks that explain a ranking.
//!
//! The walks do not rank. They start at the front end, follow the transitions of a matrix without ever restarting,
//! and end where no edge leads on, so that every path consists of edges that a person can look up. For the method
//! `automap` the matrix is that of its own walk. For the others it is one of the two here: over the call graph where
//! it is known, else over the behaviour graph.

use automap_proto::behavior_graph::BehaviorGraph;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use crate::{
    evidence::walk::squared,
    parameters::{EvidenceParameters, PathParameters},
    path_tally::PathTally,
    row_sampler::RowSampler,
    transition_matrix::TransitionMatrix,
    walk_trace::{Move, WalkStep, WalkTrace},
};

pub use crate::path_tally::WalkedPath;

/// What every service gets beside its own squared evidence, as a share of the mean: the way to a guilty service may
/// lead through one that shows nothing or has no metrics at all.
const EXPLORATION: f64 = 0.1;

/// Walks `parameters.walks` times from `front_end` and answers, for every state, the loop-erased path on which most
/// walks first reached it (of equals the shortest, then the first in the order of states) with its share among the
/// walks that reached it. `None` where no walk came.
///
/// The same matrix and seed give the same paths, whether `trace` remembers the steps or not.
/// O(walks · steps · log states).
pub fn walk_paths(
    matrix: &TransitionMatrix,
    front_end: usize,
    parameters: &PathParameters,
    seed: u64,
    trace: &mut WalkTrace,
) -> Vec<Option<WalkedPath>> {
    if front_end >= matrix.states() {
        return vec![None; matrix.states()];
    }
    let sampler = RowSampler::new(matrix);
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut tally = PathTally::new(matrix.states(), front_end);
    for walk in (1_u32..).take(parameters.walks) {
        if walk > 1 {
            tally.begin_walk();
        }
        let mut state = front_end;
        for _ in 0..parameters.max_steps {
            let Some(next) = sampler.along_edge(state, rng.random()) else {
                break;
            };
            tally.step(next);
            trace.record(|| WalkStep {
                walk,
                from: state,
                to: next,
                by: Move::Edge,
                probability: matrix.probability(state, next),
            });
            state = next;
        }
    }
    tally.paths()
}

/// Transitions along the call graph towards evidence: on to a callee ∝ its squared evidence, back to a caller ∝ ρ
/// times that, each with a little to spare for services that show nothing. No staying: it would only cost steps.
///
/// `totals` are the evidence against each of `services`; `calls` are (caller, callee), each once.
pub fn along_calls(
    totals: &[f64],
    calls: &[(usize, usize)],
    services: usize,
    parameters: &EvidenceParameters,
) -> TransitionMatrix {
    let squares = squared(totals, services);
    let mean = squares.iter().sum::<f64>() / squares.len().max(1) as f64;
    let spare = if mean > 0.0 { EXPLORATION * mean } else { 1.0 };
    let mut weights = vec![Vec::new(); services];
    for &(caller, callee) in calls {
        weights[caller].push((callee, squares[callee] + spare));
        weights[callee].push((caller, parameters.backward * (squares[caller] + spare)));
    }
    TransitionMatrix::from_weights(weights, &squares)
}

/// Transitions along the edges of the behaviour graph, each weighted by the number of metric types in which it
/// stands. Both ways alike: observed metrics say little about the direction of an influence.
///
/// `services` are sorted; those that the graph does not hold have no edge.
pub fn along_behavior(services: &[String], graph: &BehaviorGraph) -> TransitionMatrix {
    let states: Vec<Option<usize>> =
        graph.services().iter().map(|name| services.binary_search(name).ok()).collect();
    let mut weights = vec![Vec::new(); services.len()];
    for (from, to, _, edge) in graph.drawn_edges() {
        if let (Some(one), Some(other)) = (states[from], states[to]) {
            let support = edge.support() as f64;
            weights[one].push((other, support));
            weights[other].push((one, support));
        }
    }
    TransitionMatrix::from_weights(weights, &vec![1.0; services.len()])
}

#[cfg(test)]
mod tests {
    use automap_proto::behavior_graph::EdgeWeights;

    use super::*;

    fn names(count: usize) -> Vec<String> {
        (0..count).map(|index| format!("s{index}")).collect()
    }

    fn walked(totals: &[f64], pairs: &[(usize, usize)], seed: u64) -> Vec<Option<WalkedPath>> {
        let matrix = along_calls(totals, pairs, totals.len(), &EvidenceParameters::default());
        walk_paths(&matrix, 0, &PathParameters::default(), seed, &mut WalkTrace::default())
    }

    #[test]
    fn the_path_leads_through_the_service_with_evidence() {
        // s0 calls s1 and s2, both call s3; only s2 and s3 are suspect.
        let found = walked(&[1.0, 0.0, 5.0, 5.0], &[(0, 1), (0, 2), (1, 3), (2, 3)], 1);
        let path = found[3].clone().unwrap();
        assert_eq!(path.services, [0, 2, 3]);
        assert!(path.share > 0.8 && path.share < 1.0, "{}", path.share);
        assert_eq!(found[0], Some(WalkedPath { services: vec![0], share: 1.0 }));
    }

    #[test]
    fn a_service_behind_one_without_any_evidence_is_reached() {
        let found = walked(&[1.0, 0.0, 9.0], &[(0, 1), (1, 2)], 1);
        assert_eq!(found[2].clone().unwrap().services, [0, 1, 2]);
    }

    #[test]
    fn paths_hold_edges_only_and_end_where_none_leads_on() {
        let found = walked(&[1.0, 2.0, 3.0], &[(0, 1)], 1);
        assert_eq!(found[2], None);
        assert_eq!(walked(&[1.0, 2.0], &[], 1)[1], None);
    }

    #[test]
    fn the_seed_decides_every_step() {
        let totals = [1.0, 2.0, 2.1, 3.0];
        let pairs = [(0, 1), (0, 2), (1, 3), (2, 3)];
        assert_eq!(walked(&totals, &pairs, 7), walked(&totals, &pairs, 7));
        assert_ne!(walked(&totals, &pairs, 7), walked(&totals, &pairs, 8));
    }

    #[test]
    fn without_calls_the_edge_that_stands_in_more_metrics_is_walked_more() {
        let mut graph = BehaviorGraph::new(names(4)).unwrap();
        let strong = EdgeWeights::from_counts([1; 7]).unwrap();
        let weak = EdgeWeights::from_counts([1, 0, 0, 0, 0, 0, 0]).unwrap();
        graph.set_edge(1, 0, strong).unwrap();
        graph.set_edge(0, 2, weak).unwrap();
        graph.set_edge(2, 0, weak).unwrap();
        graph.set_edge(1, 3, strong).unwrap();
        graph.set_edge(2, 3, strong).unwrap();
        let matrix = along_behavior(&names(4), &graph);
        assert_eq!(matrix.row(0), [(1, 7.0 / 8.0), (2, 1.0 / 8.0)]);
        let mut trace = WalkTrace::new(true);
        let found = walk_paths(&matrix, 0, &PathParameters::default(), 3, &mut trace);
        assert_eq!(found[3].clone().unwrap().services, [0, 1, 3]);
        let steps = trace.steps();
        assert!(steps.iter().all(|step| step.probability == matrix.probability(step.from, step.to)));
        assert!(steps.windows(2).all(|two| two[0].walk < two[1].walk || two[0].to == two[1].from));
        assert_eq!((steps[0].from, steps[0].walk, steps[steps.len() - 1].walk), (0, 1, 1000));
    }

    #[test]
    fn a_front_end_that_is_no_state_reaches_nothing() {
        let matrix = along_calls(&[1.0, 1.0], &[(0, 1)], 2, &EvidenceParameters::default());
        let found = walk_paths(&matrix, 2, &PathParameters::default(), 1, &mut WalkTrace::default());
        assert_eq!(found, [None, None]);
    }
}
