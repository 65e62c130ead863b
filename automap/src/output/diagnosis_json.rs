//! A diagnosis as JSON, for programs.

use std::collections::BTreeMap;

use automap_proto::{
    hop::Hop,
    learned_weights::LearnedWeights,
    metric::{METRIC_COUNT, MetricKind},
    ranking::{Direction, Evidence, RankedService},
    time::UnixMillis,
    v1,
};
use serde::Serialize;

use super::{
    edge_json::{self, EdgeTestJson},
    verdict::VerdictJson,
};
use crate::answer::Answer;

/// The JSON form of a diagnosis. Times are unix seconds.
#[derive(Debug, Serialize)]
pub struct DiagnosisJson {
    diagnosis_id: String,
    incident_id: Option<String>,
    system: String,
    front_end: String,
    method: &'static str,
    seed: u64,
    /// Absent for a method that gives none.
    verdict: Option<VerdictJson>,
    window: WindowJson,
    normal_window: WindowJson,
    ranking: Vec<RankedJson>,
    /// Who would be ranked first had the first shown less.
    counterfactuals: Vec<CounterfactualJson>,
    /// Edges of the anomaly behaviour graph; empty where none was built.
    edges: Vec<EdgeJson>,
    metric_weights: BTreeMap<&'static str, f64>,
    /// `null` where no confirmed incident taught anything.
    learned_weights: Option<LearnedJson>,
    similar_incidents: Vec<SimilarJson>,
    settings: BTreeMap<String, String>,
    /// Metric types that some services lack.
    coverage: Vec<CoverageJson>,
    warnings: Vec<String>,
    version: String,
    /// Versions of the services that took part.
    versions: BTreeMap<String, String>,
    seconds: BTreeMap<String, f64>,
}

#[derive(Debug, Serialize)]
struct CoverageJson {
    metric: Option<MetricKind>,
    /// Services with samples of it in the incident.
    services: u32,
    /// Services without; empty where no service has it.
    lacking: Vec<String>,
}

#[derive(Debug, Serialize)]
struct WindowJson {
    start: f64,
    end: f64,
    step_seconds: f64,
    samples: u64,
    missing_fraction: f64,
}

#[derive(Debug, Serialize)]
struct CounterfactualJson {
    /// The metric type in which the first had stayed normal; `null` for all of them.
    without_metric: Option<MetricKind>,
    ranked_first: String,
}

#[derive(Debug, Serialize)]
struct RankedJson {
    rank: u32,
    service: String,
    score: f64,
    class: Option<char>,
    evidence: Vec<EvidenceJson>,
    path: Vec<String>,
    path_share: f64,
    /// Of each step of the path who calls whom.
    path_hops: Vec<Hop>,
    onset: Option<f64>,
    /// The sum of the evidence, before any walk.
    deviation: f64,
    unlearned_score: Option<f64>,
}

#[derive(Debug, Serialize)]
struct EdgeJson {
    from: String,
    to: String,
    directed: bool,
    /// Share of the metric types that both services have in which the pair stays dependent; absent where it was not
    /// computed.
    ci_share: Option<f64>,
    /// Share of the bootstrap resamples in which the pair is connected; absent where none were drawn.
    #[serde(skip_serializing_if = "Option::is_none")]
    confidence: Option<f64>,
    /// What is left of the edge after normal behaviour was subtracted, by metric type; they sum to 1.
    weights: BTreeMap<&'static str, f64>,
    /// Of the incident, in the metric types in which the pair was connected then.
    tests: Vec<EdgeTestJson>,
}

#[derive(Debug, Serialize)]
struct EvidenceJson {
    metric: MetricKind,
    series: String,
    /// ln(1 + times_normal_spread), what scores are made of.
    deviation: f64,
    times_normal_spread: f64,
    direction: Direction,
}

#[derive(Debug, Serialize)]
struct SimilarJson {
    incident_id: String,
    similarity: f64,
    root_causes: Vec<String>,
    /// The metric that showed the cause, where it was confirmed.
    metric: Option<MetricKind>,
}

/// What the evidence of a metric type in one direction counts; what is not named counts 1.
#[derive(Debug, Serialize)]
struct WeightJson {
    metric: MetricKind,
    direction: Direction,
    weight: f64,
}

#[derive(Debug, Serialize)]
struct LearnedJson {
    /// Confirmed incidents that taught the weights.
    incidents: u32,
    weights: Vec<WeightJson>,
    leads: Vec<LeadJson>,
}

/// What it counts to deviate more than all others by a metric type; what is not named counts 1.
#[derive(Debug, Serialize)]
struct LeadJson {
    metric: MetricKind,
    weight: f64,
}

impl From<&Answer> for DiagnosisJson {
    fn from(answer: &Answer) -> Self {
        let wire = &answer.wire;
        let weights = <[f64; METRIC_COUNT]>::try_from(wire.metric_weights.as_slice()).ok();
        let metric_weights = weights.map(|weights| {
            MetricKind::ALL.into_iter().map(|kind| (kind.name(), weights[kind.index()])).collect()
        });
        Self {
            diagnosis_id: wire.diagnosis_id.clone(),
            incident_id: Some(wire.incident_id.clone()).filter(|id| !id.is_empty()),
            system: wire.system.clone(),
            front_end: wire.front_end.clone(),
            method: answer.method.name(),
            seed: wire.seed,
            verdict: VerdictJson::new(answer),
            window: window(wire.window.as_ref()),
            normal_window: window(wire.normal_window.as_ref()),
            ranking: answer.ranking.services().iter().map(ranked).collect(),
            counterfactuals: wire
                .counterfactuals
                .iter()
                .map(|one| CounterfactualJson {
                    without_metric: MetricKind::from_wire("metric", one.metric).ok(),
                    ranked_first: one.ranked_first.clone(),
                })
                .collect(),
            edges: edges(answer),
            metric_weights: metric_weights.unwrap_or_default(),
            learned_weights: answer.learned.as_ref().map(learned),
            similar_incidents: wire.similar.iter().map(similar).collect(),
            settings: wire.settings.clone().into_iter().collect(),
            warnings: wire.warnings.clone(),
            version: wire.version.clone(),
            versions: wire.versions.iter().map(|(name, version)| (name.clone(), version.clone())).collect(),
            coverage: wire
                .coverage
                .iter()
                .map(|one| CoverageJson {
                    metric: MetricKind::from_wire("metric", one.metric).ok(),
                    services: one.services,
                    lacking: one.lacking.clone(),
                })
                .collect(),
            seconds: answer.stage_seconds().map(|(stage, seconds)| (stage.to_owned(), seconds)).collect(),
        }
    }
}

fn edges(answer: &Answer) -> Vec<EdgeJson> {
    let Some(graph) = &answer.graph else {
        return Vec::new();
    };
    let shares = answer.wire.behavior_graph.as_ref().map_or(&[][..], |explained| &explained.ci_shares);
    let shares: BTreeMap<(usize, usize), f64> =
        graph.edges().zip(shares).map(|((from, to, _), share)| ((from, to), *share)).collect();
    graph
        .drawn_edges()
        .map(|(from, to, directed, weights)| EdgeJson {
            from: graph.services()[from].clone(),
            to: graph.services()[to].clone(),
            directed,
            ci_share: shares.get(&(from, to)).copied(),
            confidence: graph.confidence(from, to),
            weights: edge_json::weights(weights),
            tests: edge_json::tests(graph, from, to),
        })
        .collect()
}

fn window(wire: Option<&v1::WindowSummary>) -> WindowJson {
    let summary = wire.cloned().unwrap_or_default();
    let seconds = |time| UnixMillis::from_wire("window", time).map_or(0.0, UnixMillis::seconds);
    let step = summary.step.unwrap_or_default();
    WindowJson {
        start: seconds(summary.start),
        end: seconds(summary.end),
        step_seconds: step.seconds as f64 + f64::from(step.nanos) / 1e9,
        samples: summary.samples,
        missing_fraction: summary.missing_fraction,
    }
}

fn ranked(ranked: &RankedService) -> RankedJson {
    RankedJson {
        rank: ranked.rank,
        service: ranked.service.clone(),
        score: ranked.score,
        class: ranked.class.map(|class| class.letter()),
        evidence: ranked.evidence.iter().map(evidence).collect(),
        path: ranked.path.clone(),
        path_share: ranked.path_share,
        path_hops: ranked.path_hops.clone(),
        onset: ranked.onset.map(UnixMillis::seconds),
        deviation: ranked.deviation,
        unlearned_score: ranked.unlearned_score,
    }
}

fn evidence(evidence: &Evidence) -> EvidenceJson {
    EvidenceJson {
        metric: evidence.metric,
        series: evidence.series.clone(),
        deviation: evidence.deviation,
        times_normal_spread: evidence.deviation.exp_m1().min(f64::MAX),
        direction: evidence.direction,
    }
}

fn similar(incident: &v1::PastIncident) -> SimilarJson {
    SimilarJson {
        incident_id: incident.incident_id.clone(),
        similarity: incident.similarity,
        root_causes: incident.root_causes.clone(),
        metric: MetricKind::from_wire("metric", incident.metric).ok(),
    }
}

fn learned(weights: &LearnedWeights) -> LearnedJson {
    LearnedJson {
        incidents: weights.incidents(),
        weights: weights
            .changed()
            .map(|(metric, direction, weight)| WeightJson { metric, direction, weight })
            .collect(),
        leads: weights.changed_leads().map(|(metric, weight)| LeadJson { metric, weight }).collect(),
    }
}
