//! Root cause by first answer, dataset by dataset.

use automap_proto::metric::MetricKind;
use serde::Serialize;

use super::{
    case::CaseSet,
    confusion::Confusion,
    measured::{Measured, Run},
};

/// A confusion matrix of one dataset.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ConfusionReport {
    /// Name of the dataset.
    pub dataset: String,
    /// Root cause by the service answered first.
    pub services: Confusion,
    /// Metric at fault by the metric answered first, over incidents whose label names one.
    pub metrics: Confusion,
}

/// The confusion matrices of the first contender.
pub(super) fn confusions(measured: &Measured) -> Vec<ConfusionReport> {
    let of_set = |(set, runs): (&CaseSet, &Vec<Run>)| {
        let outcomes = &runs[0].outcomes;
        let services: Vec<(&[String], &[String])> = set
            .cases
            .iter()
            .zip(outcomes)
            .map(|(case, outcome)| (case.label.root_cause_services.as_slice(), outcome.first.as_slice()))
            .collect();
        let name = |kind: Option<&MetricKind>| kind.map(|kind| kind.name().to_owned()).into_iter().collect();
        let metrics: Vec<(Vec<String>, Vec<String>)> = set
            .cases
            .iter()
            .zip(outcomes)
            .filter(|(case, _)| case.label.root_cause_metric.is_some())
            .map(|(case, outcome)| {
                (name(case.label.root_cause_metric.as_ref()), name(outcome.metrics.first()))
            })
            .collect();
        let metrics: Vec<(&[String], &[String])> =
            metrics.iter().map(|(actual, answered)| (actual.as_slice(), answered.as_slice())).collect();
        ConfusionReport {
            dataset: set.name.clone(),
            services: Confusion::new(&services),
            metrics: Confusion::new(&metrics),
        }
    };
    measured.sets.iter().zip(&measured.runs).map(of_set).collect()
}
