//! What learning changed, and how that grew with the number of confirmed incidents.

use serde::Serialize;

use super::{
    bootstrap::mean,
    figure::Figure,
    headlines::{Averages, Headlines},
    learning::{Learning, by_time},
    measured::Measured,
};

/// Most points of a curve.
const MAX_ROUNDS: usize = 10;

/// What learning is worth.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LearningReport {
    /// From which incidents a diagnosis learned: `leave-one-out`, `folds=5`, `rounds`.
    pub from: String,
    /// Of each contender that learned.
    pub gains: Vec<LearningGain>,
    /// Only for `rounds`: per contender and dataset, then for the mean.
    pub curves: Vec<LearningCurve>,
}

/// What one contender gained by learning, incident by incident.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LearningGain {
    /// The contender that learned.
    pub method: String,
    /// The same without learning.
    pub without: String,
    /// Per dataset, then `mean`, and where datasets are excluded `mean without …`.
    pub on: Vec<GainOn>,
}

/// A paired difference.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GainOn {
    /// Of both figures.
    #[serde(flatten)]
    pub gain: Headlines,
    /// Incidents in which the first answer became right, less those in which it became wrong; absent for means.
    pub incidents: Option<f64>,
}

/// Accuracy by how many incidents were confirmed before.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LearningCurve {
    /// The contender that learned.
    pub method: String,
    /// Name of a dataset, or `mean`.
    pub dataset: String,
    /// In order of time.
    pub rounds: Vec<Round>,
}

/// A stretch of incidents.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Round {
    /// Incidents that were known at its end, over the datasets.
    pub incidents: usize,
    /// PR@1 of all incidents up to its end.
    pub ac1: f64,
    /// PR@3.
    pub ac3: f64,
    /// PR@5.
    pub ac5: f64,
    /// Mean of PR@1 to PR@5 of all incidents up to its end.
    pub avg5: f64,
    /// PR@1 of the same incidents without learning.
    pub ac1_without: f64,
    /// PR@3 without learning.
    pub ac3_without: f64,
    /// PR@5 without learning.
    pub ac5_without: f64,
    /// Mean of PR@1 to PR@5 of the same incidents without learning.
    pub avg5_without: f64,
}

impl Round {
    /// With figures in the order of [`Figure::ALL`].
    const fn new(incidents: usize, learned: [f64; 4], without: [f64; 4]) -> Self {
        let ([ac1, ac3, ac5, avg5], [ac1_without, ac3_without, ac5_without, avg5_without]) =
            (learned, without);
        Self { incidents, ac1, ac3, ac5, avg5, ac1_without, ac3_without, ac5_without, avg5_without }
    }

    /// The figures in the order of [`Figure::ALL`].
    pub const fn learned(&self) -> [f64; 4] {
        [self.ac1, self.ac3, self.ac5, self.avg5]
    }

    /// The figures without learning, in the same order.
    pub const fn without(&self) -> [f64; 4] {
        [self.ac1_without, self.ac3_without, self.ac5_without, self.avg5_without]
    }
}

impl LearningReport {
    /// Compares every contender that learned with the same without learning. O(contenders · resamples · incidents).
    pub(super) fn new(measured: &Measured, learning: Learning, averages: &Averages<'_>) -> Self {
        let mut gains = Vec::new();
        let mut curves = Vec::new();
        for (index, contender) in measured.contenders.iter().enumerate() {
            let Some(base) = measured.contenders.iter().position(|one| contender.is_learned_form_of(one))
            else {
                continue;
            };
            let differences = Figure::HEADLINES.map(|figure| measured.gains(index, base, figure));
            let won = |set: usize| differences[0].get(set).map(|ac1| ac1.iter().sum());
            let headlines = averages.headlines(&differences).into_iter().enumerate();
            let on = headlines.map(|(set, gain)| GainOn { incidents: won(set), gain }).collect();
            let without = measured.contenders[base].name.clone();
            gains.push(LearningGain { method: contender.name.clone(), without, on });
            if learning == Learning::Rounds {
                curves.extend(learning_curves(measured, index, base));
            }
        }
        Self { from: learning.to_string(), gains, curves }
    }
}

/// One curve per dataset, then their mean, round by round: every dataset is cut into as many rounds.
fn learning_curves(measured: &Measured, index: usize, base: usize) -> Vec<LearningCurve> {
    let smallest = measured.sets.iter().map(|set| set.cases.len()).min().unwrap_or_default();
    let count = smallest.clamp(1, MAX_ROUNDS);
    let [learned, without] =
        [index, base].map(|contender| Figure::ALL.map(|figure| measured.values(contender, figure)));
    let curve = |dataset: String, rounds| LearningCurve {
        method: measured.contenders[index].name.clone(),
        dataset,
        rounds,
    };
    let mut curves: Vec<LearningCurve> = Vec::new();
    for (set, cases) in measured.sets.iter().enumerate() {
        let order = by_time(&cases.cases);
        let round = |number: usize| {
            let known = order.len() * number / count;
            let over = |values: &Vec<Vec<f64>>| {
                mean(&order[..known].iter().map(|&incident| values[set][incident]).collect::<Vec<_>>())
            };
            Round::new(known, learned.each_ref().map(over), without.each_ref().map(over))
        };
        curves.push(curve(cases.name.clone(), (1..=count).map(round).collect()));
    }
    let over_sets = |number: usize| {
        let rounds: Vec<&Round> = curves.iter().map(|one| &one.rounds[number]).collect();
        let averaged = |figures: fn(&Round) -> [f64; 4]| -> [f64; 4] {
            std::array::from_fn(|figure| {
                mean(&rounds.iter().map(|one| figures(one)[figure]).collect::<Vec<_>>())
            })
        };
        let incidents = rounds.iter().map(|one| one.incidents).sum();
        Round::new(incidents, averaged(Round::learned), averaged(Round::without))
    };
    let rounds = (0..count).map(over_sets).collect();
    curves.push(curve("mean".into(), rounds));
    curves
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluate::test_measured::{measured, outcome};

    fn report(learning: Learning, excluded: &[String]) -> LearningReport {
        let right = |pattern: &[f64]| pattern.iter().map(|&value| outcome(value)).collect::<Vec<_>>();
        let mut found = measured(
            &["evidence", "evidence, learned"],
            vec![
                vec![right(&[0.0, 0.0, 1.0, 1.0]), right(&[0.0, 1.0, 1.0, 0.0])],
                vec![right(&[0.0, 0.0]), right(&[0.0, 1.0])],
            ],
        );
        found.contenders[1].learns = true;
        LearningReport::new(&found, learning, &Averages::new(&found, excluded, 100, 0))
    }

    #[test]
    fn a_contender_is_held_against_itself_without_learning() {
        let found = report(Learning::LeaveOneOut, &["set0".into()]);
        assert_eq!((found.from.as_str(), found.gains.len()), ("leave-one-out", 1));
        let on: Vec<(&str, f64, Option<f64>)> = found.gains[0]
            .on
            .iter()
            .map(|one| (one.gain.dataset.as_str(), one.gain.ac1.value, one.incidents))
            .collect();
        assert_eq!(
            on,
            [
                ("set0", 0.0, Some(0.0)),
                ("set1", 0.5, Some(1.0)),
                ("mean", 0.25, None),
                ("mean without set0", 0.5, None)
            ]
        );
        assert!(found.curves.is_empty());
    }

    #[test]
    fn a_curve_counts_all_incidents_up_to_each_round() {
        let found = report(Learning::Rounds, &[]);
        assert_eq!(found.curves.len(), 3);
        let first = &found.curves[0].rounds;
        assert_eq!(first.iter().map(|round| round.incidents).collect::<Vec<_>>(), [2, 4]);
        assert_eq!((first[0].ac1, first[0].ac1_without), (0.5, 0.0));
        assert_eq!((first[1].ac1, first[1].ac1_without), (0.5, 0.5));
        let mean = &found.curves[2].rounds[1];
        assert_eq!((mean.incidents, mean.avg5, mean.avg5_without), (6, 0.5, 0.25));
    }
}
