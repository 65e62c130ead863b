//! How often a root cause is named where nothing was wrong, for a person at a terminal.

use super::evaluation_table::{indented, table};
use crate::evaluate::no_fault_report::NoFaultReport;

/// One row per method and dataset.
pub fn render(report: &NoFaultReport) -> String {
    let columns =
        ["windows", "times", "skipped", "named", "share (95 %)", "mean confidence", "named with .5 or more"];
    let mut rows = table(&["method", "dataset"], &columns);
    for row in &report.no_fault {
        let [low, high] = row.interval;
        rows.add_row([
            indented(&row.method),
            row.dataset.clone(),
            row.windows.to_string(),
            row.times.to_string(),
            row.skipped.to_string(),
            row.named.to_string(),
            format!("{:.2} ({low:.2} to {high:.2})", row.share),
            row.confidence.map_or("-".into(), |confidence| format!("{confidence:.2}")),
            row.named_as_likely.map_or("-".into(), |likely| likely.to_string()),
        ]);
    }
    format!("How often a root cause is named where nothing was wrong\n{rows}\n")
}
