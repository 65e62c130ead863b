//! An evaluation for a person at a terminal.

use comfy_table::{CellAlignment, Table, presets::UTF8_FULL_CONDENSED};

use crate::evaluate::{
    bootstrap::Estimate,
    figure::Figure,
    figures_report::{Figures, MeanReport},
    learning_report::LearningReport,
    report::Report,
};

/// The tables of a report: methods by dataset and on the mean, what the first gains on the others, its failures by
/// fault, the metric at fault, and what its confidence is worth.
pub fn render(report: &Report) -> String {
    let mut text = methods(report);
    if !report.gains.is_empty() {
        let first = report.contenders.first().map_or("", |contender| contender.name.as_str());
        text += &format!(
            "\nWhat {first} gains, incident by incident (95 % interval; * where it does not hold zero)\n{}\n",
            gains(report)
        );
    }
    if let Some(learning) = &report.learning {
        text += &format!(
            "\nWhat confirmed incidents teach ({}, 95 % interval)\n{}\n",
            learning.from,
            learned(learning)
        );
        if !learning.curves.is_empty() {
            text += &format!("\nAs more incidents were confirmed\n{}\n", rounds(learning));
        }
    }
    text += &format!("\nBy what was done to the root cause\n{}\n", faults(report));
    if !report.root_cause_metric.is_empty() {
        text += &format!("\nThe metric at fault\n{}\n", metrics(report));
    }
    if !report.confidence.is_empty() {
        text += &format!("\nWhat confidence is worth\n{}\n", confidence(report));
        text += &format!("\nIs the stated confidence true?\n{}\n", calibration(report));
    }
    match report.changes.as_deref() {
        None => {}
        Some([]) => text += "\nNo score moved since those that it was compared with.\n",
        Some(changes) => {
            text += "\nWhat moved since the scores that it was compared with (95 % interval)\n";
            text.extend(changes.iter().map(|change| format!("{change}\n")));
        }
    }
    if !report.call_graph_doubts.is_empty() {
        let graphs = if report.settings.shuffled_calls { "wrong" } else { "given" };
        text += &format!("\nHow often a {graphs} call graph was doubted\n{}\n", doubts(report));
    }
    text
}

fn doubts(report: &Report) -> Table {
    let mut table = table(&["method", "dataset"], &["tested", "doubted"]);
    for row in report.call_graph_doubts.iter().filter(|row| !row.method.contains(", ")) {
        table.add_row([
            row.method.clone(),
            row.dataset.clone(),
            row.tested.to_string(),
            row.doubted.to_string(),
        ]);
    }
    table
}

fn methods(report: &Report) -> String {
    let mut text = String::new();
    for dataset in &report.datasets {
        let mut table = table(
            &["method"],
            &[
                "AC@1",
                "AC@3",
                "AC@5",
                "Avg@5",
                "95 % interval",
                "s each",
                "peak MiB",
                "refused",
                "abstained",
                "nothing departed",
            ],
        );
        for method in &dataset.methods {
            let mut row = vec![indented(&method.method)];
            row.extend(figures(&method.figures));
            row.extend([
                format!("{:.3}", method.seconds_per_incident),
                method.peak_memory_bytes.map_or("-".into(), |bytes| (bytes >> 20).to_string()),
                method.refused.to_string(),
                method.abstained.to_string(),
                method.nothing_departed.to_string(),
            ]);
            table.add_row(row);
        }
        text += &format!("{}, {} incidents", dataset.name, dataset.incidents);
        if let Some(known) = &dataset.knowable {
            text += &format!(
                "; in {} no series of a root cause left its normal range, in {} no method found it",
                known.unknowable, known.found_by_nobody
            );
        }
        text += &format!("\n{table}\n\n");
    }
    text += &format!(
        "Mean over {} datasets, {} incidents\n{}\n",
        report.datasets.len(),
        report.incident_count(),
        means(&report.mean)
    );
    if !report.mean_without.is_empty() {
        let without = report.settings.exclude.join(", ");
        text += &format!("\nMean without {without}\n{}\n", means(&report.mean_without));
    }
    text
}

fn means(means: &[MeanReport]) -> Table {
    let mut table = table(&["method"], &["AC@1", "AC@3", "AC@5", "Avg@5", "95 % interval"]);
    for mean in means {
        let mut row = vec![indented(&mean.method)];
        row.extend(figures(&mean.figures));
        table.add_row(row);
    }
    table
}

/// A variant stands below the method that it varies.
pub(super) fn indented(name: &str) -> String {
    name.split_once(", ").map_or_else(|| name.to_owned(), |(_, variant)| format!("  {variant}"))
}

fn gains(report: &Report) -> Table {
    let datasets = report.datasets.len();
    let named = report.gains.first().map_or(&[][..], |gain| &gain.on);
    let (of_datasets, of_means) = named.split_at(datasets.min(named.len()));
    let mut columns: Vec<String> = Vec::new();
    for mean in of_means {
        columns.extend([format!("{}, AC@1", mean.dataset), format!("{}, Avg@5", mean.dataset)]);
    }
    columns.extend(of_datasets.iter().map(|one| format!("{}, Avg@5", one.dataset)));
    let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
    let mut table = table(&["over"], &columns);
    for gain in &report.gains {
        let mut row = vec![indented(&gain.over)];
        for mean in gain.on.iter().skip(datasets) {
            row.extend(
                [mean.ac1, mean.avg5]
                    .map(|estimate| format!("{} ({})", difference(&estimate), interval(&estimate))),
            );
        }
        row.extend(gain.on.iter().take(datasets).map(|one| difference(&one.avg5)));
        table.add_row(row);
    }
    table
}

fn learned(learning: &LearningReport) -> Table {
    let mut table = table(
        &["method", "against", "on"],
        &["AC@1", "95 % interval", "Avg@5", "95 % interval", "first answers won"],
    );
    for gain in &learning.gains {
        for on in &gain.on {
            let mut row = vec![gain.method.clone(), gain.without.clone(), on.gain.dataset.clone()];
            for estimate in [on.gain.ac1, on.gain.avg5] {
                row.extend([format!("{:+.3}", estimate.value), interval(&estimate)]);
            }
            row.push(on.incidents.map_or("-".into(), |count| format!("{count:+.1}")));
            table.add_row(row);
        }
    }
    table
}

fn rounds(learning: &LearningReport) -> Table {
    let mut table = table(
        &["method", "dataset"],
        &["incidents so far", "AC@1", "without", "AC@3", "without", "AC@5", "without", "Avg@5", "without"],
    );
    for curve in &learning.curves {
        for round in &curve.rounds {
            let mut row = vec![curve.method.clone(), curve.dataset.clone(), round.incidents.to_string()];
            let pairs = round.learned().into_iter().zip(round.without());
            row.extend(
                pairs.flat_map(|(learned, without)| [learned, without]).map(|value| format!("{value:.3}")),
            );
            table.add_row(row);
        }
    }
    table
}

fn faults(report: &Report) -> Table {
    let mut table = table(
        &["dataset", "fault", "method"],
        &["incidents", "nobody could know", "AC@1", "AC@3", "AC@5", "Avg@5"],
    );
    // Of several datasets the first method alone, or nobody would read it; the JSON report has all.
    let shown = if report.datasets.len() == 1 { usize::MAX } else { 1 };
    for fault in &report.fault_types {
        for method in fault.methods.iter().filter(|one| !one.method.contains(", ")).take(shown) {
            table.add_row([
                fault.dataset.clone(),
                fault.fault_type.clone(),
                method.method.clone(),
                fault.incidents.to_string(),
                fault.unknowable.map_or("-".into(), |count| count.to_string()),
                format!("{:.3} ({})", method.ac1.value, interval(&method.ac1)),
                format!("{:.3}", method.ac3.value),
                format!("{:.3}", method.ac5.value),
                format!("{:.3} ({})", method.avg5.value, interval(&method.avg5)),
            ]);
        }
    }
    table
}

fn metrics(report: &Report) -> Table {
    let mut table = table(
        &["method", "dataset"],
        &["incidents", "first right", "in first two", "with the service", "given the service"],
    );
    // Variants of the default method would drown the methods; the JSON report has them.
    for row in report.root_cause_metric.iter().filter(|row| !row.method.contains(", ")) {
        table.add_row([
            row.method.clone(),
            row.dataset.clone(),
            row.incidents.to_string(),
            format!("{:.3}", row.ac1),
            format!("{:.3}", row.ac2),
            format!("{:.3}", row.with_service),
            optional(row.given_service),
        ]);
    }
    table
}

fn confidence(report: &Report) -> Table {
    let mut table = table(
        &["method", "dataset"],
        &["incidents", "AC@1", "confident half", "right over wrong", "risk area", "named", "AC@1 named"],
    );
    for row in report.confidence.iter().filter(|row| !row.method.contains(", ")) {
        table.add_row([
            row.method.clone(),
            row.dataset.clone(),
            row.incidents.to_string(),
            format!("{:.3}", row.ac1),
            format!("{:.3}", row.ac1_of_confident_half),
            optional(row.discrimination),
            format!("{:.3}", row.risk_area),
            format!("{:.3}", row.named),
            optional(row.ac1_when_named),
        ]);
    }
    table
}

/// Of each method over all incidents together: a dataset alone has too few answers.
fn calibration(report: &Report) -> Table {
    let mut table =
        table(&["method", "answers"], &["incidents", "confidence stated", "right", "95 % interval"]);
    let rows = report.confidence.iter().filter(|row| row.dataset == "all" && !row.method.contains(", "));
    for row in rows {
        for (index, group) in row.calibration.iter().enumerate() {
            let place = match index {
                0 => "least sure".into(),
                _ if index + 1 == row.calibration.len() => "surest".into(),
                _ => format!("group {}", index + 1),
            };
            let [low, high] = group.interval;
            table.add_row([
                row.method.clone(),
                place,
                group.incidents.to_string(),
                format!("{:.3}", group.confidence),
                format!("{:.3}", group.right),
                format!("{low:.3} to {high:.3}"),
            ]);
        }
        table.add_row([
            row.method.clone(),
            "mean distance".into(),
            row.incidents.to_string(),
            String::new(),
            format!("{:.3}", row.calibration_error),
            String::new(),
        ]);
    }
    table
}

pub(super) fn table(words: &[&str], numbers: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED);
    table.set_header(words.iter().chain(numbers));
    for column in table.column_iter_mut().skip(words.len()) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

fn figures(figures: &Figures) -> Vec<String> {
    let mut cells: Vec<String> =
        Figure::ALL.iter().map(|&figure| format!("{:.3}", figures.estimate(figure).value)).collect();
    cells.push(interval(&figures.estimate(Figure::Avg5)));
    cells
}

pub(super) fn interval(estimate: &Estimate) -> String {
    format!("{:.3} to {:.3}", estimate.low, estimate.high)
}

pub(super) fn difference(estimate: &Estimate) -> String {
    let sure = estimate.low > 0.0 || estimate.high < 0.0;
    // Adding zero makes minus zero the same zero.
    let value = (estimate.value * 1000.0).round() / 1000.0 + 0.0;
    format!("{value:+.3}{}", if sure { "*" } else { "" })
}

fn optional(value: Option<f64>) -> String {
    value.map_or("-".into(), |value| format!("{value:.3}"))
}
