//! One ranking: frame, rows and graph go in; ranked services with evidence and paths come out. Pure.

use automap_proto::{
    behavior_graph::BehaviorGraph,
    frame::MetricFrame,
    incident::{IncidentContext, WindowRows},
    invalid::Invalid,
    method::Method,
    metric::{METRIC_COUNT, MetricKind},
    profile::ServiceProfile,
    ranking::{Evidence, Ranking},
    v1,
};

use crate::{
    automap_walk::{AutomapInput, automap_walk},
    deviation::deviations,
    evidence_walk::{evidence_walk, walked_services},
    n_sigma::n_sigma,
    parameters::MethodParameters,
    rank::{Findings, random_scores, rank},
    service_evidence::ServiceEvidence,
    walked_paths::{WalkedPath, along_behavior, along_calls, walk_paths},
};

/// The behaviour graph of an incident with what is known beside it.
#[derive(Debug, Clone, PartialEq)]
pub struct GraphInput {
    /// Incident graph minus normal behaviour, over the services of the frame.
    pub anomaly: BehaviorGraph,
    /// Profiles of its services; may be empty.
    pub profiles: Vec<ServiceProfile>,
    /// |Pearson| with the front end, per metric type and service.
    pub correlations: [Vec<f64>; METRIC_COUNT],
    /// Metric weights; they sum to 1.
    pub weights: [f64; METRIC_COUNT],
}

/// What a ranking is made from.
#[derive(Debug, Clone, Copy)]
pub struct RankInput<'a> {
    /// All series.
    pub frame: &'a MetricFrame,
    /// Normal and incident rows.
    pub rows: &'a WindowRows,
    /// Front end and, where known, call graph.
    pub context: &'a IncidentContext,
    /// The behaviour graph; `automap` cannot do without.
    pub graph: Option<&'a GraphInput>,
    /// How services are ranked.
    pub method: Method,
    /// Seeds every random choice.
    pub seed: u64,
    /// Parameters of the methods.
    pub parameters: &'a MethodParameters,
}

/// Scores and paths, one per service.
type Scored = (Vec<f64>, Vec<Option<WalkedPath>>);

/// Ranks every service that has metrics or stands in the call graph.
///
/// Evidence is the deviation from normal behaviour whatever the method, because that is what a person can check; the
/// baseline `n-sigma` shows its own. Paths come from the walk of the method, or for methods without one from a walk on
/// the call graph or the behaviour graph that explains and does not rank.
///
/// # Errors
/// The method is `automap` and there is no graph, or the graph is not one of the frame's services.
pub fn rank_services(input: &RankInput<'_>) -> Result<Ranking, Invalid> {
    let services = walked_services(input.frame.services(), input.context.call_graph());
    let measured = match input.method {
        Method::NSigma => n_sigma(input.frame, input.rows),
        _ => deviations(input.frame, input.rows),
    };
    let findings = over(&services, input.frame, measured);
    let totals: Vec<f64> = findings.iter().map(|found| found.total).collect();
    let (scores, paths) = match input.method {
        Method::Automap => by_automap(input, &services)?,
        Method::Evidence => (
            by_evidence(input, &services, &totals),
            explaining_paths(input, &services, &totals),
        ),
        Method::NSigma => {
            let paths = explaining_paths(input, &services, &totals);
            (totals, paths)
        }
        Method::Random => (random_scores(services.len()), Vec::new()),
    };
    let evidence: Vec<Vec<Evidence>> = findings.into_iter().map(|found| found.evidence).collect();
    rank(&Findings {
        services: &services,
        scores: &scores,
        evidence: &evidence,
        profiles: input.graph.map_or(&[], |graph| &graph.profiles),
        paths: &paths,
    })
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

/// Stationary mass of the walk on the call graph, or without one the evidence itself.
fn by_evidence(input: &RankInput<'_>, services: &[String], totals: &[f64]) -> Vec<f64> {
    match input.context.call_graph().filter(|calls| !calls.is_empty()) {
        Some(calls) => evidence_walk(services, totals, calls, &input.parameters.evidence),
        None => totals.to_vec(),
    }
}

/// Visits of the published walk. A service that only the call graph knows is not in the behaviour graph: never reached
/// and without correlation, it scores as such.
fn by_automap(input: &RankInput<'_>, services: &[String]) -> Result<Scored, Invalid> {
    let graph = input.graph.ok_or_else(|| Invalid::missing("behavior_graph"))?;
    let names = graph.anomaly.services();
    if names != input.frame.services() {
        return Err(Invalid::new(
            "behavior_graph.services",
            "are not the services of the frame",
        ));
    }
    let front_end = graph
        .anomaly
        .service_index(input.context.front_end())
        .ok_or_else(|| Invalid::new("front_end", "is no service of the behaviour graph"))?;
    let walk = AutomapInput {
        graph: &graph.anomaly,
        correlations: &graph.correlations,
        weights: &graph.weights,
        front_end,
    };
    let answer = automap_walk(
        &walk,
        &input.parameters.automap,
        &input.parameters.paths,
        input.seed,
    )?;
    let positions: Vec<Option<usize>> = names
        .iter()
        .map(|name| services.binary_search(name).ok())
        .collect();
    let mut scores = vec![NEVER_REACHED; services.len()];
    let mut paths = vec![None; services.len()];
    for (index, (score, path)) in answer.scores.into_iter().zip(answer.paths).enumerate() {
        let Some(position) = positions[index] else {
            continue;
        };
        scores[position] = score;
        paths[position] = path.map(|walked| WalkedPath {
            services: walked
                .services
                .iter()
                .filter_map(|&step| positions[step])
                .collect(),
            ..walked
        });
    }
    Ok((scores, paths))
}

/// Score of a service that no walk reached and that does not move with the front end, see [`automap_walk`].
const NEVER_REACHED: f64 = -2.0;

fn explaining_paths(input: &RankInput<'_>, services: &[String], totals: &[f64]) -> Vec<Option<WalkedPath>> {
    let Ok(front_end) = services.binary_search_by(|name| name.as_str().cmp(input.context.front_end())) else {
        return Vec::new();
    };
    let calls = input.context.call_graph().filter(|calls| !calls.is_empty());
    let matrix = match (calls, input.graph) {
        (Some(calls), _) => along_calls(services, totals, calls, &input.parameters.evidence),
        (None, Some(graph)) => along_behavior(services, &graph.anomaly),
        (None, None) => return Vec::new(),
    };
    walk_paths(&matrix, front_end, &input.parameters.paths, input.seed)
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
