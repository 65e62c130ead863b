//! Step 7, walk without known calls: every service may lead to every other, so that the moves are a dense matrix.
//!
//! A move from i to j weighs w_ij·a_j² with w symmetric but where a rule says otherwise. Only w is kept, once for all
//! walks of a diagnosis: half of it, since the other half is the same, and a step costs one pass over that half.

use std::collections::BTreeSet;

use crate::{
    edge_rules::IndexedRules,
    transition_matrix::{Transitions, distribution},
};

/// Sums that run side by side, so that a processor adds several at once; their order is fixed.
const LANES: usize = 8;
/// Evidence below this share of the largest counts as none: its inverse would not be finite.
const NEGLIGIBLE: f64 = 1e-150;
/// Weight of all that leads away of which the inverse would not be finite either.
const NO_WAY: f64 = 1e-200;

/// w of every pair of services.
#[derive(Debug, Clone, PartialEq)]
pub struct PairWeights {
    services: usize,
    /// The upper triangle without the diagonal, row by row.
    upper: Vec<f64>,
    /// (from, to, weight) of the pairs of which a rule speaks, both ways; the triangle holds zero there.
    ruled: Vec<(usize, usize, f64)>,
}

impl PairWeights {
    /// The weights `between` two different services, the same both ways, but where `rules` force or forbid a move.
    /// O(services²).
    pub fn new(services: usize, rules: &IndexedRules, between: impl Fn(usize, usize) -> f64) -> Self {
        let named = rules
            .forced
            .iter()
            .chain(&rules.forbidden)
            .flat_map(|&(one, other)| [(one, other), (other, one)]);
        let named: BTreeSet<(usize, usize)> =
            named.filter(|&(from, to)| from != to && from.max(to) < services).collect();
        let mut upper = Vec::with_capacity(services * services.saturating_sub(1) / 2);
        for one in 0..services {
            let weight = |other| if named.contains(&(one, other)) { 0.0 } else { between(one, other) };
            upper.extend((one + 1..services).map(weight));
        }
        let ruled = named.iter().map(|&(from, to)| (from, to, rules.weight(from, to, between(from, to))));
        Self { services, upper, ruled: ruled.collect() }
    }

    /// Σ_i w_ij·x_i for every j: what arrives. O(services²).
    fn arriving(&self, vector: &[f64]) -> Vec<f64> {
        let mut sums = self.symmetric(vector);
        for &(from, to, weight) in &self.ruled {
            sums[to] += weight * vector[from];
        }
        sums
    }

    /// Σ_j w_ij·x_j for every i: what leads away. O(services²).
    fn leaving(&self, vector: &[f64]) -> Vec<f64> {
        let mut sums = self.symmetric(vector);
        for &(from, to, weight) in &self.ruled {
            sums[from] += weight * vector[to];
        }
        sums
    }

    fn symmetric(&self, vector: &[f64]) -> Vec<f64> {
        let mut sums = vec![0.0; self.services];
        let mut rest = self.upper.as_slice();
        for one in 0..self.services {
            let (row, below) = rest.split_at(self.services - one - 1);
            rest = below;
            let (here, later) = (vector[one], &vector[one + 1..]);
            sums[one] += dot(row, later);
            for (sum, weight) in sums[one + 1..].iter_mut().zip(row) {
                *sum += weight * here;
            }
        }
        sums
    }
}

fn dot(left: &[f64], right: &[f64]) -> f64 {
    let mut lanes = [0.0; LANES];
    let (left, right) = (left.chunks_exact(LANES), right.chunks_exact(LANES));
    let rest: f64 = left.remainder().iter().zip(right.remainder()).map(|(one, other)| one * other).sum();
    for (left, right) in left.zip(right) {
        for (lane, (one, other)) in lanes.iter_mut().zip(left.iter().zip(right)) {
            *lane += one * other;
        }
    }
    lanes.iter().sum::<f64>() + rest
}

/// A walk over all pairs that is drawn to evidence: from i to j with probability w_ij·a_j² / Σ_l w_il·a_l², w_ii = λ. A
/// service from which nothing leads on teleports in proportion to a².
#[derive(Debug, Clone, PartialEq)]
pub struct PairTransitions<'a> {
    weights: &'a PairWeights,
    /// λ.
    self_weight: f64,
    /// a², the largest 1.
    squares: Vec<f64>,
    /// The sum of what leads away from each.
    totals: Vec<f64>,
    teleport: Vec<f64>,
}

impl<'a> PairTransitions<'a> {
    /// `squares` are a² of each service and `self_weight` that of staying, all finite and >= 0. O(services²).
    pub fn new(weights: &'a PairWeights, squares: &[f64], self_weight: f64) -> Self {
        let largest = squares.iter().copied().fold(0.0, f64::max);
        let squares: Vec<f64> = squares
            .iter()
            .map(|square| square / largest)
            .map(|share| if share >= NEGLIGIBLE { share } else { 0.0 })
            .collect();
        let mut totals = weights.leaving(&squares);
        for (total, square) in totals.iter_mut().zip(&squares) {
            *total += self_weight * square;
        }
        let teleport = distribution(&squares);
        Self { weights, self_weight, squares, totals, teleport }
    }
}

impl Transitions for PairTransitions<'_> {
    fn advance(&self, mass: &[f64]) -> Vec<f64> {
        let mut stranded = 0.0;
        let leaving: Vec<f64> = mass
            .iter()
            .zip(&self.totals)
            .map(|(here, total)| {
                if *total > NO_WAY {
                    here / total
                } else {
                    stranded += here;
                    0.0
                }
            })
            .collect();
        let mut next = self.weights.arriving(&leaving);
        for (state, arrived) in next.iter_mut().enumerate() {
            *arrived = (*arrived + self.self_weight * leaving[state]) * self.squares[state]
                + stranded * self.teleport[state];
        }
        next
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{stationary::stationary, transition_matrix::TransitionMatrix};

    fn unit(services: usize, at: usize) -> Vec<f64> {
        (0..services).map(|service| f64::from(u8::from(service == at))).collect()
    }

    #[test]
    fn transitions_worked_by_hand() {
        // a = 1, 2, 3; w .45, .05, .25.
        let between = |one: usize, other: usize| [0.45, 0.05, 0.25][one.min(other) + one.max(other) - 1];
        let squares = [1.0, 4.0, 9.0];
        let rows = |rules: &IndexedRules| -> Vec<Vec<f64>> {
            let weights = PairWeights::new(3, rules, between);
            let walk = PairTransitions::new(&weights, &squares, 0.0);
            (0..3).map(|state| walk.advance(&unit(3, state))).collect()
        };
        let close = |found: &[f64], expected: [f64; 3]| {
            found.iter().zip(expected).all(|(one, other)| (one - other).abs() < 1e-12)
        };
        let free = rows(&IndexedRules::default());
        assert!(close(&free[0], [0.0, 1.8 / 2.25, 0.45 / 2.25]), "{free:?}");
        assert!(close(&free[2], [0.05 / 1.05, 1.0 / 1.05, 0.0]), "{free:?}");
        let ruled = rows(&IndexedRules { forced: [(0, 2)].into(), forbidden: [(2, 1)].into() });
        assert!(close(&ruled[0], [0.0, 1.8 / 10.8, 9.0 / 10.8]), "{ruled:?}");
        assert!(close(&ruled[2], [1.0, 0.0, 0.0]), "{ruled:?}");
    }

    #[test]
    fn who_leads_nowhere_teleports_and_negligible_evidence_is_none() {
        let weights = PairWeights::new(3, &IndexedRules::default(), |_, _| 0.0);
        let walk = PairTransitions::new(&weights, &[1.0, 3.0, 0.0], 0.0);
        assert_eq!(walk.advance(&[0.0, 0.0, 1.0]), [0.25, 0.75, 0.0]);
        let weights = PairWeights::new(3, &IndexedRules::default(), |_, _| 1.0);
        let walk = PairTransitions::new(&weights, &[1e300, 1e-300, 0.0], 0.0);
        assert_eq!(walk.advance(&[1.0, 0.0, 0.0]), [1.0, 0.0, 0.0]);
        assert!(PairTransitions::new(&weights, &[0.0; 3], 0.0).advance(&[1.0, 0.0, 0.0])[1].is_finite());
    }

    proptest! {
        #[test]
        fn it_is_the_walk_of_the_sparse_matrix_with_every_pair(
            found in proptest::collection::vec(0.0..1.0_f64, 45),
            evidence in proptest::collection::vec(prop_oneof![0.0..20.0_f64, Just(0.0)], 10),
            self_weight in prop_oneof![Just(0.0), Just(0.5)],
            forced in proptest::collection::btree_set((0..10_usize, 0..10_usize), 0..4),
            forbidden in proptest::collection::btree_set((0..10_usize, 0..10_usize), 0..4),
        ) {
            prop_assume!(evidence.iter().any(|one| *one > 0.0));
            let rules = IndexedRules { forced, forbidden };
            let between = |one: usize, other: usize| {
                let (first, second) = (one.min(other), one.max(other));
                found[first * (19 - first) / 2 + second - first - 1]
            };
            let squares: Vec<f64> = evidence.iter().map(|one| one * one).collect();
            let sparse = (0..10)
                .map(|from| {
                    (0..10)
                        .map(|to| {
                            let weight =
                                if to == from { self_weight } else { rules.weight(from, to, between(from, to)) };
                            (to, weight * squares[to])
                        })
                        .collect()
                })
                .collect();
            let sparse = TransitionMatrix::from_weights(sparse, &squares);
            let weights = PairWeights::new(10, &rules, between);
            let dense = PairTransitions::new(&weights, &squares, self_weight);
            let to = distribution(&squares);
            let (one, other) = (stationary(&sparse, 0.15, &to), stationary(&dense, 0.15, &to));
            for (one, other) in one.iter().zip(&other) {
                prop_assert!((one - other).abs() < 1e-11, "{one} {other}");
            }
        }
    }
}
