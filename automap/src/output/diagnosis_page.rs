//! A diagnosis as one HTML page: the verdict, the behaviour graph with the walked paths, and the reasons.
//!
//! The page is one file that fetches nothing (its content security policy forbids it), runs no script, and prints.

use automap_proto::{ranking::RankedService, v1};
use automap_walker::explain;
use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::{diagnosis_text::what_was_diagnosed, verdict};
use crate::{
    answer::Answer,
    drawing::{picture::Picture, svg},
};

const STYLE: &str = include_str!("diagnosis_page.css");
/// Causes whose reasons are told in sentences.
const TOP_CAUSES: usize = 3;
/// Most services in the table.
const MAX_LISTED: usize = 50;
/// Most series that are told of one service in the table.
const REASONS: usize = 3;

/// The page. The same answer gives the same bytes.
pub fn render(answer: &Answer, picture: &Picture) -> String {
    let mut verdict = verdict::lines(answer).into_iter();
    let headline = verdict.next().unwrap_or_default();
    let ranked = answer.ranking.services();
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'";
                title { (headline) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                main {
                    h1 { (headline) }
                    ul.verdict { @for line in verdict { li { (line.trim_start()) } } }
                    (graph(picture))
                    h2 { "Most suspect" }
                    @for service in ranked.iter().take(TOP_CAUSES) { (cause(service, &answer.wire.counterfactuals)) }
                    h2 { "All services" }
                    (table(ranked))
                    @if !answer.wire.warnings.is_empty() {
                        h2 { "Warnings" }
                        ul { @for warning in &answer.wire.warnings { li { (warning) } } }
                    }
                    p.small { (what_was_diagnosed(answer)) }
                }
            }
        }
    }
    .into_string()
}

fn graph(picture: &Picture) -> Markup {
    let document = svg::render(picture);
    // Within a page the element stands without the declaration of its document.
    let element = document.find("<svg").map_or("", |start| &document[start..]);
    html! {
        h2 { "Behaviour graph" }
        figure role="img" aria-label="The behaviour graph with the walked paths" {
            div.drawing { (PreEscaped(element)) }
            figcaption {
                "An edge stands where two services move together in the metrics beside it, whatever other services do. Red: the paths that the walks took "
                "to the services ranked first; dashed: a call that is no edge of the graph. Shaded: "
                span.first { "ranked first" } ", " span.front-end { "the front end" } "."
            }
        }
    }
}

fn cause(service: &RankedService, counterfactuals: &[v1::Counterfactual]) -> Markup {
    html! {
        section {
            h3 { (service.rank) ". " (service.service) }
            ul {
                @for sentence in explain::sentences(service) { li { (sentence) } }
                @for sentence in explain::what_would_differ(&service.service, counterfactuals) { li { (sentence) } }
            }
        }
    }
}

fn table(ranked: &[RankedService]) -> Markup {
    html! {
        div.wide { table {
            thead { tr { th { "rank" } th { "service" } th { "score" } th { "what speaks against it" } th { "path from the front end" } } }
            tbody {
                @for service in ranked.iter().take(MAX_LISTED) {
                    tr {
                        td { (service.rank) } td { (service.service) } td { (explain::score(service.score)) }
                        td { (explain::departures_in_short(service, REASONS)) } td { (service.path.join(" → ")) }
                    }
                }
            }
        } }
        @if ranked.len() > MAX_LISTED { p.small { (ranked.len() - MAX_LISTED) " more services; the JSON answer has all." } }
    }
}

#[cfg(test)]
mod tests {
    use automap_proto::behavior_graph::BehaviorGraph;

    use super::*;

    fn page() -> String {
        let service = |rank: u32, name: &str| RankedService {
            rank,
            service: name.into(),
            score: 1.0 / f64::from(rank),
            class: None,
            evidence: vec![],
            path: vec!["web".into(), name.into()],
            path_share: 1.0,
            onset: None,
            deviation: 0.0,
            unlearned_score: None,
        };
        let names = ["<b>cart", "db", "web"];
        let answer = Answer::try_from(v1::Diagnosis {
            front_end: "web".into(),
            method: v1::Method::Baro.into(),
            ranking: (1..).zip(names).map(|(rank, name)| (&service(rank, name)).into()).collect(),
            warnings: vec!["<i>beware".into()],
            ..v1::Diagnosis::default()
        })
        .unwrap();
        let graph = BehaviorGraph::new(names.map(str::to_owned).to_vec()).unwrap();
        render(&answer, &Picture::of_diagnosis(&graph, &answer.ranking, "web"))
    }

    #[test]
    fn the_page_holds_verdict_graph_and_reasons_and_escapes_what_it_shows() {
        let page = page();
        let place = |part: &str| page.find(part).unwrap_or_else(|| panic!("{part} is missing"));
        assert!(place("<h1>") < place("<svg") && place("<svg") < place("Most suspect"));
        assert!(!page.contains("<b>") && !page.contains("<i>") && !page.contains("<?xml"));
        place("&lt;i&gt;beware");
    }

    #[test]
    fn the_page_fetches_nothing_and_the_same_answer_gives_the_same_bytes() {
        let page = page();
        for forbidden in ["<script", "src=", "@import"] {
            assert!(!page.contains(forbidden), "{forbidden}");
        }
        // The drawing refers to its own parts.
        for (reference, own) in [("href=", "\"#"), ("url(", "#")] {
            assert!(page.split(reference).skip(1).all(|rest| rest.starts_with(own)), "{reference}");
        }
        assert_eq!(page, self::page());
    }
}
