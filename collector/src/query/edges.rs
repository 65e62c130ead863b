//! Who calls whom, and how each call goes, where the source knows.

use std::collections::{BTreeMap, BTreeSet};

use automap_proto::{
    call_graph::CallGraph,
    edge_frame::{EdgeFrame, EdgeMetric},
    invalid::Invalid,
    metric::MetricKind,
};
use ndarray::Array2;

use super::{
    fetch::Fetched,
    rows::{RowName, Rows},
};

/// Puts the answers of edge queries together; calls of a service to itself are left out. `None` when there are no others.
///
/// # Errors
/// A name is bad.
pub(crate) fn edge_frame(
    samples: usize,
    answers: impl IntoIterator<Item = (MetricKind, Fetched)>,
) -> Result<Option<EdgeFrame>, Invalid> {
    let by_metric: BTreeMap<MetricKind, Rows> =
        answers.into_iter().map(|(metric, fetched)| (metric, fetched.rows)).collect();
    let names: BTreeSet<&RowName> = by_metric.values().flat_map(Rows::keys).collect();
    let pairs: Vec<&RowName> = names
        .into_iter()
        .filter(|pair| matches!(pair.as_slice(), [caller, callee] if caller != callee))
        .collect();
    if pairs.is_empty() {
        return Ok(None);
    }
    let mut values = Array2::from_elem((pairs.len() * EdgeMetric::ALL.len(), samples), f64::NAN);
    for (row, (pair, metric)) in
        pairs.iter().flat_map(|pair| EdgeMetric::ALL.map(|metric| (*pair, metric))).enumerate()
    {
        if let Some(found) = by_metric.get(&kind(metric)).and_then(|rows| rows.get(pair)) {
            for (place, value) in values.row_mut(row).iter_mut().zip(found) {
                *place = *value;
            }
        }
    }
    let edges = pairs.iter().map(|pair| (pair[0].clone(), pair[1].clone())).collect();
    EdgeFrame::new(edges, values).map(Some)
}

const fn kind(metric: EdgeMetric) -> MetricKind {
    match metric {
        EdgeMetric::Latency => MetricKind::Latency,
        EdgeMetric::Throughput => MetricKind::Throughput,
        EdgeMetric::Availability => MetricKind::Availability,
    }
}

/// Every pair of services between which there were calls. Where throughput is known, one without a single call is no
/// edge: its series outlive the calls. `None` when there were none at all.
///
/// # Errors
/// A name is bad.
pub(crate) fn call_graph(edges: &EdgeFrame) -> Result<Option<CallGraph>, Invalid> {
    let called = |index: usize| {
        let rates = edges.samples(index, EdgeMetric::Throughput);
        rates.iter().all(|rate| rate.is_nan()) || rates.iter().any(|rate| *rate > 0.0)
    };
    let pairs = edges.edges().iter().enumerate().filter(|(index, _)| called(*index));
    let graph = CallGraph::new(pairs.map(|(_, pair)| pair.clone()))?;
    Ok((!graph.is_empty()).then_some(graph))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(pairs: &[(&str, &str, f64)]) -> Fetched {
        let row = |&(one, other, value): &(&str, &str, f64)| (vec![one.into(), other.into()], vec![value; 2]);
        Fetched { rows: pairs.iter().map(row).collect(), unnamed: 0 }
    }

    #[test]
    fn edges_join_their_metrics_and_the_call_graph_holds_those_that_are_called() {
        let answers = [
            (MetricKind::Throughput, rows(&[("a", "b", 2.0), ("a", "c", 0.0), ("b", "b", 1.0)])),
            (MetricKind::Latency, rows(&[("a", "b", 0.1)])),
        ];
        let edges = edge_frame(2, answers).unwrap().unwrap();
        assert_eq!(edges.edges().len(), 2);
        assert_eq!(edges.samples(0, EdgeMetric::Latency).to_vec(), [0.1, 0.1]);
        assert!(edges.samples(1, EdgeMetric::Latency)[0].is_nan());
        let graph = call_graph(&edges).unwrap().unwrap();
        assert_eq!(graph.calls().collect::<Vec<_>>(), [("a", "b")]);
        assert!(edge_frame(2, [(MetricKind::Latency, rows(&[("b", "b", 1.0)]))]).unwrap().is_none());
    }
}
