//! How often a root cause is named where nothing was wrong.

use serde::Serialize;

use super::{bootstrap::mean, measured::Measured, outcome::Outcome, score_interval::score_interval};

/// What such a file is.
const FORMAT: &str = "automap-evaluation-without-faults";
/// Raised when a field changes its meaning.
const FORMAT_VERSION: u32 = 1;

/// Confidence from which an answer is taken for a likely one.
const LIKELY: f64 = 0.5;

/// What `automap evaluate --no-fault` reports.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct NoFaultReport {
    /// What this file is.
    pub format: &'static str,
    /// Raised when a field changes its meaning.
    pub format_version: u32,
    /// Version of the command.
    pub automap_version: &'static str,
    /// Seeds every random choice.
    pub seed: u64,
    /// One per contender and dataset, and per contender over all datasets.
    pub no_fault: Vec<FalseNaming>,
}

/// The windows of one dataset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WindowCounts {
    /// Recordings that have none.
    pub skipped: usize,
    /// Distinct times among the windows.
    pub times: usize,
}

/// One contender on the windows of one dataset.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FalseNaming {
    /// Name of the contender.
    pub method: String,
    /// Name of the dataset, or `all`.
    pub dataset: String,
    /// Windows without a fault that were diagnosed.
    pub windows: usize,
    /// Distinct times among them: recordings of one day may show the same rows.
    pub times: usize,
    /// Recordings that have too few normal rows for one.
    pub skipped: usize,
    /// Windows in which a root cause was named; a method that never abstains names one in each.
    pub named: usize,
    /// Their share.
    pub share: f64,
    /// Its 95 % interval, Wilson's of so many answers as there are distinct times.
    pub interval: [f64; 2],
    /// Mean of the stated confidence; absent where the method states none.
    pub confidence: Option<f64>,
    /// Windows in which a root cause was named with a confidence of one half or more; absent where none is stated.
    pub named_as_likely: Option<usize>,
}

impl NoFaultReport {
    /// Counts what was named. `counts` has one entry per dataset.
    pub fn new(measured: &Measured, counts: &[WindowCounts], seed: u64) -> Self {
        let of_all = WindowCounts {
            skipped: counts.iter().map(|one| one.skipped).sum(),
            times: counts.iter().map(|one| one.times).sum(),
        };
        let mut no_fault = Vec::new();
        for (index, contender) in measured.contenders.iter().enumerate() {
            for (dataset, set) in measured.sets.iter().enumerate() {
                let outcomes: Vec<&Outcome> = measured.runs[dataset][index].outcomes.iter().collect();
                no_fault.push(FalseNaming::new(&contender.name, &set.name, &outcomes, counts[dataset]));
            }
            let all: Vec<&Outcome> = measured.outcomes(index).collect();
            no_fault.push(FalseNaming::new(&contender.name, "all", &all, of_all));
        }
        Self {
            format: FORMAT,
            format_version: FORMAT_VERSION,
            automap_version: env!("CARGO_PKG_VERSION"),
            seed,
            no_fault,
        }
    }
}

impl FalseNaming {
    fn new(method: &str, dataset: &str, outcomes: &[&Outcome], counts: WindowCounts) -> Self {
        let answered: Vec<&Outcome> =
            outcomes.iter().copied().filter(|outcome| outcome.refused.is_none()).collect();
        let names = |outcome: &Outcome| outcome.abstention.is_none();
        let named = answered.iter().filter(|outcome| names(outcome)).count();
        let stated: Vec<f64> = answered.iter().filter_map(|outcome| outcome.confidence).collect();
        let likely = |outcome: &&&Outcome| {
            names(outcome) && outcome.confidence.is_some_and(|confidence| confidence >= LIKELY)
        };
        let share = named as f64 / answered.len().max(1) as f64;
        Self {
            method: method.into(),
            dataset: dataset.into(),
            windows: answered.len(),
            times: counts.times.min(answered.len()),
            skipped: counts.skipped + outcomes.len() - answered.len(),
            named,
            share,
            interval: score_interval(share, counts.times.min(answered.len())),
            confidence: (!stated.is_empty()).then(|| mean(&stated)),
            named_as_likely: (!stated.is_empty()).then(|| answered.iter().filter(likely).count()),
        }
    }
}

#[cfg(test)]
mod tests {
    use automap_proto::assessment::Abstention;

    use super::*;
    use crate::evaluate::test_measured::{measured, outcome};

    #[test]
    fn what_is_named_is_counted_by_dataset_and_refusals_are_skipped() {
        let stated =
            |confidence, abstention| Outcome { confidence: Some(confidence), abstention, ..outcome(0.0) };
        let refused = Outcome { refused: Some("too little data".into()), ..outcome(0.0) };
        let evidence = vec![stated(0.7, None), stated(0.1, Some(Abstention::NotUnusual)), refused];
        let runs = vec![vec![evidence, vec![outcome(0.0); 3]]];
        let found = NoFaultReport::new(
            &measured(&["evidence", "random"], runs),
            &[WindowCounts { skipped: 2, times: 2 }],
            0,
        )
        .no_fault;
        let counts: Vec<(&str, &str, usize, usize, usize)> = found
            .iter()
            .map(|row| (row.method.as_str(), row.dataset.as_str(), row.windows, row.skipped, row.named))
            .collect();
        assert_eq!(
            counts,
            [
                ("evidence", "set0", 2, 3, 1),
                ("evidence", "all", 2, 3, 1),
                ("random", "set0", 3, 2, 3),
                ("random", "all", 3, 2, 3),
            ]
        );
        assert!((found[0].confidence.unwrap() - 0.4).abs() < 1e-12);
        assert_eq!((found[0].named_as_likely, found[2].confidence), (Some(1), None));
    }
}
