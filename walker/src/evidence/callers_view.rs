//! What callers see of their callees: the delay of a network shows in no series of the service behind it.
//!
//! The latency that a service sees *as a client*, over all its calls, speaks of what it calls. A callee that became
//! slower by d, or whose network did, raises it at each caller c by d times the share of c's calls that go there. So
//! the pattern of rises over all callers tells the callee: one that every caller of X sees, each by the share of its
//! calls to X, and nobody else. With l the vector of ln(1 + rise) over the callers, and u that of what a slower X would
//! make of a rise as large as all of them together:
//!
//! ```text
//! evidence against X = cos(u, l)⁴ · ln(1 + ‖rises‖)
//! ```
//!
//! In the same measure the callers' own latency is explained: ln(1 + rise) is taken off theirs.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    str::FromStr,
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Of whom the latency that a service sees as a client speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ClientLatency {
    /// Of the services that it calls.
    #[default]
    Callees,
    /// Of the service itself, as any other latency of it.
    Own,
    /// Of nobody.
    Ignored,
}

impl ClientLatency {
    const ALL: [Self; 3] = [Self::Callees, Self::Own, Self::Ignored];

    /// The name used in flags and files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Callees => "callees",
            Self::Own => "own",
            Self::Ignored => "ignored",
        }
    }
}

impl fmt::Display for ClientLatency {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.name())
    }
}

/// A name that is no use of client latency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is no use of client latency; use callees, own or ignored")]
pub struct UnknownClientLatency;

impl FromStr for ClientLatency {
    type Err = UnknownClientLatency;

    fn from_str(name: &str) -> Result<Self, UnknownClientLatency> {
        Self::ALL.into_iter().find(|one| one.name() == name).ok_or(UnknownClientLatency)
    }
}

/// Whether a latency series is measured by its service as a client.
pub(crate) fn is_client(series: &str) -> bool {
    series == "client-latency" || series.starts_with("client-latency-")
}

/// Who calls whom how often, and what callers see.
#[derive(Debug, Clone, Copy)]
pub struct CallersView<'a> {
    /// (caller, callee), each pair once, over services 0 to n − 1.
    pub calls: &'a [(usize, usize)],
    /// Requests/s that each service serves; `None` where it is not known.
    pub throughput: &'a [Option<f64>],
    /// Normal spread of the latency that each service sees as a client, seconds; `None` where it is not measured.
    pub spreads: &'a [Option<f64>],
    /// How far it rose, in those spreads.
    pub rises: &'a [f64],
}

impl CallersView<'_> {
    /// ln(1 + spreads) against each service, as its callers see it. Zeros where no caller measures or nothing rose.
    /// O(calls · log calls).
    pub fn evidence(&self) -> Vec<f64> {
        let services = self.throughput.len();
        let callers: BTreeSet<usize> = self.calls.iter().map(|call| call.0).collect();
        let watching = || callers.iter().filter(|caller| self.spreads[**caller].is_some());
        let rises: Vec<f64> = watching().map(|caller| self.rises[*caller]).collect();
        let length = norm(&rises);
        if length == 0.0 {
            return vec![0.0; services];
        }
        let seen_by_all = norm(&rises.iter().map(|rise| rise.ln_1p()).collect::<Vec<_>>());
        // Of each callee its callers that watch, in ascending order: what it would make of theirs, and what they see.
        let mut watched = vec![Vec::new(); services];
        for (&(caller, callee), share) in &self.call_shares() {
            if let Some(spread) = self.spreads[caller] {
                watched[callee].push((share / spread, self.rises[caller].ln_1p()));
            }
        }
        let of_callee = |watched: Vec<(f64, f64)>| {
            let (slower, seen): (Vec<f64>, Vec<f64>) = watched.into_iter().unzip();
            let size = norm(&slower);
            if size == 0.0 {
                return 0.0;
            }
            let expected: Vec<f64> = slower.iter().map(|one| (one / size * length).ln_1p()).collect();
            let together: f64 = expected.iter().zip(&seen).map(|(one, other)| one * other).sum();
            let fit = together / (norm(&expected) * seen_by_all);
            if fit.is_finite() { fit.clamp(0.0, 1.0).powi(4) * length.ln_1p() } else { 0.0 }
        };
        watched.into_iter().map(of_callee).collect()
    }

    /// The part of each service's latency that what it calls explains: ln(1 + rise).
    pub fn explained(&self) -> Vec<f64> {
        self.rises.iter().map(|rise| rise.ln_1p()).collect()
    }

    /// The share of a caller's calls that go to each callee. The calls that a service serves are taken to come from its
    /// callers in proportion to theirs; where throughput is not known, a caller calls all its callees alike.
    fn call_shares(&self) -> BTreeMap<(usize, usize), f64> {
        let throughput = |service: usize| self.throughput[service].unwrap_or(0.0).max(0.0);
        let mut by_callers = BTreeMap::<usize, f64>::new();
        for &(caller, callee) in self.calls {
            *by_callers.entry(callee).or_default() += throughput(caller);
        }
        let rate = |caller: usize, callee: usize| {
            let all = by_callers.get(&callee).copied().unwrap_or(0.0);
            if all > 0.0 { throughput(callee) * throughput(caller) / all } else { 0.0 }
        };
        let mut sent = BTreeMap::<usize, (f64, usize)>::new();
        for &(caller, callee) in self.calls {
            let (total, callees) = sent.entry(caller).or_default();
            *total += rate(caller, callee);
            *callees += 1;
        }
        self.calls
            .iter()
            .map(|&(caller, callee)| {
                let (total, callees) = sent.get(&caller).copied().unwrap_or((0.0, 1));
                let share = if total > 0.0 { rate(caller, callee) / total } else { 1.0 / callees as f64 };
                ((caller, callee), share)
            })
            .collect()
    }
}

fn norm(vector: &[f64]) -> f64 {
    vector.iter().map(|value| value * value).sum::<f64>().sqrt().min(f64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// 0 and 1 both call 2, only 0 calls 3, only 1 calls 4.
    const CALLS: [(usize, usize); 4] = [(0, 2), (0, 3), (1, 2), (1, 4)];
    const EVEN: [Option<f64>; 5] = [Some(10.0), Some(10.0), Some(10.0), Some(5.0), Some(5.0)];
    const WATCHED: [Option<f64>; 5] = [Some(1.0), Some(1.0), None, None, None];

    fn evidence(rises: [f64; 5]) -> Vec<f64> {
        CallersView { calls: &CALLS, throughput: &EVEN, spreads: &WATCHED, rises: &rises }.evidence()
    }

    #[test]
    fn what_all_callers_see_speaks_of_the_callee_they_share() {
        // Both rises are 8: ‖(8, 8)‖ = 11.31, and equal shares make the fit of service 2 exactly one.
        let found = evidence([8.0, 8.0, 0.0, 0.0, 0.0]);
        assert!((found[2] - (1.0 + 8.0 * 2.0_f64.sqrt()).ln()).abs() < 1e-12);
        assert!(found[2] > 2.0 * found[3] && found[3] > 0.0);
        assert_eq!(found[..2], [0.0, 0.0]);
    }

    #[test]
    fn what_one_caller_sees_speaks_of_the_callee_that_only_it_calls() {
        let found = evidence([8.0, 0.0, 0.0, 0.0, 0.0]);
        assert!(found[3] > found[2] && found[4] == 0.0, "{found:?}");
    }

    #[test]
    fn a_callee_that_is_called_often_raises_its_caller_more() {
        // Service 0 sends nearly all its calls to 3, so that a slower 2 would hardly show there.
        let throughput = [Some(10.0), Some(10.0), Some(1.0), Some(99.0), Some(0.1)];
        let view = CallersView {
            calls: &CALLS,
            throughput: &throughput,
            spreads: &WATCHED,
            rises: &[1.0, 200.0, 0.0, 0.0, 0.0],
        };
        let found = view.evidence();
        assert!(found[2] > found[3] && found[2] > found[4], "{found:?}");
    }

    #[test]
    fn without_rises_or_watchers_there_is_no_evidence() {
        assert_eq!(evidence([0.0; 5]), [0.0; 5]);
        let view = CallersView { calls: &CALLS, throughput: &EVEN, spreads: &[None; 5], rises: &[9.0; 5] };
        assert_eq!(view.evidence(), [0.0; 5]);
        assert_eq!(view.explained(), [10.0_f64.ln(); 5]);
    }

    proptest! {
        #[test]
        fn evidence_is_finite_whatever_is_seen(
            rises in proptest::collection::vec(prop_oneof![Just(0.0), 0.0..1e3_f64, Just(f64::MAX)], 5),
            calls in proptest::collection::btree_set((0..5_usize, 0..5_usize), 0..12),
        ) {
            let calls: Vec<(usize, usize)> = calls.into_iter().filter(|(from, to)| from != to).collect();
            let spreads = [Some(1e-9), None, Some(1.0), Some(1e9), Some(2.0)];
            let view = CallersView { calls: &calls, throughput: &EVEN, spreads: &spreads, rises: &rises };
            prop_assert!(view.evidence().iter().all(|one| one.is_finite() && *one >= 0.0));
        }
    }

    #[test]
    fn uses_are_named_as_they_are_read() {
        for one in ClientLatency::ALL {
            assert_eq!(one.to_string().parse(), Ok(one));
        }
        assert_eq!("all".parse::<ClientLatency>(), Err(UnknownClientLatency));
        assert!(is_client("client-latency-p99") && !is_client("latency"));
    }
}
