//! The metric at fault.

use maud::{Markup, html};

use super::{
    chart, is_variant,
    numbers::{optional, plain},
};
use crate::{
    evaluate::{metric_report::MetricReport, report::Report},
    output::evaluation_charts::{BarRow, bars, palette},
};

pub(super) fn section(report: &Report) -> anyhow::Result<Markup> {
    let rows: Vec<&MetricReport> =
        report.root_cause_metric.iter().filter(|row| !is_variant(report, &row.method)).collect();
    let svg = bars(
        "share of incidents",
        &[("first metric right", palette::ACCENT), ("second metric right", palette::OTHERS[0])],
        &rows
            .iter()
            .filter(|row| row.dataset == "all")
            .map(|row| BarRow {
                label: row.method.clone(),
                parts: vec![row.ac1, row.ac2 - row.ac1],
                text: format!("{} and {}", plain(row.ac1), plain(row.ac2)),
            })
            .collect::<Vec<_>>(),
        1.0,
    )?;
    Ok(html! {
        section {
            h2 { "The metric at fault" }
            @if report.root_cause_metric.is_empty() {
                p { "No label names one." }
            } @else {
                (chart("metric", &svg, "The metric at fault, over all incidents whose label names one: share named first, and among the first two (AC@1 and AC@2)."))
                p { "Where the label names a metric type: how often an answer names it, of the service that it ranks first. By dataset for the first method alone; the JSON report has all." }
                div.wide { table {
                    thead { tr {
                        th { "method" } th { "dataset" } th.number { "incidents" } th.number { "first right" }
                        th.number { "in first two" } th.number { "service and metric right" } th.number { "right where the service is" }
                    } }
                    tbody {
                        @for row in rows.iter().filter(|row| row.dataset == "all" || Some(&row.method) == rows.first().map(|first| &first.method)) {
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
    })
}
