//! What the first contender gains on each other, incident by incident.

use serde::Serialize;

use super::{
    figure::Figure,
    headlines::{Averages, Headlines},
    measured::Measured,
};

/// What the first contender gains on another.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GainReport {
    /// The other.
    pub over: String,
    /// Paired differences, per dataset, then `mean`, and where datasets are excluded `mean without …`.
    pub on: Vec<Headlines>,
}

/// Gains over every contender that learned nothing: what learning is worth has a table of its own.
pub(super) fn gains(measured: &Measured, averages: &Averages<'_>) -> Vec<GainReport> {
    let others = (1..measured.contenders.len()).filter(|&other| !measured.contenders[other].learns);
    let over = |other: usize| GainReport {
        over: measured.contenders[other].name.clone(),
        on: averages.headlines(&Figure::HEADLINES.map(|figure| measured.gains(0, other, figure))),
    };
    others.map(over).collect()
}
