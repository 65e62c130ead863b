//! Every parameter by its dotted name, with what it may be.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Display,
    str::FromStr,
};

use automap_proto::invalid::{Invalid, did_you_mean};

use super::MethodParameters;

/// One parameter.
struct Named {
    name: &'static str,
    /// What the value must be, as it follows "must be".
    expected: &'static str,
    read: fn(&MethodParameters) -> String,
    /// Whether the text was a value that is allowed.
    write: fn(&mut MethodParameters, &str) -> bool,
}

const SHARE: &str = "a number from 0 to 1";
const BOOLEAN: &str = "true or false";
const RESTART: &str = "a number from 0.001 to 1";

const EDGES: &str = "caller->callee, at most 10000, separated by commas, none both forced and forbidden";

const ALPHA: &str = "automap.alpha";
const FORCED: &str = "edges.forced";

const NAMED: [Named; 43] = [
    Named {
        name: ALPHA,
        expected: "a number strictly between 0 and 1",
        read: |all| text(&all.automap.significance()),
        write: |all, value| {
            let mut alpha = 0.0;
            let is_level = set(&mut alpha, value, |alpha| *alpha > 0.0 && *alpha < 1.0);
            all.automap.alpha = Some(alpha);
            is_level
        },
    },
    Named {
        name: "automap.backward",
        expected: SHARE,
        read: |all| text(&all.automap.backward),
        write: |all, value| set(&mut all.automap.backward, value, is_share),
    },
    Named {
        name: "automap.bins",
        expected: "2, 3 or 5",
        read: |all| text(&all.automap.bins),
        write: |all, value| set(&mut all.automap.bins, value, |_| true),
    },
    Named {
        name: "automap.bootstrap",
        expected: "a whole number from 0 to 1000",
        read: |all| text(&all.automap.bootstrap),
        write: |all, value| set(&mut all.automap.bootstrap, value, |count| *count <= 1000),
    },
    Named {
        name: "automap.budget",
        expected: "none, a number of tests such as 500M, or a time such as 30s",
        read: |all| text(&all.automap.budget),
        write: |all, value| set(&mut all.automap.budget, value, |_| true),
    },
    Named {
        name: "automap.ci-test",
        expected: "fisher-z, chi2 or g2",
        read: |all| text(&all.automap.ci_test),
        write: |all, value| set(&mut all.automap.ci_test, value, |_| true),
    },
    Named {
        name: "automap.literal-subtraction",
        expected: BOOLEAN,
        read: |all| text(&all.automap.literal_subtraction),
        write: |all, value| set(&mut all.automap.literal_subtraction, value, |_| true),
    },
    Named {
        name: "automap.load-removal",
        expected: "off, front-end or factor",
        read: |all| text(&all.automap.load_removal),
        write: |all, value| set(&mut all.automap.load_removal, value, |_| true),
    },
    Named {
        name: "automap.max-condition",
        expected: "a whole number, 0 or more",
        read: |all| text(&all.automap.max_condition),
        write: |all, value| set(&mut all.automap.max_condition, value, |size| u32::try_from(*size).is_ok()),
    },
    Named {
        name: "automap.neighbours",
        expected: "a whole number from 1 to 1000",
        read: |all| text(&all.automap.neighbours),
        write: |all, value| set(&mut all.automap.neighbours, value, |count| (1..=1000).contains(count)),
    },
    Named {
        name: "automap.restart",
        expected: RESTART,
        read: |all| text(&all.automap.restart),
        write: |all, value| set(&mut all.automap.restart, value, is_restart),
    },
    Named {
        name: "automap.solver",
        expected: "exact or monte-carlo",
        read: |all| text(&all.automap.solver),
        write: |all, value| set(&mut all.automap.solver, value, |_| true),
    },
    Named {
        name: "automap.steps",
        expected: "a whole number from 1 to 1000000",
        read: |all| text(&all.automap.steps),
        write: |all, value| set(&mut all.automap.steps, value, |steps| (1..=1_000_000).contains(steps)),
    },
    Named {
        name: "edges.forbidden",
        expected: EDGES,
        read: |all| text(&all.edges.forbidden),
        write: |all, value| set(&mut all.edges.forbidden, value, |_| true),
    },
    Named {
        name: FORCED,
        expected: EDGES,
        read: |all| text(&all.edges.forced),
        write: |all, value| {
            let forbidden = all.edges.forbidden.clone();
            let forbidden: BTreeSet<&(String, String)> = forbidden.edges().iter().collect();
            let both = |edge: &(String, String)| forbidden.contains(edge);
            set(&mut all.edges.forced, value, |list| !list.edges().iter().any(both))
        },
    },
    Named {
        name: "evidence.abstain-below",
        expected: SHARE,
        read: |all| text(&all.evidence.abstain_below),
        write: |all, value| set(&mut all.evidence.abstain_below, value, is_share),
    },
    Named {
        name: "evidence.backward",
        expected: SHARE,
        read: |all| text(&all.evidence.backward),
        write: |all, value| set(&mut all.evidence.backward, value, is_share),
    },
    Named {
        name: "evidence.client-latency",
        expected: "callees, own or ignored",
        read: |all| text(&all.evidence.client_latency),
        write: |all, value| set(&mut all.evidence.client_latency, value, |_| true),
    },
    Named {
        name: "evidence.confidence-intercept",
        expected: "a number from -100 to 100",
        read: |all| text(&all.evidence.confidence_intercept),
        write: |all, value| {
            set(&mut all.evidence.confidence_intercept, value, |alpha| (-100.0..=100.0).contains(alpha))
        },
    },
    Named {
        name: "evidence.confidence-slope",
        expected: "a number from 0 to 100",
        read: |all| text(&all.evidence.confidence_slope),
        write: |all, value| {
            set(&mut all.evidence.confidence_slope, value, |beta| (0.0..=100.0).contains(beta))
        },
    },
    Named {
        name: "evidence.contrast-softening",
        expected: "a number from 0.001 to 10",
        read: |all| text(&all.evidence.contrast_softening),
        write: |all, value| {
            set(&mut all.evidence.contrast_softening, value, |evidence| (0.001..=10.0).contains(evidence))
        },
    },
    Named {
        name: "evidence.deload",
        expected: BOOLEAN,
        read: |all| text(&all.evidence.deload),
        write: |all, value| set(&mut all.evidence.deload, value, |_| true),
    },
    Named {
        name: "evidence.departed-spreads",
        expected: "a number from 0 to 1000",
        read: |all| text(&all.evidence.departed_spreads),
        write: |all, value| {
            set(&mut all.evidence.departed_spreads, value, |spreads| (0.0..=1000.0).contains(spreads))
        },
    },
    Named {
        name: "evidence.direction",
        expected: BOOLEAN,
        read: |all| text(&all.evidence.direction),
        write: |all, value| set(&mut all.evidence.direction, value, |_| true),
    },
    Named {
        name: "evidence.edge-floor",
        expected: SHARE,
        read: |all| text(&all.evidence.edge_floor),
        write: |all, value| set(&mut all.evidence.edge_floor, value, is_share),
    },
    Named {
        name: "evidence.fit-level",
        expected: SHARE,
        read: |all| text(&all.evidence.fit_level),
        write: |all, value| set(&mut all.evidence.fit_level, value, is_share),
    },
    Named {
        name: "evidence.fit-permutations",
        expected: "a whole number from 0 to 10000",
        read: |all| text(&all.evidence.fit_permutations),
        write: |all, value| set(&mut all.evidence.fit_permutations, value, |count| *count <= 10_000),
    },
    Named {
        name: "evidence.global-share",
        expected: SHARE,
        read: |all| text(&all.evidence.global_share),
        write: |all, value| set(&mut all.evidence.global_share, value, is_share),
    },
    Named {
        name: "evidence.graph",
        expected: "auto, calls, throughput or none",
        read: |all| text(&all.evidence.graph),
        write: |all, value| set(&mut all.evidence.graph, value, |_| true),
    },
    Named {
        name: "evidence.guard",
        expected: BOOLEAN,
        read: |all| text(&all.evidence.guard),
        write: |all, value| set(&mut all.evidence.guard, value, |_| true),
    },
    Named {
        name: "evidence.history-rows",
        expected: "a whole number from 0 to 512",
        read: |all| text(&all.evidence.history_rows),
        write: |all, value| set(&mut all.evidence.history_rows, value, |rows| *rows <= 512),
    },
    Named {
        name: "evidence.learn",
        expected: BOOLEAN,
        read: |all| text(&all.evidence.learn),
        write: |all, value| set(&mut all.evidence.learn, value, |_| true),
    },
    Named {
        name: "evidence.measured-calls",
        expected: BOOLEAN,
        read: |all| text(&all.evidence.measured_calls),
        write: |all, value| set(&mut all.evidence.measured_calls, value, |_| true),
    },
    Named {
        name: "evidence.onset",
        expected: BOOLEAN,
        read: |all| text(&all.evidence.onset),
        write: |all, value| set(&mut all.evidence.onset, value, |_| true),
    },
    Named {
        name: "evidence.onset-gain",
        expected: "a number from 0 to 1000",
        read: |all| text(&all.evidence.onset_gain),
        write: |all, value| set(&mut all.evidence.onset_gain, value, |gain| (0.0..=1000.0).contains(gain)),
    },
    Named {
        name: "evidence.own-exponent",
        expected: "a number from 0 to 4",
        read: |all| text(&all.evidence.own_exponent),
        write: |all, value| {
            set(&mut all.evidence.own_exponent, value, |exponent| (0.0..=4.0).contains(exponent))
        },
    },
    Named {
        name: "evidence.placebo-windows",
        expected: "a whole number from 0 to 100",
        read: |all| text(&all.evidence.placebo_windows),
        write: |all, value| set(&mut all.evidence.placebo_windows, value, |count| *count <= 100),
    },
    Named {
        name: "evidence.restart",
        expected: RESTART,
        read: |all| text(&all.evidence.restart),
        write: |all, value| set(&mut all.evidence.restart, value, is_restart),
    },
    Named {
        name: "evidence.self-weight",
        expected: SHARE,
        read: |all| text(&all.evidence.self_weight),
        write: |all, value| set(&mut all.evidence.self_weight, value, is_share),
    },
    Named {
        name: "evidence.statistic",
        expected: "both, percentile or median",
        read: |all| text(&all.evidence.statistic),
        write: |all, value| set(&mut all.evidence.statistic, value, |_| true),
    },
    Named {
        name: "evidence.vanished-spreads",
        expected: "a number from 0 to 1000000",
        read: |all| text(&all.evidence.vanished_spreads),
        write: |all, value| {
            set(&mut all.evidence.vanished_spreads, value, |spreads| (0.0..=1e6).contains(spreads))
        },
    },
    Named {
        name: "paths.max-steps",
        expected: "a whole number from 1 to 200",
        read: |all| text(&all.paths.max_steps),
        write: |all, value| set(&mut all.paths.max_steps, value, |steps| (1..=200).contains(steps)),
    },
    Named {
        name: "paths.walks",
        expected: "a whole number from 1 to 10000",
        read: |all| text(&all.paths.walks),
        write: |all, value| set(&mut all.paths.walks, value, |walks| (1..=10_000).contains(walks)),
    },
];

impl MethodParameters {
    /// These parameters with some replaced, by dotted name: `automap.alpha` = `0.01`. All are checked, those that
    /// are not replaced too, since a configuration file may have set them.
    ///
    /// # Errors
    /// A name is unknown, or a value is not what its parameter may be; the error names the parameter.
    pub fn with_overrides(&self, overrides: &BTreeMap<String, String>) -> Result<Self, Invalid> {
        if let Some(unknown) = overrides.keys().find(|name| NAMED.iter().all(|named| named.name != *name)) {
            let names = NAMED.iter().map(|named| named.name);
            let hint = did_you_mean(unknown, names.clone()).map_or_else(
                || format!("; the parameters are {}", names.collect::<Vec<_>>().join(", ")),
                |near| format!("; did you mean {near}?"),
            );
            return Err(Invalid::new(unknown, format!("is no parameter{hint}")));
        }
        let mut replaced = self.clone();
        for named in &NAMED {
            let value =
                overrides.get(named.name).map_or_else(|| (named.read)(self), |value| value.trim().to_owned());
            if !(named.write)(&mut replaced, &value) {
                return Err(Invalid::new(named.name, format!("is {value:?}; must be {}", named.expected)));
            }
        }
        // The level that nobody set is that of the test, which an override may have changed.
        if self.automap.alpha.is_none() && !overrides.contains_key(ALPHA) {
            replaced.automap.alpha = Some(replaced.automap.ci_test.default_alpha());
        }
        Ok(replaced)
    }

    /// Every parameter in force, by dotted name. [`Self::with_overrides`] reads it back to the same parameters.
    pub fn flattened(&self) -> BTreeMap<String, String> {
        NAMED.iter().map(|named| (named.name.to_owned(), (named.read)(self))).collect()
    }
}

fn text(value: &impl Display) -> String {
    value.to_string()
}

fn set<T: FromStr>(slot: &mut T, value: &str, allowed: impl Fn(&T) -> bool) -> bool {
    let parsed = value.parse().ok().filter(allowed);
    let found = parsed.is_some();
    if let Some(new) = parsed {
        *slot = new;
    }
    found
}

fn is_share(value: &f64) -> bool {
    (0.0..=1.0).contains(value)
}

/// Below .001 the share of time at each service depends on rounding.
fn is_restart(value: &f64) -> bool {
    (0.001..=1.0).contains(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parameters::Solver;

    fn overrides(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn parameters_are_replaced_by_dotted_name_and_the_rest_stay() {
        let pairs =
            [("automap.alpha", "0.01"), ("automap.solver", "monte-carlo"), ("evidence.restart", " 0.5 ")];
        let found = MethodParameters::default().with_overrides(&overrides(&pairs)).unwrap();
        assert_eq!(found.automap.alpha, Some(0.01));
        assert_eq!(found.automap.solver, Solver::MonteCarlo);
        assert_eq!(found.evidence.restart, 0.5);
        assert_eq!(found.automap.backward, 0.2);
    }

    #[test]
    fn the_level_follows_the_test_unless_it_is_set() {
        let level = |pairs: &[(&str, &str)]| {
            MethodParameters::default().with_overrides(&overrides(pairs)).unwrap().flattened()[ALPHA].clone()
        };
        assert_eq!(level(&[]), "0.05");
        assert_eq!(level(&[("automap.ci-test", "g2")]), "0.01");
        assert_eq!(level(&[("automap.ci-test", "chi2"), (ALPHA, "0.2")]), "0.2");
    }

    #[test]
    fn all_parameters_lead_back_to_themselves() {
        let defaults = MethodParameters::default();
        let flat = defaults.flattened();
        assert_eq!(flat.len(), NAMED.len());
        assert_eq!(flat["paths.walks"], "1000");
        let pairs =
            [("automap.max-condition", "7"), ("automap.literal-subtraction", "true"), ("automap.steps", "5")];
        let other = defaults.with_overrides(&overrides(&pairs)).unwrap();
        assert_eq!(defaults.with_overrides(&other.flattened()).unwrap(), other);
    }

    #[test]
    fn names_are_sorted_and_are_those_of_the_configuration_file() {
        assert!(NAMED.is_sorted_by(|left, right| left.name < right.name));
        let file = figment::value::Value::serialize(MethodParameters::default()).unwrap();
        for named in &NAMED {
            assert!(file.clone().find(named.name).is_some(), "{}", named.name);
        }
        let fields =
            |group: &str| file.find_ref(group).and_then(|found| found.as_dict()).map_or(0, |dict| dict.len());
        assert_eq!(["evidence", "automap", "edges", "paths"].map(fields).iter().sum::<usize>(), NAMED.len());
    }

    #[test]
    fn unknown_names_are_refused_with_the_nearest_one() {
        let error =
            MethodParameters::default().with_overrides(&overrides(&[("automap.alhpa", "1")])).unwrap_err();
        assert_eq!(error.to_string(), "field `automap.alhpa`: is no parameter; did you mean automap.alpha?");
        let error = MethodParameters::default().with_overrides(&overrides(&[("x", "1")])).unwrap_err();
        assert!(error.to_string().contains("the parameters are automap.alpha, "), "{error}");
    }

    #[test]
    fn values_out_of_range_are_refused_with_the_range() {
        for (name, value) in [
            ("automap.alpha", "1"),
            ("automap.alpha", "NaN"),
            ("automap.backward", "-0.1"),
            ("automap.bins", "4"),
            ("automap.load-removal", "all"),
            ("automap.budget", "0"),
            ("automap.bootstrap", "1001"),
            ("automap.ci-test", "coin"),
            ("automap.literal-subtraction", "maybe"),
            ("automap.max-condition", "-1"),
            ("automap.max-condition", "4294967296"),
            ("automap.neighbours", "0"),
            ("automap.restart", "0"),
            ("automap.solver", "guess"),
            ("automap.steps", "1000001"),
            ("edges.forced", "web"),
            ("evidence.backward", "2"),
            ("evidence.restart", "inf"),
            ("evidence.self-weight", ""),
            ("paths.max-steps", "201"),
            ("paths.walks", "1.5"),
        ] {
            let error = MethodParameters::default().with_overrides(&overrides(&[(name, value)])).unwrap_err();
            assert_eq!(error.field(), name);
            assert!(error.problem().contains("; must be "), "{error}");
        }
    }

    #[test]
    fn an_edge_cannot_be_forced_and_forbidden() {
        let pairs = [("edges.forced", "web->db"), ("edges.forbidden", "db->web, web->db")];
        let error = MethodParameters::default().with_overrides(&overrides(&pairs)).unwrap_err();
        assert_eq!(error.field(), "edges.forced");
        assert!(error.problem().ends_with("none both forced and forbidden"), "{error}");
    }

    #[test]
    fn a_bad_default_from_a_configuration_file_is_found_without_any_override() {
        let mut parameters = MethodParameters::default();
        parameters.evidence.restart = 0.0;
        let error = parameters.with_overrides(&BTreeMap::new()).unwrap_err();
        assert_eq!(error.to_string(), "field `evidence.restart`: is \"0\"; must be a number from 0.001 to 1");
    }
}
