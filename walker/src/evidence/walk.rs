//! Step 7, walk: evidence is followed along the graph, because what fails drags its callers with it.
//!
//! A walk that looks for the cause of an alert follows calls towards services with evidence against them, may turn
//! back to a caller, and often starts anew at a service drawn by its evidence:
//!
//! ```text
//! caller → callee ∝ w·a_callee²     callee → caller ∝ ρ·w·a_caller²     stay ∝ λ·a²     restart r to a²/Σa²
//! score = (share of time at the service) · a^γ
//! ```
//!
//! w is R² + .05 on a known call; without a call graph every pair is walked both ways with w = R². A service that has
//! none of these moves starts anew. A hub collects time from all its neighbours, whatever speaks against itself: the
//! factor a^γ asks for evidence of its own. The shape is that of the published walk (forward, backward and self
//! moves); evidence takes the place of correlation with the front end.

use std::collections::BTreeSet;

use automap_proto::call_graph::CallGraph;

use super::{
    pair_weights::{PairTransitions, PairWeights},
    throughput_graph::ThroughputGraph,
};
use crate::{
    parameters::EvidenceParameters,
    stationary::stationary,
    transition_matrix::{TransitionMatrix, distribution},
};

/// All services that have metrics, stand in the call graph or are met in `edges`, sorted: the states of the walk.
pub fn walked_services(
    measured: &[String],
    calls: Option<&CallGraph>,
    edges: &[(String, String)],
) -> Vec<String> {
    let mut services: BTreeSet<&str> = measured.iter().map(String::as_str).collect();
    services.extend(calls.map(CallGraph::services).unwrap_or_default());
    services.extend(edges.iter().flat_map(|(caller, callee)| [caller.as_str(), callee.as_str()]));
    services.into_iter().map(str::to_owned).collect()
}

/// Calls as pairs of indices into `services`, which are sorted; calls of others are left out.
pub(crate) fn indexed_calls(services: &[String], calls: &CallGraph) -> Vec<(usize, usize)> {
    let index = |name: &str| services.binary_search_by(|service| service.as_str().cmp(name)).ok();
    calls.calls().filter_map(|(caller, callee)| Some((index(caller)?, index(callee)?))).collect()
}

/// What is walked along.
#[derive(Debug, Clone, Copy)]
pub enum WalkGraph<'a> {
    /// Known calls as pairs of services, weighed by the throughput graph where there is one.
    Calls(&'a [(usize, usize)], Option<&'a ThroughputGraph<'a>>),
    /// Every pair of services, weighed by the throughput graph but where a rule says otherwise.
    Pairs(&'a PairWeights),
}

/// The scores of all services: time spent at each, times a^γ.
///
/// `totals` are the evidence a_i against each service, finite and >= 0 (what is not counts as zero). Without any
/// evidence all score alike. Complexity: that of [`stationary`] with two moves per call, or one per pair of services.
pub fn evidence_walk(totals: &[f64], graph: WalkGraph<'_>, parameters: &EvidenceParameters) -> Vec<f64> {
    let squares = squared(totals, totals.len());
    let restart_to = distribution(&squares);
    let time = match graph {
        WalkGraph::Calls(calls, throughput) => {
            let matrix = transition(&squares, calls, throughput, parameters);
            stationary(&matrix, parameters.restart, &restart_to)
        }
        WalkGraph::Pairs(weights) => {
            let walk = PairTransitions::new(weights, &squares, parameters.self_weight);
            stationary(&walk, parameters.restart, &restart_to)
        }
    };
    if squares.iter().all(|square| *square == 0.0) {
        return time;
    }
    time.iter()
        .zip(&squares)
        .map(|(share, square)| share * square.powf(parameters.own_exponent / 2.0))
        .collect()
}

/// a² for each of `count` services; zero for what is missing or no number.
pub(crate) fn squared(totals: &[f64], count: usize) -> Vec<f64> {
    let total = |index: usize| totals.get(index).copied().filter(|value| value.is_finite()).unwrap_or(0.0);
    (0..count).map(|index| total(index).clamp(0.0, 1e9).powi(2)).collect()
}

fn transition(
    squares: &[f64],
    calls: &[(usize, usize)],
    throughput: Option<&ThroughputGraph<'_>>,
    parameters: &EvidenceParameters,
) -> TransitionMatrix {
    let mut weights: Vec<Vec<(usize, f64)>> = squares
        .iter()
        .enumerate()
        .map(|(own, square)| vec![(own, parameters.self_weight * square)])
        .collect();
    for &(caller, callee) in calls {
        let together = throughput.map_or(0.0, |fit| fit.between(caller, callee));
        // Without any floor a pair of unrelated throughput could not be walked at all.
        let weight = if throughput.is_some() { together + parameters.edge_floor } else { 1.0 };
        weights[caller].push((callee, weight * squares[callee]));
        weights[callee].push((caller, parameters.backward * weight * squares[caller]));
    }
    TransitionMatrix::from_weights(weights, squares)
}

#[cfg(test)]
mod tests {
    use automap_proto::throughput::ThroughputFit;
    use proptest::prelude::*;

    use super::*;

    fn names(count: usize) -> Vec<String> {
        (0..count).map(|index| format!("s{index:02}")).collect()
    }

    fn time_only() -> EvidenceParameters {
        EvidenceParameters { own_exponent: 0.0, restart: 0.3, ..EvidenceParameters::default() }
    }

    fn walked(totals: &[f64], calls: &[(usize, usize)], parameters: &EvidenceParameters) -> Vec<f64> {
        evidence_walk(totals, WalkGraph::Calls(calls, None), parameters)
    }

    #[test]
    fn transitions_worked_by_hand() {
        // s00 calls s01 and s02; a = 1, 2, 3; R² .45, .05, .25, so that w = .5 and .1.
        let fit = ThroughputFit::new(names(3), vec![0.45, 0.05, 0.25]).unwrap();
        let graph = ThroughputGraph::new(&names(3), &fit, usize::MAX);
        let parameters = EvidenceParameters::default();
        let matrix = transition(&[1.0, 4.0, 9.0], &[(0, 1), (0, 2)], Some(&graph), &parameters);
        let close = |found: &[(usize, f64)], expected: &[(usize, f64)]| {
            found.len() == expected.len()
                && found
                    .iter()
                    .zip(expected)
                    .all(|(one, other)| one.0 == other.0 && (one.1 - other.1).abs() < 1e-12)
        };
        assert!(close(matrix.row(0), &[(1, 2.0 / 2.9), (2, 0.9 / 2.9)]), "{matrix:?}");
        assert!(close(matrix.row(1), &[(0, 1.0)]) && close(matrix.row(2), &[(0, 1.0)]));
    }

    #[test]
    fn two_services_balance_as_worked_by_hand() {
        // s00 calls s01, a = 1, 2: from each only the other can be reached, q = 1/5, 4/5, r = .3:
        // x0 = .7·x1 + .06 and x1 = 1 − x0 give x0 = .76/1.7.
        let found = walked(&[1.0, 2.0], &[(0, 1)], &time_only());
        assert!((found[0] - 0.76 / 1.7).abs() < 1e-12 && (found[1] - 0.94 / 1.7).abs() < 1e-12);
        let own = walked(&[1.0, 2.0], &[(0, 1)], &EvidenceParameters { own_exponent: 1.0, ..time_only() });
        assert!((own[1] - 2.0 * found[1]).abs() < 1e-12);
    }

    #[test]
    fn a_called_service_gains_on_an_equal_one_that_nobody_calls() {
        let found = walked(&[1.0, 2.0, 2.0], &[(0, 1)], &time_only());
        assert!(found[1] > found[2] && found[2] > 0.0);
    }

    #[test]
    fn a_hub_that_shows_little_does_not_win_by_its_place() {
        let calls = [(0, 1), (0, 2), (0, 3), (0, 4)];
        let totals = [1.0, 5.0, 3.0, 3.0, 3.0];
        let first = |scores: Vec<f64>| (0..5).max_by(|one, other| scores[*one].total_cmp(&scores[*other]));
        assert_eq!(first(walked(&totals, &calls, &time_only())), Some(0));
        assert_eq!(first(walked(&totals, &calls, &EvidenceParameters::default())), Some(1));
    }

    #[test]
    fn without_any_evidence_all_services_are_exactly_equal() {
        let found = walked(&[0.0; 3], &[(0, 1)], &EvidenceParameters::default());
        assert!(found.iter().all(|mass| mass.to_bits() == found[0].to_bits()), "{found:?}");
    }

    #[test]
    fn services_of_the_call_graph_without_metrics_are_walked_too() {
        let measured = names(2);
        let graph = CallGraph::new([("s00".to_owned(), "s07".to_owned())]).unwrap();
        assert_eq!(walked_services(&measured, Some(&graph), &[]), ["s00", "s01", "s07"]);
        assert_eq!(walked_services(&measured, None, &[]), measured);
        let edges = [("db".to_owned(), "s01".to_owned())];
        assert_eq!(walked_services(&measured, None, &edges), ["db", "s00", "s01"]);
    }

    proptest! {
        #[test]
        fn the_order_of_services_changes_nothing(
            totals in proptest::collection::vec(0.0..20.0_f64, 8),
            pairs in proptest::collection::vec((0..8_usize, 0..8_usize), 0..20),
            order in Just((0..8_usize).collect::<Vec<_>>()).prop_shuffle(),
        ) {
            let parameters = EvidenceParameters::default();
            let found = walked(&totals, &pairs, &parameters);
            let mut moved_totals = vec![0.0; 8];
            for (old, &new) in order.iter().enumerate() {
                moved_totals[new] = totals[old];
            }
            let moved_pairs: Vec<_> = pairs.iter().map(|&(from, to)| (order[from], order[to])).collect();
            let moved = walked(&moved_totals, &moved_pairs, &parameters);
            for (old, &new) in order.iter().enumerate() {
                prop_assert!((found[old] - moved[new]).abs() < 3e-11);
            }
        }
    }
}
