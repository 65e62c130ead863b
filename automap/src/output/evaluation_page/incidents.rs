//! Every incident, so that each figure can be checked.

use automap_proto::assessment::Abstention;
use maud::{Markup, html};

use super::numbers::{optional, plain};
use crate::evaluate::{incident_report::AnswerReport, report::Report};

pub(super) fn section(report: &Report) -> Markup {
    let Some(first) = report.contenders.first() else {
        return html! {};
    };
    html! {
        section {
            h2 { "Every incident" }
            p { "The answer of " b { (first.name) } ". The JSON report has those of all methods." }
            div.wide { table.dense {
                thead { tr {
                    th { "incident" } th { "fault" } th { "root cause" } th { "answered first" } th.number { "AC@1" }
                    th.number { "Avg@5" } th.number { "confidence" } th { "" }
                } }
                tbody {
                    @for incident in &report.incidents {
                        @if let Some(answer) = incident.answers.get(&first.name) {
                            tr.wrong[answer.precision[0] == 0.0] {
                                td { (incident.id) } td { (incident.fault_type.as_deref().unwrap_or("–")) }
                                td { (incident.root_causes.join(", ")) } td { (leaders(answer)) }
                                td.number { (plain(answer.precision[0])) }
                                td.number { (plain(answer.precision.iter().sum::<f64>() / 5.0)) }
                                td.number { (optional(answer.confidence)) }
                                td {
                                    @if answer.refused.is_some() { "refused " }
                                    @match answer.abstention {
                                        Some(Abstention::NothingDeparted) => { "abstained: nothing departed " }
                                        Some(Abstention::NotUnusual) => { "abstained " }
                                        None => {}
                                    }
                                    @if incident.unknowable == Some(true) { "not knowable" }
                                }
                            }
                        }
                    }
                }
            } }
        }
    }
}

fn leaders(answer: &AnswerReport) -> String {
    let named = answer.first.join(", ");
    match answer.tied.saturating_sub(answer.first.len()) {
        0 => named,
        more => format!("{named} and {more} more that tie"),
    }
}
