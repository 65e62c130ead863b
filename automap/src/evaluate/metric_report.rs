//! How often the metric at fault was named, where labels name it.

use serde::Serialize;

use super::{
    bootstrap::mean,
    measured::Measured,
    outcome::{METRIC_K, Outcome},
};

/// The metric types that one contender named, over one dataset or all.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MetricReport {
    /// Name of the contender.
    pub method: String,
    /// Name of the dataset; `all` for all incidents together.
    pub dataset: String,
    /// Incidents whose label names a metric.
    pub incidents: usize,
    /// How often the first metric named, whatever the service, is the one at fault.
    pub ac1: f64,
    /// How often it is among the first two.
    pub ac2: f64,
    /// How often both the first service and its first metric are right.
    pub with_service: f64,
    /// How often the first metric is right where the first service is; absent where that never is.
    pub given_service: Option<f64>,
}

impl MetricReport {
    /// One per contender and dataset with such labels, and one per contender over all.
    pub fn all(measured: &Measured) -> Vec<Self> {
        let mut reports = Vec::new();
        for (index, contender) in measured.contenders.iter().enumerate() {
            for (set, runs) in measured.sets.iter().zip(&measured.runs) {
                let labelled: Vec<&Outcome> =
                    runs[index].outcomes.iter().filter(|outcome| outcome.metric.is_some()).collect();
                if !labelled.is_empty() {
                    reports.push(Self::new(&contender.name, &set.name, &labelled));
                }
            }
            let labelled: Vec<&Outcome> =
                measured.outcomes(index).filter(|outcome| outcome.metric.is_some()).collect();
            if !labelled.is_empty() {
                reports.push(Self::new(&contender.name, "all", &labelled));
            }
        }
        reports
    }

    fn new(method: &str, dataset: &str, labelled: &[&Outcome]) -> Self {
        let average = |value: &dyn Fn(&Outcome) -> f64| {
            mean(&labelled.iter().map(|outcome| value(outcome)).collect::<Vec<_>>())
        };
        let at = |k: usize| average(&|outcome| outcome.metric.unwrap_or([0.0; METRIC_K])[k - 1]);
        let with_service = average(&|outcome| outcome.service_and_metric.unwrap_or(0.0));
        let service = average(&|outcome| outcome.precision[0]);
        Self {
            method: method.into(),
            dataset: dataset.into(),
            incidents: labelled.len(),
            ac1: at(1),
            ac2: at(2),
            with_service,
            given_service: (service > 0.0).then(|| with_service / service),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluate::test_measured::{measured, outcome};

    #[test]
    fn only_incidents_whose_label_names_a_metric_count() {
        let named = |precision: f64, metric: [f64; 2], both: f64| Outcome {
            metric: Some(metric),
            service_and_metric: Some(both),
            ..outcome(precision)
        };
        let run = vec![
            named(1.0, [1.0, 1.0], 1.0),
            named(1.0, [0.0, 1.0], 0.0),
            named(0.0, [1.0, 1.0], 0.0),
            named(0.0, [0.0, 0.0], 0.0),
            outcome(1.0),
        ];
        let found = MetricReport::all(&measured(&["evidence"], vec![vec![run], vec![vec![outcome(1.0)]]]));
        assert_eq!(found.len(), 2, "a set without such labels has no row of its own");
        let all = &found[1];
        assert_eq!((all.dataset.as_str(), all.incidents), ("all", 4));
        assert_eq!((all.ac1, all.ac2, all.with_service, all.given_service), (0.5, 0.75, 0.25, Some(0.5)));
    }
}
