//! What confidence is worth.

use maud::{Markup, html};

use super::{
    chart, is_variant,
    numbers::{optional, plain},
};
use crate::{
    evaluate::{confidence_curves::CurvePoint, confidence_report::ConfidenceReport, report::Report},
    output::evaluation_charts::{Curve, curves, reliability},
};

pub(super) fn section(report: &Report) -> anyhow::Result<Markup> {
    let rows: Vec<&ConfidenceReport> =
        report.confidence.iter().filter(|row| !is_variant(report, &row.method)).collect();
    let Some(first) = rows.first() else {
        return Ok(html! {
            section { h2 { "What confidence is worth" } p { "No method that was run states its confidence." } }
        });
    };
    let of_first: Vec<&ConfidenceReport> =
        rows.iter().copied().filter(|row| row.method == first.method).collect();
    let several = rows.len() > of_first.len();
    let lines = |x: fn(&CurvePoint) -> f64, y: fn(&CurvePoint) -> f64| -> Vec<Curve> {
        of_first
            .iter()
            .map(|row| Curve {
                name: format!("{} ({} incidents)", row.dataset, row.incidents),
                points: row.curve.iter().map(|point| (x(point), y(point))).collect(),
            })
            .collect()
    };
    let by_chance: Vec<f64> = of_first.iter().map(|row| 1.0 - row.ac1).collect();
    let risk = curves(
        "share of incidents answered",
        "share of answers wrong",
        &lines(|point| point.coverage, |point| point.risk),
        &by_chance,
    )?;
    let precision = curves(
        "recall: incidents answered rightly",
        "precision: answers that are right",
        &lines(|point| point.recall, |point| point.precision),
        &[],
    )?;
    Ok(html! {
        section {
            h2 { "What confidence is worth" }
            p {
                "Every answer of " b { (first.method) } " states how sure it is. If only the surest answers are given, fewer are wrong: over all "
                "incidents the first service is right in " (plain(first.ac1)) ", in the most confident half in "
                b { (plain(first.ac1_of_confident_half)) } "."
            }
            div.pair {
                (chart("risk-coverage", &risk, "Risk by coverage, from the most confident answers to all. Dashed: what confidence that says nothing would give. Lower is better."))
                (chart("precision-recall", &precision, "Precision by recall, from the most confident answers to all. Higher is better."))
            }
            div.wide { table {
                thead { tr {
                    @if several { th { "method" } } th { "dataset" } th.number { "incidents" } th.number { "AC@1" }
                    th.number { "confident half" } th.number { "right surer than wrong" } th.number { "risk area" }
                    th.number { "names one" } th.number { "AC@1 of those" } th.number { "of the others" }
                } }
                tbody {
                    @for row in &rows {
                        tr {
                            @if several { td { (row.method) } } td { (row.dataset) } td.number { (row.incidents) } td.number { (plain(row.ac1)) }
                            td.number { (plain(row.ac1_of_confident_half)) } td.number { (optional(row.discrimination)) }
                            td.number { (plain(row.risk_area)) } td.number { (plain(row.named)) }
                            td.number { (optional(row.ac1_when_named)) } td.number { (optional(row.ac1_when_abstained)) }
                        }
                    }
                }
            } }
            p.small { "Confident half: AC@1 of the most confident half. Right surer than wrong: chance that a right answer is more confident than a wrong one; 0.50 is chance. Names one: share of the answers that name a root cause, and AC@1 of those and of those that abstain." }
            h3 { "Is the stated confidence true?" }
            p {
                "Answers of similar confidence together: on the dashed line, as many are right as were said to be. Below it the answers are too sure, above it "
                "not sure enough. The mean distance from the line is " (plain(first.calibration_error)) "."
            }
            div.pair {
                (chart("reliability", &reliability(&first.calibration)?, &format!("Confidence stated by {} and share of right answers, with 95 % intervals.", first.method)))
                div.wide { table {
                    thead { tr { th { "answers, least sure first" } th.number { "incidents" } th.number { "confidence stated" } th.number { "right" } } }
                    tbody {
                        @for (index, group) in first.calibration.iter().enumerate() {
                            tr {
                                td { "group " (index + 1) } td.number { (group.incidents) } td.number { (plain(group.confidence)) }
                                td.number { (plain(group.right)) span.interval { (plain(group.interval[0])) "–" (plain(group.interval[1])) } }
                            }
                        }
                    }
                } }
            }
        }
    })
}
