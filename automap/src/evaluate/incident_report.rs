//! Every incident with what each contender answered.

use std::collections::BTreeMap;

use automap_proto::{assessment::Abstention, metric::MetricKind};
use serde::Serialize;

use super::{measured::Measured, outcome::Outcome, precision::MAX_K};

/// Most services named where several tie for the first place.
const MAX_NAMED: usize = 3;

/// One incident.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct IncidentReport {
    /// Dataset and directory.
    pub id: String,
    /// Who was at fault.
    pub root_causes: Vec<String>,
    /// The metric at fault, where known.
    pub root_cause_metric: Option<MetricKind>,
    /// What was done, where known.
    pub fault_type: Option<String>,
    /// Whether nobody could have known.
    pub unknowable: Option<bool>,
    /// By name of the contender.
    pub answers: BTreeMap<String, AnswerReport>,
}

/// One answer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AnswerReport {
    /// The service ranked first; several, but at most three, where they tie.
    pub first: Vec<String>,
    /// How many tie for the first place.
    pub tied: usize,
    /// PR@1 to PR@5.
    pub precision: [f64; MAX_K],
    /// Where the method says it.
    pub confidence: Option<f64>,
    /// Whether it said that it names no root cause.
    pub abstained: bool,
    /// Why it did.
    pub abstention: Option<Abstention>,
    /// The metric types at fault in its eyes.
    pub metrics: Vec<MetricKind>,
    /// Why there was no answer.
    pub refused: Option<String>,
}

/// All incidents, in the order of their datasets.
pub(super) fn incidents(measured: &Measured, unknowable: Option<&[Vec<bool>]>) -> Vec<IncidentReport> {
    let answer = |outcome: &Outcome| AnswerReport {
        first: outcome.first.iter().take(MAX_NAMED).cloned().collect(),
        tied: outcome.first.len(),
        precision: outcome.precision,
        confidence: outcome.confidence,
        abstained: outcome.abstention.is_some(),
        abstention: outcome.abstention,
        metrics: outcome.metrics.clone(),
        refused: outcome.refused.clone(),
    };
    let mut reports = Vec::new();
    for (dataset, set) in measured.sets.iter().enumerate() {
        for (index, case) in set.cases.iter().enumerate() {
            let answers = measured.contenders.iter().enumerate().map(|(contender, named)| {
                (named.name.clone(), answer(&measured.runs[dataset][contender].outcomes[index]))
            });
            reports.push(IncidentReport {
                id: case.id.clone(),
                root_causes: case.label.root_cause_services.clone(),
                root_cause_metric: case.label.root_cause_metric,
                fault_type: case.label.fault_type.clone(),
                unknowable: unknowable.map(|unseen| unseen[dataset][index]),
                answers: answers.collect(),
            });
        }
    }
    reports
}
