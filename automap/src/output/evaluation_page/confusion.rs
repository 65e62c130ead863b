//! Confusion matrices.

use maud::{Markup, html};

use crate::evaluate::{confusion::Confusion, report::Report};

pub(super) fn section(report: &Report) -> Markup {
    html! {
        section {
            h2 { "What was answered for what" }
            p {
                "Rows are what was at fault, columns what was answered first; right answers are framed. What was never answered has no column. Answers that tie "
                "count with their shares."
            }
            @for one in &report.confusion {
                h3 { (one.dataset) ", services" }
                (matrix(&one.services))
                @if !one.metrics.actual.is_empty() {
                    h3 { (one.dataset) ", metric types" }
                    (matrix(&one.metrics))
                }
            }
        }
    }
}

fn matrix(confusion: &Confusion) -> Markup {
    html! {
        div.wide { table.matrix {
            thead { tr {
                th { "at fault" } @for name in &confusion.answered { th.turned { span { (name) } } } th.number { "all" }
            } }
            tbody {
                @for (actual, row) in confusion.actual.iter().zip(&confusion.counts) {
                    @let all = row.iter().sum::<f64>();
                    tr {
                        th { (actual) }
                        @for (answered, &incidents) in confusion.answered.iter().zip(row) {
                            td.heat.right[actual == answered] style=(format!("--share:{:.0}%", 100.0 * incidents / all.max(1.0))) {
                                @if incidents > 0.0 { (number(incidents)) }
                            }
                        }
                        td.number { (number(all)) }
                    }
                }
            }
        } }
    }
}

fn number(incidents: f64) -> String {
    if incidents.fract() == 0.0 { format!("{incidents:.0}") } else { format!("{incidents:.1}") }
}
