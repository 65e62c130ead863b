//! Edges that an expert forces or forbids, whatever call graph and metrics say.
//!
//! A forced call is walked, a forbidden one is not, in the direction in which it was named; to forbid both directions,
//! name both. The same holds for the edges of the behaviour graph, where a forced one stands in every metric type that
//! both services have.

use std::collections::BTreeSet;

use automap_proto::{
    behavior_graph::{BehaviorGraph, EdgeWeights},
    frame::MetricFrame,
    invalid::{Invalid, did_you_mean},
    metric::{METRIC_COUNT, MetricKind},
};

use crate::parameters::EdgeParameters;

/// Edges (caller, callee) that are forced or forbidden; services are known ones.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EdgeRules {
    forced: BTreeSet<(String, String)>,
    forbidden: BTreeSet<(String, String)>,
}

impl EdgeRules {
    /// Checks the edges of `parameters` against the `services` that an incident knows.
    ///
    /// Edges of services that are none are refused where `strict`, because a person named them for this incident; else
    /// they are left out with a warning, because a configuration serves several systems.
    ///
    /// # Errors
    /// See above; the nearest name is suggested.
    pub fn new(
        parameters: &EdgeParameters,
        services: &BTreeSet<&str>,
        strict: bool,
    ) -> Result<(Self, Vec<String>), Invalid> {
        let mut warnings = Vec::new();
        let mut known = |field: &str, edges: &[(String, String)]| {
            let mut kept = BTreeSet::new();
            for (caller, callee) in edges {
                let Some(stranger) =
                    [caller, callee].into_iter().find(|name| !services.contains(name.as_str()))
                else {
                    kept.insert((caller.clone(), callee.clone()));
                    continue;
                };
                let hint = did_you_mean(stranger, services.iter().copied())
                    .map_or_else(String::new, |near| format!("; did you mean {near}?"));
                let problem = format!("names {stranger}, which is no service of this incident{hint}");
                if strict {
                    return Err(Invalid::new(format!("settings.parameters.{field}"), problem));
                }
                warnings.push(format!("{field} {problem}; {caller}->{callee} was left out"));
            }
            Ok(kept)
        };
        let forced = known("edges.forced", parameters.forced.edges())?;
        let forbidden = known("edges.forbidden", parameters.forbidden.edges())?;
        Ok((Self { forced, forbidden }, warnings))
    }

    /// The rules between services of `names`, which are sorted, as indices.
    pub fn indexed(&self, names: &[String]) -> IndexedRules {
        let index = |edges: &BTreeSet<(String, String)>| {
            let position = |name: &String| names.binary_search(name).ok();
            let pairs =
                edges.iter().filter_map(|(caller, callee)| Some((position(caller)?, position(callee)?)));
            pairs.collect()
        };
        IndexedRules { forced: index(&self.forced), forbidden: index(&self.forbidden) }
    }

    /// Applies the rules to a behaviour graph over the services of `frame`. O(rules · log edges).
    ///
    /// # Errors
    /// The graph is not one of the frame's services.
    pub fn apply(&self, graph: &mut BehaviorGraph, frame: &MetricFrame) -> Result<(), Invalid> {
        let rules = self.indexed(graph.services());
        for &(from, to) in &rules.forbidden {
            graph.remove_edge(from, to);
        }
        let measured = |service: usize| {
            let service = frame.service_index(&graph.services()[service]);
            MetricKind::ALL
                .map(|kind| service.is_some_and(|index| !frame.series_of_kind(index, kind).is_empty()))
        };
        let mut edges = Vec::new();
        for &(from, to) in rules.forced.iter().filter(|&&(from, to)| graph.edge(from, to).is_none()) {
            let (one, other) = (measured(from), measured(to));
            let both: [u32; METRIC_COUNT] = std::array::from_fn(|kind| u32::from(one[kind] && other[kind]));
            let weights =
                EdgeWeights::from_counts(both).or_else(|| EdgeWeights::from_counts([1; METRIC_COUNT]));
            edges.extend(weights.map(|weights| (from, to, weights)));
        }
        for (from, to, weights) in edges {
            graph.set_edge(from, to, weights)?;
        }
        Ok(())
    }
}

/// The same over indices of services.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct IndexedRules {
    /// (caller, callee).
    pub forced: BTreeSet<(usize, usize)>,
    /// (caller, callee).
    pub forbidden: BTreeSet<(usize, usize)>,
}

impl IndexedRules {
    /// Calls with the forced ones and without the forbidden ones, sorted, each once.
    pub fn applied(&self, calls: &[(usize, usize)]) -> Vec<(usize, usize)> {
        let all: BTreeSet<(usize, usize)> = calls.iter().chain(&self.forced).copied().collect();
        all.difference(&self.forbidden).copied().collect()
    }

    /// The weight of a move between two services that is `weight` without rules.
    pub fn weight(&self, from: usize, to: usize, weight: f64) -> f64 {
        if self.forbidden.contains(&(from, to)) {
            0.0
        } else if self.forced.contains(&(from, to)) {
            1.0
        } else {
            weight
        }
    }
}

#[cfg(test)]
mod tests {
    use ndarray::Array1;

    use super::*;
    use crate::test_frames::{TestSeries, frame_of};

    fn parameters(forced: &str, forbidden: &str) -> EdgeParameters {
        EdgeParameters { forced: forced.parse().unwrap(), forbidden: forbidden.parse().unwrap() }
    }

    fn services() -> BTreeSet<&'static str> {
        BTreeSet::from(["cart", "db", "web"])
    }

    #[test]
    fn strangers_are_refused_in_a_request_and_told_in_a_configuration() {
        let wrong = parameters("web->crt", "web->db");
        let error = EdgeRules::new(&wrong, &services(), true).unwrap_err();
        assert_eq!(error.field(), "settings.parameters.edges.forced");
        assert!(error.problem().ends_with("did you mean cart?"), "{error}");
        let (rules, warnings) = EdgeRules::new(&wrong, &services(), false).unwrap();
        assert!(rules.forced.is_empty() && rules.forbidden.len() == 1);
        assert!(warnings[0].starts_with("edges.forced names crt"), "{warnings:?}");
    }

    #[test]
    fn calls_gain_the_forced_and_lose_the_forbidden_in_their_direction() {
        let (rules, _) = EdgeRules::new(&parameters("cart->db", "web->db"), &services(), true).unwrap();
        let names = ["cart", "db", "web"].map(str::to_owned);
        let rules = rules.indexed(&names);
        assert_eq!(rules.applied(&[(2, 1), (1, 2), (2, 0)]), [(0, 1), (1, 2), (2, 0)]);
        assert_eq!(
            [rules.weight(0, 1, 0.3), rules.weight(2, 1, 0.3), rules.weight(1, 2, 0.3)],
            [1.0, 0.0, 0.3]
        );
    }

    #[test]
    fn a_forced_edge_stands_in_the_types_that_both_have_and_a_forbidden_one_goes() {
        let series = |service, metric: MetricKind| TestSeries {
            service,
            metric,
            name: metric.name(),
            samples: Array1::zeros(3),
        };
        let frame = frame_of(&[
            series("cart", MetricKind::Cpu),
            series("cart", MetricKind::Latency),
            series("db", MetricKind::Cpu),
            series("web", MetricKind::Memory),
        ]);
        let mut graph = BehaviorGraph::new(frame.services().to_vec()).unwrap();
        graph.set_edge(2, 0, EdgeWeights::from_counts([1; METRIC_COUNT]).unwrap()).unwrap();
        let (rules, _) =
            EdgeRules::new(&parameters("cart->db, db->web", "web->cart"), &services(), true).unwrap();
        rules.apply(&mut graph, &frame).unwrap();
        assert_eq!(graph.edge(0, 1).unwrap().counts(), Some(&[0, 0, 0, 1, 0, 0, 0]));
        assert_eq!(graph.edge(1, 2).unwrap().support(), METRIC_COUNT, "nothing in common");
        assert_eq!(graph.edge(2, 0), None);
    }
}
