//! What spoke against the services of an incident, by metric type and direction: what weights are learned from.

use std::collections::BTreeMap;

use automap_proto::{
    frame::check_name,
    invalid::Invalid,
    learned_weights::Deviations,
    metric::{METRIC_COUNT, MetricKind},
    ranking::Direction,
    v1,
};

/// Metric types times directions.
pub const FEATURES: usize = METRIC_COUNT * Direction::ALL.len();

/// ln(1 + spreads) is below this for every number of spreads that can be written down.
const MAX_DEVIATION: f64 = 1_000.0;

/// ln(1 + spreads) by metric type and direction, each >= 0 and finite; zero where nothing departed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EvidenceFeatures {
    values: [f64; FEATURES],
    /// What the service scored before anything learned; `None` where that was not kept.
    score: Option<f64>,
}

/// Evidence by service; services without any are not in it.
pub type IncidentEvidence = BTreeMap<String, EvidenceFeatures>;

impl EvidenceFeatures {
    /// No evidence at all.
    pub const NONE: Self = Self { values: [0.0; FEATURES], score: None };

    /// Position of a metric type and direction in [`Self::values`].
    pub const fn position(kind: MetricKind, direction: Direction) -> usize {
        Direction::ALL.len() * kind.index() + direction.index()
    }

    /// By [`Self::position`].
    pub const fn values(&self) -> &[f64; FEATURES] {
        &self.values
    }

    /// What the service scored before anything learned, >= 0 and finite; `None` where that was not kept.
    pub const fn score(&self) -> Option<f64> {
        self.score
    }

    /// Sum of all deviations.
    pub fn total(&self) -> f64 {
        self.values.iter().sum()
    }

    /// The deviation of each metric type with its direction: the larger, where both departed.
    pub fn deviations(&self) -> Deviations {
        MetricKind::ALL.map(|kind| {
            let [up, down] = Direction::ALL.map(|direction| self.values[Self::position(kind, direction)]);
            if down > up { (down, Direction::Down) } else { (up, Direction::Up) }
        })
    }

    /// The evidence of one metric type in one direction.
    ///
    /// # Errors
    /// It is negative, or no number that ln(1 + spreads) can be.
    pub fn set(&mut self, kind: MetricKind, direction: Direction, deviation: f64) -> Result<(), Invalid> {
        if !(0.0..=MAX_DEVIATION).contains(&deviation) {
            return Err(Invalid::new("deviation", format!("is {deviation}; it must be ln(1 + spreads)")));
        }
        self.values[Self::position(kind, direction)] = deviation;
        Ok(())
    }
}

/// Decodes the evidence of an incident; errors name fields from `evidence` on.
///
/// # Errors
/// A name or a number is bad, or a service stands twice.
pub fn evidence_from_wire(wire: &[v1::ServiceEvidence]) -> Result<IncidentEvidence, Invalid> {
    let mut services = IncidentEvidence::new();
    for (index, one) in wire.iter().enumerate() {
        let field = format!("evidence[{index}]");
        check_name(&format!("{field}.service"), &one.service)?;
        let mut features = EvidenceFeatures::NONE;
        for (position, entry) in one.evidence.iter().enumerate() {
            let entry_field = format!("{field}.evidence[{position}]");
            let kind = MetricKind::from_wire(&format!("{entry_field}.metric"), entry.metric)?;
            let direction = Direction::from_wire(&format!("{entry_field}.direction"), entry.direction)?;
            features.set(kind, direction, entry.deviation).map_err(|error| error.within(&entry_field))?;
        }
        if let Some(score) = one.score {
            if !(score.is_finite() && score >= 0.0) {
                return Err(Invalid::new(
                    format!("{field}.score"),
                    format!("is {score}; it must be 0 or more"),
                ));
            }
            features.score = Some(score);
        }
        if services.insert(one.service.clone(), features).is_some() {
            return Err(Invalid::new(format!("{field}.service"), format!("{} stands twice", one.service)));
        }
    }
    Ok(services)
}

/// The wire form, without the names of series: what is learned is not tied to them.
pub fn evidence_to_wire(evidence: &IncidentEvidence) -> Vec<v1::ServiceEvidence> {
    let entries = |features: &EvidenceFeatures| {
        let pairs =
            MetricKind::ALL.into_iter().flat_map(|kind| Direction::ALL.map(|direction| (kind, direction)));
        pairs
            .zip(features.values)
            .filter(|(_, deviation)| *deviation > 0.0)
            .map(|((kind, direction), deviation)| v1::Evidence {
                metric: kind.to_wire().into(),
                direction: direction.to_wire().into(),
                deviation,
                series: String::new(),
            })
            .collect()
    };
    evidence
        .iter()
        .map(|(service, features)| v1::ServiceEvidence {
            service: service.clone(),
            evidence: entries(features),
            score: features.score,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wire(service: &str, metric: i32, direction: i32, deviation: f64) -> v1::ServiceEvidence {
        let entry = v1::Evidence { metric, direction, deviation, ..Default::default() };
        v1::ServiceEvidence { service: service.into(), evidence: vec![entry], score: Some(0.25) }
    }

    #[test]
    fn evidence_survives_the_wire_by_type_and_direction() {
        let sent = vec![wire("cart", 4, 1, 3.0), wire("db", 7, 2, 0.5)];
        let found = evidence_from_wire(&sent).unwrap();
        assert_eq!(found["cart"].values()[EvidenceFeatures::position(MetricKind::Cpu, Direction::Up)], 3.0);
        assert_eq!(found["db"].values().iter().sum::<f64>(), 0.5);
        assert_eq!(found["db"].deviations()[MetricKind::Availability.index()], (0.5, Direction::Down));
        assert_eq!(found["db"].score(), Some(0.25));
        assert_eq!(evidence_to_wire(&found), sent);
    }

    #[test]
    fn bad_evidence_is_refused_by_field() {
        let scored = |score| v1::ServiceEvidence { score: Some(score), ..wire("a", 1, 1, 1.0) };
        for (sent, field) in [
            (vec![scored(-1.0)], "evidence[0].score"),
            (vec![scored(f64::INFINITY)], "evidence[0].score"),
            (vec![wire("", 1, 1, 1.0)], "evidence[0].service"),
            (vec![wire("a", 1, 1, 1.0), wire("a", 2, 1, 1.0)], "evidence[1].service"),
            (vec![wire("a", 9, 1, 1.0)], "evidence[0].evidence[0].metric"),
            (vec![wire("a", 1, 3, 1.0)], "evidence[0].evidence[0].direction"),
            (vec![wire("a", 1, 1, -1.0)], "evidence[0].evidence[0].deviation"),
            (vec![wire("a", 1, 1, f64::NAN)], "evidence[0].evidence[0].deviation"),
        ] {
            assert_eq!(evidence_from_wire(&sent).unwrap_err().field(), field);
        }
    }
}
