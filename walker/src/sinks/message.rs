//! What sinks are told of a diagnosis.

use std::collections::BTreeMap;

use automap_proto::{
    assessment::Assessment,
    metric::MetricKind,
    ranking::RankedService,
    time::UnixMillis,
    v1::{self, DiagnosisState},
};
use serde::Serialize;

use crate::{
    explain,
    report::{context::recurrence, verdict::how_often_right},
};

/// Causes that are told.
const CAUSES: usize = 5;
/// Series that are told of a cause.
const SERIES: usize = 3;
/// Alerts, warnings and past incidents that are told.
const MOST: usize = 20;

/// What sinks are told of a diagnosis, and what templates see. Times are RFC 3339.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub(crate) struct Message {
    /// Of this form: 1.
    pub(crate) version: u32,
    /// The same for every telling of one incident.
    pub(crate) dedup_key: String,
    pub(crate) diagnosis_id: String,
    /// Empty when the incident was not recorded.
    pub(crate) incident_id: String,
    pub(crate) system: String,
    pub(crate) front_end: String,
    /// `done` or `failed`.
    pub(crate) state: String,
    /// A sentence for a person.
    pub(crate) verdict: String,
    /// Null where none is named.
    pub(crate) root_cause: Option<String>,
    /// The metric type at fault, of the root cause.
    pub(crate) metric: Option<String>,
    /// How often such an answer is right, 0 to 1; null where the method tells nothing.
    pub(crate) confidence: Option<f64>,
    /// Why no root cause is named.
    pub(crate) reason: Option<String>,
    /// When the incident began, as the metrics tell, else as the alert says.
    pub(crate) began: Option<String>,
    pub(crate) diagnosed: Option<String>,
    pub(crate) causes: Vec<Cause>,
    pub(crate) similar: Vec<Similar>,
    pub(crate) warnings: Vec<String>,
    pub(crate) alerts: Vec<ToldAlert>,
    /// Alerts that are not listed.
    pub(crate) alerts_left_out: u64,
    /// Where people look at it; null unless walker.http.external-url is set.
    pub(crate) url: Option<String>,
}

/// A service of the ranking.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub(crate) struct Cause {
    pub(crate) rank: u32,
    pub(crate) service: String,
    pub(crate) score: f64,
    /// What speaks against it, in a line.
    pub(crate) evidence: String,
    /// How the front end leads there, in a line.
    pub(crate) path: String,
    /// When it left its normal behaviour.
    pub(crate) onset: Option<String>,
}

/// A past incident that resembles this one.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub(crate) struct Similar {
    pub(crate) incident_id: String,
    pub(crate) similarity: f64,
    pub(crate) root_causes: Vec<String>,
    /// The metric type that showed the cause; null where that was not confirmed.
    pub(crate) metric: Option<String>,
    /// The same as a sentence for a person.
    pub(crate) sentence: String,
}

/// An alert that began the diagnosis or belongs to it.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub(crate) struct ToldAlert {
    pub(crate) name: String,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) starts_at: Option<String>,
    pub(crate) ends_at: Option<String>,
    pub(crate) generator_url: String,
}

impl Message {
    /// What is told of `diagnosis`; `external_url` is where the walker's page is reached.
    pub(crate) fn new(diagnosis: &v1::Diagnosis, external_url: Option<&str>) -> Self {
        let ranking: Vec<RankedService> = diagnosis
            .ranking
            .iter()
            .take(CAUSES)
            .filter_map(|ranked| RankedService::try_from(ranked).ok())
            .collect();
        let assessment = diagnosis.assessment.as_ref().and_then(|found| Assessment::try_from(found).ok());
        let reason = assessment
            .as_ref()
            .and_then(|found| found.abstention.as_ref().map(|(_, reason)| reason.clone()))
            .or_else(|| Some(diagnosis.failure.clone()).filter(|failure| !failure.is_empty()));
        let done = diagnosis.state() == DiagnosisState::Done;
        let first = ranking.first().filter(|_| done && reason.is_none());
        let metric = assessment
            .as_ref()
            .filter(|_| first.is_some())
            .and_then(|found| found.root_cause_metrics.first())
            .map(|candidate| candidate.metric);
        let alerts = diagnosis.alerts.as_ref();
        let onset = assessment.as_ref().map(|found| moment(found.onset));
        Self {
            version: 1,
            dedup_key: Some(&diagnosis.incident_id)
                .filter(|id| !id.is_empty())
                .unwrap_or(&diagnosis.diagnosis_id)
                .clone(),
            diagnosis_id: diagnosis.diagnosis_id.clone(),
            incident_id: diagnosis.incident_id.clone(),
            system: diagnosis.system.clone(),
            front_end: diagnosis.front_end.clone(),
            state: if done { "done" } else { "failed" }.into(),
            verdict: verdict(diagnosis, first, metric, reason.as_deref()),
            root_cause: first.map(|ranked| ranked.service.clone()),
            metric: metric.map(|metric| metric.to_string()),
            confidence: assessment.as_ref().map(|found| found.confidence),
            reason,
            began: onset
                .or_else(|| diagnosis.window.as_ref().and_then(|window| wire_moment(window.start.as_ref()))),
            diagnosed: wire_moment(diagnosis.created_at.as_ref()),
            causes: ranking.iter().map(Cause::new).collect(),
            similar: diagnosis.similar.iter().take(MOST).map(Similar::new).collect(),
            warnings: diagnosis.warnings.iter().take(MOST).cloned().collect(),
            alerts: alerts
                .map_or_else(Vec::new, |list| list.alerts.iter().take(MOST).map(ToldAlert::new).collect()),
            alerts_left_out: alerts.map_or(0, |list| {
                list.left_out.saturating_add(list.alerts.len().saturating_sub(MOST) as u64)
            }),
            url: external_url
                .map(|url| format!("{}/diagnoses/{}", url.trim_end_matches('/'), diagnosis.diagnosis_id)),
        }
    }

    /// One with a value in every field, on which templates are tried.
    pub(super) fn example() -> Self {
        let text = |text: &str| Some(text.to_owned());
        Self {
            version: 1,
            dedup_key: "inc-0123456789abcdef".into(),
            diagnosis_id: "alert-0123".into(),
            incident_id: "inc-0123456789abcdef".into(),
            system: "shop".into(),
            front_end: "web".into(),
            state: "done".into(),
            verdict: "Most likely root cause of the alert on web: cart (cpu); right in about 83 of 100 such incidents"
                .into(),
            root_cause: text("cart"),
            metric: text("cpu"),
            confidence: Some(0.83),
            reason: text("none"),
            began: text("2026-03-01T10:20:00Z"),
            diagnosed: text("2026-03-01T10:21:00Z"),
            causes: vec![Cause {
                rank: 1,
                service: "cart".into(),
                score: 1.0,
                evidence: "cpu up 34 normal spreads".into(),
                path: "web → cart, 61 % of walks".into(),
                onset: text("2026-03-01T10:20:00Z"),
            }],
            similar: vec![Similar {
                incident_id: "inc-1".into(),
                similarity: 0.87,
                root_causes: vec!["cart".into()],
                metric: text("cpu"),
                sentence: "87 % similar to incident inc-1, confirmed root cause cart (cpu)".into(),
            }],
            warnings: vec!["normal behaviour is short".into()],
            alerts: vec![ToldAlert {
                name: "Slow".into(),
                labels: BTreeMap::from([("service".into(), "web".into())]),
                starts_at: text("2026-03-01T10:20:00Z"),
                ends_at: text("2026-03-01T10:25:00Z"),
                generator_url: "http://prometheus.example/graph".into(),
            }],
            alerts_left_out: 1,
            url: text("https://automap.example.org/diagnoses/alert-0123"),
        }
    }
}

fn verdict(
    diagnosis: &v1::Diagnosis,
    first: Option<&RankedService>,
    metric: Option<MetricKind>,
    reason: Option<&str>,
) -> String {
    let front_end = &diagnosis.front_end;
    if diagnosis.state() != DiagnosisState::Done {
        return format!("The diagnosis of the alert on {front_end} failed: {}", diagnosis.failure);
    }
    let Some(first) = first else {
        let reason = reason.unwrap_or("no service has metrics");
        return format!("No root cause of the alert on {front_end} stands out: {reason}");
    };
    let metric = metric.map_or_else(String::new, |metric| format!(" ({metric})"));
    let right = diagnosis
        .assessment
        .as_ref()
        .map_or_else(String::new, |found| format!("; {} such incidents", how_often_right(found.confidence)));
    format!("Most likely root cause of the alert on {front_end}: {}{metric}{right}", first.service)
}

impl Cause {
    fn new(ranked: &RankedService) -> Self {
        Self {
            rank: ranked.rank,
            service: ranked.service.clone(),
            score: ranked.score,
            evidence: explain::departures_in_short(ranked, SERIES),
            path: explain::path_in_short(ranked),
            onset: ranked.onset.map(moment),
        }
    }
}

impl Similar {
    fn new(past: &v1::PastIncident) -> Self {
        Self {
            incident_id: past.incident_id.clone(),
            similarity: past.similarity,
            root_causes: past.root_causes.clone(),
            metric: MetricKind::from_wire("metric", past.metric).ok().map(|metric| metric.to_string()),
            sentence: recurrence(past),
        }
    }
}

impl ToldAlert {
    fn new(alert: &v1::Alert) -> Self {
        Self {
            name: alert.name.clone(),
            labels: alert.labels.clone().into_iter().collect(),
            starts_at: wire_moment(alert.starts_at.as_ref()),
            ends_at: wire_moment(alert.ends_at.as_ref()),
            generator_url: alert.generator_url.clone(),
        }
    }
}

fn moment(time: UnixMillis) -> String {
    jiff::Timestamp::from_millisecond(time.0).map_or_else(|_| "?".to_owned(), |time| time.to_string())
}

fn wire_moment(time: Option<&prost_types::Timestamp>) -> Option<String> {
    UnixMillis::from_wire("time", time.copied()).ok().map(moment)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A diagnosis that names `db1`.
    pub(in crate::sinks) fn diagnosis() -> v1::Diagnosis {
        let ranked = |rank: u32, service: &str| v1::RankedService {
            rank,
            service: service.into(),
            score: 1.0 / f64::from(rank),
            evidence: vec![v1::Evidence {
                metric: v1::MetricKind::Cpu.into(),
                series: "cpu".into(),
                deviation: 3.0,
                direction: v1::Direction::Up.into(),
            }],
            path: vec!["web".into(), service.into()],
            path_share: 0.5,
            path_hops: vec![v1::Hop::Calls.into()],
            ..v1::RankedService::default()
        };
        v1::Diagnosis {
            diagnosis_id: "alert-1".into(),
            incident_id: "inc-1".into(),
            system: "shop".into(),
            front_end: "web".into(),
            state: DiagnosisState::Done.into(),
            ranking: vec![ranked(1, "db1"), ranked(2, "web & <co>")],
            assessment: Some(v1::Assessment {
                confidence: 0.8,
                onset: Some(UnixMillis(1_772_360_400_000).to_wire()),
                root_cause_metrics: vec![v1::MetricCandidate {
                    metric: v1::MetricKind::Cpu.into(),
                    score: 1.0,
                }],
                walked_graph: v1::WalkedGraph::None.into(),
                ..v1::Assessment::default()
            }),
            alerts: Some(v1::AlertList {
                alerts: vec![v1::Alert { name: "Slow".into(), ..v1::Alert::default() }],
                left_out: 2,
            }),
            created_at: Some(UnixMillis(1_772_360_460_000).to_wire()),
            ..v1::Diagnosis::default()
        }
    }

    #[test]
    fn a_root_cause_is_told_with_its_confidence_and_a_stable_key() {
        let message = Message::new(&diagnosis(), Some("https://automap.example.org/"));
        assert_eq!(
            message.verdict,
            "Most likely root cause of the alert on web: db1 (cpu); right in about 80 of 100 such incidents"
        );
        assert_eq!((message.dedup_key.as_str(), message.root_cause.as_deref()), ("inc-1", Some("db1")));
        assert_eq!(message.causes[0].evidence, "cpu up 19 normal spreads");
        assert_eq!(message.causes[0].path, "web → db1, 50 % of walks");
        assert_eq!(message.began.as_deref(), Some("2026-03-01T10:20:00Z"));
        assert_eq!((message.alerts.len(), message.alerts_left_out), (1, 2));
        assert_eq!(message.url.as_deref(), Some("https://automap.example.org/diagnoses/alert-1"));
    }

    #[test]
    fn a_recurrence_is_told_with_the_metric_that_was_confirmed() {
        let past = |metric: v1::MetricKind| v1::PastIncident {
            incident_id: "inc-42".into(),
            similarity: 0.866,
            root_causes: vec!["cart".into(), "db".into()],
            metric: metric.into(),
        };
        let similar = vec![past(v1::MetricKind::Cpu), past(v1::MetricKind::Unspecified)];
        let message = Message::new(&v1::Diagnosis { similar, ..diagnosis() }, None);
        let told = serde_json::to_value(&message.similar).unwrap();
        assert_eq!(told[0]["metric"], "cpu");
        assert_eq!(
            told[0]["sentence"],
            "87 % similar to incident inc-42, confirmed root cause cart, db (cpu)"
        );
        assert_eq!(told[1]["metric"], serde_json::Value::Null);
        assert_eq!(told[1]["sentence"], "87 % similar to incident inc-42, confirmed root cause cart, db");
    }

    #[test]
    fn an_answer_without_a_root_cause_says_why() {
        let mut abstained = diagnosis();
        if let Some(found) = &mut abstained.assessment {
            found.set_abstention(v1::Abstention::NotUnusual);
            found.reason = "services departed no further than in normal times".into();
        }
        let message = Message::new(&abstained, None);
        assert_eq!((message.root_cause, message.metric, message.url), (None, None, None));
        assert!(message.verdict.ends_with("no further than in normal times"), "{}", message.verdict);
        let failed = v1::Diagnosis {
            state: DiagnosisState::Failed.into(),
            failure: "collector: cannot be reached".into(),
            incident_id: String::new(),
            ranking: Vec::new(),
            assessment: None,
            ..diagnosis()
        };
        let message = Message::new(&failed, None);
        assert_eq!((message.state.as_str(), message.dedup_key.as_str()), ("failed", "alert-1"));
        assert_eq!(message.verdict, "The diagnosis of the alert on web failed: collector: cannot be reached");
    }
}
