//! What the first contender gains on each other, incident by incident.

use serde::Serialize;

use super::{
    bootstrap::{Estimate, Resamples},
    figure::Figure,
    measured::Measured,
};

/// What the first contender gains on another.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GainReport {
    /// The other.
    pub over: String,
    /// Per dataset, then `mean`, and where datasets are excluded `mean without …`.
    pub on: Vec<Gain>,
}

/// A paired difference.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Gain {
    /// Name of a dataset, or `mean`.
    pub dataset: String,
    /// Of PR@1.
    pub ac1: Estimate,
    /// Of the mean of PR@1 to PR@5.
    pub avg5: Estimate,
}

/// Gains over every contender that learned nothing; `kept` are the datasets that are not excluded.
pub(super) fn gains(
    measured: &Measured,
    resamples: &Resamples,
    kept: &[usize],
    excluded: &[String],
) -> Vec<GainReport> {
    let all: Vec<usize> = (0..measured.sets.len()).collect();
    let over = |other: usize| {
        let [ac1, avg5] = Figure::HEADLINES.map(|figure| measured.gains(0, other, figure));
        let mean_over = |name: String, datasets: &[usize]| Gain {
            dataset: name,
            ac1: resamples.mean_over(datasets, &ac1),
            avg5: resamples.mean_over(datasets, &avg5),
        };
        let mut on: Vec<Gain> =
            all.iter().map(|&dataset| mean_over(measured.sets[dataset].name.clone(), &[dataset])).collect();
        on.push(mean_over("mean".into(), &all));
        if kept.len() < all.len() {
            on.push(mean_over(format!("mean without {}", excluded.join(", ")), kept));
        }
        GainReport { over: measured.contenders[other].name.clone(), on }
    };
    // What learning is worth has a table of its own.
    let others = (1..measured.contenders.len()).filter(|&other| !measured.contenders[other].learns);
    others.map(over).collect()
}
