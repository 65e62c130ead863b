//! How far an answer can be trusted: confidence, abstention, onset, the metric at fault, the graph that was walked.

use serde::{Deserialize, Serialize};

use crate::{invalid::Invalid, metric::MetricKind, time::UnixMillis, v1};

/// Most metric types named as the one at fault.
pub const MAX_METRIC_CANDIDATES: usize = 2;

/// Why an answer names no root cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Abstention {
    /// No service left its normal behaviour.
    NothingDeparted,
    /// Services left it hardly further than in normal times, or several tie for the first place.
    NotUnusual,
}

/// Along which graph the evidence was walked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WalkedGraph {
    /// None: ranked by the evidence alone.
    None,
    /// The given call graph.
    Calls,
    /// Services whose throughput moves together.
    Throughput,
}

/// A metric type that may be the one at fault.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MetricCandidate {
    /// The type.
    pub metric: MetricKind,
    /// Evidence beyond what normal times show; finite, larger is more suspect.
    pub score: f64,
}

/// Whether a given call graph fits the metrics.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CallGraphFit {
    /// Mean CI share of the pairs that call each other, 0 to 1.
    pub share_along_calls: f64,
    /// Mean CI share of all other pairs, 0 to 1.
    pub share_elsewhere: f64,
    /// Share of node permutations, the given order included, that fit at least as well; 0 to 1.
    pub p_value: f64,
    /// Permutations tried.
    pub permutations: u32,
    /// Whether the graph was good enough to be walked.
    pub trusted: bool,
}

/// How far an answer can be trusted.
#[derive(Debug, Clone, PartialEq)]
pub struct Assessment {
    /// Chance that the service ranked first is a root cause, 0 to 1.
    pub confidence: f64,
    /// ln((a_top + κ) / (mean over placebo windows of the largest a + κ)), κ being `evidence.contrast-softening`; finite.
    pub contrast: f64,
    /// Normal windows that were diagnosed as if they were the incident.
    pub placebo_windows: u32,
    /// Why no root cause is named, with a sentence on what was missing; `None` when one is named.
    pub abstention: Option<(Abstention, String)>,
    /// Most services left their normal behaviour at once.
    pub global_cause: bool,
    /// When the incident began, as the metrics tell.
    pub onset: UnixMillis,
    /// Of the service ranked first, most suspect first; at most [`MAX_METRIC_CANDIDATES`].
    pub root_cause_metrics: Vec<MetricCandidate>,
    /// Along which graph the evidence was walked.
    pub walked_graph: WalkedGraph,
    /// Absent without a call graph, or where it could not be tested.
    pub call_graph_fit: Option<CallGraphFit>,
}

impl From<&Assessment> for v1::Assessment {
    fn from(assessment: &Assessment) -> Self {
        let abstention = assessment.abstention.as_ref().map(|(abstention, _)| match abstention {
            Abstention::NothingDeparted => v1::Abstention::NothingDeparted,
            Abstention::NotUnusual => v1::Abstention::NotUnusual,
        });
        let walked_graph = match assessment.walked_graph {
            WalkedGraph::None => v1::WalkedGraph::None,
            WalkedGraph::Calls => v1::WalkedGraph::Calls,
            WalkedGraph::Throughput => v1::WalkedGraph::Throughput,
        };
        let candidates = assessment.root_cause_metrics.iter().map(|candidate| v1::MetricCandidate {
            metric: candidate.metric.to_wire().into(),
            score: candidate.score,
        });
        Self {
            confidence: assessment.confidence,
            contrast: assessment.contrast,
            placebo_windows: assessment.placebo_windows,
            abstention: abstention.unwrap_or_default().into(),
            reason: assessment.abstention.as_ref().map_or_else(String::new, |(_, reason)| reason.clone()),
            global_cause: assessment.global_cause,
            onset: Some(assessment.onset.to_wire()),
            root_cause_metrics: candidates.collect(),
            walked_graph: walked_graph.into(),
            call_graph_fit: assessment.call_graph_fit.as_ref().map(|fit| v1::CallGraphFit {
                share_along_calls: fit.share_along_calls,
                share_elsewhere: fit.share_elsewhere,
                p_value: fit.p_value,
                permutations: fit.permutations,
                trusted: fit.trusted,
            }),
        }
    }
}

impl TryFrom<&v1::Assessment> for Assessment {
    type Error = Invalid;

    fn try_from(wire: &v1::Assessment) -> Result<Self, Invalid> {
        let abstention = match v1::Abstention::try_from(wire.abstention) {
            Ok(v1::Abstention::Unspecified) => None,
            Ok(v1::Abstention::NothingDeparted) => Some(Abstention::NothingDeparted),
            Ok(v1::Abstention::NotUnusual) => Some(Abstention::NotUnusual),
            Err(_) => return Err(Invalid::new("assessment.abstention", "is no known reason to abstain")),
        };
        let walked_graph = match v1::WalkedGraph::try_from(wire.walked_graph) {
            Ok(v1::WalkedGraph::None) => WalkedGraph::None,
            Ok(v1::WalkedGraph::Calls) => WalkedGraph::Calls,
            Ok(v1::WalkedGraph::Throughput) => WalkedGraph::Throughput,
            _ => return Err(Invalid::new("assessment.walked_graph", "is no known graph")),
        };
        if !wire.contrast.is_finite() {
            return Err(Invalid::new("assessment.contrast", "is not finite"));
        }
        if wire.root_cause_metrics.len() > MAX_METRIC_CANDIDATES {
            return Err(Invalid::new(
                "assessment.root_cause_metrics",
                format!("are {}; at most {MAX_METRIC_CANDIDATES} are named", wire.root_cause_metrics.len()),
            ));
        }
        Ok(Self {
            confidence: share("assessment.confidence", wire.confidence)?,
            contrast: wire.contrast,
            placebo_windows: wire.placebo_windows,
            abstention: abstention.map(|abstention| (abstention, wire.reason.clone())),
            global_cause: wire.global_cause,
            onset: UnixMillis::from_wire("assessment.onset", wire.onset)?,
            root_cause_metrics: wire
                .root_cause_metrics
                .iter()
                .map(MetricCandidate::try_from)
                .collect::<Result<_, _>>()?,
            walked_graph,
            call_graph_fit: wire.call_graph_fit.as_ref().map(CallGraphFit::try_from).transpose()?,
        })
    }
}

impl TryFrom<&v1::MetricCandidate> for MetricCandidate {
    type Error = Invalid;

    fn try_from(wire: &v1::MetricCandidate) -> Result<Self, Invalid> {
        if !wire.score.is_finite() {
            return Err(Invalid::new("assessment.root_cause_metrics.score", "is not finite"));
        }
        let metric = MetricKind::from_wire("assessment.root_cause_metrics.metric", wire.metric)?;
        Ok(Self { metric, score: wire.score })
    }
}

impl TryFrom<&v1::CallGraphFit> for CallGraphFit {
    type Error = Invalid;

    fn try_from(wire: &v1::CallGraphFit) -> Result<Self, Invalid> {
        Ok(Self {
            share_along_calls: share("call_graph_fit.share_along_calls", wire.share_along_calls)?,
            share_elsewhere: share("call_graph_fit.share_elsewhere", wire.share_elsewhere)?,
            p_value: share("call_graph_fit.p_value", wire.p_value)?,
            permutations: wire.permutations,
            trusted: wire.trusted,
        })
    }
}

fn share(field: &str, value: f64) -> Result<f64, Invalid> {
    if (0.0..=1.0).contains(&value) {
        return Ok(value);
    }
    Err(Invalid::new(field, format!("is {value}; must lie between 0 and 1")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assessment() -> Assessment {
        Assessment {
            confidence: 0.25,
            contrast: -0.5,
            placebo_windows: 12,
            abstention: Some((Abstention::NotUnusual, "normal times look the same".into())),
            global_cause: true,
            onset: UnixMillis(9_000),
            root_cause_metrics: vec![MetricCandidate { metric: MetricKind::Cpu, score: 1.5 }],
            walked_graph: WalkedGraph::Calls,
            call_graph_fit: Some(CallGraphFit {
                share_along_calls: 0.5,
                share_elsewhere: 0.25,
                p_value: 0.01,
                permutations: 199,
                trusted: true,
            }),
        }
    }

    #[test]
    fn assessments_survive_the_wire() {
        let one = assessment();
        assert_eq!(Assessment::try_from(&v1::Assessment::from(&one)), Ok(one.clone()));
        let other = Assessment { abstention: None, call_graph_fit: None, ..one };
        assert_eq!(Assessment::try_from(&v1::Assessment::from(&other)), Ok(other));
    }

    #[test]
    fn impossible_values_are_refused_by_field() {
        let wire = v1::Assessment::from(&assessment());
        let refused = |change: &dyn Fn(&mut v1::Assessment)| {
            let mut changed = wire.clone();
            change(&mut changed);
            Assessment::try_from(&changed).unwrap_err().field().to_owned()
        };
        assert_eq!(refused(&|one| one.confidence = 1.5), "assessment.confidence");
        assert_eq!(refused(&|one| one.contrast = f64::NAN), "assessment.contrast");
        assert_eq!(refused(&|one| one.abstention = 9), "assessment.abstention");
        assert_eq!(refused(&|one| one.walked_graph = 0), "assessment.walked_graph");
        assert_eq!(refused(&|one| one.onset = None), "assessment.onset");
        let many = vec![v1::MetricCandidate { metric: 1, score: 1.0 }; 3];
        assert_eq!(refused(&|one| one.root_cause_metrics.clone_from(&many)), "assessment.root_cause_metrics");
    }
}
