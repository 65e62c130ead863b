//! The walk of the method `evidence` over a known call graph.
//!
//! A walk that looks for the cause of an alert follows calls towards services with evidence against them, may turn
//! back to a caller, may stay where there is evidence, and often starts anew at a service drawn by its evidence:
//!
//! ```text
//! caller → callee ∝ a_callee²     callee → caller ∝ ρ·a_caller²     stay ∝ λ·a²     restart r to a²/Σa²
//! ```
//!
//! A service that has none of these moves starts anew. The shape is that of the published walk (forward, backward and
//! self moves); evidence takes the place of correlation with the front end.

use std::collections::BTreeSet;

use automap_proto::call_graph::CallGraph;

use crate::{
    parameters::EvidenceParameters,
    stationary::stationary,
    transition_matrix::{TransitionMatrix, distribution},
};

/// All services that have metrics or stand in the call graph, sorted: the states of the walk.
pub fn walked_services(measured: &[String], calls: Option<&CallGraph>) -> Vec<String> {
    let mut services: BTreeSet<&str> = measured.iter().map(String::as_str).collect();
    services.extend(calls.map(CallGraph::services).unwrap_or_default());
    services.into_iter().map(str::to_owned).collect()
}

/// Calls as pairs of indices into `services`, which are sorted; calls of others are left out.
pub(crate) fn indexed_calls(services: &[String], calls: &CallGraph) -> Vec<(usize, usize)> {
    let index = |name: &str| services.binary_search_by(|service| service.as_str().cmp(name)).ok();
    calls.calls().filter_map(|(caller, callee)| Some((index(caller)?, index(callee)?))).collect()
}

/// The share of time that the walk spends at each of `services`.
///
/// `services` are sorted, and `totals` are the evidence a_i against each, finite and >= 0 (what is not counts as
/// zero). The answer sums to 1. Complexity: that of [`stationary`] with two moves per call.
pub fn evidence_walk(
    services: &[String],
    totals: &[f64],
    calls: &CallGraph,
    parameters: &EvidenceParameters,
) -> Vec<f64> {
    let squares = squared(totals, services.len());
    let restart_to = distribution(&squares);
    let matrix = transition(&squares, &indexed_calls(services, calls), parameters);
    stationary(&matrix, parameters.restart, &restart_to)
}

/// a² for each of `count` services; zero for what is missing or no number.
pub(crate) fn squared(totals: &[f64], count: usize) -> Vec<f64> {
    let total = |index: usize| totals.get(index).copied().filter(|value| value.is_finite()).unwrap_or(0.0);
    (0..count).map(|index| total(index).clamp(0.0, 1e9).powi(2)).collect()
}

fn transition(
    squares: &[f64],
    calls: &[(usize, usize)],
    parameters: &EvidenceParameters,
) -> TransitionMatrix {
    let mut weights: Vec<Vec<(usize, f64)>> = squares
        .iter()
        .enumerate()
        .map(|(own, square)| vec![(own, parameters.self_weight * square)])
        .collect();
    for &(caller, callee) in calls {
        weights[caller].push((callee, squares[callee]));
        weights[callee].push((caller, parameters.backward * squares[caller]));
    }
    TransitionMatrix::from_weights(weights, squares)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn names(count: usize) -> Vec<String> {
        (0..count).map(|index| format!("s{index:02}")).collect()
    }

    fn calls(pairs: &[(usize, usize)]) -> CallGraph {
        CallGraph::new(pairs.iter().map(|(from, to)| (format!("s{from:02}"), format!("s{to:02}")))).unwrap()
    }

    #[test]
    fn transitions_worked_by_hand() {
        // s00 calls s01 and s02; a = 1, 2, 3. From s00: stay .5·1, s01 4, s02 9; from s01: stay .5·4, s00 .1·1.
        let parameters = EvidenceParameters::default();
        let matrix = transition(&[1.0, 4.0, 9.0], &[(0, 1), (0, 2)], &parameters);
        assert_eq!(matrix.row(0), [(0, 0.5 / 13.5), (1, 4.0 / 13.5), (2, 9.0 / 13.5)]);
        assert_eq!(matrix.row(1), [(0, 0.1 / 2.1), (1, 2.0 / 2.1)]);
        assert_eq!(matrix.row(2), [(0, 0.1 / 4.6), (2, 4.5 / 4.6)]);
    }

    #[test]
    fn two_services_balance_as_worked_by_hand() {
        // s00 calls s01, a = 1, 2: P00 = .5/4.5 = 1/9, P01 = 8/9, P10 = .1/2.1 = 1/21, P11 = 20/21, q = 1/5, 4/5.
        // x0 = .3·(x0/9 + x1/21) + .7/5 and x1 = 1 - x0 give x0 (1 - 1/30 + 1/70) = .14 + 1/70.
        let found = evidence_walk(&names(2), &[1.0, 2.0], &calls(&[(0, 1)]), &EvidenceParameters::default());
        let expected = (0.14 + 1.0 / 70.0) / (1.0 - 1.0 / 30.0 + 1.0 / 70.0);
        assert!((found[0] - expected).abs() < 1e-12 && (found[1] - (1.0 - expected)).abs() < 1e-12);
    }

    #[test]
    fn a_called_service_gains_on_an_equal_one_that_nobody_calls() {
        let found =
            evidence_walk(&names(3), &[1.0, 2.0, 2.0], &calls(&[(0, 1)]), &EvidenceParameters::default());
        assert!(found[1] > found[2] && found[2] > 0.0);
    }

    #[test]
    fn without_any_evidence_all_services_are_exactly_equal() {
        let found = evidence_walk(&names(3), &[0.0; 3], &calls(&[(0, 1)]), &EvidenceParameters::default());
        assert!(found.iter().all(|mass| mass.to_bits() == found[0].to_bits()), "{found:?}");
    }

    #[test]
    fn services_of_the_call_graph_without_metrics_are_walked_too() {
        let measured = names(2);
        let graph = calls(&[(0, 7)]);
        assert_eq!(walked_services(&measured, Some(&graph)), ["s00", "s01", "s07"]);
        assert_eq!(walked_services(&measured, None), measured);
    }

    proptest! {
        #[test]
        fn the_order_of_services_changes_nothing(
            totals in proptest::collection::vec(0.0..20.0_f64, 8),
            pairs in proptest::collection::vec((0..8_usize, 0..8_usize), 0..20),
            order in Just((0..8_usize).collect::<Vec<_>>()).prop_shuffle(),
        ) {
            let parameters = EvidenceParameters::default();
            let found = evidence_walk(&names(8), &totals, &calls(&pairs), &parameters);
            let mut moved_totals = vec![0.0; 8];
            for (old, &new) in order.iter().enumerate() {
                moved_totals[new] = totals[old];
            }
            let moved_pairs: Vec<_> = pairs.iter().map(|&(from, to)| (order[from], order[to])).collect();
            let moved = evidence_walk(&names(8), &moved_totals, &calls(&moved_pairs), &parameters);
            for (old, &new) in order.iter().enumerate() {
                prop_assert!((found[old] - moved[new]).abs() < 3e-12);
            }
        }
    }
}
