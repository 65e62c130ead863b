use automap_proto::{
    behavior_graph::{BehaviorGraph, EdgeWeights},
    metric::METRIC_COUNT,
};
use proptest::prelude::*;

use super::{relevance::relevance, transition::transition, *};
use crate::transition_matrix::TransitionMatrix;

const UNIFORM: [f64; METRIC_COUNT] = [1.0 / METRIC_COUNT as f64; METRIC_COUNT];

type Correlations = [Vec<f64>; METRIC_COUNT];

fn names(count: usize) -> Vec<String> {
    (0..count).map(|index| format!("s{index:02}")).collect()
}

fn graph_of(services: usize, edges: &[(usize, usize, [u32; METRIC_COUNT])]) -> BehaviorGraph {
    let mut graph = BehaviorGraph::new(names(services)).unwrap();
    for &(from, to, bits) in edges {
        graph.set_edge(from, to, EdgeWeights::from_counts(bits).unwrap()).unwrap();
    }
    graph
}

fn matrix_of(input: &AutomapInput<'_>, backward: f64) -> TransitionMatrix {
    transition(input, &relevance(input.correlations, input.weights), backward)
}

fn probability(matrix: &TransitionMatrix, from: usize, to: usize) -> f64 {
    matrix.row(from).iter().find(|(target, _)| *target == to).map_or(0.0, |(_, probability)| *probability)
}

/// Latency and cpu, half the weight each; the front end is service 0.
///
/// ```text
///            W(latency, cpu)                     c(latency) c(cpu)
/// 0 → 1      ½ ½                     0 front end 1          1
/// 0 → 2      1 0                     1           3/5        1/2
/// 1 → 3      0 1                     2           2/5        0
/// 2 — 3      1 0                     3           1/5        1/2
/// 4 → 2      ½ ½   (the root)        4           4/5        1/2
/// ```
struct FiveServices {
    graph: BehaviorGraph,
    correlations: Correlations,
    weights: [f64; METRIC_COUNT],
}

impl FiveServices {
    fn new() -> Self {
        let (latency, cpu, both) = ([1, 0, 0, 0, 0, 0, 0], [0, 0, 0, 1, 0, 0, 0], [1, 0, 0, 1, 0, 0, 0]);
        let edges =
            [(0, 1, both), (0, 2, latency), (1, 3, cpu), (2, 3, latency), (3, 2, latency), (4, 2, both)];
        let mut correlations: Correlations = std::array::from_fn(|_| vec![0.0; 5]);
        correlations[0] = vec![1.0, 0.6, 0.4, 0.2, 0.8];
        correlations[3] = vec![1.0, 0.5, 0.0, 0.5, 0.5];
        let mut weights = [0.0; METRIC_COUNT];
        (weights[0], weights[3]) = (0.5, 0.5);
        Self { graph: graph_of(5, &edges), correlations, weights }
    }

    fn input(&self) -> AutomapInput<'_> {
        AutomapInput {
            graph: &self.graph,
            correlations: &self.correlations,
            weights: &self.weights,
            front_end: 0,
        }
    }
}

/// Denominators Σ_{l ∈ out(i) ∪ {i}} c(l): latency 2, 4/5, 3/5, 3/5, 6/5; cpu 3/2, 1, 1/2, 1/2, 1/2.
///
/// ```text
/// f01 = ½·½·(3/5)/2 + ½·½·(1/2)/(3/2) = 19/120      f00 is not used: no staying at the front end
/// f02 = ½·1·(2/5)/2                   = 1/10
/// f13 = ½·1·(1/2)/1                   = 1/4         f11 = (1/14)·(3/4 + 1/2) = 5/56  < 1/4  no staying
/// f23 = ½·1·(1/5)/(3/5)               = 1/6         f22 = (1/14)·(2/3 + 0)   = 1/21  < 1/6  no staying
/// f32 = ½·1·(2/5)/(3/5)               = 1/3         f33 = (1/14)·(1/3 + 1)   = 2/21  < 1/3  no staying
/// f42 = ½·½·(2/5)/(6/5) + ½·½·0       = 1/12        f44 = (1/14)·(2/3 + 1)   = 5/42: stays with 5/42 − 1/12 = 1/28
///
/// Arriving: at 1 19/120; at 2 1/10 + 1/3 + 1/12 = 31/60; at 3 1/4 + 1/6 = 5/12.
/// Backward, ρ = 1/5: 1→0 1/5; 2→0 (1/5)(1/10)/(31/60) = 6/155, 2→3 (1/5)(1/3)/(31/60) = 4/31, 2→4 1/31;
///                    3→1 (1/5)(1/4)/(5/12) = 3/25, 3→2 (1/5)(1/6)/(5/12) = 2/25.
///
/// Rows before normalisation              after
/// 0: 1: 19/120, 2: 1/10                  1: 19/31, 2: 12/31
/// 1: 0: 1/5, 3: 1/4                      0: 4/9, 3: 5/9
/// 2: 0: 6/155, 3: 1/6 + 4/31, 4: 1/31    0: 36/341, 3: 25/31, 4: 30/341
/// 3: 1: 3/25, 2: 1/3 + 2/25              1: 9/40, 2: 31/40
/// 4: 2: 1/12, 4: 1/28                    2: 7/10, 4: 3/10
/// ```
#[test]
fn transitions_of_five_services_are_those_worked_by_hand() {
    let case = FiveServices::new();
    let matrix = matrix_of(&case.input(), 0.2);
    let expected: [&[(usize, f64)]; 5] = [
        &[(1, 19.0 / 31.0), (2, 12.0 / 31.0)],
        &[(0, 4.0 / 9.0), (3, 5.0 / 9.0)],
        &[(0, 36.0 / 341.0), (3, 25.0 / 31.0), (4, 30.0 / 341.0)],
        &[(1, 9.0 / 40.0), (2, 31.0 / 40.0)],
        &[(2, 7.0 / 10.0), (4, 3.0 / 10.0)],
    ];
    for (state, row) in expected.iter().enumerate() {
        let found = matrix.row(state);
        assert_eq!(found.len(), row.len(), "{found:?}");
        for (one, other) in found.iter().zip(*row) {
            assert_eq!(one.0, other.0);
            assert!((one.1 - other.1).abs() < 1e-12, "{state}: {one:?} {other:?}");
        }
    }
}

/// x = .99·xᵀP + .01·e₀ with the matrix above, solved in fractions over 9 282 387 368 288:
/// 1 024 647 628 610, 1 357 348 438 215, 3 201 328 304 163, 3 302 440 851 600, 396 622 145 700.
#[test]
fn visits_of_five_services_are_those_worked_by_hand() {
    let case = FiveServices::new();
    let shares = exact::visit_shares(&matrix_of(&case.input(), 0.2), 0, 0.01);
    let expected = [
        1_024_647_628_610.0,
        1_357_348_438_215.0,
        3_201_328_304_163.0,
        3_302_440_851_600.0,
        396_622_145_700.0,
    ]
    .map(|numerator: f64| numerator / 9_282_387_368_288.0);
    for (share, expected) in shares.iter().zip(expected) {
        assert!((share.unwrap() - expected).abs() < 1e-12, "{shares:?}");
    }
    assert!((expected.iter().sum::<f64>() - 1.0).abs() < 1e-12);
}

#[test]
fn relevance_is_the_weighted_correlation_with_the_front_end() {
    let case = FiveServices::new();
    let found = relevance(&case.correlations, &case.weights);
    for (one, other) in found.iter().zip([1.0, 0.55, 0.2, 0.35, 0.65]) {
        assert!((one - other).abs() < 1e-15);
    }
}

#[test]
fn a_root_behind_the_arrows_is_visited_by_backward_moves_only() {
    let case = FiveServices::new();
    let without = exact::visit_shares(&matrix_of(&case.input(), 0.0), 0, 0.01);
    assert_eq!(without[4], None);
    let with = exact::visit_shares(&matrix_of(&case.input(), 0.2), 0, 0.01);
    assert!(with[4].unwrap() > 0.01);

    let walked =
        monte_carlo::simulate(&matrix_of(&case.input(), 0.0), 0, 0.01, 10_000, 1, &mut WalkTrace::default());
    assert_eq!((walked.visit_shares[4], &walked.paths[4]), (None, &None));
    let walked =
        monte_carlo::simulate(&matrix_of(&case.input(), 0.2), 0, 0.01, 10_000, 1, &mut WalkTrace::default());
    assert!(walked.visit_shares[4].is_some());
}

#[test]
fn a_self_loop_can_fire_but_not_at_the_front_end() {
    let case = FiveServices::new();
    assert!((probability(&matrix_of(&case.input(), 0.2), 4, 4) - 0.3).abs() < 1e-12);
    let alerting = AutomapInput { front_end: 4, ..case.input() };
    assert_eq!(probability(&matrix_of(&alerting, 0.2), 4, 4), 0.0);
}

#[test]
fn backward_probabilities_come_from_forward_values_before_any_row_is_normalised() {
    // From 2 back to 0 and 4 with f02 = 1/10 and f42 = 1/12, that is 6 to 5. From rows already normalised,
    // f02 = 12/31 and f42 = 7/10, it would be another ratio.
    let case = FiveServices::new();
    let matrix = matrix_of(&case.input(), 0.2);
    assert!((probability(&matrix, 2, 0) / probability(&matrix, 2, 4) - 6.0 / 5.0).abs() < 1e-12);
}

#[test]
fn an_undirected_neighbour_adds_its_forward_and_backward_moves() {
    // Between 3 and 2: forward 1/3, backward 2/25; 1 has backward 3/25 only.
    let case = FiveServices::new();
    let matrix = matrix_of(&case.input(), 0.2);
    let expected = (1.0 / 3.0 + 2.0 / 25.0) / (3.0 / 25.0);
    assert!((probability(&matrix, 3, 2) / probability(&matrix, 3, 1) - expected).abs() < 1e-12);
}

#[test]
fn the_simulated_walk_agrees_with_the_exact_one_within_sampling_error() {
    let case = FiveServices::new();
    let matrix = matrix_of(&case.input(), 0.2);
    let exact = exact::visit_shares(&matrix, 0, 0.01);
    let walked = monte_carlo::simulate(&matrix, 0, 0.01, 400_000, 20, &mut WalkTrace::default());
    for (one, other) in exact.iter().zip(&walked.visit_shares) {
        assert!((one.unwrap() - other.unwrap()).abs() < 0.005, "{exact:?} {:?}", walked.visit_shares);
    }
    assert_eq!(walked, monte_carlo::simulate(&matrix, 0, 0.01, 400_000, 20, &mut WalkTrace::default()));
    assert_ne!(walked, monte_carlo::simulate(&matrix, 0, 0.01, 400_000, 21, &mut WalkTrace::default()));
}

#[test]
fn both_solvers_teleport_alike_from_a_service_that_no_edge_leaves() {
    // Service 2 is isolated and twice as relevant as 1; the front end has no edge at all.
    let graph = graph_of(3, &[]);
    let mut correlations: Correlations = std::array::from_fn(|_| vec![0.0; 3]);
    correlations[4] = vec![0.0, 0.3, 0.6];
    let input = AutomapInput { graph: &graph, correlations: &correlations, weights: &UNIFORM, front_end: 0 };
    let matrix = matrix_of(&input, 0.2);
    assert_eq!(matrix.row(0), []);
    let exact = exact::visit_shares(&matrix, 0, 0.01);
    let walked = monte_carlo::simulate(&matrix, 0, 0.01, 200_000, 3, &mut WalkTrace::default());
    for (one, other) in exact.iter().zip(&walked.visit_shares) {
        assert!((one.unwrap() - other.unwrap()).abs() < 0.005, "{exact:?} {:?}", walked.visit_shares);
    }
    // Staying is the only move of 1 and 2 once there: f_ii > 0 and no neighbour.
    assert!(exact[2].unwrap() > exact[1].unwrap());
    assert_eq!(walked.paths[1], None, "a teleport is no path");
}

#[test]
fn without_any_correlation_the_walk_is_spread_evenly() {
    let graph = graph_of(3, &[(0, 1, [1; 7])]);
    let correlations: Correlations = std::array::from_fn(|_| vec![0.0; 3]);
    let input = AutomapInput { graph: &graph, correlations: &correlations, weights: &UNIFORM, front_end: 0 };
    let answer = automap_walk(
        &input,
        &AutomapParameters::default(),
        &PathParameters::default(),
        1,
        &mut WalkTrace::default(),
    )
    .unwrap();
    assert_eq!(answer.scores[1].to_bits(), answer.scores[2].to_bits());
    assert!((answer.scores[0] - (0.01 + 0.99 / 3.0)).abs() < 1e-12);
}

#[test]
fn services_never_reached_follow_in_the_order_of_relevance() {
    let graph = graph_of(4, &[(0, 1, [1; 7])]);
    let mut correlations: Correlations = std::array::from_fn(|_| vec![1.0, 0.1, 0.5, 0.9]);
    correlations[6] = vec![0.0; 4];
    let input = AutomapInput { graph: &graph, correlations: &correlations, weights: &UNIFORM, front_end: 0 };
    for solver in [Solver::Exact, Solver::MonteCarlo] {
        let parameters = AutomapParameters { solver, ..AutomapParameters::default() };
        let answer =
            automap_walk(&input, &parameters, &PathParameters::default(), 1, &mut WalkTrace::default())
                .unwrap();
        assert!(answer.scores[0] > 0.0 && answer.scores[1] > 0.0);
        assert!(-1.0 > answer.scores[3] && answer.scores[3] > answer.scores[2]);
        assert_eq!(answer.paths[1].clone().unwrap().services, [0, 1]);
        assert_eq!(answer.paths[2], None);
    }
}

#[test]
fn input_that_does_not_fit_together_is_refused_by_field() {
    let case = FiveServices::new();
    let refused = |input: AutomapInput<'_>| {
        let parameters = AutomapParameters::default();
        automap_walk(&input, &parameters, &PathParameters::default(), 0, &mut WalkTrace::default())
            .unwrap_err()
            .field()
            .to_owned()
    };
    assert_eq!(refused(AutomapInput { front_end: 5, ..case.input() }), "front_end");
    for bad in [vec![0.5; 4], vec![f64::NAN; 5], vec![-0.5; 5]] {
        let mut correlations = case.correlations.clone();
        correlations[2] = bad;
        assert_eq!(refused(AutomapInput { correlations: &correlations, ..case.input() }), "correlations[2]");
    }
    let weights = [f64::NAN; METRIC_COUNT];
    assert_eq!(refused(AutomapInput { weights: &weights, ..case.input() }), "metric_weights");
}

/// A graph of `SERVICES` services, its edges given as (from, to, bits), and correlations with the front end.
#[derive(Debug, Clone)]
struct RandomCase {
    edges: Vec<(usize, usize, [u32; METRIC_COUNT])>,
    correlations: Vec<f64>,
    front_end: usize,
}

const SERVICES: usize = 7;

fn random_case() -> impl Strategy<Value = RandomCase> {
    let bits = proptest::array::uniform7(0..2_u32).prop_filter("one bit at least", |bits| bits.contains(&1));
    let edge = (0..SERVICES, 0..SERVICES, bits).prop_filter("two services", |(from, to, _)| from != to);
    let correlation = prop_oneof![1 => Just(0.0), 4 => 0.0..1.0_f64];
    (
        proptest::collection::vec(edge, 0..16),
        proptest::collection::vec(correlation, SERVICES * METRIC_COUNT),
        0..SERVICES,
    )
        .prop_map(|(edges, correlations, front_end)| RandomCase { edges, correlations, front_end })
}

/// The case with service i renamed to `order[i]`.
fn renamed(case: &RandomCase, order: &[usize]) -> (BehaviorGraph, Correlations, usize) {
    let edges: Vec<_> = case.edges.iter().map(|&(from, to, bits)| (order[from], order[to], bits)).collect();
    let correlations = std::array::from_fn(|metric| {
        let mut row = vec![0.0; SERVICES];
        for (old, &new) in order.iter().enumerate() {
            row[new] = case.correlations[metric * SERVICES + old];
        }
        row
    });
    (graph_of(SERVICES, &edges), correlations, order[case.front_end])
}

proptest! {
    #[test]
    fn every_row_sums_to_one_or_teleports(case in random_case(), backward in 0.0..1.0_f64) {
        let order: Vec<usize> = (0..SERVICES).collect();
        let (graph, correlations, front_end) = renamed(&case, &order);
        let input = AutomapInput { graph: &graph, correlations: &correlations, weights: &UNIFORM, front_end };
        let matrix = matrix_of(&input, backward);
        for state in 0..SERVICES {
            let row = matrix.row(state);
            let sum: f64 = row.iter().map(|(_, probability)| probability).sum();
            prop_assert!(row.is_empty() || (sum - 1.0).abs() < 1e-12);
            prop_assert!(row.iter().all(|(_, probability)| *probability > 0.0));
        }
        prop_assert_eq!(probability(&matrix, front_end, front_end), 0.0);
    }

    #[test]
    fn renaming_services_renames_the_result_and_changes_nothing_else(
        case in random_case(),
        order in Just((0..SERVICES).collect::<Vec<_>>()).prop_shuffle(),
    ) {
        let plain: Vec<usize> = (0..SERVICES).collect();
        let scores = |order: &[usize]| {
            let (graph, correlations, front_end) = renamed(&case, order);
            let input = AutomapInput { graph: &graph, correlations: &correlations, weights: &UNIFORM, front_end };
            automap_walk(&input, &AutomapParameters::default(), &PathParameters::default(), 1, &mut WalkTrace::default()).unwrap().scores
        };
        let (before, after) = (scores(&plain), scores(&order));
        for (old, &new) in order.iter().enumerate() {
            prop_assert!((before[old] - after[new]).abs() < 3e-12, "{} {}", before[old], after[new]);
        }
    }
}
