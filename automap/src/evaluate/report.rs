//! The figures of an evaluation.

use automap_proto::method::Method;
use serde::Serialize;

use super::precision::{MAX_K, average_at_five};

/// What `automap evaluate` reports.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// In order of their paths.
    pub datasets: Vec<DatasetReport>,
    /// Mean over datasets, each counting the same.
    pub mean: Vec<MeanReport>,
}

/// The figures of one dataset.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DatasetReport {
    /// Name of its folder.
    pub name: String,
    /// Incidents that were diagnosed.
    pub incidents: usize,
    /// In the order in which the methods were asked for.
    pub methods: Vec<MethodReport>,
}

/// The figures of one method on one dataset.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MethodReport {
    /// The method.
    pub method: Method,
    /// How often the root causes were found.
    #[serde(flatten)]
    pub scores: Scores,
    /// Wall-clock seconds of one diagnosis, with as many at once as were asked for.
    pub seconds_per_incident: f64,
    /// Incidents without an answer; each counts as a miss.
    pub refused: usize,
}

/// The figures of one method over all datasets.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MeanReport {
    /// The method.
    pub method: Method,
    /// Mean over datasets.
    #[serde(flatten)]
    pub scores: Scores,
}

/// PR@1, PR@3, PR@5 and their mean over 1 to 5. With one root cause per incident PR@K is AC@K.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Scores {
    /// PR@1.
    pub ac1: f64,
    /// PR@3.
    pub ac3: f64,
    /// PR@5.
    pub ac5: f64,
    /// Mean of PR@1 to PR@5.
    pub avg5: f64,
}

/// One diagnosis of one incident, scored.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Outcome {
    /// PR@1 to PR@5; zero for a refusal.
    pub precision: [f64; MAX_K],
    /// Wall-clock seconds.
    pub seconds: f64,
    /// Whether there was no answer.
    pub refused: bool,
}

impl MethodReport {
    /// Averages the outcomes of one method on one dataset.
    pub fn new(method: Method, outcomes: &[Outcome]) -> Self {
        let mean = |value: fn(&Outcome) -> f64| mean_of(outcomes.iter().map(value));
        Self {
            method,
            scores: Scores {
                ac1: mean(|outcome| outcome.precision[0]),
                ac3: mean(|outcome| outcome.precision[2]),
                ac5: mean(|outcome| outcome.precision[4]),
                avg5: mean(|outcome| average_at_five(&outcome.precision)),
            },
            seconds_per_incident: mean(|outcome| outcome.seconds),
            refused: outcomes.iter().filter(|outcome| outcome.refused).count(),
        }
    }
}

impl Report {
    /// Adds the mean over datasets of each method.
    pub fn new(datasets: Vec<DatasetReport>) -> Self {
        let methods: Vec<Method> = datasets
            .first()
            .map_or_else(Vec::new, |first| first.methods.iter().map(|row| row.method).collect());
        let mean = methods.iter().enumerate().map(|(index, &method)| {
            let mean = |value: fn(&Scores) -> f64| {
                mean_of(datasets.iter().map(|dataset| value(&dataset.methods[index].scores)))
            };
            let scores = Scores {
                ac1: mean(|scores| scores.ac1),
                ac3: mean(|scores| scores.ac3),
                ac5: mean(|scores| scores.ac5),
                avg5: mean(|scores| scores.avg5),
            };
            MeanReport { method, scores }
        });
        Self { mean: mean.collect(), datasets }
    }
}

/// Arithmetic mean; 0 of nothing.
fn mean_of(values: impl ExactSizeIterator<Item = f64>) -> f64 {
    let count = values.len().max(1) as f64;
    values.sum::<f64>() / count
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(precision: f64, refused: bool) -> Outcome {
        Outcome { precision: [precision; MAX_K], seconds: 2.0, refused }
    }

    #[test]
    fn refusals_count_as_misses_and_datasets_count_alike() {
        let dataset = |name: &str, outcomes: &[Outcome]| DatasetReport {
            name: name.into(),
            incidents: outcomes.len(),
            methods: vec![MethodReport::new(Method::Evidence, outcomes)],
        };
        let report = Report::new(vec![
            dataset("a", &[outcome(1.0, false), outcome(0.0, true)]),
            dataset("b", &[outcome(1.0, false)]),
        ]);
        assert_eq!(report.datasets[0].methods[0].scores.ac1, 0.5);
        assert_eq!(report.datasets[0].methods[0].refused, 1);
        assert_eq!(report.mean[0].scores.avg5, 0.75);
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!(json["mean"][0]["method"], "evidence");
        assert_eq!(json["datasets"][1]["methods"][0]["ac3"], 1.0);
    }
}
