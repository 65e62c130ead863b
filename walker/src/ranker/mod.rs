//! One ranking: frame, rows and graph go in; ranked services with evidence and paths come out. Pure.

mod explaining_paths;
mod published_scores;

use std::sync::atomic::AtomicBool;

use automap_proto::{
    assessment::Assessment,
    behavior_graph::BehaviorGraph,
    edge_frame::EdgeFrame,
    frame::MetricFrame,
    incident::{IncidentContext, WindowRows},
    invalid::Invalid,
    learned_weights::LearnedWeights,
    method::Method,
    metric::{METRIC_COUNT, MetricKind},
    profile::ServiceProfile,
    ranking::{Evidence, Ranking},
    throughput::ThroughputFit,
    v1,
};

use self::{
    explaining_paths::{explaining_paths, known_calls},
    published_scores::by_automap,
};
use crate::{
    baselines::{self, baro::baro, n_sigma::n_sigma},
    edge_rules::EdgeRules,
    evidence::{
        call_graph_fit::CiShares,
        counterfactuals::Leader,
        judge::{EvidenceInput, Judged, judge},
    },
    parameters::MethodParameters,
    rank::{Findings, random_scores, rank},
    service_evidence::ServiceEvidence,
    stop::Stopped,
    walk_trace::WalkTrace,
};

/// The behaviour graph of an incident with what is known beside it.
#[derive(Debug, Clone, PartialEq)]
pub struct GraphInput {
    /// Incident graph minus normal behaviour, or for `cloud-ranger` its impact graph, over the services of the frame.
    pub anomaly: BehaviorGraph,
    /// Profiles of its services; may be empty.
    pub profiles: Vec<ServiceProfile>,
    /// |Pearson| with the front end, per metric type and service.
    pub correlations: [Vec<f64>; METRIC_COUNT],
    /// Metric weights; they sum to 1.
    pub weights: [f64; METRIC_COUNT],
    /// R² of throughput over the normal rows, where it was asked for.
    pub throughput: Option<ThroughputFit>,
    /// CI shares of pairs of services, where they were asked for.
    pub shares: Option<CiShares>,
}

/// What a ranking is made from.
#[derive(Debug, Clone, Copy)]
pub struct RankInput<'a> {
    /// All series.
    pub frame: &'a MetricFrame,
    /// Normal and incident rows.
    pub rows: &'a WindowRows,
    /// So many of the first rows are remembered ones, which the graph was built without.
    pub remembered: usize,
    /// Front end and, where known, call graph.
    pub context: &'a IncidentContext,
    /// What callers measured of their calls, over the grid of the frame.
    pub edges: Option<&'a EdgeFrame>,
    /// Edges that are forced or forbidden.
    pub rules: &'a EdgeRules,
    /// The behaviour graph; `automap` and `cloud-ranger` cannot do without.
    pub graph: Option<&'a GraphInput>,
    /// How services are ranked.
    pub method: Method,
    /// Seeds every random choice.
    pub seed: u64,
    /// Parameters of the methods.
    pub parameters: &'a MethodParameters,
    /// Weights of evidence that confirmed incidents taught, where they did.
    pub learned: Option<&'a LearnedWeights>,
    /// Ends the work when it is set.
    pub stop: &'a AtomicBool,
    /// Whether every step of the simulated walks is wanted.
    pub want_walk: bool,
}

/// A ranking with what is known of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Ranked {
    /// Most suspect first.
    pub ranking: Ranking,
    /// How far it can be trusted, of the method `evidence` only.
    pub assessment: Option<Assessment>,
    /// What a person should know.
    pub warnings: Vec<String>,
    /// Who would be ranked first had the first shown less, of the method `evidence` only.
    pub counterfactuals: Vec<v1::Counterfactual>,
    /// The steps of the simulated walks, where they are wanted and the method has any.
    pub walk: Vec<v1::WalkSteps>,
}

/// Why there is no ranking.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RankError {
    /// The input does not fit the method.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// Nobody waits for it any more.
    #[error(transparent)]
    Stopped(#[from] Stopped),
}

/// Ranks every service that has metrics or stands in the call graph.
///
/// Evidence is the deviation from normal behaviour whatever the method, because that is what a person can check; the
/// baselines `n-sigma` and `baro` show their own. Paths come from the walk of the method, or for methods without one from a walk on
/// the call graph or the behaviour graph that explains and does not rank.
///
/// # Errors
/// The method is `automap` or `cloud-ranger` and there is no graph, or the graph is not one of the frame's services; or
/// the work was stopped, soon after `stop` was set.
pub fn rank_services(input: &RankInput<'_>) -> Result<Ranked, RankError> {
    let judged = judge(&EvidenceInput {
        frame: input.frame,
        rows: input.rows,
        context: input.context,
        edges: input.edges,
        rules: input.rules,
        throughput: input.graph.and_then(|graph| graph.throughput.as_ref()),
        shares: input.graph.and_then(|graph| graph.shares.as_ref()),
        remembered: input.remembered,
        learned: input.learned,
        seed: input.seed,
        parameters: &input.parameters.evidence,
        stop: input.stop,
    })?;
    let Judged {
        services,
        evidence,
        scores,
        unlearned_scores,
        onsets,
        assessment,
        counterfactuals,
        warnings,
    } = judged;
    let findings = match input.method {
        Method::NSigma => over(&services, input.frame, n_sigma(input.frame, input.rows)),
        Method::Baro => over(&services, input.frame, baro(input.frame, input.rows)),
        _ => evidence,
    };
    let by_evidence = input.method == Method::Evidence;
    let totals: Vec<f64> = findings.iter().map(|found| found.total).collect();
    let deviations = totals.clone();
    let calls = known_calls(input, &services);
    let mut trace = WalkTrace::new(input.want_walk);
    let (scores, paths) = match input.method {
        Method::Automap => by_automap(input, &services, &mut trace)?,
        Method::Evidence => {
            (scores, explaining_paths(input, &services, &totals, calls.as_deref(), &mut trace))
        }
        Method::Random => (random_scores(services.len()), Vec::new()),
        _ => {
            let paths = explaining_paths(input, &services, &totals, calls.as_deref(), &mut trace);
            (baselines::scores(input, &services)?.unwrap_or(totals), paths)
        }
    };
    let evidence: Vec<Vec<Evidence>> = findings.into_iter().map(|found| found.evidence).collect();
    let ranking = rank(&Findings {
        services: &services,
        scores: &scores,
        evidence: &evidence,
        deviations: &deviations,
        onsets: &onsets,
        unlearned_scores: if by_evidence { &unlearned_scores } else { &[] },
        profiles: input.graph.map_or(&[], |graph| &graph.profiles),
        paths: &paths,
        calls: calls.as_deref().unwrap_or_default(),
    })?;
    let first = ranking.services().first().map(|ranked| ranked.service.clone()).unwrap_or_default();
    Ok(Ranked {
        ranking,
        assessment: by_evidence.then_some(assessment),
        warnings: if by_evidence { warnings } else { Vec::new() },
        counterfactuals: if by_evidence {
            counterfactuals_to_wire(&counterfactuals, &first, &services)
        } else {
            Vec::new()
        },
        walk: trace.to_wire(&services),
    })
}

fn counterfactuals_to_wire(
    leaders: &[Leader],
    service: &str,
    services: &[String],
) -> Vec<v1::Counterfactual> {
    leaders
        .iter()
        .map(|leader| v1::Counterfactual {
            service: service.into(),
            metric: leader.metric.map_or(0, |kind| kind.to_wire().into()),
            ranked_first: services[leader.first].clone(),
        })
        .collect()
}

/// What was measured, in the order of `services`; those without metrics have no evidence.
fn over(services: &[String], frame: &MetricFrame, measured: Vec<ServiceEvidence>) -> Vec<ServiceEvidence> {
    let mut all = vec![ServiceEvidence::default(); services.len()];
    for (name, found) in frame.services().iter().zip(measured) {
        if let Ok(index) = services.binary_search(name) {
            all[index] = found;
        }
    }
    all
}

/// The weights that a method gives to the metric types: learned ones for `automap`, equal ones for `evidence`, which
/// sums over the types, and none for the baselines.
pub fn metric_weights(method: Method, graph: Option<&GraphInput>) -> Vec<f64> {
    match (method, graph) {
        (Method::Automap, Some(found)) => found.weights.to_vec(),
        (Method::Evidence, _) => vec![1.0 / METRIC_COUNT as f64; METRIC_COUNT],
        _ => Vec::new(),
    }
}

impl GraphInput {
    /// The correlations as the wire has them.
    pub fn correlations_to_wire(&self) -> Vec<v1::FrontEndCorrelation> {
        MetricKind::ALL
            .into_iter()
            .map(|kind| v1::FrontEndCorrelation {
                metric: kind.to_wire().into(),
                absolute: self.correlations[kind.index()].clone(),
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use automap_proto::{behavior_graph::EdgeWeights, call_graph::CallGraph, hop::Hop, time::UnixMillis};
    use ndarray::Array1;

    use super::*;
    use crate::{
        stop::NEVER,
        test_frames::{TestSeries, frame_of},
    };

    /// Three services; the cpu of `db` rises in the last four of twenty rows.
    fn frame() -> MetricFrame {
        let series = |service: &'static str, phase: usize, fault: f64| TestSeries {
            service,
            metric: MetricKind::Cpu,
            name: "cpu",
            samples: Array1::from_iter(
                (0..20).map(|row| ((row + phase) % 3) as f64 + if row >= 16 { fault } else { 0.0 }),
            ),
        };
        frame_of(&[series("web", 0, 0.0), series("cart", 1, 0.0), series("db", 2, 50.0)])
    }

    fn context(calls: &[(&str, &str)]) -> IncidentContext {
        let pairs = calls.iter().map(|(caller, callee)| ((*caller).to_owned(), (*callee).to_owned()));
        let graph = CallGraph::new(pairs).unwrap();
        IncidentContext::new("shop", "web", UnixMillis(0), None, vec![], Some(graph)).unwrap()
    }

    fn rows() -> WindowRows {
        WindowRows { normal: (0..16).collect(), incident: (16..20).collect(), exclusions_ignored: false }
    }

    fn graph(frame: &MetricFrame) -> GraphInput {
        let mut anomaly = BehaviorGraph::new(frame.services().to_vec()).unwrap();
        let weights = EdgeWeights::from_counts([0, 0, 0, 1, 0, 0, 0]).unwrap();
        for (from, to) in [("web", "cart"), ("cart", "db")] {
            let index = |name| frame.service_index(name).unwrap();
            anomaly.set_edge(index(from), index(to), weights).unwrap();
        }
        GraphInput {
            anomaly,
            profiles: vec![],
            correlations: std::array::from_fn(|_| vec![0.5; frame.services().len()]),
            weights: [1.0 / METRIC_COUNT as f64; METRIC_COUNT],
            throughput: None,
            shares: None,
        }
    }

    fn ranking(
        method: Method,
        calls: &[(&str, &str)],
        graph: Option<&GraphInput>,
    ) -> Result<Ranking, Invalid> {
        rank_services(&RankInput {
            frame: &frame(),
            rows: &rows(),
            remembered: 0,
            context: &context(calls),
            edges: None,
            rules: &EdgeRules::default(),
            graph,
            method,
            seed: 1,
            parameters: &MethodParameters::default(),
            learned: None,
            stop: &NEVER,
            want_walk: false,
        })
        .map(|ranked| ranked.ranking)
        .map_err(|error| match error {
            RankError::Invalid(invalid) => invalid,
            RankError::Stopped(stopped) => panic!("{stopped}"),
        })
    }

    #[test]
    fn every_method_ranks_every_service_of_frame_and_call_graph_once() {
        let graph = graph(&frame());
        for method in Method::ALL {
            let ranking = ranking(method, &[("web", "cart"), ("cart", "silent")], Some(&graph)).unwrap();
            let mut names: Vec<&str> =
                ranking.services().iter().map(|ranked| ranked.service.as_str()).collect();
            names.sort_unstable();
            assert_eq!(names, ["cart", "db", "silent", "web"], "{method}");
        }
    }

    #[test]
    fn evidence_finds_the_service_that_left_its_normal_behaviour_with_and_without_calls() {
        let with_calls = ranking(Method::Evidence, &[("web", "cart"), ("cart", "db")], None).unwrap();
        assert_eq!(with_calls.services()[0].service, "db");
        assert_eq!(with_calls.services()[0].path, ["web", "cart", "db"]);
        let graph = graph(&frame());
        let without_calls = ranking(Method::Evidence, &[], Some(&graph)).unwrap();
        assert_eq!(without_calls.services()[0].service, "db");
        assert_eq!(
            without_calls.services()[0].path,
            ["web", "cart", "db"],
            "explained by the behaviour graph"
        );
    }

    #[test]
    fn a_path_tells_where_it_goes_against_a_call_and_where_no_call_is_known() {
        let hops = |calls: &[(&str, &str)]| {
            let ranked = ranking(Method::Evidence, calls, Some(&graph(&frame()))).unwrap();
            ranked.services()[0].path_hops.clone()
        };
        assert_eq!(hops(&[("web", "cart"), ("db", "cart")]), [Hop::Calls, Hop::CalledBy]);
        assert_eq!(hops(&[]), [Hop::Unknown; 2], "along the behaviour graph");
    }

    #[test]
    fn a_service_that_only_the_call_graph_knows_comes_last_by_the_published_walk() {
        let graph = graph(&frame());
        let ranking = ranking(Method::Automap, &[("web", "silent")], Some(&graph)).unwrap();
        assert_eq!(ranking.services()[3].service, "silent");
        assert!(ranking.services()[3].path.is_empty());
    }

    #[test]
    fn the_published_walk_needs_its_graph_and_random_ties_all() {
        assert_eq!(ranking(Method::Automap, &[], None).unwrap_err().field(), "behavior_graph");
        let random = ranking(Method::Random, &[], None).unwrap();
        assert!(random.services().iter().all(|ranked| ranked.score == 0.0));
    }

    #[test]
    fn a_ranking_that_nobody_waits_for_ends_whatever_the_method() {
        let stop = AtomicBool::new(true);
        for method in Method::ALL {
            let stopped = rank_services(&RankInput {
                frame: &frame(),
                rows: &rows(),
                remembered: 0,
                context: &context(&[]),
                edges: None,
                rules: &EdgeRules::default(),
                graph: Some(&graph(&frame())),
                method,
                seed: 1,
                parameters: &MethodParameters::default(),
                learned: None,
                stop: &stop,
                want_walk: false,
            });
            assert_eq!(stopped, Err(RankError::Stopped(Stopped)), "{method}");
        }
    }

    #[test]
    fn weights_are_learned_ones_equal_ones_or_none() {
        let mut graph = graph(&frame());
        graph.weights = [0.4, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1];
        assert_eq!(metric_weights(Method::Automap, Some(&graph)), graph.weights);
        assert_eq!(metric_weights(Method::Evidence, Some(&graph)), [1.0 / 7.0; 7]);
        assert!(metric_weights(Method::NSigma, None).is_empty());
    }
}
