//! What is left out of a diagnosis that is too large for a message.

use std::collections::BTreeSet;

use automap_proto::v1;
use prost::Message as _;

/// Leaves out what is needed least until a diagnosis takes at most so many bytes: the tests of edges between services far
/// down the ranking first, then all tests, then the behaviour graph. Warnings tell. A diagnosis without a graph stays as it is.
///
/// # Complexity
/// O(size · log services).
pub(crate) fn fit(diagnosis: &mut v1::Diagnosis, most_bytes: usize) {
    if diagnosis.behavior_graph.is_none() || diagnosis.encoded_len() <= most_bytes {
        return;
    }
    let mut shown = diagnosis.ranking.len();
    loop {
        shown /= 2;
        keep_tests_of(diagnosis, shown);
        if shown == 0 || diagnosis.encoded_len() <= most_bytes {
            break;
        }
    }
    let left_out = if diagnosis.encoded_len() > most_bytes {
        diagnosis.behavior_graph = None;
        "the behaviour graph was left out of the answer: it is too large for one message".to_owned()
    } else if shown == 0 {
        "edges tell no p-values: with them the answer is too large for one message".to_owned()
    } else {
        format!(
            "only edges between the {shown} most suspect services, and those on the paths to them, tell their p-values: with all \
             of them the answer is too large for one message"
        )
    };
    diagnosis.warnings.push(left_out);
}

/// Leaves out the tests of edges, but between the services ranked first and those on the paths to them.
fn keep_tests_of(diagnosis: &mut v1::Diagnosis, most: usize) {
    let top = diagnosis.ranking.iter().take(most);
    let shown: BTreeSet<&str> =
        top.flat_map(|ranked| ranked.path.iter().chain([&ranked.service])).map(String::as_str).collect();
    let Some(graph) = diagnosis.behavior_graph.as_mut().and_then(|explained| explained.graph.as_mut()) else {
        return;
    };
    let is_shown: Vec<bool> = graph.services.iter().map(|service| shown.contains(service.as_str())).collect();
    let among = |end: u32| is_shown.get(end as usize).copied().unwrap_or(false);
    for edge in graph.edges.iter_mut().filter(|edge| !(among(edge.from) && among(edge.to))) {
        edge.tests = Vec::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// So many services, each with edges to the ten after it that stand in all metric types.
    fn diagnosis(services: u32) -> v1::Diagnosis {
        let name = |index: u32| format!("service-{index:05}");
        let test = |metric| v1::EdgeTest { metric, p_value: 1e-9, samples: 60, largest_p_value: Some(0.01) };
        let edge = |from, to| v1::BehaviorEdge {
            from,
            to,
            weights: vec![1.0 / 7.0; 7],
            tests: (1..=7).map(test).collect(),
            ..v1::BehaviorEdge::default()
        };
        let ranked = |index| v1::RankedService {
            service: name(index),
            path: vec![name(services - 1), name(index)],
            ..v1::RankedService::default()
        };
        let edges = (0..services).flat_map(|from| {
            (1..=10).map(move |step| (from, (from + step) % services)).map(|(from, to)| edge(from, to))
        });
        let graph = v1::BehaviorGraph { services: (0..services).map(name).collect(), edges: edges.collect() };
        v1::Diagnosis {
            ranking: (0..services).map(ranked).collect(),
            behavior_graph: Some(v1::ExplainedGraph { graph: Some(graph), ..Default::default() }),
            ..v1::Diagnosis::default()
        }
    }

    fn edges(diagnosis: &v1::Diagnosis) -> &[v1::BehaviorEdge] {
        &diagnosis.behavior_graph.as_ref().unwrap().graph.as_ref().unwrap().edges
    }

    #[test]
    fn an_answer_of_two_thousand_services_keeps_its_graph_and_the_tests_that_are_looked_at() {
        let most = 4 << 20;
        let mut large = diagnosis(2000);
        assert!(large.encoded_len() > most);
        fit(&mut large, most);
        assert!(large.encoded_len() <= most);
        assert_eq!(edges(&large).len(), 20_000);
        assert!(edges(&large)[0].tests.len() == 7 && edges(&large)[15_000].tests.is_empty());
        // The last service is on every path.
        let last = edges(&large).iter().find(|edge| (edge.from, edge.to) == (1999, 0)).unwrap();
        assert_eq!(last.tests.len(), 7);
        let [warning] = &large.warnings[..] else { panic!("{:?}", large.warnings) };
        assert!(warning.contains("most suspect services"), "{warning}");
    }

    #[test]
    fn what_fits_stays_whole_and_a_graph_that_is_too_large_by_itself_goes() {
        let mut small = diagnosis(20);
        fit(&mut small, 4 << 20);
        assert_eq!(small, diagnosis(20));
        fit(&mut small, 10_000);
        assert!(small.behavior_graph.is_none());
        assert!(small.warnings.len() == 1 && small.warnings[0].contains("behaviour graph was left out"));
    }

    #[test]
    fn where_no_tests_fit_the_graph_stays_without_them() {
        for ranked in [20, 0] {
            let mut large = diagnosis(20);
            large.ranking.truncate(ranked);
            let mut bare = large.clone();
            keep_tests_of(&mut bare, 0);
            fit(&mut large, bare.encoded_len() + 1);
            bare.warnings =
                vec!["edges tell no p-values: with them the answer is too large for one message".into()];
            assert_eq!(large, bare);
            assert!(edges(&large).len() == 200 && edges(&large).iter().all(|edge| edge.tests.is_empty()));
        }
    }

    #[test]
    fn of_a_diagnosis_without_a_graph_none_is_said_to_be_left_out() {
        let without = v1::Diagnosis { behavior_graph: None, ..diagnosis(20) };
        let mut large = without.clone();
        fit(&mut large, 100);
        assert_eq!(large, without);
    }
}
