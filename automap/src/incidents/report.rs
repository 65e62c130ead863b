//! How incidents look, for people and for programs.

use std::fmt::Write as _;

use automap_proto::{metric::MetricKind, time::UnixMillis, v1};
use comfy_table::{ColumnConstraint, ContentArrangement, Table, Width, presets::UTF8_FULL_CONDENSED};
use serde::Serialize;

use automap_walker::report::{context::root_causes_by, verdict::moment};

/// What engineers say of an incident by now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Nobody has said anything.
    Open,
    /// Its root causes are known.
    Confirmed,
    /// The diagnosis was wrong, and what is right is not known.
    Rejected,
}

/// A judgement.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Judgement {
    /// None: the diagnosis was rejected.
    pub root_causes: Vec<String>,
    /// The metric that showed the cause.
    pub metric: Option<&'static str>,
    /// Free text.
    pub note: String,
    /// Who.
    pub by: String,
    /// When, unix seconds.
    pub at: Option<f64>,
}

/// An incident without its graph.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct IncidentReport {
    /// Its id.
    pub incident_id: String,
    /// The application.
    pub system: String,
    /// The service that alerted.
    pub front_end: String,
    /// When it began, unix seconds.
    pub anomaly_start: Option<f64>,
    /// When it was recorded, unix seconds.
    pub recorded_at: Option<f64>,
    /// What engineers say of it by now.
    pub status: Status,
    /// The root causes that count.
    pub root_causes: Vec<String>,
    /// The services in the order in which they were ranked.
    pub ranked_services: Vec<String>,
    /// All judgements, the oldest first; the last one counts.
    pub confirmations: Vec<Judgement>,
}

fn seconds(wire: Option<prost_types::Timestamp>) -> Option<f64> {
    UnixMillis::from_wire("time", wire).ok().map(|time| time.0 as f64 / 1000.0)
}

fn told(seconds: Option<f64>) -> String {
    seconds.map_or_else(|| "?".into(), |seconds| moment(UnixMillis((seconds * 1000.0) as i64)))
}

impl From<v1::Incident> for IncidentReport {
    fn from(incident: v1::Incident) -> Self {
        let context = incident.context.unwrap_or_default();
        let confirmations: Vec<Judgement> = incident.confirmations.into_iter().map(Judgement::from).collect();
        let root_causes = confirmations.last().map(|last| last.root_causes.clone());
        Self {
            incident_id: incident.incident_id,
            system: context.system,
            front_end: context.front_end,
            anomaly_start: seconds(context.anomaly_start),
            recorded_at: seconds(incident.recorded_at),
            status: match &root_causes {
                None => Status::Open,
                Some(causes) if causes.is_empty() => Status::Rejected,
                Some(_) => Status::Confirmed,
            },
            root_causes: root_causes.unwrap_or_default(),
            ranked_services: incident.ranked_services,
            confirmations,
        }
    }
}

impl From<v1::Confirmation> for Judgement {
    fn from(wire: v1::Confirmation) -> Self {
        Self {
            metric: MetricKind::from_wire("metric", wire.metric).ok().map(MetricKind::name),
            root_causes: wire.root_causes,
            note: wire.note,
            by: wire.confirmed_by,
            at: seconds(wire.confirmed_at),
        }
    }
}

impl Judgement {
    /// `2026-03-01T10:20:00Z ada: cart, db (cpu): a loop in version 2.1`
    fn text(&self) -> String {
        let mut text = told(self.at);
        if !self.by.is_empty() {
            write!(text, " {}", self.by).ok();
        }
        match self.root_causes.as_slice() {
            [] => text.push_str(": rejected"),
            causes => {
                write!(text, ": {}", root_causes_by(causes, self.metric)).ok();
            }
        }
        if !self.note.is_empty() {
            write!(text, ": {}", self.note).ok();
        }
        text
    }
}

impl IncidentReport {
    fn verdict(&self) -> String {
        match self.status {
            Status::Open => "open".into(),
            Status::Rejected => "rejected".into(),
            Status::Confirmed => self.root_causes.join(", "),
        }
    }

    /// The incident for a person.
    pub fn text(&self) -> String {
        let mut text = format!(
            "incident {} of {}, front end {}, began {}, recorded {}\n",
            self.incident_id,
            self.system,
            self.front_end,
            told(self.anomaly_start),
            told(self.recorded_at)
        );
        writeln!(text, "ranked: {}", self.ranked_services.join(", ")).ok();
        match self.status {
            Status::Open => text.push_str("root cause: not confirmed yet\n"),
            Status::Rejected => text.push_str("root cause: unknown; the diagnosis was rejected\n"),
            Status::Confirmed => {
                writeln!(text, "root cause: {}", self.root_causes.join(", ")).ok();
            }
        }
        for judgement in &self.confirmations {
            writeln!(text, "  {}", judgement.text()).ok();
        }
        text
    }
}

/// Columns of `2026-03-01` with a space on each side.
const DAY_WIDTH: u16 = 12;

/// A day and a second of it, so that a narrow column breaks between them.
fn told_apart(seconds: Option<f64>) -> String {
    told(seconds.map(f64::floor)).replace('T', " ")
}

/// A list of incidents for a person.
pub fn table(incidents: &[IncidentReport]) -> String {
    if incidents.is_empty() {
        return "no incidents\n".into();
    }
    format!("{}\n", list(incidents))
}

fn list<'a>(incidents: impl IntoIterator<Item = &'a IncidentReport>) -> Table {
    let mut table = new_table(["incident", "recorded ↓", "began", "system", "front end", "root cause"]);
    for incident in incidents {
        table.add_row([
            incident.incident_id.clone(),
            told_apart(incident.recorded_at),
            told_apart(incident.anomaly_start),
            incident.system.clone(),
            incident.front_end.clone(),
            incident.verdict(),
        ]);
    }
    for times in [1, 2] {
        if let Some(times) = table.column_mut(times) {
            times.set_constraint(ColumnConstraint::LowerBoundary(Width::Fixed(DAY_WIDTH)));
        }
    }
    table
}

/// A past incident that resembles another.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SimilarReport {
    /// Its id.
    pub incident_id: String,
    /// 0..1.
    pub similarity: f64,
    /// The root causes that count; none unless it is confirmed.
    pub root_causes: Vec<String>,
    /// The metric that showed the cause, where it was confirmed.
    pub metric: Option<&'static str>,
}

impl From<v1::SimilarIncident> for SimilarReport {
    fn from(found: v1::SimilarIncident) -> Self {
        Self {
            metric: MetricKind::from_wire("metric", found.metric).ok().map(MetricKind::name),
            incident_id: found.incident_id,
            similarity: found.similarity,
            root_causes: found.root_causes,
        }
    }
}

/// What is said of an incident that was recorded while the graph-builder was missing.
pub const NOT_COMPARED: &str = "not compared, no behaviour graph";

/// Similar incidents for a person, the most similar first.
pub fn similar_table(found: &[SimilarReport]) -> String {
    if found.is_empty() {
        return "no past incident resembles it\n".into();
    }
    let mut table = new_table(["incident", "alike", "confirmed root cause"]);
    for similar in found {
        table.add_row([
            similar.incident_id.clone(),
            format!("{:.0} %", 100.0 * similar.similarity),
            match similar.root_causes.as_slice() {
                [] => "-".into(),
                causes => root_causes_by(causes, similar.metric),
            },
        ]);
    }
    format!("{table}\n")
}

fn new_table<const N: usize>(header: [&str; N]) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(header);
    // An id is copied: it stays in one piece.
    if let Some(ids) = table.column_mut(0) {
        ids.set_constraint(ColumnConstraint::ContentWidth);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Option<prost_types::Timestamp> {
        Some(UnixMillis(seconds * 1000).to_wire())
    }

    fn incident(confirmations: Vec<v1::Confirmation>) -> IncidentReport {
        v1::Incident { incident_id: "inc".into(), recorded_at: at(60), confirmations, ..Default::default() }
            .into()
    }

    #[test]
    fn a_list_shows_by_what_it_is_sorted_and_breaks_no_id() {
        let mut table = list(&[IncidentReport {
            incident_id: "inc-3f9a12cc5d0e4b17".into(),
            system: "a-system-of-a-very-long-name".into(),
            front_end: "a-front-end-of-a-very-long-name".into(),
            anomaly_start: Some(0.5),
            ..incident(vec![])
        }]);
        let text = table.set_width(80).to_string();
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
        assert!(text.contains("inc-3f9a12cc5d0e4b17") && text.contains("recorded ↓"), "{text}");
        assert!(text.contains("1970-01-01") && text.contains("00:01:00Z"), "{text}");
    }

    #[test]
    fn the_last_judgement_counts_and_all_are_shown() {
        assert_eq!(incident(vec![]).status, Status::Open);
        let confirmed = v1::Confirmation {
            root_causes: vec!["cart".into(), "db".into()],
            metric: v1::MetricKind::Cpu.into(),
            note: "a loop".into(),
            confirmed_by: "ada".into(),
            confirmed_at: at(120),
        };
        let report = incident(vec![confirmed.clone()]);
        assert_eq!((report.status, report.verdict()), (Status::Confirmed, "cart, db".into()));
        assert!(report.text().contains("  1970-01-01T00:02:00Z ada: cart, db (cpu): a loop\n"));
        let report =
            incident(vec![confirmed, v1::Confirmation { confirmed_at: at(180), ..Default::default() }]);
        assert_eq!(report.status, Status::Rejected);
        assert!(report.root_causes.is_empty());
        assert!(
            report.text().contains("cart, db") && report.text().ends_with("1970-01-01T00:03:00Z: rejected\n")
        );
    }

    #[test]
    fn what_is_similar_is_told_with_the_metric_that_was_confirmed() {
        let found = |root_causes: &[&str], metric: v1::MetricKind| {
            SimilarReport::from(v1::SimilarIncident {
                incident_id: "inc-42".into(),
                similarity: 0.87,
                root_causes: root_causes.iter().map(|&cause| cause.to_owned()).collect(),
                metric: metric.into(),
                ..Default::default()
            })
        };
        let reports = [
            found(&["cart", "db"], v1::MetricKind::Cpu),
            found(&["mq"], v1::MetricKind::Unspecified),
            found(&[], v1::MetricKind::Unspecified),
        ];
        let table = similar_table(&reports);
        assert!(table.contains("87 %") && table.contains("cart, db (cpu)"), "{table}");
        assert!(table.contains("mq ") && table.contains("- "), "{table}");
        let told = serde_json::to_value(&reports).unwrap();
        assert_eq!((&told[0]["metric"], &told[1]["metric"]), (&"cpu".into(), &serde_json::Value::Null));
    }
}
