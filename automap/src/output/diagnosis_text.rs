//! A diagnosis for a person: the verdict first, reasons next, details last.

use std::fmt::Write as _;

use automap_proto::{metric::MetricKind, time::UnixMillis, v1};
use automap_walker::explain;
use comfy_table::{ContentArrangement, Table, presets::UTF8_FULL_CONDENSED};

use super::{
    learning,
    verdict::{self, moment},
};
use crate::answer::Answer;

/// Most reasons that are shown for one service.
const REASONS: usize = 3;

/// The text of a diagnosis with the first `top` services.
pub fn render(answer: &Answer, top: usize) -> String {
    let mut text = String::new();
    let ranked = answer.ranking.services();
    for line in verdict::lines(answer) {
        writeln!(text, "{line}").ok();
    }
    if !text.is_empty() {
        text.push('\n');
    }
    writeln!(text, "{}", what_was_diagnosed(answer)).ok();
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(["rank", "service", "class", "score", "evidence", "path"]);
    for service in ranked.iter().take(top) {
        let mut reasons = explain::departures(service);
        reasons.truncate(REASONS);
        table.add_row([
            service.rank.to_string(),
            service.service.clone(),
            service.class.map_or_else(String::new, |class| class.letter().to_string()),
            format!("{:.4}", service.score),
            reasons.join("\n"),
            service.path.join("\n→ "),
        ]);
    }
    writeln!(text, "{table}").ok();
    if ranked.iter().any(|service| service.class.is_some()) {
        writeln!(
            text,
            "class: R latency, C cpu, N throughput or congestion, S io, E memory or nothing dominates"
        )
        .ok();
    }
    if ranked.len() > top {
        writeln!(text, "{} more services; --top N shows more, --output json all", ranked.len() - top).ok();
    }
    for line in learning::lines(answer) {
        writeln!(text, "{line}").ok();
    }
    for incident in &answer.wire.similar {
        writeln!(text, "{}", recurrence(incident)).ok();
    }
    for warning in &answer.wire.warnings {
        writeln!(text, "warning: {warning}").ok();
    }
    text
}

/// `87 % similar to incident inc-42, confirmed root cause cart (cpu)`
fn recurrence(incident: &v1::PastIncident) -> String {
    let metric = MetricKind::from_wire("metric", incident.metric);
    format!(
        "{:.0} % similar to incident {}, confirmed root cause {}{}",
        100.0 * incident.similarity,
        incident.incident_id,
        incident.root_causes.join(", "),
        metric.map_or_else(|_| String::new(), |metric| format!(" ({metric})"))
    )
}

/// `shop by evidence: incident 2026-03-01T10:50:00Z to 2026-03-01T10:54:55Z (60 rows), normal … (600 rows)`
fn what_was_diagnosed(answer: &Answer) -> String {
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

fn time(wire: Option<prost_types::Timestamp>) -> String {
    UnixMillis::from_wire("time", wire).map_or_else(|_| "?".to_owned(), moment)
}
