//! Methods beside each other, and what the first gains on each.

use maud::{Markup, html};

use super::{
    chart, is_variant,
    numbers::{cell, count, difference},
};
use crate::{
    evaluate::{
        bootstrap::Estimate,
        figure::Figure,
        figures_report::{Figures, MeanReport},
        gain_report::GainReport,
        headlines::Headlines,
        report::Report,
    },
    output::evaluation_charts::{IntervalRow, intervals},
};

pub(super) fn section(report: &Report) -> anyhow::Result<Markup> {
    let methods: Vec<&MeanReport> =
        report.mean.iter().filter(|mean| !is_variant(report, &mean.method)).collect();
    let charts = Figure::HEADLINES
        .map(|figure| {
            let rows: Vec<IntervalRow> = methods
                .iter()
                .enumerate()
                .map(|(index, mean)| IntervalRow {
                    label: mean.method.clone(),
                    estimate: mean.figures.estimate(figure),
                    accent: index == 0,
                })
                .collect();
            intervals(figure.label(), &rows, 0.0, 1.0)
        })
        .into_iter()
        .collect::<anyhow::Result<Vec<_>>>()?;
    Ok(html! {
        section {
            h2 { "Methods compared" }
            @for (figure, svg) in Figure::HEADLINES.iter().zip(&charts) {
                (chart(figure_id(*figure), svg, &format!("{}, mean over {}, with 95 % intervals. Right is better.",
                    figure.label(), count(report.datasets.len(), "dataset"))))
            }
            div.wide { table {
                thead { tr {
                    th { "method" } @for figure in Figure::ALL { th.number { (figure.label()) } }
                    th.number { "refused" } th.number { "abstained" } th.number { "nothing departed" }
                } }
                @for dataset in &report.datasets {
                    tbody {
                        tr { th.group colspan="8" { (dataset.name) ", " (count(dataset.incidents, "incident"))
                            @if let Some(known) = &dataset.knowable {
                                span.small { "; in " (known.unknowable) " no series of the root cause left its normal range, in " (known.found_by_nobody) " no method had it among its first five" }
                            }
                        } }
                        @for method in dataset.methods.iter().filter(|one| !is_variant(report, &one.method)) {
                            tr {
                                td { (method.method) } (figures(&method.figures))
                                td.number { (method.refused) } td.number { (method.abstained) } td.number { (method.nothing_departed) }
                            }
                        }
                    }
                }
                (mean_rows("mean over datasets", &methods))
                @if !report.mean_without.is_empty() {
                    @let kept: Vec<&MeanReport> =
                        report.mean_without.iter().filter(|mean| !is_variant(report, &mean.method)).collect();
                    (mean_rows(&format!("mean without {}", report.settings.exclude.join(", ")), &kept))
                }
            } }
        }
    })
}

const fn figure_id(figure: Figure) -> &'static str {
    match figure {
        Figure::Ac1 => "methods-ac1",
        Figure::Ac3 => "methods-ac3",
        Figure::Ac5 => "methods-ac5",
        Figure::Avg5 => "methods-avg5",
    }
}

fn mean_rows(name: &str, means: &[&MeanReport]) -> Markup {
    html! {
        tbody {
            tr { th.group colspan="8" { (name) } }
            @for mean in means { tr { td { (mean.method) } (figures(&mean.figures)) td colspan="3" {} } }
        }
    }
}

fn figures(figures: &Figures) -> Markup {
    html! { @for figure in Figure::ALL { (cell(&figures.estimate(figure))) } }
}

pub(super) fn gains(report: &Report) -> anyhow::Result<Markup> {
    let Some(first) = report.contenders.first().filter(|_| !report.gains.is_empty()) else {
        return Ok(html! {});
    };
    let (variants, others): (Vec<&GainReport>, Vec<&GainReport>) =
        report.gains.iter().partition(|gain| is_variant(report, &gain.over));
    Ok(html! {
        section {
            h2 { "Gains" }
            p {
                "What " b { (first.name) } " gains, incident by incident. An interval that holds zero shows no difference; numbers in "
                "bold do show one."
            }
            @if !others.is_empty() { (table("gains", &others, "over", report, &gain_chart(&others, "over")?)) }
        }
        @if !variants.is_empty() {
            section {
                h2 { "What each step is worth" }
                p { "The method with one of its steps changed or left out. A positive gain means that the step helps." }
                (table("ablations", &variants, "against", report, &gain_chart(&variants, "against")?))
            }
        }
    })
}

fn gain_chart(gains: &[&GainReport], word: &str) -> anyhow::Result<String> {
    let rows: Vec<IntervalRow> = gains
        .iter()
        .filter_map(|gain| {
            let mean = gain.on.iter().find(|on| on.dataset == "mean")?;
            let sure = mean.avg5.low > 0.0 || mean.avg5.high < 0.0;
            let name = gain.over.split_once(", ").map_or(gain.over.as_str(), |(_, variant)| variant);
            Some(IntervalRow {
                label: if word == "over" { format!("over {name}") } else { name.to_owned() },
                estimate: mean.avg5,
                accent: sure,
            })
        })
        .collect();
    let bound =
        |end: fn(&Estimate) -> f64| rows.iter().map(|row| end(&row.estimate).abs()).fold(0.1, f64::max);
    let widest = (bound(|estimate| estimate.low).max(bound(|estimate| estimate.high)) * 10.0).ceil() / 10.0;
    intervals("gain in Avg@5", &rows, -widest, widest)
}

fn table(id: &str, gains: &[&GainReport], word: &str, report: &Report, svg: &str) -> Markup {
    let datasets = report.datasets.len();
    let (of_datasets, means) = gains.first().map_or((&[][..], &[][..]), |gain| by_kind(gain, datasets));
    html! {
        (chart(id, svg, "Gain in Avg@5, mean over datasets, with the 95 % interval of the paired difference; blue where it does not hold zero."))
        div.wide { table.stacked {
            thead { tr {
                th { (word) }
                @for mean in means { th.number { (mean.dataset) ", AC@1" } th.number { (mean.dataset) ", Avg@5" } }
                @for one in of_datasets { th.number { (one.dataset) ", Avg@5" } }
            } }
            tbody {
                @for gain in gains {
                    tr {
                        td { (gain.over.split_once(", ").map_or(gain.over.as_str(), |(_, variant)| variant)) }
                        @for mean in by_kind(gain, datasets).1 { (difference(&mean.ac1)) (difference(&mean.avg5)) }
                        @for one in by_kind(gain, datasets).0 { (difference(&one.avg5)) }
                    }
                }
            }
        } }
        @if is_variant(report, gains.first().map_or("", |gain| gain.over.as_str())) {
            p.small { "Many variants were compared; the best of them looks better than it is." }
        }
    }
}

/// The gains on datasets, and those on means.
fn by_kind(gain: &GainReport, datasets: usize) -> (&[Headlines], &[Headlines]) {
    gain.on.split_at(datasets.min(gain.on.len()))
}
