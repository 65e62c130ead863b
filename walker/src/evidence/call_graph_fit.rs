//! Step 6, its doubt: does the given call graph fit the metrics at all?
//!
//! Services that call each other depend on each other in more metric types than others do. So the mean CI share along
//! the given calls is compared with that along the same calls between services drawn at random: a permutation test
//! (Good, *Permutation Tests*, 2000) over node permutations, which keep the shape of the graph. It finds a graph of
//! another system or one with mixed-up names; two swapped services or a few wrong calls pass.
//!
//! Who gives a call graph mostly gives the right one, and thirty rows show little of it. So the graph need not be proven:
//! it is doubted where it fits no better than half of all orders do, which is where mixed-up ones lie.

use automap_proto::{
    assessment::CallGraphFit,
    behavior_graph::BehaviorGraph,
    frame::MetricFrame,
    metric::{METRIC_COUNT, MetricKind},
};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

/// Fewest services among which a permutation says anything: four make 24 orders.
const MIN_SERVICES: usize = 4;

/// p below which the order that fits best must lie: where even that one proves nothing, neither do others.
const PROVABLE: f64 = 0.05;

/// CI share of every pair of services: the share of the metric types that both have in which the pair stays
/// dependent given any one other service.
#[derive(Debug, Clone, PartialEq)]
pub struct CiShares {
    services: usize,
    /// services × services, symmetric; zero on the diagonal.
    shares: Vec<f64>,
}

impl CiShares {
    /// Shares from a behaviour graph over the services of `frame`, whose edges stand in the metric types in which they
    /// survived tests of level 1. O(services² · types).
    pub fn new(frame: &MetricFrame, skeleton: &BehaviorGraph) -> Self {
        let services = frame.services().len();
        let measured: Vec<[bool; METRIC_COUNT]> = (0..services)
            .map(|service| MetricKind::ALL.map(|kind| frame.series_of_kind(service, kind).next().is_some()))
            .collect();
        let mut shares = vec![0.0; services * services];
        for (from, to, weights) in skeleton.edges() {
            if from.max(to) >= services {
                continue;
            }
            let both = measured[from].iter().zip(&measured[to]).filter(|(one, other)| **one && **other);
            let share = (weights.support() as f64 / both.count().max(1) as f64).min(1.0);
            for (one, other) in [(from, to), (to, from)] {
                let known: &mut f64 = &mut shares[one * services + other];
                *known = known.max(share);
            }
        }
        Self { services, shares }
    }

    /// The share of a pair of services; zero for a service that is none.
    pub fn between(&self, one: usize, other: usize) -> f64 {
        if one.max(other) >= self.services {
            return 0.0;
        }
        self.shares[one * self.services + other]
    }

    /// Tests whether `calls`, pairs of services of the frame, fit better than chance would have it.
    ///
    /// p = (1 + permutations that fit at least as well) / (1 + permutations). The graph is trusted when p < `level`.
    /// `None` without permutations, with fewer than four services, without a call or without any other pair, when no
    /// pair has a share, or when even the order that fits best does not reach p < .05, as in small or symmetric graphs:
    /// then nothing can be said. The same seed gives the same answer. O(permutations · (services + calls)).
    pub fn fit(
        &self,
        calls: &[(usize, usize)],
        permutations: u32,
        level: f64,
        seed: u64,
    ) -> Option<CallGraphFit> {
        let mut pairs: Vec<(usize, usize)> = calls
            .iter()
            .map(|&(caller, callee)| (caller.min(callee), caller.max(callee)))
            .filter(|(first, second)| first != second && *second < self.services)
            .collect();
        pairs.sort_unstable();
        pairs.dedup();
        let all_pairs = self.services * self.services.saturating_sub(1) / 2;
        let everywhere = self.shares.iter().sum::<f64>() / 2.0;
        if permutations == 0
            || self.services < MIN_SERVICES
            || pairs.is_empty()
            || pairs.len() == all_pairs
            || everywhere == 0.0
        {
            return None;
        }
        let mut order: Vec<usize> = (0..self.services).collect();
        let along = |order: &[usize]| -> f64 {
            pairs.iter().map(|&(first, second)| self.between(order[first], order[second])).sum()
        };
        let given = along(&order);
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let permuted: Vec<f64> = (0..permutations)
            .map(|_| {
                for last in (1..order.len()).rev() {
                    order.swap(last, rng.random_range(0..=last));
                }
                along(&order)
            })
            .collect();
        // Equal sums in another order may differ by a rounding.
        let p_of = |sum: f64| {
            let as_good = permuted.iter().filter(|other| **other >= sum - 1e-9).count();
            (1 + as_good) as f64 / f64::from(1 + permutations)
        };
        let best = permuted.iter().copied().fold(given, f64::max);
        if p_of(best) >= PROVABLE {
            return None;
        }
        let p_value = p_of(given);
        Some(CallGraphFit {
            share_along_calls: given / pairs.len() as f64,
            share_elsewhere: ((everywhere - given) / (all_pairs - pairs.len()) as f64).clamp(0.0, 1.0),
            p_value,
            permutations,
            trusted: p_value < level,
        })
    }
}

#[cfg(test)]
mod tests {
    use automap_proto::behavior_graph::EdgeWeights;
    use ndarray::Array1;

    use super::*;
    use crate::test_frames::{TestSeries, frame_of};

    const NAMES: [&str; 8] = ["a", "b", "c", "d", "e", "f", "g", "h"];
    const CHAIN: [(usize, usize); 7] = [(0, 1), (1, 2), (2, 3), (3, 4), (4, 5), (5, 6), (6, 7)];

    fn shares(edges: &[(usize, usize, [u32; METRIC_COUNT])]) -> CiShares {
        let series: Vec<TestSeries> = NAMES
            .iter()
            .flat_map(|name| {
                [MetricKind::Latency, MetricKind::Cpu].map(|metric| TestSeries {
                    service: name,
                    metric,
                    name: metric.name(),
                    samples: Array1::zeros(4),
                })
            })
            .collect();
        let frame = frame_of(&series);
        let mut skeleton = BehaviorGraph::new(frame.services().to_vec()).unwrap();
        for &(from, to, counts) in edges {
            skeleton.set_edge(from, to, EdgeWeights::from_counts(counts).unwrap()).unwrap();
        }
        CiShares::new(&frame, &skeleton)
    }

    fn chain() -> CiShares {
        shares(&CHAIN.map(|(from, to)| (from, to, [1, 0, 0, 1, 0, 0, 0])))
    }

    #[test]
    fn the_share_counts_the_types_that_both_services_have() {
        let found = shares(&[(0, 1, [1, 0, 0, 0, 0, 0, 0]), (1, 2, [1, 0, 0, 1, 0, 0, 0])]);
        assert_eq!((found.between(0, 1), found.between(1, 0)), (0.5, 0.5));
        assert_eq!((found.between(1, 2), found.between(0, 2), found.between(0, 99)), (1.0, 0.0, 0.0));
    }

    #[test]
    fn the_right_graph_is_trusted_and_a_mixed_up_one_is_not() {
        let right = chain().fit(&CHAIN, 199, 0.05, 1).unwrap();
        assert!(right.trusted && right.p_value <= 0.02, "{right:?}");
        assert_eq!((right.share_along_calls, right.share_elsewhere), (1.0, 0.0));
        let wrong = [(0, 4), (4, 1), (1, 5), (5, 2), (2, 6), (6, 3), (3, 7)];
        let found = chain().fit(&wrong, 199, 0.05, 1).unwrap();
        assert!(!found.trusted && found.p_value > 0.5, "{found:?}");
    }

    #[test]
    fn the_seed_decides_and_direction_and_repetition_change_nothing() {
        let once = chain().fit(&CHAIN, 99, 0.05, 7);
        let turned: Vec<(usize, usize)> =
            CHAIN.iter().flat_map(|&(from, to)| [(to, from), (from, to)]).collect();
        assert_eq!(chain().fit(&turned, 99, 0.05, 7), once);
    }

    #[test]
    fn a_graph_that_no_order_could_prove_is_not_doubted() {
        // A star of seven leaves: one of eight orders is right, so that p is never below .05.
        let star: Vec<(usize, usize)> = (1..8).map(|leaf| (0, leaf)).collect();
        let bits = [1, 0, 0, 1, 0, 0, 0];
        let found = shares(&star.iter().map(|&(from, to)| (from, to, bits)).collect::<Vec<_>>());
        assert_eq!(found.fit(&star, 199, 0.5, 1), None);
    }

    #[test]
    fn a_graph_that_fits_better_than_most_orders_is_not_doubted_though_unproven() {
        // Three of seven calls have a share, and four other pairs: as good are one in four orders.
        let seen = [(0, 1), (2, 3), (4, 5), (0, 4), (1, 6), (2, 7), (3, 5)];
        let few = shares(&seen.map(|(from, to)| (from, to, [1, 0, 0, 0, 0, 0, 0])));
        let found = few.fit(&CHAIN, 999, 0.5, 1).unwrap();
        assert!(found.trusted && (0.15..0.35).contains(&found.p_value), "{found:?}");
        assert!(!few.fit(&CHAIN, 999, 0.05, 1).unwrap().trusted);
    }

    #[test]
    fn where_nothing_can_be_said_nothing_is() {
        assert_eq!(chain().fit(&[], 99, 0.05, 1), None);
        assert_eq!(chain().fit(&[(3, 3), (0, 99)], 99, 0.05, 1), None);
        assert_eq!(shares(&[]).fit(&CHAIN, 99, 0.05, 1), None);
    }
}
