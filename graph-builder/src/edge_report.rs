//! The p-values of the edges of all metric types, and what a budget left out of them.

use std::collections::BTreeMap;

use automap_proto::{
    behavior_graph::BehaviorGraph, edge_test::EdgeTest, invalid::Invalid, metric::MetricKind,
};

use crate::edge_tests::SkeletonPValues;

/// The tests of the edges of all metric types.
#[derive(Default)]
pub(crate) struct EdgeReport {
    /// By pair, in the order of metric types.
    tests: BTreeMap<(u32, u32), Vec<EdgeTest>>,
    lack_tests: Vec<&'static str>,
    lack_time: usize,
}

impl EdgeReport {
    /// Metric types come in their order.
    pub(crate) fn add(&mut self, metric: MetricKind, found: SkeletonPValues) {
        for edge in found.edges {
            self.tests.entry(edge.pair).or_default().push(EdgeTest {
                metric,
                p_value: edge.given_nothing.p_value,
                samples: edge.given_nothing.samples,
                largest_p_value: edge.largest_p_value,
            });
        }
        // Without time the budget of tests does not matter.
        self.lack_tests.extend((found.lacks_tests && found.lacks_time == 0).then_some(metric.name()));
        self.lack_time += found.lacks_time;
    }

    /// What was left out, as sentences.
    pub(crate) fn warnings(&self) -> impl Iterator<Item = String> {
        let lack_tests = (!self.lack_tests.is_empty()).then(|| {
            format!(
                "the budget left no tests that tell what edges withstand given a neighbour, in {}; raise the budget",
                self.lack_tests.join(", ")
            )
        });
        let lack_time = (self.lack_time > 0).then(|| {
            format!("the time was up before {} tests of edges were told; raise the budget", self.lack_time)
        });
        lack_tests.into_iter().chain(lack_time)
    }

    /// Tells the edges of the graph of all metric types.
    ///
    /// # Errors
    /// A number is none that a test gives.
    pub(crate) fn write_into(self, graph: &mut BehaviorGraph) -> Result<(), Invalid> {
        for ((first, second), tests) in self.tests {
            graph.set_tests(first as usize, second as usize, tests)?;
        }
        Ok(())
    }
}
