//! What confirmed incidents teach.

use maud::{Markup, html};

use super::{
    chart,
    numbers::{difference, plain, signed},
};
use crate::{
    evaluate::{
        figure::Figure,
        learning_report::{LearningCurve, LearningReport, Round},
        report::Report,
    },
    output::evaluation_charts::{Curve, curves},
};

pub(super) fn section(report: &Report) -> anyhow::Result<Markup> {
    let Some(learning) = &report.learning else {
        return Ok(html! {});
    };
    let charts = learning
        .gains
        .iter()
        .map(|gain| mean_chart(learning, &gain.method))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(html! {
        section {
            h2 { "What confirmed incidents teach" }
            p { (told(&learning.from)) " An interval that holds zero shows no difference; numbers in bold do show one." }
            div.wide { table {
                thead { tr {
                    th { "method" } th { "against" } th { "on" } th.number { "AC@1" } th.number { "Avg@5" }
                    th.number { "first answers won" }
                } }
                tbody {
                    @for gain in &learning.gains {
                        @for on in &gain.on {
                            tr {
                                td { (gain.method) } td { (gain.without) } td { (on.gain.dataset) }
                                (difference(&on.gain.ac1)) (difference(&on.gain.avg5))
                                td.number { (on.incidents.map_or_else(|| "–".into(), signed)) }
                            }
                        }
                    }
                }
            } }
            @for drawn in charts.into_iter().flatten() { (drawn) }
            @if !learning.curves.is_empty() { (rounds_table(learning)) }
        }
    })
}

fn told(from: &str) -> String {
    match from {
        "rounds" => "Each incident was diagnosed with what earlier incidents of its dataset taught, and then confirmed.".into(),
        "leave-one-out" => "Each incident was diagnosed with what all others of its dataset taught.".into(),
        other => format!("Each incident was diagnosed with what the other parts of its dataset taught ({other})."),
    }
}

/// The curve of one method over the mean, with and without learning.
fn mean_chart(learning: &LearningReport, method: &str) -> anyhow::Result<Option<Markup>> {
    let Some(mean) = learning.curves.iter().find(|curve| curve.method == method && curve.dataset == "mean")
    else {
        return Ok(None);
    };
    let most = mean.rounds.last().map_or(1, |round| round.incidents).max(1) as f64;
    let line = |name: &str, value: fn(&Round) -> f64| Curve {
        name: name.into(),
        points: mean.rounds.iter().map(|round| (round.incidents as f64 / most, value(round))).collect(),
    };
    let lines = [
        line("Avg@5, learned", |round| round.avg5),
        line("Avg@5, without", |round| round.avg5_without),
        line("AC@1, learned", |round| round.ac1),
        line("AC@1, without", |round| round.ac1_without),
        line("AC@3, learned", |round| round.ac3),
    ];
    let svg = curves("share of incidents seen", "accuracy so far, mean over datasets", &lines, &[])?;
    let caption = format!("{method}: accuracy over all incidents so far, as more of them were confirmed.");
    let id = format!("learning-{}", method.replace(", ", "-"));
    Ok(Some(chart(&id, &svg, &caption)))
}

fn rounds_table(learning: &LearningReport) -> Markup {
    let row = |curve: &LearningCurve, round: &Round| {
        html! {
            tr {
                td { (curve.method) } td { (curve.dataset) } td.number { (round.incidents) }
                @for (learned, without) in round.learned().into_iter().zip(round.without()) {
                    td.number { (plain(learned)) } td.number { (plain(without)) }
                }
            }
        }
    };
    html! {
        div.wide { table {
            thead { tr {
                th { "method" } th { "dataset" } th.number { "incidents so far" }
                @for figure in Figure::ALL { th.number { (figure.label()) } th.number { "without" } }
            } }
            tbody { @for curve in &learning.curves { @for round in &curve.rounds { (row(curve, round)) } } }
        } }
    }
}
