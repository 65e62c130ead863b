//! The verdict of a diagnosis for programs.

use automap_proto::{
    assessment::{Abstention, CallGraphFit, WalkedGraph},
    metric::MetricKind,
};
use serde::Serialize;

use crate::answer::Answer;

/// The JSON form of a verdict. Times are unix seconds.
#[derive(Debug, Serialize)]
pub struct VerdictJson {
    /// `null` when the diagnosis abstains.
    root_cause: Option<String>,
    /// Chance that the service ranked first is a root cause.
    confidence: f64,
    contrast: f64,
    placebo_windows: u32,
    abstention: Option<Abstention>,
    reason: Option<String>,
    global_cause: bool,
    onset: f64,
    root_cause_metrics: Vec<CandidateJson>,
    walked_graph: WalkedGraph,
    call_graph_fit: Option<FitJson>,
}

#[derive(Debug, Serialize)]
struct CandidateJson {
    metric: MetricKind,
    score: f64,
}

#[derive(Debug, Serialize)]
struct FitJson {
    share_along_calls: f64,
    share_elsewhere: f64,
    p_value: f64,
    permutations: u32,
    trusted: bool,
}

impl VerdictJson {
    /// The verdict of an answer; `None` where its method gives none.
    pub fn new(answer: &Answer) -> Option<Self> {
        let assessment = answer.assessment.as_ref()?;
        let first = answer.ranking.services().first().map(|ranked| ranked.service.clone());
        Some(Self {
            root_cause: first.filter(|_| assessment.abstention.is_none()),
            confidence: assessment.confidence,
            contrast: assessment.contrast,
            placebo_windows: assessment.placebo_windows,
            abstention: assessment.abstention.as_ref().map(|(kind, _)| *kind),
            reason: assessment.abstention.as_ref().map(|(_, reason)| reason.clone()),
            global_cause: assessment.global_cause,
            onset: assessment.onset.seconds(),
            root_cause_metrics: assessment
                .root_cause_metrics
                .iter()
                .map(|candidate| CandidateJson { metric: candidate.metric, score: candidate.score })
                .collect(),
            walked_graph: assessment.walked_graph,
            call_graph_fit: assessment.call_graph_fit.as_ref().map(FitJson::new),
        })
    }
}

impl FitJson {
    const fn new(fit: &CallGraphFit) -> Self {
        Self {
            share_along_calls: fit.share_along_calls,
            share_elsewhere: fit.share_elsewhere,
            p_value: fit.p_value,
            permutations: fit.permutations,
            trusted: fit.trusted,
        }
    }
}

#[cfg(test)]
mod tests {
    use automap_proto::{assessment::Assessment, time::UnixMillis, v1};

    use super::*;

    #[test]
    fn an_answer_that_abstains_names_no_root_cause() {
        let assessment = Assessment {
            confidence: 0.834,
            contrast: 1.2,
            placebo_windows: 12,
            abstention: Some((Abstention::NotUnusual, "normal times look the same".into())),
            global_cause: true,
            onset: UnixMillis(60_000),
            root_cause_metrics: vec![],
            walked_graph: WalkedGraph::Calls,
            call_graph_fit: None,
        };
        let cart = v1::RankedService { rank: 1, service: "cart".into(), ..v1::RankedService::default() };
        let doubtful = Answer::try_from(v1::Diagnosis {
            method: v1::Method::Evidence.into(),
            ranking: vec![cart],
            assessment: Some((&assessment).into()),
            ..v1::Diagnosis::default()
        })
        .unwrap();
        let json = serde_json::to_value(VerdictJson::new(&doubtful)).unwrap();
        assert!(json["root_cause"].is_null());
        assert_eq!((&json["abstention"], &json["onset"]), (&"not-unusual".into(), &60.0.into()));
    }
}
