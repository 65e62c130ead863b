//! Weights of evidence, as confirmed incidents taught them.
//!
//! With F the deviations of a service by metric type, each in one direction, and L how far it leads all others of the incident
//! by a type, its score s by everything that is not learned becomes
//!
//! ```text
//! s' = s^β · Π_types w(type, direction)^F · Π_types l(type)^L
//! ```
//!
//! Weights of 1 leave the order as it is.

use crate::{
    invalid::Invalid,
    metric::{METRIC_COUNT, MetricKind},
    ranking::Direction,
    v1,
};

/// The largest weight that is believed; the least is one over it.
pub const MAX_WEIGHT: f64 = 1e6;
/// A score counts as at least this share of the largest: what the logarithm makes of nothing must not outweigh all.
const LEAST_SHARE: f64 = 1e-6;

/// Deviations of one service by metric type, each ln(1 + spreads) >= 0, with their directions.
pub type Deviations = [(f64, Direction); METRIC_COUNT];

/// Weights, how sharply scores tell, and how many incidents taught them.
#[derive(Debug, Clone, PartialEq)]
pub struct LearnedWeights {
    weights: [[f64; 2]; METRIC_COUNT],
    leads: [f64; METRIC_COUNT],
    sharpness: f64,
    incidents: u32,
}

/// By how much each service leads all others by each metric type: the largest deviation less the second, of the one
/// service that has it. O(services).
pub fn leads(services: &[Deviations]) -> Vec<[f64; METRIC_COUNT]> {
    let mut found = vec![[0.0; METRIC_COUNT]; services.len()];
    for kind in 0..METRIC_COUNT {
        let mut first: Option<(usize, f64)> = None;
        let mut second = 0.0;
        for (service, deviations) in services.iter().enumerate() {
            let (deviation, _) = deviations[kind];
            match first {
                Some((_, most)) if deviation <= most => second = deviation.max(second),
                _ => {
                    second = first.map_or(0.0, |(_, most)| most);
                    first = Some((service, deviation));
                }
            }
        }
        if let Some((service, most)) = first {
            found[service][kind] = most - second;
        }
    }
    found
}

/// ln of each score, none below a millionth of the largest; all 0 where no score is positive.
pub fn log_scores(scores: &[f64]) -> Vec<f64> {
    let largest = scores.iter().copied().fold(0.0, f64::max);
    if largest <= 0.0 {
        return vec![0.0; scores.len()];
    }
    scores.iter().map(|score| (score / largest).max(LEAST_SHARE).ln()).collect()
}

impl LearnedWeights {
    /// Weights by [`MetricKind::index`] and [`Direction::index`], those of leads, and β.
    ///
    /// # Errors
    /// A weight is not from 1/[`MAX_WEIGHT`] to [`MAX_WEIGHT`], or β is not positive.
    pub fn new(
        weights: [[f64; 2]; METRIC_COUNT],
        leads: [f64; METRIC_COUNT],
        sharpness: f64,
        incidents: u32,
    ) -> Result<Self, Invalid> {
        let all = |field: &str, weights: &[f64]| match weights
            .iter()
            .find(|weight| !(1.0 / MAX_WEIGHT..=MAX_WEIGHT).contains(*weight))
        {
            Some(wrong) => Err(Invalid::new(
                field,
                format!("is {wrong}; it must be from {} to {MAX_WEIGHT}", 1.0 / MAX_WEIGHT),
            )),
            None => Ok(()),
        };
        all("learned_weights.weights.weight", weights.as_flattened())?;
        all("learned_weights.leads.weight", &leads)?;
        all("learned_weights.sharpness", &[sharpness])?;
        Ok(Self { weights, leads, sharpness, incidents })
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

    /// Weights of leads that differ from 1, by type.
    pub fn changed_leads(&self) -> impl Iterator<Item = (MetricKind, f64)> {
        MetricKind::ALL
            .into_iter()
            .map(|kind| (kind, self.leads[kind.index()]))
            .filter(|(_, weight)| *weight != 1.0)
    }

    /// s' of every service, the largest 1; `scores` and `services` are of the same length. O(services).
    pub fn rescored(&self, scores: &[f64], services: &[Deviations]) -> Vec<f64> {
        let logarithms: Vec<f64> = log_scores(scores)
            .into_iter()
            .zip(services)
            .zip(leads(services))
            .map(|((score, deviations), leads)| {
                let shown: f64 = MetricKind::ALL
                    .into_iter()
                    .map(|kind| {
                        let (deviation, direction) = deviations[kind.index()];
                        deviation * self.weight(kind, direction).ln()
                            + leads[kind.index()] * self.leads[kind.index()].ln()
                    })
                    .sum();
                self.sharpness * score + shown
            })
            .collect();
        let largest = logarithms.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        logarithms.into_iter().map(|one| (one - largest).exp()).collect()
    }
}

impl From<&LearnedWeights> for v1::LearnedWeights {
    fn from(learned: &LearnedWeights) -> Self {
        let weights = learned.changed().map(|(kind, direction, weight)| v1::EvidenceWeight {
            metric: kind.to_wire().into(),
            direction: direction.to_wire().into(),
            weight,
        });
        let leads = learned
            .changed_leads()
            .map(|(kind, weight)| v1::LeadWeight { metric: kind.to_wire().into(), weight });
        Self {
            weights: weights.collect(),
            incidents: learned.incidents,
            leads: leads.collect(),
            sharpness: Some(learned.sharpness),
        }
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
        let mut leads = [1.0; METRIC_COUNT];
        for (index, one) in wire.leads.iter().enumerate() {
            let kind = MetricKind::from_wire(&format!("learned_weights.leads[{index}].metric"), one.metric)?;
            leads[kind.index()] = one.weight;
        }
        Self::new(weights, leads, wire.sharpness.unwrap_or(1.0), wire.incidents)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: Deviations = [(0.0, Direction::Up); METRIC_COUNT];

    fn shown(kind: MetricKind, deviation: f64) -> Deviations {
        let mut all = NONE;
        all[kind.index()] = (deviation, Direction::Up);
        all
    }

    #[test]
    fn weights_survive_the_wire_and_those_of_one_are_not_sent() {
        let mut weights = [[1.0; 2]; METRIC_COUNT];
        weights[MetricKind::Cpu.index()] = [2.0, 0.25];
        let mut leads = [1.0; METRIC_COUNT];
        leads[MetricKind::Latency.index()] = 3.0;
        let learned = LearnedWeights::new(weights, leads, 0.5, 7).unwrap();
        let wire = v1::LearnedWeights::from(&learned);
        assert_eq!((wire.weights.len(), wire.leads.len()), (2, 1));
        assert_eq!(LearnedWeights::try_from(&wire), Ok(learned));
    }

    #[test]
    fn weights_that_no_evidence_can_have_are_refused_by_field() {
        let wire = |metric: i32, direction: i32, weight: f64| v1::LearnedWeights {
            weights: vec![v1::EvidenceWeight { metric, direction, weight }],
            incidents: 1,
            ..v1::LearnedWeights::default()
        };
        let lead = |metric: i32, weight: f64| v1::LearnedWeights {
            leads: vec![v1::LeadWeight { metric, weight }],
            ..v1::LearnedWeights::default()
        };
        for (bad, field) in [
            (wire(0, 1, 1.0), "learned_weights.weights[0].metric"),
            (wire(1, 0, 1.0), "learned_weights.weights[0].direction"),
            (wire(1, 1, -0.5), "learned_weights.weights.weight"),
            (wire(1, 1, f64::NAN), "learned_weights.weights.weight"),
            (lead(9, 1.0), "learned_weights.leads[0].metric"),
            (lead(1, 0.0), "learned_weights.leads.weight"),
            (
                v1::LearnedWeights { sharpness: Some(0.0), ..v1::LearnedWeights::default() },
                "learned_weights.sharpness",
            ),
        ] {
            assert_eq!(LearnedWeights::try_from(&bad).unwrap_err().field(), field);
        }
    }

    #[test]
    fn the_one_with_the_largest_deviation_leads_by_what_the_next_is_behind() {
        const CPU: usize = MetricKind::Cpu.index();
        let cpu = |deviations: &[f64]| -> Vec<f64> {
            let services: Vec<Deviations> =
                deviations.iter().map(|&deviation| shown(MetricKind::Cpu, deviation)).collect();
            leads(&services).iter().map(|found| found[CPU]).collect()
        };
        assert_eq!(cpu(&[1.0, 4.0, 2.5]), [0.0, 1.5, 0.0]);
        assert_eq!(cpu(&[4.0, 1.0, 2.5]), [1.5, 0.0, 0.0]);
        assert_eq!(cpu(&[2.0, 2.0]), [0.0, 0.0], "equals do not lead");
        assert_eq!(cpu(&[3.0]), [3.0]);
        assert_eq!(cpu(&[]), [0.0; 0]);
    }

    #[test]
    fn scores_rescored_by_hand() {
        let mut weights = [[1.0; 2]; METRIC_COUNT];
        weights[MetricKind::Cpu.index()][0] = 2.0;
        let mut leads = [1.0; METRIC_COUNT];
        leads[MetricKind::Cpu.index()] = 4.0;
        let services = [shown(MetricKind::Cpu, 2.0), shown(MetricKind::Latency, 3.0)];
        let learned = LearnedWeights::new(weights, leads, 2.0, 5).unwrap();
        // .1² · 2² · 4² against .4².
        let found = learned.rescored(&[0.1, 0.4], &services);
        assert!((found[0] - 1.0).abs() < 1e-12 && (found[1] - 0.16 / 0.64).abs() < 1e-12, "{found:?}");
        let nothing = LearnedWeights::new([[1.0; 2]; METRIC_COUNT], [1.0; METRIC_COUNT], 1.0, 5).unwrap();
        assert_eq!(nothing.rescored(&[0.1, 0.4], &services), [0.25, 1.0]);
        assert_eq!(nothing.rescored(&[0.0, 0.0], &services), [1.0, 1.0]);
    }
}
