//! Weights of evidence by metric type and direction, as confirmed incidents taught them.

use crate::{
    invalid::Invalid,
    metric::{METRIC_COUNT, MetricKind},
    ranking::Direction,
    v1,
};

/// The largest weight that is believed.
pub const MAX_WEIGHT: f64 = 1e6;

/// w(type, direction) >= 0, where 1 leaves evidence as it is, and how many incidents taught them.
#[derive(Debug, Clone, PartialEq)]
pub struct LearnedWeights {
    weights: [[f64; 2]; METRIC_COUNT],
    incidents: u32,
}

impl LearnedWeights {
    /// Weights by [`MetricKind::index`] and [`Direction::index`].
    ///
    /// # Errors
    /// A weight is negative, larger than [`MAX_WEIGHT`], or not finite.
    pub fn new(weights: [[f64; 2]; METRIC_COUNT], incidents: u32) -> Result<Self, Invalid> {
        if let Some(wrong) =
            weights.as_flattened().iter().find(|weight| !(0.0..=MAX_WEIGHT).contains(*weight))
        {
            return Err(Invalid::new(
                "learned_weights.weights.weight",
                format!("is {wrong}; it must be from 0 to {MAX_WEIGHT}"),
            ));
        }
        Ok(Self { weights, incidents })
    }

    /// The weight of one metric type in one direction.
    pub const fn weight(&self, kind: MetricKind, direction: Direction) -> f64 {
        self.weights[kind.index()][direction.index()]
    }

    /// Confirmed incidents that taught them.
    pub const fn incidents(&self) -> u32 {
        self.incidents
    }

    /// Weights that differ from 1, by type, then direction.
    pub fn changed(&self) -> impl Iterator<Item = (MetricKind, Direction, f64)> {
        let pairs =
            MetricKind::ALL.into_iter().flat_map(|kind| Direction::ALL.map(|direction| (kind, direction)));
        pairs
            .map(|(kind, direction)| (kind, direction, self.weight(kind, direction)))
            .filter(|(_, _, weight)| *weight != 1.0)
    }
}

impl From<&LearnedWeights> for v1::LearnedWeights {
    fn from(learned: &LearnedWeights) -> Self {
        let weights = learned.changed().map(|(kind, direction, weight)| v1::EvidenceWeight {
            metric: kind.to_wire().into(),
            direction: direction.to_wire().into(),
            weight,
        });
        Self { weights: weights.collect(), incidents: learned.incidents }
    }
}

impl TryFrom<&v1::LearnedWeights> for LearnedWeights {
    type Error = Invalid;

    fn try_from(wire: &v1::LearnedWeights) -> Result<Self, Invalid> {
        let mut weights = [[1.0; 2]; METRIC_COUNT];
        for (index, one) in wire.weights.iter().enumerate() {
            let field = |name: &str| format!("learned_weights.weights[{index}].{name}");
            let kind = MetricKind::from_wire(&field("metric"), one.metric)?;
            let direction = Direction::from_wire(&field("direction"), one.direction)?;
            weights[kind.index()][direction.index()] = one.weight;
        }
        Self::new(weights, wire.incidents)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_survive_the_wire_and_those_of_one_are_not_sent() {
        let mut weights = [[1.0; 2]; METRIC_COUNT];
        weights[MetricKind::Cpu.index()] = [2.0, 0.25];
        let learned = LearnedWeights::new(weights, 7).unwrap();
        let wire = v1::LearnedWeights::from(&learned);
        assert_eq!(wire.weights.len(), 2);
        assert_eq!(LearnedWeights::try_from(&wire), Ok(learned));
    }

    #[test]
    fn weights_that_no_evidence_can_have_are_refused_by_field() {
        let wire = |metric: i32, direction: i32, weight: f64| v1::LearnedWeights {
            weights: vec![v1::EvidenceWeight { metric, direction, weight }],
            incidents: 1,
        };
        for (bad, field) in [
            (wire(0, 1, 1.0), "learned_weights.weights[0].metric"),
            (wire(1, 0, 1.0), "learned_weights.weights[0].direction"),
            (wire(1, 1, -0.5), "learned_weights.weights.weight"),
            (wire(1, 1, f64::NAN), "learned_weights.weights.weight"),
        ] {
            assert_eq!(LearnedWeights::try_from(&bad).unwrap_err().field(), field);
        }
    }
}
