//! Weights of evidence by metric type and direction: where confirmed incidents may teach.
//!
//! a = Σ_types w(type, direction) · F. The weights are all 1 until the profiler has learned others, and a ranking by
//! other weights shows the score by equal ones beside its own.

use automap_proto::{
    learned_weights::LearnedWeights,
    metric::{METRIC_COUNT, MetricKind},
    ranking::Direction,
};

/// w(type, direction), finite and >= 0; 1 leaves evidence as it is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EvidenceWeights([[f64; 2]; METRIC_COUNT]);

impl EvidenceWeights {
    /// Weights from a function of metric type and direction. `None` when one is negative or not finite.
    pub fn new(weight: impl Fn(MetricKind, Direction) -> f64) -> Option<Self> {
        let of_kind = |kind| Direction::ALL.map(|direction| weight(kind, direction));
        let weights = MetricKind::ALL.map(of_kind);
        weights.as_flattened().iter().all(|one| one.is_finite() && *one >= 0.0).then_some(Self(weights))
    }

    /// The weight of one metric type in one direction.
    pub const fn weight(&self, kind: MetricKind, direction: Direction) -> f64 {
        self.0[kind.index()][direction.index()]
    }

    /// Whether all weigh 1: nothing was learned.
    pub fn are_equal(&self) -> bool {
        *self == Self::default()
    }
}

impl From<&LearnedWeights> for EvidenceWeights {
    fn from(learned: &LearnedWeights) -> Self {
        let of_kind = |kind| Direction::ALL.map(|direction| learned.weight(kind, direction));
        Self(MetricKind::ALL.map(of_kind))
    }
}

impl Default for EvidenceWeights {
    fn default() -> Self {
        Self([[1.0; 2]; METRIC_COUNT])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_kept_by_type_and_direction_and_bad_ones_refused() {
        let weights = EvidenceWeights::new(|kind, direction| {
            kind.index() as f64 + if direction == Direction::Down { 0.5 } else { 0.0 }
        })
        .unwrap();
        assert_eq!(weights.weight(MetricKind::Memory, Direction::Down), 5.5);
        assert!(!weights.are_equal() && EvidenceWeights::default().are_equal());
        assert_eq!(EvidenceWeights::new(|_, _| f64::NAN), None);
        assert_eq!(EvidenceWeights::new(|_, _| -1.0), None);
    }
}
