//! Similarity of two anomaly profiles. The paper compares them and prints no formula; this is the project's.

use std::collections::BTreeMap;

use automap_proto::{
    behavior_graph::BehaviorGraph,
    metric::METRIC_COUNT,
    profile::{ServiceClass, ServiceProfile},
};

const CLASSES: usize = ServiceClass::ALL.len();

/// Numbers of a [`SimilarityVector`]: 5 class counts and 5·5·7 totals of weights.
pub const SIMILARITY_CELLS: usize = CLASSES + CLASSES * CLASSES * METRIC_COUNT;

/// How many of the incidents whose vectors are most similar are compared service by service.
pub const RERANKED: usize = 100;

/// An anomaly profile reduced to what can be compared between graphs over different services: how many services of
/// each class have an edge, then the totals of W by (class_i, class_j, k), row-major.
///
/// Single precision halves what a scan of all incidents reads.
#[derive(Debug, Clone, PartialEq)]
pub struct SimilarityVector([f32; SIMILARITY_CELLS]);

impl SimilarityVector {
    /// Of a graph without edges.
    pub const EMPTY: Self = Self([0.0; SIMILARITY_CELLS]);

    /// Reduces a graph whose services have these profiles, in the same order. O(edges).
    pub fn new(graph: &BehaviorGraph, profiles: &[ServiceProfile]) -> Self {
        let class = |service: usize| {
            profiles.get(service).map_or(ServiceClass::Environmental, |profile| profile.class).index()
        };
        let mut connected = vec![false; graph.services().len()];
        let mut cells = [0.0_f64; SIMILARITY_CELLS];
        for (from, to, weights) in graph.edges() {
            (connected[from], connected[to]) = (true, true);
            let first = CLASSES + (class(from) * CLASSES + class(to)) * METRIC_COUNT;
            for (cell, weight) in cells[first..first + METRIC_COUNT].iter_mut().zip(weights.weights()) {
                *cell += weight;
            }
        }
        for (service, _) in connected.iter().enumerate().filter(|(_, joined)| **joined) {
            cells[class(service)] += 1.0;
        }
        Self(cells.map(|cell| cell as f32))
    }

    /// From numbers that were kept; `None` unless they are [`SIMILARITY_CELLS`] non-negative finite ones.
    pub fn from_cells(cells: &[f32]) -> Option<Self> {
        <[f32; SIMILARITY_CELLS]>::try_from(cells)
            .ok()
            .filter(|array| array.iter().all(|cell| cell.is_finite() && *cell >= 0.0))
            .map(Self)
    }

    /// The numbers.
    pub const fn cells(&self) -> &[f32; SIMILARITY_CELLS] {
        &self.0
    }
}

/// Sim = ½·S_V + ½·S_E, 0..1, of the [`SIMILARITY_CELLS`] numbers of two anomaly profiles.
///
/// S_V is the weighted Jaccard Σ min / Σ max of the class counts, S_E the same of the totals of weights. Symmetric;
/// 1 for a profile against itself, 0 when both are empty.
pub fn similarity(left: &[f32], right: &[f32]) -> f64 {
    let (left_counts, left_totals) = left.split_at(CLASSES.min(left.len()));
    let (right_counts, right_totals) = right.split_at(CLASSES.min(right.len()));
    0.5 * jaccard(left_counts, right_counts) + 0.5 * jaccard(left_totals, right_totals)
}

/// Sums in fixed lanes, so that the scan is vectorised and still adds in one order.
fn jaccard(left: &[f32], right: &[f32]) -> f64 {
    const LANES: usize = 8;
    let (mut smaller, mut larger) = ([0.0_f64; LANES], [0.0_f64; LANES]);
    let ((left_lanes, left_rest), (right_lanes, right_rest)) =
        (left.as_chunks::<LANES>(), right.as_chunks::<LANES>());
    for (left_row, right_row) in left_lanes.iter().zip(right_lanes) {
        for lane in 0..LANES {
            smaller[lane] += f64::from(left_row[lane].min(right_row[lane]));
            larger[lane] += f64::from(left_row[lane].max(right_row[lane]));
        }
    }
    for (lane, (a, b)) in left_rest.iter().zip(right_rest).enumerate() {
        smaller[lane] += f64::from(a.min(*b));
        larger[lane] += f64::from(a.max(*b));
    }
    ratio(smaller.iter().sum(), larger.iter().sum())
}

fn ratio(smaller: f64, larger: f64) -> f64 {
    if larger > 0.0 { smaller / larger } else { 0.0 }
}

/// Sim for two graphs over the same services: S_V as in [`similarity`], S_E over (i, j, k) in place of classes.
/// `None` when the services differ. O(edges · log edges).
pub fn same_services_similarity(
    left: &BehaviorGraph,
    left_vector: &SimilarityVector,
    right: &BehaviorGraph,
    right_vector: &SimilarityVector,
) -> Option<f64> {
    if left.services() != right.services() {
        return None;
    }
    const ABSENT: [f64; METRIC_COUNT] = [0.0; METRIC_COUNT];
    let mut pairs = BTreeMap::new();
    for (from, to, weights) in left.edges() {
        pairs.insert((from, to), (weights.weights(), &ABSENT));
    }
    for (from, to, weights) in right.edges() {
        pairs.entry((from, to)).or_insert((&ABSENT, &ABSENT)).1 = weights.weights();
    }
    let (mut smaller, mut larger) = (0.0, 0.0);
    for (left_weights, right_weights) in pairs.values() {
        for (a, b) in left_weights.iter().zip(right_weights.iter()) {
            smaller += a.min(*b);
            larger += a.max(*b);
        }
    }
    let classes = jaccard(&left_vector.0[..CLASSES], &right_vector.0[..CLASSES]);
    Some(0.5 * classes + 0.5 * ratio(smaller, larger))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        class_table::ClassTable,
        sample::{any_graph, graph},
        service_profile::service_profiles,
    };

    fn vector(of: &BehaviorGraph) -> SimilarityVector {
        SimilarityVector::new(of, &service_profiles(of.services(), of, &ClassTable::default()))
    }

    fn compare(left: &BehaviorGraph, right: &BehaviorGraph) -> f64 {
        similarity(vector(left).cells(), vector(right).cells())
    }

    const CPU: [u32; 7] = [0, 0, 0, 1, 0, 0, 0];
    const LATENCY: [u32; 7] = [1, 0, 0, 0, 0, 0, 0];

    #[test]
    fn the_vector_counts_connected_services_and_sums_weights_by_class() {
        let built = graph(&["a", "b", "c", "d"], &[(0, 1, CPU), (1, 2, LATENCY)]);
        let found = vector(&built);
        let (r, c, e) = (0, 1, 4);
        let mut wanted = [0.0_f32; SIMILARITY_CELLS];
        // a is computing, b representational, c environmental without out-edges, d isolated.
        (wanted[r], wanted[c], wanted[e]) = (1.0, 1.0, 1.0);
        wanted[5 + (c * 5 + r) * 7 + 3] = 1.0;
        wanted[5 + (r * 5 + e) * 7] = 1.0;
        assert_eq!(found.cells(), &wanted);
        assert_eq!(SIMILARITY_CELLS, 180);
    }

    #[test]
    fn graphs_over_other_services_with_the_same_pattern_are_alike() {
        let left = graph(&["a", "b"], &[(0, 1, CPU)]);
        let right = graph(&["x", "y", "z"], &[(2, 0, CPU)]);
        assert_eq!(compare(&left, &right), 1.0);
        assert_eq!(same_services_similarity(&left, &vector(&left), &right, &vector(&right)), None);
    }

    #[test]
    fn over_the_same_services_the_place_of_the_edge_counts_too() {
        let left = graph(&["a", "b", "c"], &[(0, 1, CPU)]);
        let right = graph(&["a", "b", "c"], &[(2, 1, CPU)]);
        assert_eq!(compare(&left, &right), 1.0);
        let refined = same_services_similarity(&left, &vector(&left), &right, &vector(&right));
        assert_eq!(refined, Some(0.5));
    }

    #[test]
    fn half_of_the_weight_in_common_is_worked_by_hand() {
        // Classes C, E against C, E: S_V = 1. Totals 1 of (C,E,cpu) against ½ cpu and ½ io: S_E = ½ / 3/2.
        let left = graph(&["a", "b"], &[(0, 1, CPU)]);
        let right = graph(&["a", "b"], &[(0, 1, [0, 0, 0, 1, 1, 0, 0])]);
        assert!((compare(&left, &right) - (0.5 + 0.5 / 3.0)).abs() < 1e-9);
    }

    #[test]
    fn nothing_resembles_nothing() {
        let empty = graph(&["a", "b"], &[]);
        assert_eq!(compare(&empty, &empty), 0.0);
        assert_eq!(same_services_similarity(&empty, &vector(&empty), &empty, &vector(&empty)), Some(0.0));
    }

    #[test]
    fn kept_numbers_are_checked() {
        assert!(SimilarityVector::from_cells(&[0.0; 179]).is_none());
        assert!(SimilarityVector::from_cells(&[f32::NAN; 180]).is_none());
        assert!(SimilarityVector::from_cells(&[-1.0; 180]).is_none());
        assert!(SimilarityVector::from_cells(&[1.0; 180]).is_some());
    }

    proptest! {
        #[test]
        fn similarity_is_symmetric_bounded_and_one_only_with_oneself(a in any_graph(), b in any_graph()) {
            let found = compare(&a, &b);
            prop_assert_eq!(found, compare(&b, &a));
            prop_assert!((0.0..=1.0).contains(&found));
            let with_itself = if a.edges().len() == 0 { 0.0 } else { 1.0 };
            prop_assert_eq!(compare(&a, &a), with_itself);
            let refined = same_services_similarity(&a, &vector(&a), &b, &vector(&b));
            prop_assert_eq!(refined, same_services_similarity(&b, &vector(&b), &a, &vector(&a)));
            prop_assert!(refined.is_none_or(|value| (0.0..=1.0).contains(&value)));
            prop_assert_eq!(same_services_similarity(&a, &vector(&a), &a, &vector(&a)), Some(with_itself));
        }
    }
}
