//! The baseline `monitor-rank`: a random walk over the call graph towards services that move with the front end.
//!
//! Kim, Sumbaly and Shah, *Root Cause Detection in a Service-Oriented Architecture*, SIGMETRICS 2013, section 4.3.
//! With S_i the similarity of service i to the front end:
//!
//! ```text
//! caller i → callee j:  S_j          callee j → caller i:  ρ·S_i
//! stay at i:            max(0, S_i − max over its callees j of S_j), not at the front end
//! ```
//!
//! rows normalised; a personalised PageRank whose jumps go to services in proportion to S, never to the front end. The
//! paper's pseudo-anomaly clustering needs a history of the same front end and is left out, and where it leaves numbers
//! open ρ = .2 and a jump probability of .15 are taken. Without a call graph there is nothing to walk on: services are
//! ranked by S.

use automap_proto::call_graph::CallGraph;

use crate::{
    evidence::walk::indexed_calls,
    stationary::stationary,
    transition_matrix::{TransitionMatrix, distribution},
};

/// ρ, weight of a step back to a caller.
const BACKWARD: f64 = 0.2;
/// Probability per step of a jump.
const JUMP: f64 = 0.15;

/// The share of time that the walk spends at each of `services`, sorted names; without calls their similarity.
///
/// `similarity` is one value per service, 0 to 1; `front_end` is a position in `services`. Complexity: that of
/// [`stationary`] with two moves per call.
pub fn monitor_rank(
    services: &[String],
    similarity: &[f64],
    calls: Option<&CallGraph>,
    front_end: Option<usize>,
) -> Vec<f64> {
    let Some(calls) = calls else {
        return similarity.to_vec();
    };
    let mut preference = similarity.to_vec();
    if let Some(slot) = front_end.and_then(|start| preference.get_mut(start)) {
        *slot = 0.0;
    }
    let matrix = transition(similarity, &indexed_calls(services, calls), front_end, &preference);
    stationary(&matrix, JUMP, &distribution(&preference))
}

fn transition(
    similarity: &[f64],
    calls: &[(usize, usize)],
    front_end: Option<usize>,
    preference: &[f64],
) -> TransitionMatrix {
    let mut weights = vec![Vec::new(); similarity.len()];
    let mut best_callee = vec![0.0_f64; similarity.len()];
    for &(caller, callee) in calls {
        weights[caller].push((callee, similarity[callee]));
        weights[callee].push((caller, BACKWARD * similarity[caller]));
        best_callee[caller] = best_callee[caller].max(similarity[callee]);
    }
    for (service, row) in weights.iter_mut().enumerate() {
        if front_end != Some(service) {
            row.push((service, (similarity[service] - best_callee[service]).max(0.0)));
        }
    }
    TransitionMatrix::from_weights(weights, preference)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(count: usize) -> Vec<String> {
        (0..count).map(|index| format!("s{index}")).collect()
    }

    #[test]
    fn transitions_worked_by_hand() {
        // s0, the front end, calls s1 and s2; S = 1, .4, .6.
        let matrix = transition(&[1.0, 0.4, 0.6], &[(0, 1), (0, 2)], Some(0), &[0.0, 0.4, 0.6]);
        assert_eq!(matrix.row(0), [(1, 0.4), (2, 0.6)]);
        // s1: back .2·1, stay .4.
        let row = matrix.row(1);
        assert!((row[0].1 - 1.0 / 3.0).abs() < 1e-12 && (row[1].1 - 2.0 / 3.0).abs() < 1e-12);
        assert_eq!(matrix.teleport(), [0.0, 0.4, 0.6]);
    }

    #[test]
    fn a_callee_that_moves_with_the_front_end_ranks_first() {
        let calls = CallGraph::new([("s0", "s1"), ("s0", "s2")].map(|(from, to)| (from.into(), to.into())));
        let found = monitor_rank(&names(3), &[1.0, 0.1, 0.9], Some(&calls.unwrap()), Some(0));
        assert!(found[2] > found[1], "{found:?}");
        assert!((found.iter().sum::<f64>() - 1.0).abs() < 1e-9);
    }

    #[test]
    fn without_a_call_graph_similarity_ranks() {
        assert_eq!(monitor_rank(&names(2), &[1.0, 0.5], None, Some(0)), [1.0, 0.5]);
    }
}
