//! How surely the two ends of each edge of a skeleton depend on each other: p-values, for whoever reads the graph.
//!
//! The tests are those by which the skeleton was learned, on the same data: p given nothing, and the largest p over the sets
//! of level 1 of the finished skeleton. Learning compares each statistic with a critical value and never needs p.

use rayon::prelude::*;

use crate::{
    skeleton::{Neighbours, Skeleton},
    stop::{Halt, Stopped},
};

/// Pairs that one task takes at most.
const PAIRS_PER_TASK: usize = 8;

/// p of one test.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TestedPair {
    /// Probability of a relation at least so strong if there is none, 0 to 1.
    pub p_value: f64,
    /// Rows in which both services have a value.
    pub samples: u32,
}

/// A conditional independence test that can tell p.
pub(crate) trait PairTest: Sync {
    /// Memory that one pair leaves to the next.
    type Buffers: Default + Send;

    /// The test of a pair that is connected, given nothing; `None` where too few samples allow none. Whoever finds the
    /// pair dependent by a critical value has p below the level: rounding does not contradict the verdict.
    fn given_nothing(&self, buffers: &mut Self::Buffers, pair: (u32, u32)) -> Option<TestedPair>;

    /// The largest p of the tests given one of the `neighbours`, in which the ends of the pair and services that stand twice
    /// count for nothing; `None` where no test is made.
    fn largest_given_one(
        &self,
        buffers: &mut Self::Buffers,
        pair: (u32, u32),
        neighbours: [&[u32]; 2],
    ) -> Option<f64>;
}

/// p as it is told of a pair that the verdict at level `alpha` found dependent.
pub(crate) fn below(alpha: f64, p_value: f64) -> f64 {
    p_value.min(alpha.next_down())
}

/// The tests of one edge.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EdgePValues {
    /// The pair, first < second.
    pub pair: (u32, u32),
    /// Given nothing.
    pub given_nothing: TestedPair,
    /// The largest p given nothing and given one neighbour; `None` where the skeleton conditions on nothing or tests were
    /// left out.
    pub largest_p_value: Option<f64>,
}

/// The tests of the edges of one skeleton.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SkeletonPValues {
    /// In the order of their pairs; a pair whose samples allow no test has none.
    pub edges: Vec<EdgePValues>,
    /// Whether the budget left no tests given neighbours.
    pub lacks_tests: bool,
    /// Edges that were not looked at because the time was up.
    pub lacks_time: usize,
    /// Most tests given one neighbour that they can have taken of the budget, whether the time was up or not. Those given
    /// nothing are as many as there are edges, and count for nothing: learning made and counted them.
    pub spent: u64,
}

/// How much of the tests is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Depth {
    /// Largest conditioning set of the skeleton.
    pub max_condition: usize,
    /// Most tests of the skeleton together with these; `None` for as many as it takes.
    pub max_tests: Option<u64>,
}

/// Tests the edges of a finished skeleton, on the current rayon pool.
///
/// Every p is below the level of the skeleton, since learning made all of these tests: level 1 looks at supersets of the
/// neighbours that are left. Where a budget cut a level it is spent, and no test given a neighbour is made.
///
/// # Errors
/// [`Stopped`] when nobody wants the answer any more.
///
/// # Complexity
/// O(edges · degree) tests.
pub(crate) fn test_edges<T: PairTest>(
    test: &T,
    skeleton: &Skeleton,
    depth: Depth,
    halt: Halt<'_>,
) -> Result<SkeletonPValues, Stopped> {
    let neighbours = skeleton.neighbours();
    let pairs: Vec<(u32, u32)> = skeleton.pairs().collect();
    let needed = given_one_neighbour(skeleton, &pairs);
    let lacks_tests = depth.max_condition > 0 && !affords(skeleton, needed, depth.max_tests);
    let conditions = depth.max_condition > 0 && !lacks_tests;
    let found: Vec<Looked> = pairs
        .par_iter()
        .with_max_len(PAIRS_PER_TASK)
        .map_init(T::Buffers::default, |buffers, &pair| {
            halt.check()?;
            Ok(if halt.is_time_up() {
                Looked::Late
            } else {
                look(test, buffers, pair, neighbours, conditions).map_or(Looked::Untestable, Looked::At)
            })
        })
        .collect::<Result<_, Stopped>>()?;
    let lacks_time = found.iter().filter(|looked| matches!(looked, Looked::Late)).count();
    let edges = found.into_iter().filter_map(|looked| match looked {
        Looked::At(edge) => Some(edge),
        Looked::Untestable | Looked::Late => None,
    });
    let spent = if conditions { needed } else { 0 };
    Ok(SkeletonPValues { edges: edges.collect(), lacks_tests, lacks_time, spent })
}

enum Looked {
    At(EdgePValues),
    Untestable,
    Late,
}

fn look<T: PairTest>(
    test: &T,
    buffers: &mut T::Buffers,
    pair: (u32, u32),
    neighbours: &Neighbours,
    conditions: bool,
) -> Option<EdgePValues> {
    let given_nothing = test.given_nothing(buffers, pair)?;
    let largest_p_value = conditions.then(|| {
        let own = [neighbours[pair.0 as usize].as_slice(), neighbours[pair.1 as usize].as_slice()];
        let given_one = test.largest_given_one(buffers, pair, own).unwrap_or(0.0);
        given_one.max(given_nothing.p_value)
    });
    Some(EdgePValues { pair, given_nothing, largest_p_value })
}

/// Most tests of the pairs given one neighbour.
fn given_one_neighbour(skeleton: &Skeleton, pairs: &[(u32, u32)]) -> u64 {
    let others = |service: u32| skeleton.neighbours()[service as usize].len().saturating_sub(1) as u64;
    pairs.iter().map(|&(first, second)| others(first) + others(second)).sum()
}

/// Whether so many tests fit into what learning left of its budget.
fn affords(skeleton: &Skeleton, needed: u64, max_tests: Option<u64>) -> bool {
    let is_cut = skeleton.levels().iter().any(|level| level.cut_pairs > 0);
    !is_cut && max_tests.is_none_or(|most| needed <= most.saturating_sub(skeleton.spent()))
}

#[cfg(test)]
mod tests;
