//! An evaluation as one HTML page: for whoever has to decide whether to trust the answers.
//!
//! The page is one file that fetches nothing (its content security policy forbids it), runs no script, prints on paper,
//! and follows light and dark. Failures come before successes.

mod call_graphs;
mod confidence;
mod confusion;
mod cost;
mod failures;
mod incidents;
mod learning;
mod methods;
mod metrics;
mod numbers;

use automap_proto::method::Method;
use maud::{DOCTYPE, Markup, PreEscaped, html};

use self::numbers::count;
pub(super) use self::numbers::plain;
use super::evaluation_charts::palette;
use crate::evaluate::{
    figure::Figure,
    knowable::{DEPARTED, Knowable},
    report::Report,
};

const STYLE: &str = include_str!("style.css");

/// The page. The same report gives the same bytes.
///
/// # Errors
/// A chart cannot be drawn.
pub fn render(report: &Report) -> anyhow::Result<String> {
    render_with(report, &html! {})
}

/// The page with `how_made`, a section on where the incidents come from.
///
/// # Errors
/// A chart cannot be drawn.
pub fn render_with(report: &Report, how_made: &Markup) -> anyhow::Result<String> {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'";
                title { "AutoMAP evaluation" }
                style { (PreEscaped(STYLE)) (PreEscaped(chart_colors())) }
            }
            body {
                main {
                    (heading(report))
                    (failures::section(report)?)
                    (methods::section(report)?)
                    (methods::gains(report)?)
                    (cost::section(report)?)
                    (learning::section(report)?)
                    (confidence::section(report)?)
                    (metrics::section(report)?)
                    (call_graphs::section(report))
                    (confusion::section(report))
                    (incidents::section(report))
                    (how_made)
                    (how(report))
                }
            }
        }
    };
    Ok(page.into_string())
}

fn heading(report: &Report) -> Markup {
    let settings = &report.settings;
    let first = report.contenders.first().map_or("", |contender| contender.name.as_str());
    let variants = report.contenders.iter().filter(|one| is_variant(report, &one.name)).count();
    let mean = report.mean.first().map(|mean| &mean.figures);
    let over_all = |part: fn(&Knowable) -> usize| -> Option<usize> {
        report.datasets.iter().map(|dataset| dataset.knowable.as_ref().map(part)).sum()
    };
    let known = over_all(|known| known.unknowable).zip(over_all(|known| known.found_by_nobody));
    html! {
        header {
            h1 { "How good are the answers?" }
            p.lead {
                "AutoMAP " (report.automap_version) " diagnosed " (count(report.incident_count(), "recorded incident")) " of "
                (count(report.datasets.len(), "dataset")) " whose root cause is known, without any history"
                @if report.learning.is_some() { " unless they learned" }
                ", with " (count(report.contenders.len() - variants, "method"))
                @if variants > 0 { " and " (count(variants, "variant")) }
                ". Figures are of " b { (first) } " unless they say otherwise."
            }
            @if settings.delay != 0.0 || settings.normal_window.is_some() {
                p.note {
                    @if settings.delay != 0.0 {
                        "Alerts were " (plain(settings.delay.abs())) " incident lengths "
                        @if settings.delay > 0.0 { "late. " } @else { "early. " }
                    }
                    @if let Some(factor) = settings.normal_window {
                        "Of normal behaviour, " (plain(factor)) " incident lengths were known."
                    }
                }
            }
        }
        div.cards {
            @if let Some(figures) = mean {
                (card("root cause ranked first", figures.estimate(Figure::Ac1), "AC@1, mean over datasets"))
                (card("over the first five ranks", figures.estimate(Figure::Avg5), "Avg@5, mean over datasets"))
            }
            @if let Some(row) = report.confidence.iter().find(|row| row.method == first) {
                div.card {
                    span.title { "first, in the confident half" }
                    span.big { (plain(row.ac1_of_confident_half)) }
                    span.small { "AC@1; " (plain(row.ac1)) " over all incidents together" }
                }
            }
            @if let Some((unknowable, found_by_nobody)) = known {
                div.card {
                    span.title { "nobody could have known" }
                    span.big { (unknowable) " to " (found_by_nobody) }
                    span.small { "of " (report.incident_count()) " incidents: no series of the root cause left its normal range; no method found it" }
                }
            }
        }
    }
}

fn card(title: &str, estimate: crate::evaluate::bootstrap::Estimate, what: &str) -> Markup {
    html! {
        div.card {
            span.title { (title) }
            span.big { (plain(estimate.value)) }
            span.small { (plain(estimate.low)) " to " (plain(estimate.high)) "; " (what) }
        }
    }
}

fn how(report: &Report) -> Markup {
    let settings = &report.settings;
    html! {
        section {
            h2 { "How this was measured" }
            dl {
                dt { "AC@k" } dd { "Share of incidents whose root cause is among the first k services. With several root causes: hits among the first k, divided by k or by the number of root causes, whichever is less. Services that tie share their ranks, so that no method gains by its order of names." }
                dt { "Avg@5" } dd { "Mean of AC@1 to AC@5." }
                dt { "Mean" } dd { "Over datasets, each counting the same, however many incidents it has." }
                dt { "Intervals" } dd { "95 %, from " (settings.bootstrap) " resamples of the incidents within each dataset (percentile bootstrap, seed " (settings.seed) "). Gains are paired: both methods are measured on the same resamples. Intervals speak of the luck of the incidents; systems that are not here may differ by more." }
                dt { "Refused" } dd { "No answer at all; counts as a miss." }
                dt { "Abstained" } dd { "The answer says that it names no root cause. Its ranking is counted as it is, so that no method gains by silence. Nothing departed: the answer says that no service left its normal behaviour." }
                dt { "Nobody could have known" } dd { "No series of any root cause left its normal range by " (plain(DEPARTED)) " spreads or more, by any scorer of single series that was run. By chance a series does so too, so this is a lower bound. An upper bound are the incidents whose root cause no method but chance had among its first five." }
                dt { "Fair play" } dd { "No history, no confirmed root causes, no knowledge of names. Labels are read by the evaluation alone, after the answer. Only methods marked as learned are told the root causes of other incidents of the same dataset, never of the one they diagnose." }
            }
            @if report.contenders.iter().any(|contender| !contender.parameters.is_empty()) {
                h3 { "Parameters that differ from the defaults" }
                table {
                    thead { tr { th { "method" } th { "parameters" } } }
                    tbody {
                        @for contender in report.contenders.iter().filter(|one| !one.parameters.is_empty()) {
                            tr {
                                td { (contender.name) }
                                td { @for (name, value) in &contender.parameters { code { (name) "=" (value) } " " } }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Whether a contender is a variant of the default method and not a method of its own.
fn is_variant(report: &Report, name: &str) -> bool {
    report.contenders.iter().any(|one| {
        one.name == name && one.method == Method::default() && !one.learns && one.name != one.method.name()
    })
}

/// Maps the colours that charts carry to those of the page.
fn chart_colors() -> String {
    let mut rules = String::new();
    let named = [
        (palette::INK, "--ink"),
        (palette::MUTED, "--muted"),
        (palette::GRID, "--grid"),
        (palette::ACCENT, "--accent"),
        (palette::OTHERS[0], "--other-1"),
        (palette::OTHERS[1], "--other-2"),
        (palette::OTHERS[2], "--other-3"),
        (palette::OTHERS[3], "--other-4"),
    ];
    for (color, variable) in named {
        let hex = palette::hex(color);
        rules += &format!(
            ".chart [fill=\"{hex}\"]{{fill:var({variable})}}.chart [stroke=\"{hex}\"]{{stroke:var({variable})}}"
        );
    }
    rules
}

/// A chart with what it says in words, for whoever cannot see it. `id` tells it from the others of the page.
fn chart(id: &str, svg: &str, caption: &str) -> Markup {
    html! {
        figure.chart id=(id) role="img" aria-label=(caption) {
            (PreEscaped(svg))
            figcaption { (caption) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluate::{
        learning::Learning,
        outcome::Outcome,
        report::Settings,
        test_measured::{measured, outcome},
    };

    fn page() -> String {
        let stated = |right: f64, confidence: f64| Outcome {
            confidence: Some(confidence),
            metric: Some([right; 2]),
            service_and_metric: Some(right),
            ..outcome(right)
        };
        let hostile = Outcome { refused: Some("<script>alert(1)</script>".into()), ..outcome(0.0) };
        let runs = vec![
            vec![
                vec![stated(1.0, 0.9), stated(0.0, 0.8)],
                vec![outcome(0.5), hostile],
                vec![stated(1.0, 0.9), stated(1.0, 0.8)],
            ],
            vec![vec![stated(0.0, 0.1)], vec![outcome(0.5)], vec![stated(0.0, 0.1)]],
        ];
        let settings = Settings {
            seed: 0,
            delay: 0.5,
            normal_window: Some(1.5),
            shuffled_calls: false,
            bootstrap: 100,
            exclude: vec!["set1".into()],
            learn: Some(Learning::Rounds),
        };
        let mut measured = measured(&["evidence", "n-sigma", "evidence, learned"], runs);
        measured.contenders[2].learns = true;
        render(&Report::new(&measured, settings)).unwrap()
    }

    #[test]
    fn the_page_holds_every_section_with_failures_first_and_its_charts() {
        let page = page();
        let place = |part: &str| page.find(part).unwrap_or_else(|| panic!("{part} is missing"));
        assert!(place("Where it fails") < place("Methods compared"));
        for part in [
            "Gains",
            "What confidence is worth",
            "The metric at fault",
            "What confirmed incidents teach",
            "Every incident",
            "late",
            "without set1",
        ] {
            place(part);
        }
        let charts: Vec<&str> = page
            .split("<figure class=\"chart\" id=\"")
            .skip(1)
            .filter_map(|rest| rest.split('"').next())
            .collect();
        assert_eq!(
            charts,
            [
                "outcomes",
                "faults",
                "methods-ac1",
                "methods-avg5",
                "gains",
                "seconds",
                "memory",
                "learning-evidence-learned",
                "risk-coverage",
                "precision-recall",
                "reliability",
                "metric"
            ]
        );
        assert_eq!(page.matches("<svg").count(), charts.len());
    }

    #[test]
    fn the_page_fetches_nothing_runs_nothing_and_escapes_what_it_shows() {
        let page = page();
        for forbidden in ["<script", "src=", "href=", "url(", "@import"] {
            assert!(!page.contains(forbidden), "{forbidden}");
        }
        let addresses: Vec<_> = page.match_indices("http").map(|(at, _)| &page[at..at + 12]).collect();
        assert!(
            addresses
                .iter()
                .all(|found| found.starts_with("http-equiv") || found.starts_with("http://www.w")),
            "{addresses:?}"
        );
        assert!(page.contains("&lt;script&gt;"));
    }

    #[test]
    fn the_same_report_gives_the_same_bytes() {
        assert_eq!(page(), page());
    }
}
