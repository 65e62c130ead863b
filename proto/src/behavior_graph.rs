//! The anomaly behaviour graph G(V, E, W).

use std::collections::BTreeMap;

use crate::{
    edge_test::{self, EdgeTest},
    frame::check_name,
    invalid::Invalid,
    metric::{METRIC_COUNT, MetricKind},
    v1,
};

/// W_ij of one ordered pair of services: one weight per metric type, summing to 1.
///
/// Weights of graphs that were tested, and of sums of such graphs, come from counts: in how many of the summed
/// graphs the edge survived in metric k. Keeping the counts makes addition associative.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EdgeWeights {
    weights: [f64; METRIC_COUNT],
    counts: Option<[u32; METRIC_COUNT]>,
}

impl EdgeWeights {
    /// W_ijk = b_ijk / Σ_k b_ijk. `None` when no count is positive: then there is no edge.
    pub fn from_counts(counts: [u32; METRIC_COUNT]) -> Option<Self> {
        let total: u64 = counts.iter().map(|&count| u64::from(count)).sum();
        (total > 0).then(|| Self {
            weights: counts.map(|count| f64::from(count) / total as f64),
            counts: Some(counts),
        })
    }

    /// Scales non-negative finite numbers so that they sum to 1. `None` when none is positive, or one is negative
    /// or not finite.
    pub fn from_weights(weights: [f64; METRIC_COUNT]) -> Option<Self> {
        let valid = weights.iter().all(|weight| weight.is_finite() && *weight >= 0.0);
        let total: f64 = weights.iter().sum();
        (valid && total > 0.0 && total.is_finite())
            .then(|| Self { weights: weights.map(|weight| weight / total), counts: None })
    }

    /// W_ij., in the order of [`MetricKind::ALL`].
    pub const fn weights(&self) -> &[f64; METRIC_COUNT] {
        &self.weights
    }

    /// W_ijk of one metric type.
    pub const fn weight(&self, kind: MetricKind) -> f64 {
        self.weights[kind.index()]
    }

    /// The counts behind the weights, where there are any.
    pub const fn counts(&self) -> Option<&[u32; METRIC_COUNT]> {
        self.counts.as_ref()
    }

    /// ‖W_ij‖₀, the number of metric types with a positive weight: 1 to 7.
    pub fn support(&self) -> usize {
        self.weights.iter().filter(|weight| **weight > 0.0).count()
    }
}

/// Services and the weighted edges between them. An undirected edge stands in both directions with equal weights.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct BehaviorGraph {
    services: Vec<String>,
    edges: BTreeMap<(usize, usize), EdgeWeights>,
    /// Of pairs (smaller, larger).
    confidences: BTreeMap<(usize, usize), f64>,
    /// Of pairs (smaller, larger); none of them empty.
    tests: BTreeMap<(usize, usize), Box<[EdgeTest]>>,
}

impl BehaviorGraph {
    /// A graph without edges.
    ///
    /// # Errors
    /// A name is bad, or the names are not sorted and unique.
    pub fn new(services: Vec<String>) -> Result<Self, Invalid> {
        for (index, service) in services.iter().enumerate() {
            check_name(&format!("graph.services[{index}]"), service)?;
        }
        if let Some(index) = services.windows(2).position(|pair| pair[0] >= pair[1]) {
            return Err(Invalid::new(
                format!("graph.services[{}]", index + 1),
                "does not come after the one before it; sort the names and give each once",
            ));
        }
        Ok(Self { services, ..Self::default() })
    }

    /// Sets W_ij of the ordered pair (from, to), indices into [`Self::services`].
    ///
    /// # Errors
    /// An index is out of range, or both are equal.
    pub fn set_edge(&mut self, from: usize, to: usize, weights: EdgeWeights) -> Result<(), Invalid> {
        if from == to || from.max(to) >= self.services.len() {
            return Err(Invalid::new(
                "graph.edges",
                format!("{from} to {to} is no pair of {} services", self.services.len()),
            ));
        }
        self.edges.insert((from, to), weights);
        Ok(())
    }

    /// Sets in which share of resamples the pair is connected.
    ///
    /// # Errors
    /// It is no share.
    pub fn set_confidence(&mut self, first: usize, second: usize, share: f64) -> Result<(), Invalid> {
        if !(0.0..=1.0).contains(&share) {
            return Err(Invalid::new("confidence", format!("is {share}; must lie between 0 and 1")));
        }
        self.confidences.insert(unordered(first, second), share);
        Ok(())
    }

    /// In which share of resamples the pair is connected; `None` when that is not known.
    pub fn confidence(&self, first: usize, second: usize) -> Option<f64> {
        self.confidences.get(&unordered(first, second)).copied()
    }

    /// Sets the tests of a pair, in the order of [`MetricKind::ALL`]; none take away what was set.
    ///
    /// # Errors
    /// A number is out of its range, or a metric type is not after the one before it; fields are named from `tests` on.
    pub fn set_tests(&mut self, first: usize, second: usize, tests: Vec<EdgeTest>) -> Result<(), Invalid> {
        edge_test::check(&tests)?;
        let pair = unordered(first, second);
        if tests.is_empty() {
            self.tests.remove(&pair);
        } else {
            self.tests.insert(pair, tests.into());
        }
        Ok(())
    }

    /// The tests of a pair, in the order of [`MetricKind::ALL`]; none where they are not known.
    pub fn tests(&self, first: usize, second: usize) -> &[EdgeTest] {
        self.tests.get(&unordered(first, second)).map_or(&[][..], |tests| &tests[..])
    }

    /// The same graph without the tests of its edges.
    #[must_use]
    pub fn without_tests(mut self) -> Self {
        self.tests.clear();
        self
    }

    /// Takes over what `whole`, a graph of the same services, knows of the pairs that stand here: what is left of an edge is
    /// as sure as the edge was. O(edges · log edges).
    pub fn inherit(&mut self, whole: &Self) {
        for &(from, to) in self.edges.keys() {
            let pair = unordered(from, to);
            if let Some(&share) = whole.confidences.get(&pair) {
                self.confidences.insert(pair, share);
            }
            if let Some(tests) = whole.tests.get(&pair) {
                self.tests.insert(pair, tests.clone());
            }
        }
    }

    /// The edges as the wire has them, in order.
    pub fn edges_to_wire(&self) -> impl Iterator<Item = v1::BehaviorEdge> + '_ {
        self.edges_without_tests().map(|edge| v1::BehaviorEdge {
            tests: self.tests(edge.from as usize, edge.to as usize).iter().map(v1::EdgeTest::from).collect(),
            ..edge
        })
    }

    /// The graph as the wire has it, without the tests of its edges: for whoever compares graphs.
    pub fn to_wire_without_tests(&self) -> v1::BehaviorGraph {
        v1::BehaviorGraph { services: self.services.clone(), edges: self.edges_without_tests().collect() }
    }

    fn edges_without_tests(&self) -> impl Iterator<Item = v1::BehaviorEdge> + '_ {
        self.edges().map(|(from, to, weights)| v1::BehaviorEdge {
            confidence: self.confidence(from, to),
            ..edge_to_wire(from, to, weights)
        })
    }

    /// Takes the edge of the ordered pair away; false where there is none.
    pub fn remove_edge(&mut self, from: usize, to: usize) -> bool {
        let stood = self.edges.remove(&(from, to)).is_some();
        if !self.edges.contains_key(&(to, from)) {
            self.confidences.remove(&unordered(from, to));
            self.tests.remove(&unordered(from, to));
        }
        stood
    }

    /// V, sorted by name.
    pub fn services(&self) -> &[String] {
        &self.services
    }

    /// Position of a service.
    pub fn service_index(&self, name: &str) -> Option<usize> {
        self.services.binary_search_by(|service| service.as_str().cmp(name)).ok()
    }

    /// E as ordered pairs with their weights, sorted.
    pub fn edges(&self) -> impl ExactSizeIterator<Item = (usize, usize, &EdgeWeights)> {
        self.edges.iter().map(|(&(from, to), weights)| (from, to, weights))
    }

    /// W_ij, where the edge stands.
    pub fn edge(&self, from: usize, to: usize) -> Option<&EdgeWeights> {
        self.edges.get(&(from, to))
    }

    /// Out-edges of a service, sorted by target. O(log edges + out-degree).
    pub fn out_edges(&self, from: usize) -> impl Iterator<Item = (usize, &EdgeWeights)> {
        self.edges.range((from, 0)..(from + 1, 0)).map(|(&(_, to), weights)| (to, weights))
    }

    /// Whether the edge stands in both directions with equal weights.
    pub fn is_undirected(&self, from: usize, to: usize) -> bool {
        match (self.edge(from, to), self.edge(to, from)) {
            (Some(forward), Some(backward)) => forward.weights() == backward.weights(),
            _ => false,
        }
    }

    /// E with each undirected edge once: (from, to, directed, weights).
    pub fn drawn_edges(&self) -> impl Iterator<Item = (usize, usize, bool, &EdgeWeights)> {
        self.edges().filter_map(|(from, to, weights)| {
            let undirected = self.is_undirected(from, to);
            (!undirected || from < to).then_some((from, to, !undirected, weights))
        })
    }
}

const fn unordered(first: usize, second: usize) -> (usize, usize) {
    if first < second { (first, second) } else { (second, first) }
}

/// One edge as the wire has it, without confidence and tests.
fn edge_to_wire(from: usize, to: usize, weights: &EdgeWeights) -> v1::BehaviorEdge {
    let (bit_counts, weights) = match weights.counts() {
        Some(counts) => (counts.to_vec(), Vec::new()),
        None => (Vec::new(), weights.weights().to_vec()),
    };
    v1::BehaviorEdge {
        from: from as u32,
        to: to as u32,
        bit_counts,
        weights,
        confidence: None,
        tests: vec![],
    }
}

impl BehaviorGraph {
    /// Takes over confidence and tests of an edge that was set; `field` names it.
    pub(crate) fn know_from_wire(&mut self, field: &str, edge: &v1::BehaviorEdge) -> Result<(), Invalid> {
        let inside = |error: Invalid| error.within(field);
        let (from, to) = (edge.from as usize, edge.to as usize);
        if let Some(share) = edge.confidence {
            self.set_confidence(from, to, share).map_err(inside)?;
        }
        if !edge.tests.is_empty() {
            let tests = edge_test::from_wire(&edge.tests).map_err(inside)?;
            self.set_tests(from, to, tests).map_err(inside)?;
        }
        Ok(())
    }
}

/// Decodes the weights of one edge; `field` names it.
///
/// # Errors
/// Not exactly one of counts and weights is given, or they are not seven usable numbers.
pub fn edge_from_wire(field: &str, edge: &v1::BehaviorEdge) -> Result<EdgeWeights, Invalid> {
    let decoded = match (edge.bit_counts.is_empty(), edge.weights.is_empty()) {
        (false, true) => <[u32; METRIC_COUNT]>::try_from(edge.bit_counts.as_slice())
            .ok()
            .and_then(EdgeWeights::from_counts),
        (true, false) => {
            <[f64; METRIC_COUNT]>::try_from(edge.weights.as_slice()).ok().and_then(EdgeWeights::from_weights)
        }
        _ => None,
    };
    decoded.ok_or_else(|| {
        Invalid::new(field, "needs either bit_counts or weights: seven numbers >= 0, one of them positive")
    })
}

impl TryFrom<&v1::BehaviorGraph> for BehaviorGraph {
    type Error = Invalid;

    fn try_from(wire: &v1::BehaviorGraph) -> Result<Self, Invalid> {
        let mut graph = Self::new(wire.services.clone())?;
        for (index, edge) in wire.edges.iter().enumerate() {
            let field = format!("graph.edges[{index}]");
            let weights = edge_from_wire(&field, edge)?;
            let (from, to) = (edge.from as usize, edge.to as usize);
            if graph.edge(from, to).is_some() {
                return Err(Invalid::new(field, format!("{from} to {to} stands twice")));
            }
            graph.set_edge(from, to, weights).map_err(|error| Invalid::new(&field, error.problem()))?;
            graph.know_from_wire(&field, edge)?;
        }
        Ok(graph)
    }
}

impl From<&BehaviorGraph> for v1::BehaviorGraph {
    fn from(graph: &BehaviorGraph) -> Self {
        Self { services: graph.services.clone(), edges: graph.edges_to_wire().collect() }
    }
}

#[cfg(test)]
mod tests;
