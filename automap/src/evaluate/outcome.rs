//! What one contender made of one incident, held against the label.

use automap_proto::{
    assessment::{Abstention, Assessment},
    metric::MetricKind,
    ranking::{RankedService, Ranking},
};
use serde::{Deserialize, Serialize};

use super::{
    label::Label,
    precision::{MAX_K, expected_precision},
};

/// Most metric types that count as an answer: one, or the two that are shown.
pub const METRIC_K: usize = 2;

/// One diagnosis of one incident, scored.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Outcome {
    /// PR@1 to PR@5; zero for a refusal.
    pub precision: [f64; MAX_K],
    /// Wall-clock seconds.
    pub seconds: f64,
    /// Why there was no answer at all.
    pub refused: Option<String>,
    /// The services ranked first: several when they tie.
    pub first: Vec<String>,
    /// Chance that the service ranked first is right, where the method says so, 0 to 1.
    pub confidence: Option<f64>,
    /// Why the method names no root cause, where it says that.
    pub abstention: Option<Abstention>,
    /// Whether the call graph was not believed; `None` where none could be tested.
    pub graph_doubted: Option<bool>,
    /// Whether the metric at fault is the first, or among the first two, that the answer names. `None` where the label
    /// names none.
    pub metric: Option<[f64; METRIC_K]>,
    /// Whether both the first service and its first metric are right. `None` where the label names no metric.
    pub service_and_metric: Option<f64>,
    /// The metric types that the answer names, first first; of the service ranked first.
    pub metrics: Vec<MetricKind>,
    /// How far any series of a root cause left its normal range, in the spreads of the method's own scorer.
    pub root_spreads: f64,
}

impl Outcome {
    /// A refusal: a miss in every figure.
    pub fn refusal(label: &Label, reason: String) -> Self {
        Self {
            refused: Some(reason),
            metric: label.root_cause_metric.map(|_| [0.0; METRIC_K]),
            service_and_metric: label.root_cause_metric.map(|_| 0.0),
            ..Self::default()
        }
    }

    /// Scores an answer. A service that ties for the first place counts with its share of it.
    pub fn new(ranking: &Ranking, assessment: Option<&Assessment>, label: &Label, seconds: f64) -> Self {
        let services = ranking.services();
        let scored: Vec<(f64, bool)> =
            services.iter().map(|ranked| (ranked.score, label.names(&ranked.service))).collect();
        let leaders = services.chunk_by(|left, right| left.score == right.score).next().unwrap_or_default();
        let named = |ranked: &RankedService| match assessment {
            Some(found) => found.root_cause_metrics.iter().map(|candidate| candidate.metric).collect(),
            None => ranked.evidence.iter().map(|evidence| evidence.metric).collect::<Vec<_>>(),
        };
        let share = |hit: &dyn Fn(&RankedService) -> bool| {
            leaders.iter().filter(|ranked| hit(ranked)).count() as f64 / leaders.len().max(1) as f64
        };
        let metric = label.root_cause_metric.map(|metric| {
            std::array::from_fn(|index| {
                share(&|ranked| named(ranked).iter().take(index + 1).any(|kind| *kind == metric))
            })
        });
        let service_and_metric = label.root_cause_metric.map(|metric| {
            share(&|ranked| label.names(&ranked.service) && named(ranked).first() == Some(&metric))
        });
        let spreads = services
            .iter()
            .filter(|ranked| label.names(&ranked.service))
            .flat_map(|ranked| &ranked.evidence)
            .map(|evidence| evidence.deviation.exp_m1());
        Self {
            precision: expected_precision(&scored, label.root_cause_services.len()),
            seconds,
            refused: None,
            first: leaders.iter().map(|ranked| ranked.service.clone()).collect(),
            confidence: assessment.map(|found| found.confidence),
            abstention: assessment.and_then(|found| found.abstention.as_ref()).map(|(why, _)| *why),
            graph_doubted: assessment.and_then(|found| Some(!found.call_graph_fit.as_ref()?.trusted)),
            metric,
            service_and_metric,
            metrics: leaders.first().map(named).unwrap_or_default(),
            root_spreads: spreads.fold(0.0, f64::max).min(f64::MAX),
        }
    }
}

#[cfg(test)]
mod tests {
    use automap_proto::ranking::{Direction, Evidence};

    use super::*;

    fn ranked(rank: u32, service: &str, score: f64, evidence: &[(MetricKind, f64)]) -> RankedService {
        let evidence = evidence.iter().map(|&(metric, spreads)| Evidence {
            metric,
            series: metric.name().into(),
            deviation: f64::ln_1p(spreads),
            direction: Direction::Up,
        });
        RankedService {
            rank,
            service: service.into(),
            score,
            class: None,
            evidence: evidence.collect(),
            path: vec![],
            path_share: 0.0,
            path_hops: vec![],
            onset: None,
            deviation: 0.0,
            unlearned_score: None,
        }
    }

    fn label(services: &[&str], metric: Option<MetricKind>) -> Label {
        Label {
            root_cause_services: services.iter().map(|&name| name.to_owned()).collect(),
            root_cause_metric: metric,
            fault_type: None,
        }
    }

    #[test]
    fn ties_share_the_first_place_in_every_figure() {
        let ranking = Ranking::new(vec![
            ranked(1, "a", 2.0, &[(MetricKind::Cpu, 5.0), (MetricKind::Io, 1.0)]),
            ranked(2, "b", 2.0, &[(MetricKind::Io, 7.0), (MetricKind::Cpu, 2.0)]),
            ranked(3, "c", 1.0, &[]),
        ])
        .unwrap();
        let found = Outcome::new(&ranking, None, &label(&["b"], Some(MetricKind::Cpu)), 0.5);
        assert_eq!(found.first, ["a", "b"]);
        assert_eq!(found.precision[..2], [0.5, 1.0]);
        assert_eq!(found.metric, Some([0.5, 1.0]));
        assert_eq!(
            found.service_and_metric,
            Some(0.0),
            "cpu is the first metric of a, and the fault is in b"
        );
        assert!((found.root_spreads - 7.0).abs() < 1e-12);
        assert_eq!((found.confidence, found.abstention), (None, None));
    }

    #[test]
    fn a_root_cause_that_was_not_measured_left_nothing() {
        let ranking = Ranking::new(vec![ranked(1, "a", 2.0, &[(MetricKind::Cpu, 5.0)])]).unwrap();
        let found = Outcome::new(&ranking, None, &label(&["z"], None), 0.5);
        assert_eq!((found.root_spreads, found.metric, found.precision[4]), (0.0, None, 0.0));
    }

    #[test]
    fn refusals_miss_the_metric_too() {
        let missed = Outcome::refusal(&label(&["a"], Some(MetricKind::Cpu)), "too little data".into());
        assert_eq!((missed.metric, missed.precision), (Some([0.0; 2]), [0.0; 5]));
        assert_eq!(missed.refused.as_deref(), Some("too little data"));
    }
}
