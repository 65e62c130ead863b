//! Who calls whom, where it is known.

use std::collections::BTreeSet;

use crate::{frame::check_name, invalid::Invalid, v1};

/// Calls between services. Cycles are allowed; a service that calls itself adds nothing and is left out.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CallGraph {
    calls: BTreeSet<(String, String)>,
    self_calls: usize,
}

impl CallGraph {
    /// Builds a graph from (caller, callee) pairs; a pair given twice counts once.
    ///
    /// # Errors
    /// A name is bad.
    pub fn new(pairs: impl IntoIterator<Item = (String, String)>) -> Result<Self, Invalid> {
        let mut graph = Self::default();
        for (index, (caller, callee)) in pairs.into_iter().enumerate() {
            check_name(&format!("call_graph.calls[{index}].caller"), &caller)?;
            check_name(&format!("call_graph.calls[{index}].callee"), &callee)?;
            if caller == callee {
                graph.self_calls += 1;
            } else {
                graph.calls.insert((caller, callee));
            }
        }
        Ok(graph)
    }

    /// (caller, callee) pairs, sorted.
    pub fn calls(&self) -> impl Iterator<Item = (&str, &str)> {
        self.calls.iter().map(|(caller, callee)| (caller.as_str(), callee.as_str()))
    }

    /// Names of all services that call or are called, sorted.
    pub fn services(&self) -> BTreeSet<&str> {
        self.calls().flat_map(|(caller, callee)| [caller, callee]).collect()
    }

    /// How many calls of a service to itself were left out.
    pub const fn self_calls(&self) -> usize {
        self.self_calls
    }

    /// Whether no call is known.
    pub fn is_empty(&self) -> bool {
        self.calls.is_empty()
    }
}

impl TryFrom<&v1::CallGraph> for CallGraph {
    type Error = Invalid;

    fn try_from(wire: &v1::CallGraph) -> Result<Self, Invalid> {
        Self::new(wire.calls.iter().map(|call| (call.caller.clone(), call.callee.clone())))
    }
}

impl From<&CallGraph> for v1::CallGraph {
    fn from(graph: &CallGraph) -> Self {
        let calls =
            graph.calls().map(|(caller, callee)| v1::Call { caller: caller.into(), callee: callee.into() });
        Self { calls: calls.collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cycles_stay_and_self_calls_and_repetitions_go() {
        let pairs = [("a", "b"), ("b", "a"), ("a", "b"), ("c", "c")];
        let graph = CallGraph::new(pairs.map(|(caller, callee)| (caller.into(), callee.into()))).unwrap();
        assert_eq!(graph.calls().collect::<Vec<_>>(), [("a", "b"), ("b", "a")]);
        assert_eq!(graph.self_calls(), 1);
        assert!(!graph.services().contains("c"));
        assert_eq!(CallGraph::try_from(&v1::CallGraph::from(&graph)).unwrap().calls, graph.calls);
    }
}
