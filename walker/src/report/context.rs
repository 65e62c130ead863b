//! What was diagnosed, and what it resembles, a line each.

use automap_proto::{metric::MetricKind, time::UnixMillis, v1};

use super::{answer::Answer, verdict::moment};

/// `87 % similar to incident inc-42, confirmed root cause cart (cpu)`
pub fn recurrence(incident: &v1::PastIncident) -> String {
    let metric = MetricKind::from_wire("metric", incident.metric).ok();
    format!(
        "{:.0} % similar to incident {}, confirmed root cause {}",
        100.0 * incident.similarity,
        incident.incident_id,
        root_causes_by(&incident.root_causes, metric.map(MetricKind::name))
    )
}

/// `cart, db (cpu)`
pub fn root_causes_by(root_causes: &[String], metric: Option<&str>) -> String {
    let metric = metric.map_or_else(String::new, |metric| format!(" ({metric})"));
    root_causes.join(", ") + &metric
}

/// `shop by evidence: incident 2026-03-01T10:50:00Z to 2026-03-01T10:54:55Z (60 rows), normal … (600 rows)`
pub fn what_was_diagnosed(answer: &Answer) -> String {
    let window = |summary: Option<&v1::WindowSummary>| {
        let summary = summary.cloned().unwrap_or_default();
        format!("{} to {} ({} rows)", time(summary.start), time(summary.end), summary.samples)
    };
    format!(
        "{} by {}: incident {}, normal {}",
        answer.wire.system,
        answer.method,
        window(answer.wire.window.as_ref()),
        window(answer.wire.normal_window.as_ref())
    )
}

/// A time as a person reads it.
pub fn time(wire: Option<prost_types::Timestamp>) -> String {
    UnixMillis::from_wire("time", wire).map_or_else(|_| "?".to_owned(), moment)
}
