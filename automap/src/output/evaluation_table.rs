//! An evaluation for a person at a terminal.

use comfy_table::{CellAlignment, Table, presets::UTF8_FULL_CONDENSED};

use crate::evaluate::{
    bootstrap::Estimate,
    figure::Figure,
    learning_report::LearningReport,
    report::{Figures, MeanReport, Report},
};

/// The tables of a report: methods by dataset and on the mean, what the first gains on the others, its failures by
/// fault, and what its confidence is worth.
pub fn render(report: &Report) -> String {
    let mut text = format!("{}\n", methods(report));
    if !report.gains.is_empty() {
        let first = report.contenders.first().map_or("", |contender| contender.name.as_str());
        text += &format!("\nWhat {first} gains, incident by incident (95 % interval)\n{}\n", gains(report));
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
    }
    text
}

fn methods(report: &Report) -> Table {
    let mut table = table(
        &["dataset", "incidents", "method"],
        &["AC@1", "AC@3", "AC@5", "Avg@5", "95 % interval", "s/incident", "peak MiB", "refused", "abstained"],
    );
    for dataset in &report.datasets {
        for method in &dataset.methods {
            let mut row = vec![dataset.name.clone(), dataset.incidents.to_string(), method.method.clone()];
            row.extend(figures(&method.figures));
            row.extend([
                format!("{:.3}", method.seconds_per_incident),
                method.peak_memory_bytes.map_or("-".into(), |bytes| (bytes >> 20).to_string()),
                method.refused.to_string(),
                method.abstained.to_string(),
            ]);
            table.add_row(row);
        }
    }
    let mut add_means = |name: &str, incidents: usize, means: &[MeanReport]| {
        for mean in means {
            let mut row = vec![name.to_owned(), incidents.to_string(), mean.method.clone()];
            row.extend(figures(&mean.figures));
            table.add_row(row);
        }
    };
    add_means("mean", report.incident_count(), &report.mean);
    let kept = report.datasets.iter().filter(|dataset| !report.settings.exclude.contains(&dataset.name));
    let without = format!("mean without {}", report.settings.exclude.join(", "));
    add_means(&without, kept.map(|dataset| dataset.incidents).sum(), &report.mean_without);
    table
}

fn gains(report: &Report) -> Table {
    let mut table = table(&["over", "on"], &["AC@1", "95 % interval", "Avg@5", "95 % interval"]);
    for gain in &report.gains {
        for on in &gain.on {
            let mut row = vec![gain.over.clone(), on.dataset.clone()];
            for estimate in [on.ac1, on.avg5] {
                row.extend([format!("{:+.3}", estimate.value), interval(&estimate)]);
            }
            table.add_row(row);
        }
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
            let mut row = vec![gain.method.clone(), gain.without.clone(), on.dataset.clone()];
            for estimate in [on.ac1, on.avg5] {
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
        &["incidents so far", "AC@1", "without learning", "Avg@5", "without learning"],
    );
    for curve in &learning.curves {
        for round in &curve.rounds {
            let mut row = vec![curve.method.clone(), curve.dataset.clone(), round.incidents.to_string()];
            let figures = [round.ac1, round.ac1_without, round.avg5, round.avg5_without];
            row.extend(figures.map(|value| format!("{value:.3}")));
            table.add_row(row);
        }
    }
    table
}

fn faults(report: &Report) -> Table {
    let mut table =
        table(&["dataset", "fault", "method"], &["incidents", "nobody could know", "AC@1", "Avg@5"]);
    for fault in &report.fault_types {
        for method in fault.methods.iter().take(1) {
            table.add_row([
                fault.dataset.clone(),
                fault.fault_type.clone(),
                method.method.clone(),
                fault.incidents.to_string(),
                fault.unknowable.map_or("-".into(), |count| count.to_string()),
                format!("{:.3}", method.ac1.value),
                format!("{:.3}", method.avg5.value),
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

fn table(words: &[&str], numbers: &[&str]) -> Table {
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

fn interval(estimate: &Estimate) -> String {
    format!("{:.3} to {:.3}", estimate.low, estimate.high)
}

fn optional(value: Option<f64>) -> String {
    value.map_or("-".into(), |value| format!("{value:.3}"))
}
