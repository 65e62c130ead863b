//! What a conditional independence test must offer to learn a skeleton with it.

use crate::{
    set_range::SetRange,
    stop::{Halt, Stopped},
};

/// What was found about a pair.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Verdict {
    /// The first set that separates the pair, ascending.
    pub separating_set: Option<Vec<u32>>,
    /// Tests made until then.
    pub tests: u64,
    /// What that takes of a budget: the tests, and what took as much work and turned out to allow none.
    pub spent: u64,
    /// Whether the search ended before all sets were looked at, and none of those separated the pair.
    pub is_cut: bool,
}

/// Later services that a service depends on, given nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Dependent {
    /// Ascending.
    pub services: Vec<u32>,
    /// Tests made for them and for those that are independent.
    pub tests: u64,
}

/// A conditional independence test over the series of one metric type, one per service.
///
/// Its verdicts depend on nothing but its data and the arguments, so that neither threads nor shards matter.
pub trait IndependenceTest: Sync {
    /// What the tests of one level have in common.
    type Level<'a>: Sync
    where
        Self: 'a;
    /// Memory that the search of one pair leaves to the next.
    type Buffers: Default + Send;

    /// How many services there are.
    fn services(&self) -> usize;

    /// The level that conditions on `size` services; `None` when no pair can have a test there.
    fn level(&self, size: usize) -> Option<Self::Level<'_>>;

    /// Tests `first` against every later service, given nothing. A pair with a series that does not vary is
    /// independent without a test.
    fn dependent(&self, first: usize) -> Dependent;

    /// Looks for the first set of the level's size that separates the pair: subsets of `first_neighbours` without
    /// the second end in lexicographic order, then those of `second_neighbours` without the first end that were not
    /// among them. Neighbour lists ascend. Of all these only `part` is looked at.
    ///
    /// # Errors
    /// [`Stopped`] when the computation is halted.
    fn search(
        level: &Self::Level<'_>,
        buffers: &mut Self::Buffers,
        pair: (u32, u32),
        first_neighbours: &[u32],
        second_neighbours: &[u32],
        part: SetRange,
        halt: Halt<'_>,
    ) -> Result<Verdict, Stopped>;
}
