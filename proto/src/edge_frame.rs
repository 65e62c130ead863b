//! What callers measure of their calls, edge by edge: latency, throughput and availability over the time grid of a
//! metric frame.

use ndarray::{Array2, ArrayView1, Axis};

use crate::{frame::check_name, invalid::Invalid, v1};

/// What is measured of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum EdgeMetric {
    /// Mean latency as the caller sees it, seconds: the network counts.
    Latency,
    /// Calls per second.
    Throughput,
    /// Share of successful calls, 0 to 1.
    Availability,
}

impl EdgeMetric {
    /// All three, in the order of their rows.
    pub const ALL: [Self; 3] = [Self::Latency, Self::Throughput, Self::Availability];

    const fn index(self) -> usize {
        match self {
            Self::Latency => 0,
            Self::Throughput => 1,
            Self::Availability => 2,
        }
    }
}

/// Measured calls over one time grid. NaN is a missing sample; every other sample is finite.
///
/// Edges are sorted by caller and callee, whatever order they came in.
#[derive(Debug, Clone)]
pub struct EdgeFrame {
    edges: Vec<(String, String)>,
    /// 3·edges × samples: latency, throughput and availability of the first edge, then of the second, and so on.
    values: Array2<f64>,
}

impl EdgeFrame {
    /// Builds a frame from (caller, callee) pairs and `values`, shape 3·edges × samples. Infinite samples become
    /// missing ones.
    ///
    /// # Errors
    /// There is no edge, the shape does not fit, a name is bad, a service calls itself, or an edge stands twice.
    ///
    /// # Complexity
    /// O(edges · (log edges + samples)).
    pub fn new(edges: Vec<(String, String)>, mut values: Array2<f64>) -> Result<Self, Invalid> {
        if edges.is_empty() {
            return Err(Invalid::new("edges", "is empty; at least one edge is needed"));
        }
        if values.nrows() != edges.len() * EdgeMetric::ALL.len() {
            return Err(Invalid::new(
                "edges.values",
                format!("has {} rows where {} edges have three each", values.nrows(), edges.len()),
            ));
        }
        for (index, (caller, callee)) in edges.iter().enumerate() {
            check_name(&format!("edges[{index}].caller"), caller)?;
            check_name(&format!("edges[{index}].callee"), callee)?;
            if caller == callee {
                return Err(Invalid::new(format!("edges[{index}]"), format!("{caller} calls itself")));
            }
        }
        values.mapv_inplace(|value| if value.is_finite() { value } else { f64::NAN });
        let mut order: Vec<usize> = (0..edges.len()).collect();
        order.sort_by(|&left, &right| edges[left].cmp(&edges[right]));
        if let Some(pair) = order.windows(2).find(|pair| edges[pair[0]] == edges[pair[1]]) {
            let (caller, callee) = &edges[pair[1]];
            return Err(Invalid::new(
                "edges",
                format!("holds {caller} to {callee} twice; name every edge once"),
            ));
        }
        if !order.is_sorted() {
            let rows: Vec<usize> = order
                .iter()
                .flat_map(|edge| (0..EdgeMetric::ALL.len()).map(move |row| 3 * edge + row))
                .collect();
            values = values.select(Axis(0), &rows);
        }
        let edges = order.iter().map(|&index| edges[index].clone()).collect();
        Ok(Self { edges, values })
    }

    /// (caller, callee) pairs, sorted, each once.
    pub fn edges(&self) -> &[(String, String)] {
        &self.edges
    }

    /// Samples of one measure of edge `edge`.
    pub fn samples(&self, edge: usize, metric: EdgeMetric) -> ArrayView1<'_, f64> {
        self.values.row(EdgeMetric::ALL.len() * edge + metric.index())
    }

    /// All samples, 3·edges × samples, in standard layout.
    pub const fn values(&self) -> &Array2<f64> {
        &self.values
    }

    /// The same edges with `rows` missing samples before their first.
    ///
    /// Complexity: O(edges · samples).
    pub fn after_missing(&self, rows: usize) -> Self {
        let shape = (self.values.nrows(), rows + self.values.ncols());
        let values = Array2::from_shape_fn(shape, |(row, column)| match column.checked_sub(rows) {
            Some(own) => self.values[[row, own]],
            None => f64::NAN,
        });
        Self { edges: self.edges.clone(), values }
    }

    /// The header that announces this frame.
    pub fn header(&self) -> v1::EdgeFrameHeader {
        let edges = self.edges.iter();
        v1::EdgeFrameHeader {
            samples: self.values.ncols() as u64,
            edges: edges
                .map(|(caller, callee)| v1::Call { caller: caller.clone(), callee: callee.clone() })
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    fn pair(caller: &str, callee: &str) -> (String, String) {
        (caller.into(), callee.into())
    }

    #[test]
    fn edges_are_sorted_and_their_three_rows_follow() {
        let values = array![[1.0], [2.0], [3.0], [4.0], [f64::INFINITY], [6.0]];
        let frame = EdgeFrame::new(vec![pair("web", "db"), pair("cart", "db")], values).unwrap();
        assert_eq!(frame.edges(), [pair("cart", "db"), pair("web", "db")]);
        assert_eq!(frame.samples(0, EdgeMetric::Latency)[0], 4.0);
        assert!(frame.samples(0, EdgeMetric::Throughput)[0].is_nan());
        assert_eq!(frame.samples(1, EdgeMetric::Availability)[0], 3.0);
    }

    #[test]
    fn missing_samples_before_the_first_move_the_others() {
        let frame =
            EdgeFrame::new(vec![pair("web", "db")], array![[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]).unwrap();
        let later = frame.after_missing(2);
        let latency = later.samples(0, EdgeMetric::Latency);
        assert!(latency[0].is_nan() && latency[1].is_nan());
        assert_eq!((latency[2], latency[3]), (1.0, 2.0));
        assert_eq!(later.header().samples, 4);
    }

    #[test]
    fn bad_edges_are_named() {
        let two = || Array2::zeros((6, 2));
        for (edges, problem) in [
            (vec![pair("web", "db"), pair("web", "db")], "holds web to db twice"),
            (vec![pair("web", "db"), pair("db", "db")], "db calls itself"),
            (vec![pair("web", "db"), pair("", "db")], "is empty"),
            (vec![pair("web", "db")], "has 6 rows where 1 edges have three each"),
            (vec![], "at least one edge is needed"),
        ] {
            let error = EdgeFrame::new(edges, two()).unwrap_err();
            assert!(error.problem().contains(problem), "{error}");
        }
    }
}
