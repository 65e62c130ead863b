//! Weights of evidence from the confirmed incidents of one system.
//!
//! Each confirmed incident is a decision of [`conditional_logit`](crate::conditional_logit): of all services with
//! evidence, the confirmed ones were guilty. What a service had to show for it are the logarithm of its score, which is given
//! its due first; its deviations by metric type and direction; and by how much it led all others in each type. Names of
//! services do not enter, so nothing is learned about who is usually guilty, only about what tells. What was learned on one
//! system is of no use on another: every deployment learns for itself.

use automap_proto::{
    invalid::Invalid,
    learned_weights::{Deviations, LearnedWeights, MAX_WEIGHT, leads, log_scores},
    metric::METRIC_COUNT,
};

use crate::{
    conditional_logit::{Decision, fit, sharpness},
    evidence_features::{EvidenceFeatures, FEATURES, IncidentEvidence},
};

/// λ: the logarithm of a weight strays from 0 by 1/√λ = .5 where nothing is known. On recorded incidents of three systems
/// everything from .5 to 8 gained; docs/accuracy.md has the figures.
const RIDGE: f64 = 4.0;
/// λ of the score: how sharply it tells is fitted first, alone, and stays.
const SCORE_RIDGE: f64 = 1e6;
/// Position of the logarithm of the score among what is learned from; deviations and leads follow it.
const SCORE: usize = 0;
/// The score, deviations by type and direction, and leads by type.
const LEARNED: usize = 1 + FEATURES + METRIC_COUNT;
/// Scores count for something, however misleading they were.
const LEAST_SHARPNESS: f64 = 0.02;
/// Fewer confirmed incidents teach nothing: the luck of two or three would rule.
pub const MIN_INCIDENTS: usize = 5;
/// Services of an incident that are compared, those with most evidence and the guilty ones.
const MAX_SERVICES: usize = 64;
/// Most incidents that teach: the newest.
pub const MAX_INCIDENTS: usize = 200;

/// What one confirmed incident teaches.
#[derive(Debug, Clone, PartialEq)]
pub struct Lesson(Decision<LEARNED>);

impl Lesson {
    /// `None` when it teaches nothing: no evidence was kept, none spoke against a root cause, or there is no other
    /// service to tell it from.
    pub fn new(evidence: &IncidentEvidence, root_causes: &[String]) -> Option<Self> {
        let departed: Vec<(&String, &EvidenceFeatures)> =
            evidence.iter().filter(|(_, features)| features.total() > 0.0).collect();
        let all_scored = departed.iter().all(|(_, features)| features.score().is_some());
        let scores: Vec<f64> = departed
            .iter()
            .map(|(_, features)| features.score().filter(|_| all_scored).unwrap_or_else(|| features.total()))
            .collect();
        let deviations: Vec<Deviations> =
            departed.iter().map(|(_, features)| features.deviations()).collect();
        let shown = departed.iter().zip(log_scores(&scores)).zip(leads(&deviations));
        let mut services: Vec<(bool, f64, [f64; LEARNED])> = shown
            .map(|(((service, features), score), leads)| {
                let mut all = [0.0; LEARNED];
                all[SCORE] = score;
                all[1..=FEATURES].copy_from_slice(features.values());
                all[1 + FEATURES..].copy_from_slice(&leads);
                (root_causes.contains(service), features.total(), all)
            })
            .collect();
        // Guilty ones first, then by falling evidence; stable, so that equals stay in the order of their names.
        services.sort_by(|left, right| right.0.cmp(&left.0).then_with(|| right.1.total_cmp(&left.1)));
        services.truncate(MAX_SERVICES);
        let guilty = services.iter().filter(|(guilty, ..)| *guilty).count();
        if guilty == services.len() {
            return None;
        }
        let features = services.into_iter().map(|(.., features)| features).collect();
        Decision::new(features, (0..guilty).collect()).map(Self)
    }
}

/// The weights that lessons teach, at most [`MAX_INCIDENTS`] of them. `None` below [`MIN_INCIDENTS`].
///
/// # Errors
/// Never for finite evidence.
///
/// # Complexity
/// O(lessons · 64 services · 22²) per Newton step, about ten steps.
pub fn learned_weights(lessons: &[&Lesson]) -> Result<Option<LearnedWeights>, Invalid> {
    if lessons.len() < MIN_INCIDENTS {
        return Ok(None);
    }
    let decisions: Vec<&Decision<LEARNED>> = lessons.iter().map(|lesson| &lesson.0).collect();
    let mut centre = [0.0; LEARNED];
    centre[SCORE] = sharpness(&decisions, SCORE);
    let mut ridge = [RIDGE; LEARNED];
    ridge[SCORE] = SCORE_RIDGE;
    let fitted = fit(&decisions, &centre, &ridge);
    let weight = |position: usize| fitted[position].exp().clamp(1.0 / MAX_WEIGHT, MAX_WEIGHT);
    let weights = std::array::from_fn(|kind| [weight(1 + 2 * kind), weight(2 + 2 * kind)]);
    let leads = std::array::from_fn(|kind| weight(1 + FEATURES + kind));
    let incidents = u32::try_from(lessons.len()).unwrap_or(u32::MAX);
    Ok(Some(LearnedWeights::new(weights, leads, fitted[SCORE].max(LEAST_SHARPNESS), incidents)?))
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
    fn five_incidents_of_one_kind_move_no_weight_by_more_than_half() {
        // Guilty and innocent show so much. The largest of these weights is 1.34, where both show 1.
        for (guilty, innocent) in [(2.0, 4.0), (1.0, 1.0), (1.5, 0.1), (4.0, 2.0)] {
            let shown = [evidence("db", &[(4, 1, guilty)]), evidence("web", &[(1, 1, innocent)])];
            let one = Lesson::new(&evidence_from_wire(&shown).unwrap(), &["db".to_owned()]).unwrap();
            let five = weights(&vec![one; 5]);
            let all = five.changed().map(|(.., weight)| weight);
            for weight in all.chain(five.changed_leads().map(|(_, weight)| weight)) {
                assert!((1.0 / 1.5..=1.5).contains(&weight), "{guilty}, {innocent}: {weight}");
            }
        }
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
