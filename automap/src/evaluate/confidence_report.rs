//! What the confidence of a contender is worth on a dataset, and on all incidents together.

use serde::Serialize;

use super::{
    bootstrap::mean,
    confidence_curves::{
        Answered, CalibrationGroup, CurvePoint, calibration, calibration_error, curve, discrimination,
        right_among_most_confident, risk_area,
    },
    measured::Measured,
    outcome::Outcome,
};

/// One contender that states its confidence.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ConfidenceReport {
    /// Name of the contender.
    pub method: String,
    /// Name of the dataset; `all` for all incidents together.
    pub dataset: String,
    /// Incidents with an answer.
    pub incidents: usize,
    /// PR@1 of all of them.
    pub ac1: f64,
    /// PR@1 of the most confident half.
    pub ac1_of_confident_half: f64,
    /// Chance that a right answer is more confident than a wrong one; absent when all are right or all wrong.
    pub discrimination: Option<f64>,
    /// Area under the risk-coverage curve; smaller is better, `1 − ac1` is chance.
    pub risk_area: f64,
    /// Share of the answers that name a root cause, the rest abstains, and PR@1 of those; absent when all abstain.
    pub named: f64,
    /// PR@1 of the answers that name a root cause.
    pub ac1_when_named: Option<f64>,
    /// Of answers that abstain, PR@1 of the ranking that they give all the same.
    pub ac1_when_abstained: Option<f64>,
    /// Answers of similar confidence, from the least confident up.
    pub calibration: Vec<CalibrationGroup>,
    /// Mean distance between stated confidence and share of right answers over those groups, 0 to 1.
    pub calibration_error: f64,
    /// Risk-coverage and precision-recall, from the most confident answers down.
    pub curve: Vec<CurvePoint>,
}

impl ConfidenceReport {
    /// One per contender that states confidence: over all incidents, then by dataset.
    pub fn all(measured: &Measured) -> Vec<Self> {
        let mut reports = Vec::new();
        for (index, contender) in measured.contenders.iter().enumerate() {
            let everything: Vec<&Outcome> = measured.outcomes(index).collect();
            reports.extend(Self::new(&contender.name, "all", &everything));
            for (set, runs) in measured.sets.iter().zip(&measured.runs) {
                let outcomes: Vec<&Outcome> = runs[index].outcomes.iter().collect();
                reports.extend(Self::new(&contender.name, &set.name, &outcomes));
            }
        }
        reports
    }

    /// `None` when no answer states a confidence.
    fn new(method: &str, dataset: &str, outcomes: &[&Outcome]) -> Option<Self> {
        let stated: Vec<&Outcome> =
            outcomes.iter().copied().filter(|outcome| outcome.confidence.is_some()).collect();
        let answers: Vec<Answered> = stated
            .iter()
            .map(|outcome| Answered {
                confidence: outcome.confidence.unwrap_or_default(),
                right: outcome.precision[0],
            })
            .collect();
        let right_where = |abstained: bool| {
            let right: Vec<f64> = stated
                .iter()
                .filter(|outcome| outcome.abstention.is_some() == abstained)
                .map(|outcome| outcome.precision[0])
                .collect();
            (!right.is_empty()).then(|| mean(&right))
        };
        let named = stated.iter().filter(|outcome| outcome.abstention.is_none()).count();
        (!answers.is_empty()).then(|| Self {
            method: method.into(),
            dataset: dataset.into(),
            incidents: answers.len(),
            ac1: right_among_most_confident(&answers, 1.0),
            ac1_of_confident_half: right_among_most_confident(&answers, 0.5),
            discrimination: discrimination(&answers),
            risk_area: risk_area(&answers),
            named: named as f64 / stated.len() as f64,
            ac1_when_named: right_where(false),
            ac1_when_abstained: right_where(true),
            calibration_error: calibration_error(&answers),
            calibration: calibration(&answers),
            curve: curve(&answers),
        })
    }
}

#[cfg(test)]
mod tests {
    use automap_proto::assessment::Abstention;

    use super::*;
    use crate::evaluate::test_measured::{measured, outcome};

    #[test]
    fn contenders_without_confidence_have_no_row_and_abstentions_are_counted_apart() {
        let stated = |right: f64, confidence: f64, abstained: bool| Outcome {
            confidence: Some(confidence),
            abstention: abstained.then_some(Abstention::NotUnusual),
            ..outcome(right)
        };
        let run = vec![stated(1.0, 0.9, false), stated(0.0, 0.2, true), stated(0.0, 0.6, false)];
        let silent = vec![outcome(1.0), outcome(1.0), outcome(1.0)];
        let found = ConfidenceReport::all(&measured(&["evidence", "random"], vec![vec![run, silent]]));
        assert_eq!(found.iter().map(|row| row.dataset.as_str()).collect::<Vec<_>>(), ["all", "set0"]);
        assert_eq!((found[0].ac1_when_named, found[0].ac1_when_abstained), (Some(0.5), Some(0.0)));
        assert_eq!((found[0].discrimination, found[0].curve.len()), (Some(1.0), 3));
        assert!((found[0].ac1_of_confident_half - 2.0 / 3.0).abs() < 1e-12);
    }
}
