//! Addition and subtraction of behaviour graphs (paper, operations on anomaly behaviour graphs).
//!
//! Both work on ordered pairs: an undirected edge stands in both directions and each direction is computed for
//! itself. Graphs over different services are matched by name; a missing edge has W = 0.

use automap_proto::{
    behavior_graph::{BehaviorGraph, EdgeWeights},
    invalid::Invalid,
    metric::METRIC_COUNT,
};
use serde::{Deserialize, Serialize};

/// A residual below this is rounding: weights are shares of small counts, and the smallest true residual of graphs
/// of even a million windows is larger.
const RESIDUAL_FLOOR: f64 = 1e-9;

/// Which edges a difference keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeptEdges {
    /// Every edge of the minuend that leaves a positive residual. The paper's worked example does this.
    #[default]
    PositiveResidual,
    /// Of those, only edges that stand in both operands: E = Ea ∩ Eb, as the paper prints it.
    Intersection,
}

/// The sum of two graphs: V = Va ∪ Vb, E = Ea ∪ Eb.
///
/// Where both edges (or the only one) carry counts, W = Σ b / ΣΣ b over the summed counts, which equals
/// (A·Wa + B·Wb) / (A + B) for two tested graphs and, unlike it, is associative. Otherwise, and should a count
/// overflow, that formula is used with A = ‖Wa‖₀ and B = ‖Wb‖₀, and the edge loses its counts.
///
/// O((|Va| + |Vb| + |Ea| + |Eb|) · log).
///
/// # Errors
/// None for graphs that were built; the constructor's own check is handed on.
pub fn add(left: &BehaviorGraph, right: &BehaviorGraph) -> Result<BehaviorGraph, Invalid> {
    let mut services: Vec<String> = left.services().iter().chain(right.services()).cloned().collect();
    services.sort_unstable();
    services.dedup();
    let mut total = BehaviorGraph::new(services)?;
    for operand in [left, right] {
        let places = places_in(operand, &total);
        for (from, to, weights) in operand.edges() {
            let (Some(from_place), Some(to_place)) = (places[from], places[to]) else {
                continue;
            };
            let summed = match total.edge(from_place, to_place) {
                Some(standing) => add_edges(standing, weights),
                None => Some(*weights),
            };
            if let Some(weights) = summed {
                total.set_edge(from_place, to_place, weights)?;
            }
        }
    }
    Ok(total)
}

/// The sum of any number of graphs; the empty graph for none.
///
/// # Errors
/// As [`add`].
pub fn sum<'a>(graphs: impl IntoIterator<Item = &'a BehaviorGraph>) -> Result<BehaviorGraph, Invalid> {
    graphs.into_iter().try_fold(BehaviorGraph::default(), |total, graph| add(&total, graph))
}

/// What is left of `minuend` after `subtrahend`: V = Va; per edge and metric A·Wa − B·Wb where that is positive,
/// 0 elsewhere, scaled so that Σ_k W = 1; edges without a positive residual go.
///
/// A and B are the norms ‖W‖₀ of the operands, 1 to 7, and never accumulated counts: a sum of many normal graphs
/// would otherwise erase everything.
///
/// O(|Ea| · log |Eb|).
///
/// # Errors
/// None for graphs that were built; the constructor's own check is handed on.
pub fn subtract(
    minuend: &BehaviorGraph,
    subtrahend: &BehaviorGraph,
    kept: KeptEdges,
) -> Result<BehaviorGraph, Invalid> {
    let mut difference = BehaviorGraph::new(minuend.services().to_vec())?;
    let places = places_in(minuend, subtrahend);
    for (from, to, weights) in minuend.edges() {
        let taken = match (places[from], places[to]) {
            (Some(from_place), Some(to_place)) => subtrahend.edge(from_place, to_place),
            _ => None,
        };
        if taken.is_none() && kept == KeptEdges::Intersection {
            continue;
        }
        if let Some(residual) = subtract_edges(weights, taken) {
            difference.set_edge(from, to, residual)?;
        }
    }
    Ok(difference)
}

/// For each service of `graph` its index in `other`.
fn places_in(graph: &BehaviorGraph, other: &BehaviorGraph) -> Vec<Option<usize>> {
    graph.services().iter().map(|name| other.service_index(name)).collect()
}

fn add_edges(left: &EdgeWeights, right: &EdgeWeights) -> Option<EdgeWeights> {
    add_counts(left, right).or_else(|| {
        let (left_scaled, right_scaled) = (scaled(left), scaled(right));
        // from_weights divides by the sum, which is A + B.
        EdgeWeights::from_weights(std::array::from_fn(|metric| left_scaled[metric] + right_scaled[metric]))
    })
}

fn add_counts(left: &EdgeWeights, right: &EdgeWeights) -> Option<EdgeWeights> {
    let mut counts = *left.counts()?;
    for (count, more) in counts.iter_mut().zip(right.counts()?) {
        *count = count.checked_add(*more)?;
    }
    EdgeWeights::from_counts(counts)
}

fn subtract_edges(minuend: &EdgeWeights, subtrahend: Option<&EdgeWeights>) -> Option<EdgeWeights> {
    let kept = scaled(minuend);
    let taken = subtrahend.map_or([0.0; METRIC_COUNT], scaled);
    EdgeWeights::from_weights(std::array::from_fn(|metric| {
        let residual = kept[metric] - taken[metric];
        if residual > RESIDUAL_FLOOR { residual } else { 0.0 }
    }))
}

/// ‖W‖₀ · W.
fn scaled(weights: &EdgeWeights) -> [f64; METRIC_COUNT] {
    let norm = weights.support() as f64;
    weights.weights().map(|weight| norm * weight)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::sample::{any_graph, counts, graph};

    fn close(left: &[f64; METRIC_COUNT], right: [f64; METRIC_COUNT]) {
        for (metric, (found, wanted)) in left.iter().zip(right).enumerate() {
            assert!((found - wanted).abs() < 1e-12, "metric {metric}: {found} for {wanted}");
        }
    }

    const A: [u32; 7] = [1, 0, 0, 0, 0, 0, 1];
    const B: [u32; 7] = [1, 0, 0, 0, 1, 1, 1];

    #[test]
    fn two_halves_and_four_quarters_add_up_as_the_paper_prints() {
        let total = add(&graph(&["a", "b"], &[(0, 1, A)]), &graph(&["a", "b"], &[(0, 1, B)])).unwrap();
        let (third, sixth) = (1.0 / 3.0, 1.0 / 6.0);
        close(total.edge(0, 1).unwrap().weights(), [third, 0.0, 0.0, 0.0, sixth, sixth, third]);
    }

    #[test]
    fn weights_without_counts_add_by_their_norms_to_the_same_numbers() {
        let plain = |bits| {
            let counted = counts(bits);
            let mut bare = BehaviorGraph::new(vec!["a".into(), "b".into()]).unwrap();
            bare.set_edge(0, 1, EdgeWeights::from_weights(*counted.weights()).unwrap()).unwrap();
            bare
        };
        let total = add(&plain(A), &plain(B)).unwrap();
        let edge = total.edge(0, 1).unwrap();
        assert_eq!(edge.counts(), None);
        let (third, sixth) = (1.0 / 3.0, 1.0 / 6.0);
        close(edge.weights(), [third, 0.0, 0.0, 0.0, sixth, sixth, third]);
    }

    #[test]
    fn counts_that_would_overflow_fall_back_to_the_norms() {
        let full = graph(&["a", "b"], &[(0, 1, [u32::MAX, 0, 0, 0, 0, 0, 0])]);
        let other = graph(&["a", "b"], &[(0, 1, [1, 1, 0, 0, 0, 0, 0])]);
        let total = add(&full, &other).unwrap();
        close(total.edge(0, 1).unwrap().weights(), [2.0 / 3.0, 1.0 / 3.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
    }

    #[test]
    fn subtraction_leaves_what_the_paper_prints() {
        let (minuend, subtrahend) = (graph(&["a", "b"], &[(0, 1, B)]), graph(&["a", "b"], &[(0, 1, A)]));
        let left = subtract(&minuend, &subtrahend, KeptEdges::PositiveResidual).unwrap();
        close(left.edge(0, 1).unwrap().weights(), [0.0, 0.0, 0.0, 0.0, 0.5, 0.5, 0.0]);
    }

    #[test]
    fn an_edge_unknown_to_normal_behaviour_stays_unless_the_intersection_is_asked_for() {
        let incident = graph(&["a", "b", "c"], &[(0, 1, B), (1, 2, A)]);
        let normal = graph(&["z"], &[]);
        let left = subtract(&incident, &normal, KeptEdges::PositiveResidual).unwrap();
        assert_eq!(left.edges().len(), 2);
        close(left.edge(1, 2).unwrap().weights(), *counts(A).weights());
        let normal = graph(&["a", "b", "z"], &[(0, 1, A)]);
        let left = subtract(&incident, &normal, KeptEdges::Intersection).unwrap();
        assert_eq!(left.edges().map(|(from, to, _)| (from, to)).collect::<Vec<_>>(), [(0, 1)]);
        assert_eq!(left.services(), incident.services());
    }

    #[test]
    fn a_sum_of_many_normal_graphs_takes_no_more_than_one() {
        let normal = graph(&["a", "b"], &[(0, 1, A)]);
        let many = sum(std::iter::repeat_n(&normal, 50)).unwrap();
        let incident = graph(&["a", "b"], &[(0, 1, B)]);
        let left = subtract(&incident, &many, KeptEdges::PositiveResidual).unwrap();
        close(left.edge(0, 1).unwrap().weights(), [0.0, 0.0, 0.0, 0.0, 0.5, 0.5, 0.0]);
    }

    #[test]
    fn services_are_matched_by_name_and_not_by_place() {
        let left = graph(&["b", "c"], &[(0, 1, A)]);
        let right = graph(&["a", "b", "c"], &[(1, 2, A), (0, 1, B)]);
        let total = add(&left, &right).unwrap();
        assert_eq!(total.services(), ["a", "b", "c"]);
        assert_eq!(total.edge(1, 2).unwrap().counts(), Some(&[2, 0, 0, 0, 0, 0, 2]));
        assert_eq!(total.edge(0, 1).unwrap().counts(), Some(&B));
        assert_eq!(subtract(&left, &right, KeptEdges::PositiveResidual).unwrap().edges().len(), 0);
    }

    proptest! {
        #[test]
        fn addition_is_associative_and_commutative(a in any_graph(), b in any_graph(), c in any_graph()) {
            let left = add(&add(&a, &b).unwrap(), &c).unwrap();
            let right = add(&a, &add(&b, &c).unwrap()).unwrap();
            prop_assert_eq!(&left, &right);
            prop_assert_eq!(add(&a, &b).unwrap(), add(&b, &a).unwrap());
        }

        #[test]
        fn nothing_is_left_of_a_graph_minus_itself(a in any_graph(), times in 1_usize..40) {
            let many = sum(std::iter::repeat_n(&a, times)).unwrap();
            for kept in [KeptEdges::PositiveResidual, KeptEdges::Intersection] {
                prop_assert_eq!(subtract(&a, &many, kept).unwrap().edges().len(), 0);
                prop_assert_eq!(subtract(&many, &a, kept).unwrap().edges().len(), 0);
            }
        }

        #[test]
        fn weights_of_every_sum_and_difference_add_up_to_one(a in any_graph(), b in any_graph()) {
            let total = add(&a, &b).unwrap();
            let left = subtract(&total, &b, KeptEdges::PositiveResidual).unwrap();
            for (_, _, weights) in total.edges().chain(left.edges()) {
                prop_assert!((weights.weights().iter().sum::<f64>() - 1.0).abs() < 1e-12);
            }
        }
    }
}
