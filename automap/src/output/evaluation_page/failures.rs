//! Where it fails: before anything that went well.

use maud::{Markup, html};

use super::{
    chart,
    numbers::{cell, count, optional, plain},
};
use crate::{
    evaluate::{
        fault_report::FaultReport,
        figures_report::DatasetReport,
        incident_report::{AnswerReport, IncidentReport},
        report::Report,
    },
    output::evaluation_charts::{BarRow, IntervalRow, bars, intervals, palette},
};

/// What finds nothing but by luck.
const CHANCE: &str = "random";
/// Most incidents that are listed.
const MAX_LISTED: usize = 12;

pub(super) fn section(report: &Report) -> anyhow::Result<Markup> {
    let Some(first) = report.contenders.first() else {
        return Ok(html! {});
    };
    let answers: Vec<(&IncidentReport, &AnswerReport)> = report
        .incidents
        .iter()
        .filter_map(|incident| Some((incident, incident.answers.get(&first.name)?)))
        .collect();
    let wrong = answers.iter().filter(|(_, answer)| answer.precision[0] == 0.0).count();
    let missed = answers.iter().filter(|(_, answer)| answer.precision[4] == 0.0).count();
    let seen = |pair: &&(&IncidentReport, &AnswerReport)| pair.0.unknowable == Some(false);
    let missed_though_seen =
        answers.iter().filter(seen).filter(|(_, answer)| answer.precision[4] == 0.0).count();
    let mut faults: Vec<&FaultReport> = report.fault_types.iter().collect();
    faults.sort_by(|left, right| {
        let worth = |fault: &FaultReport| fault.methods.first().map_or(0.0, |method| method.ac1.value);
        worth(left).total_cmp(&worth(right)).then_with(|| left.dataset.cmp(&right.dataset))
    });
    let fault_rows: Vec<IntervalRow> = faults.iter().filter_map(|fault| fault_interval(fault)).collect();
    let by_fault = intervals("AC@1", &fault_rows, 0.0, 1.0)?;
    Ok(html! {
        section {
            h2 { "Where it fails" }
            p {
                "Of " (count(answers.len(), "incident")) ", the first answer of " b { (first.name) } " was wrong in "
                (wrong) ", and in " (missed) " the root cause was not among the first five services. "
                @if report.incidents.iter().any(|incident| incident.unknowable.is_some()) {
                    "In " (missed_though_seen) " of those " (missed) " it had left its normal range visibly."
                }
            }
            (chart("outcomes", &outcomes(report, &answers)?, &format!("What became of the incidents of each dataset, in the answers of {}.", first.name)))
            h3 { "By what was done to the root cause, worst first" }
            (chart("faults", &by_fault, "AC@1 by dataset and fault, with 95 % intervals; blue where at least half of the first answers are right."))
            div.wide { table {
                thead { tr {
                    th { "dataset" } th { "fault" } th.number { "incidents" } th.number { "nobody could know" }
                    th.number { "AC@1" } th.number { "AC@3" } th.number { "AC@5" } th.number { "Avg@5" } th { "best other method, AC@1" }
                } }
                tbody { @for fault in faults { (fault_row(fault)) } }
            } }
            (confidently_wrong(&answers))
            (refused(report))
        }
    })
}

fn fault_interval(fault: &FaultReport) -> Option<IntervalRow> {
    let estimate = fault.methods.first()?.ac1;
    Some(IntervalRow {
        label: format!("{}, {} ({})", fault.dataset, fault.fault_type.replace('_', " "), fault.incidents),
        estimate,
        accent: estimate.value >= 0.5,
    })
}

/// Shares of every dataset's incidents by what became of them; ties count with their shares.
fn outcomes(report: &Report, answers: &[(&IncidentReport, &AnswerReport)]) -> anyhow::Result<String> {
    let row = |dataset: &DatasetReport| {
        let mut parts = [0.0; 4];
        for (incident, answer) in answers {
            if incident.id.split_once('/').is_none_or(|(name, _)| name != dataset.name) {
                continue;
            }
            let [first, .., five] = answer.precision;
            parts[0] += first;
            parts[1] += five - first;
            parts[if incident.unknowable == Some(true) { 3 } else { 2 }] += 1.0 - five;
        }
        let all = parts.iter().sum::<f64>().max(1.0);
        BarRow {
            label: format!("{} ({})", dataset.name, dataset.incidents),
            parts: parts.map(|part| part / all).to_vec(),
            text: parts.map(|part| format!("{part:.0}")).join(" · "),
        }
    };
    let rows: Vec<BarRow> = report.datasets.iter().map(row).collect();
    let legend = [
        ("root cause ranked first", palette::ACCENT),
        ("among the first five", palette::OTHERS[1]),
        ("missed", palette::OTHERS[3]),
        ("missed, and nobody could have known: no series of it left its normal range", palette::MUTED),
    ];
    bars("share of incidents", &legend, &rows, 1.0)
}

fn fault_row(fault: &FaultReport) -> Markup {
    let others = fault.methods.iter().skip(1);
    let best = others
        .filter(|method| method.ac1.value > 0.0 && !method.method.contains(", ") && method.method != CHANCE)
        .max_by(|left, right| {
            // Of equals the first.
            left.ac1.value.total_cmp(&right.ac1.value).then(std::cmp::Ordering::Greater)
        });
    html! {
        tr {
            td { (fault.dataset) } td { (fault.fault_type.replace('_', " ")) } td.number { (fault.incidents) }
            td.number { (fault.unknowable.map_or("–".into(), |number| number.to_string())) }
            @if let Some(method) = fault.methods.first() { (cell(&method.ac1)) (cell(&method.ac3)) (cell(&method.ac5)) (cell(&method.avg5)) }
            td { @if let Some(method) = best { (method.method) " " (plain(method.ac1.value)) } @else { "none finds any" } }
        }
    }
}

fn confidently_wrong(answers: &[(&IncidentReport, &AnswerReport)]) -> Markup {
    let mut wrong: Vec<&(&IncidentReport, &AnswerReport)> = answers
        .iter()
        .filter(|(_, answer)| {
            answer.precision[0] == 0.0 && answer.confidence.is_some() && answer.abstention.is_none()
        })
        .collect();
    wrong.sort_by(|left, right| {
        right.1.confidence.unwrap_or(0.0).total_cmp(&left.1.confidence.unwrap_or(0.0))
    });
    html! {
        @if !wrong.is_empty() {
            h3 { "Wrong and most sure of it" }
            div.wide { table {
                thead { tr {
                    th { "incident" } th { "fault" } th { "root cause" } th { "answered" } th.number { "confidence" }
                } }
                tbody {
                    @for (incident, answer) in wrong.iter().take(MAX_LISTED) {
                        tr {
                            td { (incident.id) } td { (incident.fault_type.as_deref().unwrap_or("–")) }
                            td { (incident.root_causes.join(", ")) } td { (answer.first.join(", ")) }
                            td.number { (optional(answer.confidence)) }
                        }
                    }
                }
            } }
        }
    }
}

fn refused(report: &Report) -> Markup {
    let refusals: Vec<(&str, &str, &str)> = report
        .incidents
        .iter()
        .flat_map(|incident| {
            incident.answers.iter().filter_map(|(method, answer)| {
                Some((incident.id.as_str(), method.as_str(), answer.refused.as_deref()?))
            })
        })
        .collect();
    html! {
        @if refusals.is_empty() {
            p { "No method refused an incident." }
        } @else {
            h3 { "No answer at all" }
            p { (count(refusals.len(), "refusal")) "; each counts as a miss." }
            div.wide { table {
                thead { tr { th { "incident" } th { "method" } th { "why" } } }
                tbody {
                    @for (incident, method, why) in refusals.iter().take(MAX_LISTED) {
                        tr { td { (incident) } td { (method) } td { (why) } }
                    }
                }
            } }
        }
    }
}
