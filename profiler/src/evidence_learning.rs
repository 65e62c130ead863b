//! Weights of evidence from the confirmed incidents of one system.
//!
//! Each confirmed incident is a decision of [`conditional_logit`](crate::conditional_logit): of all services with
//! evidence, the confirmed ones were guilty. Names of services do not enter, so nothing is learned about who is usually
//! guilty, only about which metric types in which direction tell. What was learned on one system is of no use on
//! another: every deployment learns for itself.

use automap_proto::{invalid::Invalid, learned_weights::LearnedWeights};

use crate::{
    conditional_logit::{Decision, fit, sharpness},
    evidence_features::{EvidenceFeatures, FEATURES, IncidentEvidence},
};

/// λ. A weight strays from 1 by 1/√λ = .7 where nothing is known. Chosen on recorded incidents of three systems, for
/// each system on the two others; between 1 and 16 it hardly matters.
const RIDGE: f64 = 2.0;
/// Fewer confirmed incidents teach nothing: the luck of two or three would rule.
pub const MIN_INCIDENTS: usize = 5;
/// The least that evidence counts, however misleading it was.
const LEAST_WEIGHT: f64 = 0.1;
/// Services of an incident that are compared, those with most evidence and the guilty ones.
const MAX_SERVICES: usize = 64;
/// Most incidents that teach: the newest.
pub const MAX_INCIDENTS: usize = 200;

/// What one confirmed incident teaches.
#[derive(Debug, Clone, PartialEq)]
pub struct Lesson(Decision<FEATURES>);

impl Lesson {
    /// `None` when it teaches nothing: no evidence was kept, none spoke against a root cause, or there is no other
    /// service to tell it from.
    pub fn new(evidence: &IncidentEvidence, root_causes: &[String]) -> Option<Self> {
        let guilty = |service: &String| root_causes.contains(service);
        let total = |features: &EvidenceFeatures| features.values().iter().sum::<f64>();
        let mut services: Vec<(bool, f64, &EvidenceFeatures)> = evidence
            .iter()
            .map(|(service, features)| (guilty(service), total(features), features))
            .filter(|(_, total, _)| *total > 0.0)
            .collect();
        // Guilty ones first, then by falling evidence; stable, so that equals stay in the order of their names.
        services.sort_by(|left, right| right.0.cmp(&left.0).then_with(|| right.1.total_cmp(&left.1)));
        services.truncate(MAX_SERVICES);
        let guilty = services.iter().filter(|(guilty, ..)| *guilty).count();
        if guilty == services.len() {
            return None;
        }
        let features = services.iter().map(|(.., features)| *features.values()).collect();
        Decision::new(features, (0..guilty).collect()).map(Self)
    }
}

/// The weights that lessons teach, at most [`MAX_INCIDENTS`] of them. `None` below [`MIN_INCIDENTS`].
///
/// # Errors
/// Never for finite evidence.
///
/// # Complexity
/// O(lessons · 64 services · 14²) per Newton step, about ten steps.
pub fn learned_weights(lessons: &[&Lesson]) -> Result<Option<LearnedWeights>, Invalid> {
    if lessons.len() < MIN_INCIDENTS {
        return Ok(None);
    }
    let decisions: Vec<&Decision<FEATURES>> = lessons.iter().map(|lesson| &lesson.0).collect();
    let fitted = fit(&decisions, sharpness(&decisions), RIDGE).map(|weight| weight.max(LEAST_WEIGHT));
    let (by_kind, _) = fitted.as_chunks::<2>();
    let weights = std::array::from_fn(|kind| by_kind.get(kind).copied().unwrap_or([1.0; 2]));
    Ok(Some(LearnedWeights::new(weights, u32::try_from(lessons.len()).unwrap_or(u32::MAX))?))
}

#[cfg(test)]
mod tests {
    use automap_proto::{metric::MetricKind, ranking::Direction};

    use super::*;
    use crate::{evidence_features::evidence_from_wire, sample::evidence};

    /// `guilty` shows 2 of cpu, an innocent caller 4 of latency.
    fn lesson(guilty: &str) -> Lesson {
        let shown = [evidence(guilty, &[(4, 1, 2.0)]), evidence("web", &[(1, 1, 4.0)])];
        Lesson::new(&evidence_from_wire(&shown).unwrap(), &[guilty.to_owned()]).unwrap()
    }

    fn weights(lessons: &[Lesson]) -> LearnedWeights {
        learned_weights(&lessons.iter().collect::<Vec<_>>()).unwrap().unwrap()
    }

    #[test]
    fn the_metric_that_tells_gains_and_the_one_that_misleads_loses_the_more_incidents_say_so() {
        let taught = |count: usize| weights(&vec![lesson("db"); count]);
        let (few, many) = (taught(MIN_INCIDENTS), taught(20));
        let of = |learned: &LearnedWeights, kind| learned.weight(kind, Direction::Up);
        assert!(of(&few, MetricKind::Cpu) > 1.0 && of(&few, MetricKind::Latency) < 1.0);
        assert!(of(&many, MetricKind::Cpu) > of(&few, MetricKind::Cpu));
        assert!(of(&many, MetricKind::Latency) < of(&few, MetricKind::Latency));
        assert_eq!((few.incidents(), many.incidents()), (5, 20));
        assert_eq!(many.weight(MetricKind::Memory, Direction::Up), 1.0, "nobody showed any");
        assert_eq!(many.weight(MetricKind::Cpu, Direction::Down), 1.0);
    }

    #[test]
    fn names_of_services_teach_nothing() {
        let different = ["db", "cart", "mq", "pay", "user"].map(lesson);
        assert_eq!(weights(&different), weights(&["mq"; 5].map(lesson)));
    }

    #[test]
    fn incidents_that_tell_nothing_apart_are_no_lessons() {
        let shown = |list: &[automap_proto::v1::ServiceEvidence]| evidence_from_wire(list).unwrap();
        let roots = ["db".to_owned()];
        for nothing in [
            shown(&[]),
            shown(&[evidence("db", &[(4, 1, 2.0)])]),
            shown(&[evidence("web", &[(4, 1, 2.0)])]),
            shown(&[evidence("db", &[]), evidence("web", &[(4, 1, 2.0)])]),
        ] {
            assert_eq!(Lesson::new(&nothing, &roots), None, "{nothing:?}");
        }
        let four = ["db"; MIN_INCIDENTS - 1].map(lesson);
        assert_eq!(learned_weights(&four.iter().collect::<Vec<_>>()), Ok(None), "few are luck");
    }

    #[test]
    fn of_many_services_the_guilty_are_kept_however_little_they_show() {
        let mut shown: Vec<_> =
            (0..300).map(|index| evidence(&format!("s{index:03}"), &[(1, 1, 5.0)])).collect();
        shown.push(evidence("zz", &[(4, 1, 0.5)]));
        let kept = Lesson::new(&evidence_from_wire(&shown).unwrap(), &["zz".to_owned()]).unwrap();
        assert!(weights(&vec![kept; MIN_INCIDENTS]).weight(MetricKind::Cpu, Direction::Up) > 1.0);
    }
}
