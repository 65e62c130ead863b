//! An evaluation for a person.

use comfy_table::{CellAlignment, Table, presets::UTF8_FULL_CONDENSED};

use crate::evaluate::report::{Report, Scores};

/// The table of a report: datasets and methods, then the mean over datasets.
pub fn render(report: &Report) -> String {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED);
    table.set_header([
        "dataset",
        "incidents",
        "method",
        "AC@1",
        "AC@3",
        "AC@5",
        "Avg@5",
        "s/incident",
        "refused",
    ]);
    for dataset in &report.datasets {
        for method in &dataset.methods {
            let mut row =
                vec![dataset.name.clone(), dataset.incidents.to_string(), method.method.to_string()];
            row.extend(figures(&method.scores));
            row.extend([format!("{:.3}", method.seconds_per_incident), method.refused.to_string()]);
            table.add_row(row);
        }
    }
    for mean in &report.mean {
        let incidents = report.datasets.iter().map(|dataset| dataset.incidents).sum::<usize>();
        let mut row = vec!["mean".to_owned(), incidents.to_string(), mean.method.to_string()];
        row.extend(figures(&mean.scores));
        table.add_row(row);
    }
    for column in table.column_iter_mut().skip(3) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    format!("{table}\n")
}

fn figures(scores: &Scores) -> [String; 4] {
    [scores.ac1, scores.ac3, scores.ac5, scores.avg5].map(|value| format!("{value:.3}"))
}
