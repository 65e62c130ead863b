//! What the answers cost: seconds and memory.

use maud::{Markup, html};

use super::{chart, is_variant};
use crate::{
    evaluate::{bootstrap::mean, figures_report::MethodReport, report::Report},
    output::evaluation_charts::{BarRow, bars, palette},
};

pub(super) fn section(report: &Report) -> anyhow::Result<Markup> {
    let methods: Vec<&str> = report
        .contenders
        .iter()
        .map(|contender| contender.name.as_str())
        .filter(|name| !is_variant(report, name))
        .collect();
    let seconds = chart_of(report, &methods, "seconds for one incident, mean over datasets", |runs| {
        let mean = mean(&runs.iter().map(|run| run.seconds_per_incident).collect::<Vec<_>>());
        (mean, format!("{mean:.3} s"))
    })?;
    let memory = chart_of(report, &methods, "largest resident set, MiB", |runs| {
        let bytes = runs.iter().filter_map(|run| run.peak_memory_bytes).max();
        (
            bytes.unwrap_or(0) as f64 / 1_048_576.0,
            bytes.map_or("–".into(), |bytes| format!("{} MiB", bytes >> 20)),
        )
    })?;
    Ok(html! {
        section {
            h2 { "What an answer costs" }
            p {
                "Of the whole product: four services and the client in one process, with as many incidents side by side as were asked for. Memory is the "
                "largest of the datasets."
            }
            (chart("seconds", &seconds, "Wall-clock seconds for one incident. Left is better."))
            (chart("memory", &memory, "Largest resident set of the process. Left is better."))
            div.wide { table {
                thead { tr {
                    th { "method" }
                    @for dataset in &report.datasets { th.number { (dataset.name) ", s" } th.number { (dataset.name) ", MiB" } }
                } }
                tbody {
                    @for name in &methods {
                        tr {
                            td { (name) }
                            @for run in runs_of(report, name) {
                                td.number { (format!("{:.3}", run.seconds_per_incident)) }
                                td.number { (run.peak_memory_bytes.map_or("–".into(), |bytes| (bytes >> 20).to_string())) }
                            }
                        }
                    }
                }
            } }
        }
    })
}

fn chart_of(
    report: &Report,
    methods: &[&str],
    axis: &str,
    measure: impl Fn(&[&MethodReport]) -> (f64, String),
) -> anyhow::Result<String> {
    let row = |name: &&str| {
        let (amount, text) = measure(&runs_of(report, name));
        BarRow { label: (*name).to_owned(), parts: vec![amount], text }
    };
    let rows: Vec<BarRow> = methods.iter().map(row).collect();
    let most = rows.iter().flat_map(|row| &row.parts).copied().fold(0.0, f64::max);
    bars(axis, &[(axis, palette::ACCENT)], &rows, most)
}

/// A contender on every dataset.
fn runs_of<'a>(report: &'a Report, name: &str) -> Vec<&'a MethodReport> {
    report
        .datasets
        .iter()
        .flat_map(|dataset| dataset.methods.iter().filter(|method| method.method == name))
        .collect()
}
