//! Step 5, who a slow or failing call speaks of: its callee, its caller, or neither.
//!
//! A call that all callers of X see departing speaks of X. One that only a single caller sees speaks of that caller or
//! of its network, the more so when its other calls depart too. With s the departures of the edges, u the edges into X
//! and C all edges out of X's callers:
//!
//! ```text
//! evidence against X as callee = cos²(u, s|C)² · mean of s over u      cos²(u, s) = (Σ_u s)² / (|u| · Σ_C s²)
//! ```
//!
//! and as caller the same with the edges out of X and all edges into its callees, where there are others to compare
//! with. The cosine is 1 when exactly the edges of X depart, all alike, and falls with every one that does not and with
//! every other one that does.

use std::collections::BTreeSet;

/// Departures of measured calls between services 0 to n − 1.
#[derive(Debug, Clone, Copy)]
pub struct EdgesView<'a> {
    /// (caller, callee), each pair once.
    pub calls: &'a [(usize, usize)],
    /// ln(1 + spreads) by which each left its normal range; finite, >= 0.
    pub departures: &'a [f64],
}

/// What calls say against one service, ln(1 + spreads).
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct CallEvidence {
    /// By the calls that it answers.
    pub as_callee: f64,
    /// By the calls that it makes.
    pub as_caller: f64,
}

impl EdgesView<'_> {
    /// Evidence against each of `services` services. O(Σ over services of the edges of its neighbours).
    pub fn evidence(&self, services: usize) -> Vec<CallEvidence> {
        let mut into = vec![Vec::new(); services];
        let mut out_of = vec![Vec::new(); services];
        for (edge, &(caller, callee)) in self.calls.iter().enumerate() {
            out_of[caller].push(edge);
            into[callee].push(edge);
        }
        (0..services)
            .map(|service| {
                let callers = into[service].iter().map(|&edge| self.calls[edge].0);
                let around: BTreeSet<usize> =
                    callers.flat_map(|caller| out_of[caller].iter().copied()).collect();
                let callees = out_of[service].iter().map(|&edge| self.calls[edge].1);
                let beside: BTreeSet<usize> =
                    callees.flat_map(|callee| into[callee].iter().copied()).collect();
                // One call alone is the callee's: nothing tells it from its caller.
                let can_compare = out_of[service].len() > 1 || beside.len() > out_of[service].len();
                CallEvidence {
                    as_callee: self.fit(&into[service], &around),
                    as_caller: if can_compare { self.fit(&out_of[service], &beside) } else { 0.0 },
                }
            })
            .collect()
    }

    fn fit(&self, own: &[usize], all: &BTreeSet<usize>) -> f64 {
        let sum: f64 = own.iter().map(|&edge| self.departures[edge]).sum();
        let squares: f64 = all.iter().map(|&edge| self.departures[edge].powi(2)).sum();
        if squares == 0.0 || own.is_empty() {
            return 0.0;
        }
        let cosine = (sum * sum / (own.len() as f64 * squares)).clamp(0.0, 1.0);
        cosine.powi(2) * sum / own.len() as f64
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// 0 and 1 both call 2, only 0 calls 3, only 1 calls 4.
    const CALLS: [(usize, usize); 4] = [(0, 2), (0, 3), (1, 2), (1, 4)];

    fn evidence(departures: [f64; 4]) -> Vec<CallEvidence> {
        EdgesView { calls: &CALLS, departures: &departures }.evidence(5)
    }

    #[test]
    fn what_all_callers_see_speaks_of_the_callee() {
        let found = evidence([3.0, 0.0, 3.0, 0.0]);
        assert_eq!(found[2], CallEvidence { as_callee: 3.0, as_caller: 0.0 });
        // Half of the edges of 0 depart, and so does one of the three beside them: (3)² / (2 · 18) = 1/4.
        assert!((found[0].as_caller - 1.5 / 16.0).abs() < 1e-12, "{found:?}");
        assert_eq!(found[3], CallEvidence::default());
    }

    #[test]
    fn what_all_calls_of_one_caller_show_speaks_of_the_caller() {
        let found = evidence([3.0, 3.0, 0.0, 0.0]);
        assert_eq!(found[0].as_caller, 3.0);
        assert!(found[2].as_callee < 1.0 && found[3].as_callee < 1.0, "{found:?}");
    }

    #[test]
    fn one_slow_call_among_others_is_shared_and_small() {
        let found = evidence([3.0, 0.0, 0.0, 0.0]);
        assert!((found[2].as_callee - 1.5 / 4.0).abs() < 1e-12, "{found:?}");
        assert!((found[0].as_caller - 1.5 / 4.0).abs() < 1e-12, "{found:?}");
        let only = evidence([0.0, 3.0, 0.0, 0.0]);
        assert_eq!(only[3].as_callee, 3.0, "nobody else calls 3, and the other call of its caller is well");
        assert!(only[0].as_caller < 0.5, "{only:?}");
    }

    #[test]
    fn the_only_call_of_a_chain_is_the_callees() {
        let found = EdgesView { calls: &[(0, 1)], departures: &[2.0] }.evidence(2);
        assert_eq!((found[0].as_caller, found[1].as_callee), (0.0, 2.0));
    }

    proptest! {
        #[test]
        fn no_evidence_exceeds_the_furthest_departure(
            departures in proptest::collection::vec(prop_oneof![Just(0.0), 0.0..709.0_f64], 4),
        ) {
            let view = EdgesView { calls: &CALLS, departures: &departures };
            let most = departures.iter().copied().fold(0.0, f64::max);
            for one in view.evidence(5) {
                prop_assert!((0.0..=most + 1e-9).contains(&one.as_callee));
                prop_assert!((0.0..=most + 1e-9).contains(&one.as_caller));
            }
        }
    }
}
