//! A diagnosis as one HTML page: the verdict, the reasons, and the behaviour graph with the walked paths.
//!
//! The page is one file that fetches nothing (its content security policy forbids it), runs no script, and prints. It is made
//! of the same parts as the page that the walker serves.

use automap_walker::report::{self, drawing::svg, gaps, sections};
use maud::{DOCTYPE, PreEscaped, html};

use crate::{answer::Answer, drawing::picture::Picture};

/// The page. The same answer gives the same bytes.
pub fn render(answer: &Answer, picture: &Picture) -> String {
    let nothing = html! {};
    let all = html! { "The JSON answer has all." };
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'";
                title { (sections::headline(answer)) }
                style { (PreEscaped(report::STYLE)) (PreEscaped(svg::STYLE)) }
            }
            body {
                main {
                    (sections::verdict(answer))
                    @if !answer.wire.incident_id.is_empty() {
                        p {
                            "Incident " code { (answer.wire.incident_id) } ", as " code { "automap incidents" }
                            " knows it."
                        }
                    }
                    (sections::causes(answer, |_| html! {}))
                    (sections::graph(picture, &svg::element(picture), &nothing))
                    (sections::table(answer.ranking.services(), sections::MAX_LISTED, &all))
                    (gaps::table(answer, sections::MAX_LISTED, &all))
                    (sections::similar(answer))
                    (sections::notes(answer))
                }
            }
        }
    }
    .into_string()
}

#[cfg(test)]
mod tests {
    use automap_proto::{behavior_graph::BehaviorGraph, ranking::RankedService, v1};

    use super::*;
    use crate::drawing::picture::Size;

    fn page() -> String {
        page_of("")
    }

    fn page_of(incident_id: &str) -> String {
        let service = |rank: u32, name: &str| RankedService {
            rank,
            service: name.into(),
            score: 1.0 / f64::from(rank),
            class: None,
            evidence: vec![],
            path: vec!["web".into(), name.into()],
            path_share: 1.0,
            path_hops: vec![],
            onset: None,
            deviation: 0.0,
            unlearned_score: None,
        };
        let names = ["<b>cart", "db", "web"];
        let answer = Answer::try_from(v1::Diagnosis {
            front_end: "web".into(),
            incident_id: incident_id.into(),
            method: v1::Method::Baro.into(),
            ranking: (1..).zip(names).map(|(rank, name)| (&service(rank, name)).into()).collect(),
            warnings: vec!["<i>beware".into()],
            ..v1::Diagnosis::default()
        })
        .unwrap();
        let graph = BehaviorGraph::new(names.map(str::to_owned).to_vec()).unwrap();
        render(&answer, &Picture::of_diagnosis(&graph, &answer.ranking, "web", Size::USUAL))
    }

    #[test]
    fn the_page_holds_verdict_graph_and_reasons_and_escapes_what_it_shows() {
        let page = page();
        let place = |part: &str| page.find(part).unwrap_or_else(|| panic!("{part} is missing"));
        assert!(place("<h1>") < place("Most suspect") && place("Most suspect") < place("<svg"));
        assert!(!page.contains("<b>") && !page.contains("<i>") && !page.contains("<?xml"));
        place("&lt;i&gt;beware");
        assert!(!page.contains("automap incidents"), "nobody remembers it");
        let remembered = page_of("inc-1");
        assert!(remembered.contains("<code>inc-1</code>, as <code>automap incidents</code> knows it."));
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
