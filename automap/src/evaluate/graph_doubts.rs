//! How often the call graph was tested and doubted: the power of the test where graphs are wrong on purpose, its false
//! alarms where they are right.

use automap_proto::{call_graph::CallGraph, invalid::Invalid};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

use super::measured::Measured;

/// One contender on one dataset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GraphDoubts {
    /// Name of the contender.
    pub method: String,
    /// Name of the dataset.
    pub dataset: String,
    /// Incidents whose call graph could be tested.
    pub tested: usize,
    /// Incidents whose call graph was not believed.
    pub doubted: usize,
}

impl GraphDoubts {
    /// All contenders on all datasets where a call graph was tested.
    pub fn all(measured: &Measured) -> Vec<Self> {
        let mut doubts = Vec::new();
        for (contender, named) in measured.contenders.iter().enumerate() {
            for (set, runs) in measured.sets.iter().zip(&measured.runs) {
                let tests: Vec<bool> =
                    runs[contender].outcomes.iter().filter_map(|outcome| outcome.graph_doubted).collect();
                if !tests.is_empty() {
                    doubts.push(Self {
                        method: named.name.clone(),
                        dataset: set.name.clone(),
                        tested: tests.len(),
                        doubted: tests.iter().filter(|doubted| **doubted).count(),
                    });
                }
            }
        }
        doubts
    }
}

/// How call graphs are shuffled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shuffles {
    /// Seeds them, together with the incident.
    pub seed: u64,
    /// Wrong graphs of each incident, each a case of its own.
    pub count: usize,
}

impl Shuffles {
    /// The seed of one shuffle of one incident: graphs of several incidents must differ, for incidents of one system
    /// have one call graph, and a single wrong one would be tested again and again. FNV-1a over the incident's name.
    pub fn seed_of(&self, incident: &str, shuffle: usize) -> u64 {
        let bytes = incident.bytes().chain((shuffle as u64).to_le_bytes());
        bytes.fold(self.seed ^ 0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        })
    }
}

/// The same calls between services drawn at random: a graph of the same shape that is wrong. The same seed gives the
/// same graph.
///
/// # Errors
/// None for a valid graph; the domain type checks its names again.
pub fn shuffled(calls: &CallGraph, seed: u64) -> Result<CallGraph, Invalid> {
    let names: Vec<&str> = calls.services().into_iter().collect();
    let mut drawn = names.clone();
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    for last in (1..drawn.len()).rev() {
        drawn.swap(last, random.random_range(0..=last));
    }
    let other = |name: &str| names.binary_search(&name).map_or(name, |index| drawn[index]).to_owned();
    CallGraph::new(calls.calls().map(|(caller, callee)| (other(caller), other(callee))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluate::test_measured::{measured, outcome};

    #[test]
    fn a_shuffled_graph_has_the_same_shape_between_other_services() {
        let pairs = (1..12).map(|index| (format!("s{:02}", index / 2), format!("s{index:02}")));
        let calls = CallGraph::new(pairs).unwrap();
        let wrong = shuffled(&calls, 7).unwrap();
        assert_eq!(wrong, shuffled(&calls, 7).unwrap());
        assert_ne!(wrong, calls);
        assert_eq!((wrong.calls().count(), wrong.services()), (calls.calls().count(), calls.services()));
    }

    #[test]
    fn incidents_and_shuffles_have_graphs_of_their_own() {
        let shuffles = Shuffles { seed: 0, count: 2 };
        let seeds = [("shop/a", 0), ("shop/a", 1), ("shop/b", 0), ("shop/b", 1)]
            .map(|(incident, shuffle)| shuffles.seed_of(incident, shuffle));
        assert!(seeds.iter().enumerate().all(|(index, seed)| !seeds[..index].contains(seed)), "{seeds:?}");
        assert_eq!(seeds[0], shuffles.seed_of("shop/a", 0));
        assert_ne!(seeds[0], Shuffles { seed: 1, count: 2 }.seed_of("shop/a", 0));
    }

    #[test]
    fn doubts_are_counted_where_graphs_were_tested() {
        let one = |doubted| super::super::outcome::Outcome { graph_doubted: doubted, ..outcome(1.0) };
        let found = measured(
            &["evidence", "random"],
            vec![vec![vec![one(Some(true)), one(Some(false)), one(None)], vec![outcome(0.0); 3]]],
        );
        let doubts = GraphDoubts::all(&found);
        assert_eq!(doubts.len(), 1);
        assert_eq!((doubts[0].method.as_str(), doubts[0].tested, doubts[0].doubted), ("evidence", 2, 1));
    }
}
