//! An evaluation over alerts at several times, for a person at a terminal.

use comfy_table::Table;

use super::evaluation_table::{difference, indented, interval, table};
use crate::evaluate::{
    alerts_report::{AlertsReport, MethodAt},
    bootstrap::Estimate,
    figure::Figure,
    headlines::Headlines,
};

/// Methods by when the alert fired, on the mean and on each dataset, what moving it changed, and what the first method and
/// learning gain over all alerts.
pub fn render(report: &AlertsReport) -> String {
    let names: Vec<&str> = report
        .methods
        .first()
        .map_or_else(Vec::new, |method| method.all.iter().map(|one| one.dataset.as_str()).collect());
    let datasets = report.datasets;
    let mut text = format!(
        "{} incidents, each with an alert at {} times\n",
        report.incidents,
        report.settings.delays.len()
    );
    for figure in Figure::HEADLINES {
        for (index, name) in names.iter().enumerate().skip(datasets) {
            text += &format!(
                "\n{}, {name}, by when the alert fired\n{}\n",
                figure.label(),
                methods(report, index, figure)
            );
        }
    }
    for (index, name) in names.iter().enumerate().take(datasets) {
        text +=
            &format!("\nAvg@5, {name}, by when the alert fired\n{}\n", methods(report, index, Figure::Avg5));
    }
    text += &format!(
        "\nAvg@5 against an alert {} (* where the 95 % interval does not hold zero)\n{}\n",
        report.settings.delays.first().map_or_else(String::new, |delay| when(*delay)),
        moved(report)
    );
    if !report.gains.is_empty() {
        let first = report.contenders.first().map_or("", |contender| contender.name.as_str());
        let rows = report.gains.iter().map(|gain| (indented(&gain.over), &gain.on[..]));
        text += &format!(
            "\nWhat {first} gains in Avg@5, each incident with its mean over the alerts (95 % interval)\n{}\n",
            by_dataset("over", rows)
        );
    }
    for learned in &report.learning {
        let alerts = learned.alerts.iter().zip(&report.settings.delays);
        let rows = alerts.map(|(on, delay)| (when(*delay), &on[..]));
        text += &format!(
            "\nWhat {} gains in Avg@5 on {} ({}, 95 % interval)\n{}\n",
            learned.method,
            learned.without,
            report.settings.learn.as_deref().unwrap_or_default(),
            by_dataset("alert", rows.chain([("all, each incident with its mean".into(), &learned.all[..])]))
        );
    }
    text
}

/// When an alert fired, in words.
fn when(delay: f64) -> String {
    if delay == 0.0 {
        "on time".into()
    } else if delay > 0.0 {
        format!("{delay} late")
    } else {
        format!("{} early", -delay)
    }
}

fn of(on: &Headlines, figure: Figure) -> Estimate {
    if figure == Figure::Ac1 { on.ac1 } else { on.avg5 }
}

fn methods(report: &AlertsReport, index: usize, figure: Figure) -> Table {
    let mut columns: Vec<String> = report.settings.delays.iter().map(|delay| when(*delay)).collect();
    columns.extend(["all".into(), "95 % interval".into()]);
    let mut table = table(&["method"], &columns.iter().map(String::as_str).collect::<Vec<_>>());
    for method in &report.methods {
        let value = |on: &[Headlines]| {
            on.get(index).map_or_else(String::new, |on| format!("{:.3}", of(on, figure).value))
        };
        let mut row = vec![indented(&method.method)];
        row.extend(method.alerts.iter().map(|at| value(&at.on)));
        row.push(value(&method.all));
        row.push(method.all.get(index).map_or_else(String::new, |on| interval(&of(on, figure))));
        table.add_row(row);
    }
    table
}

fn moved(report: &AlertsReport) -> Table {
    let columns: Vec<String> = report
        .methods
        .first()
        .map_or_else(Vec::new, |method| method.all.iter().map(|on| on.dataset.clone()).collect());
    let mut columns: Vec<&str> = columns.iter().map(String::as_str).collect();
    columns.push("refused");
    let mut table = table(&["method", "alert"], &columns);
    for method in &report.methods {
        let row = |at: &MethodAt| {
            let mut row = vec![indented(&method.method), when(at.delay)];
            row.extend(at.moved.iter().map(|on| difference(&on.avg5)));
            row.push(at.refused.to_string());
            row
        };
        table.add_rows(method.alerts.iter().map(row));
    }
    table
}

fn by_dataset<'a>(word: &str, rows: impl Iterator<Item = (String, &'a [Headlines])>) -> Table {
    let rows: Vec<(String, &[Headlines])> = rows.collect();
    let columns = rows.first().map_or(&[][..], |(_, on)| on);
    let columns: Vec<&str> = columns.iter().map(|on| on.dataset.as_str()).collect();
    let mut table = table(&[word], &columns);
    for (name, on) in rows {
        let cells = on.iter().map(|on| format!("{} ({})", difference(&on.avg5), interval(&on.avg5)));
        table.add_row([name].into_iter().chain(cells));
    }
    table
}
