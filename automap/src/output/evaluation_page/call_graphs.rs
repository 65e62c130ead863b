//! How often the call graph did not fit the metrics.

use maud::{Markup, html};

use super::is_variant;
use crate::evaluate::{graph_doubts::GraphDoubts, report::Report};

pub(super) fn section(report: &Report) -> Markup {
    let rows: Vec<&GraphDoubts> =
        report.call_graph_doubts.iter().filter(|row| !is_variant(report, &row.method)).collect();
    if rows.is_empty() {
        return html! {};
    }
    html! {
        section {
            h2 { "Doubts of the call graph" }
            p {
                "A call graph is held against the metrics: services that call each other should depend on each other more than others do. One that does no "
                "better than its own calls between services drawn at random is not believed, and the answer warns. "
                @if report.settings.shuffled_calls {
                    "Here the names in every call graph were shuffled, so that each is wrong: doubts are " b { "right" } ", the rest was not noticed."
                } @else {
                    "The given graphs are taken to be right: doubts are " b { "false alarms" } "."
                }
            }
            div.wide { table {
                thead { tr { th { "method" } th { "dataset" } th.number { "tested" } th.number { "doubted" } } }
                tbody {
                    @for row in rows {
                        tr { td { (row.method) } td { (row.dataset) } td.number { (row.tested) } td.number { (row.doubted) } }
                    }
                }
            } }
            p.small { "Tested: incidents with a call graph and enough rows to tell." }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluate::{
        outcome::Outcome,
        report::Settings,
        test_measured::{measured, outcome},
    };

    fn page(doubted: &[Option<bool>], shuffled_calls: bool) -> String {
        let outcomes =
            doubted.iter().map(|&graph_doubted| Outcome { graph_doubted, ..outcome(1.0) }).collect();
        let settings = Settings {
            seed: 0,
            delay: 0.0,
            normal_window: None,
            shuffled_calls,
            bootstrap: 100,
            exclude: Vec::new(),
            learn: None,
        };
        section(&Report::new(&measured(&["evidence"], vec![vec![outcomes]]), settings)).into_string()
    }

    #[test]
    fn doubts_are_false_alarms_unless_graphs_are_wrong_on_purpose() {
        let given = page(&[Some(true), Some(false), Some(false), None], false);
        let cells = "<td>evidence</td><td>set0</td><td class=\"number\">3</td><td class=\"number\">1</td>";
        assert!(given.contains(cells) && given.contains("false alarms"), "{given}");
        assert!(page(&[Some(true)], true).contains("shuffled"));
        assert_eq!(page(&[None], false), "", "nothing was tested");
    }
}
