//! Step 6, graph: services whose throughput moves together are likely to call each other, directly or not.

use automap_proto::throughput::ThroughputFit;

/// Fewest services with a varying throughput that make a graph.
const MIN_SERVICES: usize = 3;
/// How many rows the mean over all pairs is worth beside those of a pair: R² of a few rows is mostly chance.
const MEAN_WORTH: f64 = 3.0;

/// R² between any two of the walked services; a pair of which it is not known has the mean of the known ones.
#[derive(Debug, Clone, PartialEq)]
pub struct ThroughputGraph<'a> {
    fit: &'a ThroughputFit,
    /// Position of each walked service in the fit.
    positions: Vec<Option<usize>>,
    mean: f64,
    /// What the R² of a pair counts against the mean.
    own: f64,
}

impl<'a> ThroughputGraph<'a> {
    /// Lays a fit over `services`, which are sorted: each R² weighed with the mean of all, as n rows against three.
    /// O(services · log services + pairs).
    pub fn new(services: &[String], fit: &'a ThroughputFit, rows: usize) -> Self {
        let positions = services.iter().map(|name| fit.services().binary_search(name).ok()).collect();
        let rows = rows as f64;
        Self { fit, positions, mean: fit.mean(), own: rows / (rows + MEAN_WORTH) }
    }

    /// Whether enough services have a throughput to walk along it.
    pub fn is_usable(&self) -> bool {
        self.positions.iter().flatten().count() >= MIN_SERVICES
    }

    /// R² of two different walked services.
    pub fn between(&self, one: usize, other: usize) -> f64 {
        let position = |service: usize| self.positions.get(service).copied().flatten();
        match (position(one), position(other)) {
            (Some(first), Some(second)) => {
                let known = self.fit.between(first, second).unwrap_or(self.mean);
                self.own * known + (1.0 - self.own) * self.mean
            }
            _ => self.mean,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn unknown_pairs_have_the_mean_of_the_known_ones() {
        let fit = ThroughputFit::new(names(&["a", "b", "d"]), vec![0.9, 0.0, 0.3]).unwrap();
        let graph = ThroughputGraph::new(&names(&["a", "b", "c", "d"]), &fit, usize::MAX);
        assert_eq!((graph.between(0, 1), graph.between(3, 1)), (0.9, 0.3));
        assert!((graph.between(2, 0) - 0.4).abs() < 1e-12);
        assert!(graph.is_usable());
        // Of three rows, half.
        let few = ThroughputGraph::new(&names(&["a", "b", "d"]), &fit, 3);
        assert!((few.between(0, 1) - 0.65).abs() < 1e-12);
        let two = ThroughputFit::new(names(&["a", "b"]), vec![0.9]).unwrap();
        assert!(!ThroughputGraph::new(&names(&["a", "b", "c"]), &two, 9).is_usable());
    }
}
