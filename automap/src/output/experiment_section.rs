//! What was done in an experiment, as a section of the page of its figures.

use maud::{Markup, html};

use super::evaluation_page::plain;
use crate::{
    evaluate::report::Report,
    experiment::{
        report::{ExperimentSummary, RoundSummary},
        state::DriverKind,
    },
};

/// The section.
pub fn section(experiment: &ExperimentSummary, evaluation: &Report) -> Markup {
    let place = match experiment.driver {
        DriverKind::Local => "as processes of one machine",
        DriverKind::Kubernetes => "in a cluster",
    };
    html! {
        section {
            h2 { "The experiment" }
            p {
                "Pymicro, sixteen services " (place) ", was harmed " (experiment.rounds.len()) " times of " (experiment.planned)
                " planned, one service and one fault at a time. Before each fault " (experiment.normal_seconds)
                " s of normal behaviour were recorded, then " (experiment.fault_seconds) " s of the fault, a sample every "
                (experiment.step_seconds) " s. Services and faults were chosen at random (seed " (experiment.seed)
                "), every fault and every service as often as the others, give or take one. The answers are those that were given during the experiment."
            }
            div.wide { table {
                thead { tr { th { "round" } th { "service" } th { "fault" } th.number { "lasted, s" } th { "about its metrics" } } }
                tbody { @for round in &experiment.rounds { (row(round)) } }
            } }
            h3 { "Every method by fault" }
            (by_fault(evaluation))
        }
    }
}

fn by_fault(evaluation: &Report) -> Markup {
    html! {
        div.wide { table {
            thead { tr {
                th { "fault" } th { "method" } th.number { "incidents" }
                th.number { "AC@1" } th.number { "AC@3" } th.number { "AC@5" } th.number { "Avg@5" }
            } }
            tbody {
                @for fault in &evaluation.fault_types {
                    @for method in &fault.methods {
                        tr {
                            td { (fault.fault_type) } td { (method.method) } td.number { (fault.incidents) }
                            @for figure in [&method.ac1, &method.ac3, &method.ac5, &method.avg5] { td.number { (plain(figure.value)) } }
                        }
                    }
                }
            }
        } }
    }
}

fn row(round: &RoundSummary) -> Markup {
    html! {
        tr {
            td { (round.name) } td { (round.service) } td { (round.fault) }
            td.number { (format!("{:.0}", round.anomaly_end - round.anomaly_start)) }
            td { @for warning in &round.warnings { (warning) " " } }
        }
    }
}
