//! The newest diagnosis of each system as gauges, for dashboards that know Prometheus alone.
//!
//! Here, and nowhere else, names of a user's systems and services are labels of metrics. So it is off unless wanted, and what a
//! scrape tells is bounded: of each of so many systems one diagnosis, of that five services, and at most seven metric types of
//! each.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use automap_proto::{
    metric::MetricKind,
    time::UnixMillis,
    v1::{self, DiagnosisState, Direction},
};
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric as _},
    metrics::{MetricType, gauge::ConstGauge},
    registry::Unit,
};

/// Services of a ranking that are told.
const RANKS: usize = 5;

type Labels = Vec<(&'static str, String)>;

/// The newest diagnosis of each system; clones share them.
#[derive(Debug, Clone)]
pub(crate) struct NewestDiagnoses {
    systems: usize,
    /// Newest last, one of each system.
    kept: Arc<Mutex<Vec<Arc<v1::Diagnosis>>>>,
}

impl NewestDiagnoses {
    /// Keeps those of at most `systems` systems.
    pub(crate) fn new(systems: usize) -> Self {
        Self { systems, kept: Arc::default() }
    }

    /// Takes up what has ended: it takes the place of the last one of its system, and of the oldest one where there are too many systems.
    pub(crate) fn take(&self, diagnosis: &Arc<v1::Diagnosis>) {
        if diagnosis.state() != DiagnosisState::Done {
            return;
        }
        let mut kept = self.kept();
        kept.retain(|other| other.system != diagnosis.system);
        kept.push(Arc::clone(diagnosis));
        let surplus = kept.len().saturating_sub(self.systems);
        kept.drain(..surplus);
    }

    fn kept(&self) -> MutexGuard<'_, Vec<Arc<v1::Diagnosis>>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Collector for NewestDiagnoses {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let kept = self.kept().clone();
        let mut family = |name: &str,
                          help: &str,
                          unit: Option<&Unit>,
                          samples: fn(&v1::Diagnosis) -> Vec<(Labels, f64)>|
         -> Result<(), fmt::Error> {
            let mut metric = encoder.encode_descriptor(name, help, unit, MetricType::Gauge)?;
            for diagnosis in &kept {
                for (mut labels, value) in samples(diagnosis) {
                    labels.insert(0, ("system", diagnosis.system.clone()));
                    ConstGauge::new(value).encode(metric.encode_family(&labels)?)?;
                }
            }
            Ok(())
        };
        family(
            "automap_newest_diagnosis_time",
            "When the newest diagnosis of a system was made, since the epoch",
            Some(&Unit::Seconds),
            time,
        )?;
        family(
            "automap_newest_diagnosis_confidence",
            "Chance that the service ranked first is a root cause",
            None,
            confidence,
        )?;
        family(
            "automap_newest_diagnosis_score",
            "Scores of the services ranked first; comparable within one ranking only",
            None,
            scores,
        )?;
        family(
            "automap_newest_diagnosis_evidence",
            "How far they left their normal behaviour, ln(1 + deviation in units of the normal spread)",
            None,
            evidence,
        )?;
        family("automap_newest_diagnosis_weight", "What the evidence of a metric type counts", None, weights)
    }
}

/// Whether it names a root cause.
fn is_answered(diagnosis: &v1::Diagnosis) -> bool {
    let abstained = |found: &v1::Assessment| found.abstention() != v1::Abstention::Unspecified;
    !diagnosis.ranking.is_empty() && !diagnosis.assessment.as_ref().is_some_and(abstained)
}

fn time(diagnosis: &v1::Diagnosis) -> Vec<(Labels, f64)> {
    let Ok(created) = UnixMillis::from_wire("created_at", diagnosis.created_at) else { return Vec::new() };
    let first = diagnosis.ranking.first().filter(|_| is_answered(diagnosis));
    let metric = diagnosis
        .assessment
        .as_ref()
        .and_then(|found| found.root_cause_metrics.first())
        .map(|found| found.metric);
    let labels = vec![
        ("diagnosis_id", diagnosis.diagnosis_id.clone()),
        ("front_end", diagnosis.front_end.clone()),
        // Empty where none is named.
        ("root_cause", first.map(|found| found.service.clone()).unwrap_or_default()),
        ("metric", first.and(metric).map(name).unwrap_or_default()),
    ];
    vec![(labels, created.seconds())]
}

fn confidence(diagnosis: &v1::Diagnosis) -> Vec<(Labels, f64)> {
    diagnosis.assessment.iter().map(|found| (Vec::new(), found.confidence)).collect()
}

fn ranked(diagnosis: &v1::Diagnosis) -> impl Iterator<Item = (&v1::RankedService, Labels)> {
    diagnosis
        .ranking
        .iter()
        .take(RANKS)
        .map(|found| (found, vec![("rank", found.rank.to_string()), ("service", found.service.clone())]))
}

fn scores(diagnosis: &v1::Diagnosis) -> Vec<(Labels, f64)> {
    ranked(diagnosis).map(|(found, labels)| (labels, found.score)).collect()
}

fn evidence(diagnosis: &v1::Diagnosis) -> Vec<(Labels, f64)> {
    let mut samples = Vec::new();
    for (found, labels) in ranked(diagnosis) {
        for evidence in found.evidence.iter().take(automap_proto::metric::METRIC_COUNT) {
            let mut labels = labels.clone();
            labels.push(("metric", name(evidence.metric)));
            labels.push(("direction", direction(evidence.direction())));
            samples.push((labels, evidence.deviation));
        }
    }
    samples
}

/// Those of the method `automap`, which sum to 1; those that incidents taught the method `evidence`, else 1 for everything; of
/// other methods none.
fn weights(diagnosis: &v1::Diagnosis) -> Vec<(Labels, f64)> {
    let mut found: BTreeMap<(String, &'static str), f64> = BTreeMap::new();
    if diagnosis.method() == v1::Method::Evidence {
        for kind in MetricKind::ALL {
            for of in ["up", "down"] {
                found.insert((kind.name().into(), of), 1.0);
            }
        }
        if let Some(learned) = &diagnosis.learned_weights {
            for weight in &learned.weights {
                found.insert((name(weight.metric), direction_name(weight.direction())), weight.weight);
            }
            for lead in &learned.leads {
                found.insert((name(lead.metric), "lead"), lead.weight);
            }
        }
    } else {
        for (kind, weight) in MetricKind::ALL.into_iter().zip(&diagnosis.metric_weights) {
            found.insert((kind.name().into(), "any"), *weight);
        }
    }
    found
        .into_iter()
        .map(|((metric, of), weight)| (vec![("metric", metric), ("of", of.into())], weight))
        .collect()
}

fn name(metric: i32) -> String {
    MetricKind::from_wire("metric", metric).map_or("unknown", MetricKind::name).into()
}

fn direction(direction: Direction) -> String {
    direction_name(direction).into()
}

const fn direction_name(direction: Direction) -> &'static str {
    match direction {
        Direction::Up => "up",
        Direction::Down => "down",
        Direction::Unspecified => "any",
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::{encoding::text::encode, registry::Registry};

    use super::*;

    fn diagnosis(system: &str, services: &[&str]) -> Arc<v1::Diagnosis> {
        let evidence = v1::Evidence {
            metric: v1::MetricKind::Cpu.into(),
            series: "cpu".into(),
            deviation: 2.5,
            direction: Direction::Up.into(),
        };
        let ranking = services.iter().zip(1..).map(|(service, rank)| v1::RankedService {
            rank,
            service: (*service).into(),
            score: 1.0 / f64::from(rank),
            evidence: vec![evidence.clone()],
            ..v1::RankedService::default()
        });
        Arc::new(v1::Diagnosis {
            diagnosis_id: format!("id-{system}"),
            system: system.into(),
            front_end: "web".into(),
            method: v1::Method::Evidence.into(),
            state: DiagnosisState::Done.into(),
            created_at: Some(UnixMillis(1_500).to_wire()),
            ranking: ranking.collect(),
            assessment: Some(v1::Assessment {
                confidence: 0.75,
                root_cause_metrics: vec![v1::MetricCandidate {
                    metric: v1::MetricKind::Cpu.into(),
                    score: 1.0,
                }],
                ..v1::Assessment::default()
            }),
            ..v1::Diagnosis::default()
        })
    }

    fn page(newest: &NewestDiagnoses) -> String {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(newest.clone()));
        let mut text = String::new();
        encode(&mut text, &registry).unwrap();
        text
    }

    #[test]
    fn a_diagnosis_is_told_whole_and_quotes_are_escaped() {
        let newest = NewestDiagnoses::new(3);
        newest.take(&diagnosis("shop", &["ca\"rt", "db"]));
        let text = page(&newest);
        for line in [
            r#"automap_newest_diagnosis_time_seconds{system="shop",diagnosis_id="id-shop",front_end="web",root_cause="ca\"rt",metric="cpu"} 1.5"#,
            r#"automap_newest_diagnosis_confidence{system="shop"} 0.75"#,
            r#"automap_newest_diagnosis_score{system="shop",rank="2",service="db"} 0.5"#,
            r#"automap_newest_diagnosis_evidence{system="shop",rank="2",service="db",metric="cpu",direction="up"} 2.5"#,
            r#"automap_newest_diagnosis_weight{system="shop",metric="cpu",of="up"} 1.0"#,
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
    }

    #[test]
    fn only_the_newest_of_so_many_systems_is_told_and_only_the_services_ranked_first() {
        let newest = NewestDiagnoses::new(2);
        for system in ["a", "b", "c"] {
            newest.take(&diagnosis(system, &["one", "two", "three", "four", "five", "six"]));
        }
        newest.take(&diagnosis("b", &["seven"]));
        let failed =
            v1::Diagnosis { state: DiagnosisState::Failed.into(), ..(*diagnosis("c", &["x"])).clone() };
        newest.take(&Arc::new(failed));
        let text = page(&newest);
        assert!(
            !text.contains(r#"system="a""#) && !text.contains("six") && !text.contains(r#"service="x""#),
            "{text}"
        );
        assert_eq!(text.matches("automap_newest_diagnosis_score{").count(), RANKS + 1, "{text}");
    }

    #[test]
    fn an_answer_that_names_no_root_cause_has_none() {
        let mut abstained = (*diagnosis("shop", &["cart"])).clone();
        let nothing = v1::Abstention::NothingDeparted;
        abstained.assessment.as_mut().unwrap().abstention = nothing.into();
        let newest = NewestDiagnoses::new(1);
        newest.take(&Arc::new(abstained));
        let text = page(&newest);
        assert!(text.contains(r#"root_cause="",metric="""#), "{text}");
    }

    #[test]
    fn weights_are_those_of_the_method() {
        let mut learned = (*diagnosis("shop", &["cart"])).clone();
        learned.learned_weights = Some(v1::LearnedWeights {
            weights: vec![v1::EvidenceWeight {
                metric: v1::MetricKind::Io.into(),
                direction: Direction::Down.into(),
                weight: 0.5,
            }],
            ..v1::LearnedWeights::default()
        });
        let found = weights(&learned);
        assert_eq!(found.len(), 2 * MetricKind::ALL.len());
        assert_eq!(found.iter().filter(|(_, weight)| *weight < 1.0).count(), 1);
        let published = v1::Diagnosis {
            method: v1::Method::Automap.into(),
            metric_weights: vec![1.0 / 7.0; 7],
            ..(*diagnosis("shop", &["cart"])).clone()
        };
        assert_eq!(weights(&published).len(), 7);
        let baseline =
            v1::Diagnosis { method: v1::Method::Baro.into(), ..(*diagnosis("shop", &["cart"])).clone() };
        assert!(weights(&baseline).is_empty());
    }
}
