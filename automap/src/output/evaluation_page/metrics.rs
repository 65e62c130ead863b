//! The metric at fault.

use maud::{Markup, html};

use super::{
    is_variant,
    numbers::{optional, plain},
};
use crate::evaluate::report::Report;

pub(super) fn section(report: &Report) -> Markup {
    html! {
        section {
            h2 { "The metric at fault" }
            @if report.root_cause_metric.is_empty() {
                p { "No label names one." }
            } @else {
                p { "Where the label names a metric type: how often an answer names it, of the service that it ranks first." }
                div.wide { table {
                    thead { tr {
                        th { "method" } th { "dataset" } th.number { "incidents" } th.number { "first right" }
                        th.number { "in first two" } th.number { "service and metric right" } th.number { "right where the service is" }
                    } }
                    tbody {
                        @for row in report.root_cause_metric.iter().filter(|row| !is_variant(report, &row.method)) {
                            tr {
                                td { (row.method) } td { (row.dataset) } td.number { (row.incidents) }
                                td.number { (plain(row.ac1)) } td.number { (plain(row.ac2)) }
                                td.number { (plain(row.with_service)) } td.number { (optional(row.given_service)) }
                            }
                        }
                    }
                } }
            }
        }
    }
}
