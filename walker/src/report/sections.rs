//! A diagnosis as parts of an HTML page: no script, no style within elements, every name escaped.

use automap_proto::{
    metric::MetricKind,
    ranking::{Evidence, RankedService},
    v1,
};
use maud::{Markup, html};

use super::{
    answer::Answer,
    chart::{self, Mark, Marks},
    context::{recurrence, what_was_diagnosed},
    drawing::{
        edge_text,
        picture::{Edge, Picture},
    },
    learned, verdict,
};
use crate::explain;

/// Causes whose reasons are told in sentences.
const TOP_CAUSES: usize = 3;
/// Most services in the table.
pub const MAX_LISTED: usize = 50;
/// Most series that are told of one service in the table.
const REASONS: usize = 3;

/// The headline of an answer.
pub fn headline(answer: &Answer) -> String {
    verdict::lines(answer).into_iter().next().unwrap_or_else(|| "No service could be ranked".to_owned())
}

/// The headline and what it is worth.
pub fn verdict(answer: &Answer) -> Markup {
    html! {
        h1 { (headline(answer)) }
        ul.verdict { @for line in verdict::lines(answer).iter().skip(1) { li { (line.trim_start()) } } }
    }
}

/// The services ranked first with the reasons in sentences and the series behind them; `beside` adds to each.
pub fn causes(answer: &Answer, beside: impl Fn(&RankedService) -> Markup) -> Markup {
    let reference = Mark::reference(answer);
    html! {
        h2 { "Most suspect" }
        @for service in answer.ranking.services().iter().take(TOP_CAUSES) {
            section.cause id={ "cause-" (service.rank) } aria-labelledby={ "cause-" (service.rank) "-name" } {
                h3 id={ "cause-" (service.rank) "-name" } { (service.rank) ". " (service.service) }
                (reasons(service, &answer.wire.counterfactuals))
                (charts(answer, service, reference))
                (beside(service))
            }
        }
    }
}

fn reasons(service: &RankedService, counterfactuals: &[v1::Counterfactual]) -> Markup {
    let others = explain::what_would_differ(&service.service, counterfactuals);
    html! {
        div.reasons {
            ul { @for sentence in explain::sentences(service) { li { (sentence) } } }
            @if !others.is_empty() {
                details {
                    summary { "What would have to differ" }
                    ul { @for sentence in others { li { (sentence) } } }
                }
            }
        }
    }
}

fn charts(answer: &Answer, service: &RankedService, reference: Option<Mark>) -> Markup {
    let marks = Marks { onset: service.onset, reference };
    let drawn: Vec<(&v1::SeriesSketch, &Evidence)> = answer
        .wire
        .sketches
        .iter()
        .filter(|sketch| sketch.service == service.service)
        .filter_map(|sketch| {
            let metric = MetricKind::from_wire("sketch.metric", sketch.metric).ok()?;
            let shows = |item: &&Evidence| item.metric == metric && item.series == sketch.series;
            Some((sketch, service.evidence.iter().find(shows)?))
        })
        .collect();
    html! {
        @if !drawn.is_empty() {
            div.charts { @for (sketch, item) in drawn { (chart::figure(sketch, &explain::departure(item), marks)) } }
        }
    }
}

/// The graph as `element` draws it, with its legend and, for whoever does not see it, its edges in a table; `more` follows.
pub fn graph(picture: &Picture, element: &Markup, more: &Markup) -> Markup {
    html! {
        h2 id="graph" { "Behaviour graph" }
        figure {
            div.drawing tabindex="0" role="group" aria-label="The drawing of the behaviour graph, which scrolls" { (element) }
            figcaption {
                "An edge stands where two services move together, whatever other services do; the table below tells in which metrics, and how surely. Thick and red: the paths that the "
                "walks took to the services ranked first; dashed: a call that is no edge of the graph. Shaded: "
                span.first { "ranked first" } ", " span.front-end { "the front end" } ". Letter and frame: the class of a service's metrics, "
                span.class-R { "R representational" } ", " span.class-C { "C computing" } ", " span.class-N { "N networking" } ", "
                span.class-S { "S storage" } ", " span.class-E { "E environmental" } "."
            }
        }
        (edges(picture))
        (more)
    }
}

/// The drawn edges as a table.
fn edges(picture: &Picture) -> Markup {
    let has_shares = picture.edges.iter().any(|edge| edge.confidence.is_some());
    html! {
        @if !picture.edges.is_empty() { details {
            summary { "The edges" }
            p.small {
                "p: how often series without any relation would look as related as these; the last is the largest given "
                "nothing or one neighbour of either service."
            }
            div.wide tabindex="0" role="group" aria-label="The edges, which scroll" { table {
                thead { tr {
                    th scope="col" { "from" } th scope="col" { "to" } @if has_shares { th scope="col" { "of resamples" } }
                    th scope="col" { "metric" } th scope="col" { "p" } th scope="col" { "largest p given none or one neighbour" }
                    th scope="col" { "rows" }
                } }
                tbody { @for edge in &picture.edges { (edge_rows(picture, edge, has_shares)) } }
            } }
        } }
    }
}

/// An edge as a row for each of its metric types.
fn edge_rows(picture: &Picture, edge: &Edge, has_shares: bool) -> Markup {
    let rows = edge.metrics.len().max(1);
    let test = |row: usize| edge.tests.iter().find(|test| edge.metrics.get(row) == Some(&test.metric));
    html! {
        @for row in 0..rows { tr {
            @if row == 0 {
                td rowspan=(rows) { (picture.nodes[edge.from].name) @if !edge.directed { ", either way" } }
                td rowspan=(rows) { (picture.nodes[edge.to].name) @if edge.walked { ", walked" } }
                @if has_shares { td rowspan=(rows) { (edge_text::share(edge).unwrap_or_default()) } }
            }
            td { (edge.metrics.get(row).map_or("a call that is no edge", |kind| kind.name())) }
            @if let Some(test) = test(row) {
                td { (edge_text::p_value(test.p_value)) }
                td { (test.largest_p_value.map(edge_text::p_value).unwrap_or_default()) }
                td { (test.samples) }
            } @else { td {} td {} td {} }
        } }
    }
}

/// The ranking as a table of at most `most` rows, with what follows where there are more.
pub fn table(ranked: &[RankedService], most: usize, more: &Markup) -> Markup {
    html! {
        h2 id="services" { "All services" }
        div.wide tabindex="0" role="group" aria-label="The ranking, which scrolls" { table {
            thead { tr {
                th scope="col" { "rank" } th scope="col" { "service" } th scope="col" { "score" } th scope="col" { "what speaks against it" }
                th scope="col" { "path from the front end (arrows: caller to callee)" }
            } }
            tbody {
                @for service in ranked.iter().take(most) {
                    tr {
                        td { (service.rank) } th scope="row" { (service.service) } td { (explain::score(service.score)) }
                        td { (explain::departures_in_short(service, REASONS)) } td { (explain::path_with_arrows(service)) }
                    }
                }
            }
        } }
        @if ranked.len() > most { p.small { (ranked.len() - most) " more services. " (more) } }
    }
}

/// Past incidents that resemble this one, and what was learned from them.
pub fn similar(answer: &Answer) -> Markup {
    let lines: Vec<String> =
        learned::lines(answer).into_iter().chain(answer.wire.similar.iter().map(recurrence)).collect();
    html! {
        @if !lines.is_empty() {
            h2 { "Similar incidents" }
            ul { @for line in lines { li { (line) } } }
        }
    }
}

/// Warnings, and how the answer was made.
pub fn notes(answer: &Answer) -> Markup {
    html! {
        @if !answer.wire.warnings.is_empty() {
            h2 { "Warnings" }
            ul { @for warning in &answer.wire.warnings { li { (warning) } } }
        }
        p.small { (what_was_diagnosed(answer)) }
    }
}
