//! The method `evidence` with one of its steps changed or left out: what each step is worth.
//!
//! `automap evaluate --ablations` measures each row of the table; any of them can be had by `--set` as well.

use std::collections::BTreeMap;

/// A variant of the method `evidence`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ablation {
    /// What differs, for a table: unique.
    pub name: &'static str,
    /// Parameters that differ from the defaults, by dotted name.
    pub overrides: &'static [(&'static str, &'static str)],
}

impl Ablation {
    /// The overrides as a request carries them.
    pub fn parameters(&self) -> BTreeMap<String, String> {
        self.overrides.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }
}

/// All variants, the method as it is first. The rows after "plain walk" differ from that one, which is the method
/// without what its exploration on recorded incidents added: a factor of own evidence, the callers' view, a longer walk.
pub const ABLATIONS: [Ablation; 23] = [
    Ablation { name: "all steps", overrides: &[] },
    Ablation { name: "without guard and onset", overrides: &[GUARD, ONSET] },
    Ablation { name: "without onset", overrides: &[ONSET] },
    Ablation { name: "without deload", overrides: &[DELOAD] },
    Ablation { name: "without direction", overrides: &[DIRECTION] },
    Ablation { name: "percentile statistic only", overrides: &[PERCENTILE] },
    Ablation { name: "median statistic only", overrides: &[MEDIAN] },
    Ablation { name: "client latency held against its own service", overrides: &[CLIENT_OWN] },
    Ablation { name: "client latency ignored", overrides: &[("evidence.client-latency", "ignored")] },
    Ablation { name: "vanished services no evidence", overrides: &[("evidence.vanished-spreads", "0")] },
    Ablation { name: "call graph withheld", overrides: &[WITHHELD] },
    Ablation { name: "call graph believed untested", overrides: &[("evidence.graph", "calls")] },
    Ablation { name: "without the walk", overrides: &[NO_WALK] },
    Ablation { name: "without backward moves", overrides: &[BACKWARD] },
    Ablation { name: "without own evidence in the score", overrides: &[NO_OWN] },
    Ablation { name: "restart .3", overrides: &[RESTART_3] },
    Ablation { name: "plain walk", overrides: &[NO_OWN, CLIENT_OWN, RESTART_3] },
    Ablation { name: "plain walk, without the walk", overrides: &[NO_OWN, CLIENT_OWN, RESTART_3, NO_WALK] },
    Ablation {
        name: "plain walk, call graph withheld",
        overrides: &[NO_OWN, CLIENT_OWN, RESTART_3, WITHHELD],
    },
    Ablation {
        name: "plain walk, without guard and onset",
        overrides: &[NO_OWN, CLIENT_OWN, RESTART_3, GUARD, ONSET],
    },
    Ablation {
        name: "plain walk, without guard, onset and backward moves",
        overrides: &[NO_OWN, CLIENT_OWN, RESTART_3, GUARD, ONSET, BACKWARD],
    },
    Ablation {
        name: "series and deviation only",
        overrides: &[NO_OWN, CLIENT_OWN, GUARD, ONSET, DELOAD, DIRECTION, PERCENTILE, NO_WALK],
    },
    Ablation {
        name: "series and deviation only, with a walk along calls, restart .7",
        overrides: &[
            NO_OWN,
            CLIENT_OWN,
            GUARD,
            ONSET,
            DELOAD,
            DIRECTION,
            PERCENTILE,
            ("evidence.graph", "calls"),
            ("evidence.restart", "0.7"),
            ("evidence.backward", "0.1"),
            ("evidence.self-weight", "0.5"),
        ],
    },
];

const GUARD: (&str, &str) = ("evidence.guard", "false");
const ONSET: (&str, &str) = ("evidence.onset", "false");
const DELOAD: (&str, &str) = ("evidence.deload", "false");
const DIRECTION: (&str, &str) = ("evidence.direction", "false");
const PERCENTILE: (&str, &str) = ("evidence.statistic", "percentile");
const MEDIAN: (&str, &str) = ("evidence.statistic", "median");
const CLIENT_OWN: (&str, &str) = ("evidence.client-latency", "own");
const WITHHELD: (&str, &str) = ("evidence.graph", "throughput");
const NO_WALK: (&str, &str) = ("evidence.graph", "none");
const BACKWARD: (&str, &str) = ("evidence.backward", "0");
const NO_OWN: (&str, &str) = ("evidence.own-exponent", "0");
const RESTART_3: (&str, &str) = ("evidence.restart", "0.3");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parameters::MethodParameters;

    #[test]
    fn every_variant_can_be_had_and_differs_from_the_others() {
        let defaults = MethodParameters::default();
        let mut seen = Vec::new();
        for ablation in &ABLATIONS {
            let found = defaults.with_overrides(&ablation.parameters()).unwrap().flattened();
            assert!(!seen.contains(&found), "{} changes nothing", ablation.name);
            seen.push(found);
        }
        assert_eq!(seen[0], defaults.flattened());
        let names: std::collections::BTreeSet<&str> = ABLATIONS.iter().map(|one| one.name).collect();
        assert_eq!(names.len(), ABLATIONS.len());
    }
}
