//! The skeleton of one metric type: which pairs of services no other service explains away.

use std::{collections::BTreeMap, sync::atomic::AtomicBool};

use rayon::prelude::*;

use crate::{
    independence::{Dependent, IndependenceTest, Verdict},
    stop::{Stopped, poll},
};

/// Pairs that one task takes at most: small, because two pairs of one level may differ a thousandfold in work.
const PAIRS_PER_TASK: usize = 8;

/// Who neighbours whom: for each service the others, ascending.
pub type Neighbours = Vec<Vec<u32>>;

/// The undirected graph that the tests of one metric type leave, and what separated the rest.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Skeleton {
    neighbours: Neighbours,
    /// Of pairs that no empty set separates.
    separating_sets: BTreeMap<(u32, u32), Vec<u32>>,
    tests: u64,
}

impl Skeleton {
    /// A skeleton of given edges; of the other pairs those in `separating_sets` are separated by that set, and the
    /// rest by the empty one.
    #[cfg(test)]
    pub(crate) fn of(
        services: usize,
        edges: &[(u32, u32)],
        separating_sets: impl IntoIterator<Item = ((u32, u32), Vec<u32>)>,
    ) -> Self {
        Self {
            neighbours: neighbours_from_pairs(services, edges),
            separating_sets: separating_sets.into_iter().collect(),
            tests: 0,
        }
    }

    /// The neighbours of each service, ascending.
    pub const fn neighbours(&self) -> &Neighbours {
        &self.neighbours
    }

    /// Whether the edge between two services survived.
    pub fn is_adjacent(&self, first: usize, second: usize) -> bool {
        u32::try_from(second).is_ok_and(|second| self.neighbours[first].binary_search(&second).is_ok())
    }

    /// S of a pair, ascending; `None` where the edge survived.
    pub fn separating_set(&self, first: usize, second: usize) -> Option<&[u32]> {
        if first == second || self.is_adjacent(first, second) {
            return None;
        }
        let pair = (u32::try_from(first.min(second)).ok()?, u32::try_from(first.max(second)).ok()?);
        Some(self.separating_sets.get(&pair).map_or(&[], Vec::as_slice))
    }

    /// Surviving pairs (first < second), sorted.
    pub fn pairs(&self) -> impl Iterator<Item = (u32, u32)> + '_ {
        pairs_of(&self.neighbours)
    }

    /// Conditional independence tests made.
    pub const fn tests(&self) -> u64 {
        self.tests
    }
}

/// The pairs of a neighbour list (first < second), sorted.
fn pairs_of(neighbours: &Neighbours) -> impl Iterator<Item = (u32, u32)> + '_ {
    (0..).zip(neighbours).flat_map(|(first, others)| {
        let later = others.partition_point(|&second| second <= first);
        others[later..].iter().map(move |&second| (first, second))
    })
}

/// Learns the skeleton of one metric type, level by level in the manner of PC-stable (Colombo and Maathuis, 2014):
/// level L tests conditioning sets of L services, the adjacency is frozen while a level runs, and so neither the
/// order of services nor the number of threads matters.
///
/// Levels go from 0 to `max_condition` and end early when no pair has enough neighbours, or when no pair can have a
/// test. `on_level` is told each finished level and the tests made so far. Runs on the current rayon pool.
///
/// # Errors
/// [`Stopped`] when the flag is set.
///
/// # Complexity
/// O(services² + Σ_L edges · C(degree, L)) tests.
pub fn learn<T: IndependenceTest>(
    test: &T,
    max_condition: usize,
    stop: &AtomicBool,
    on_level: &mut (dyn FnMut(usize, u64) + Send),
) -> Result<Skeleton, Stopped> {
    let mut skeleton = level_zero(test, stop)?;
    on_level(0, skeleton.tests);
    for size in 1..=max_condition {
        let largest_degree = skeleton.neighbours.iter().map(Vec::len).max().unwrap_or(0);
        if largest_degree <= size {
            break;
        }
        let Some(level) = test.level(size) else {
            break;
        };
        let pairs: Vec<(u32, u32)> = skeleton.pairs().collect();
        let verdicts = test_pairs::<T>(&level, &skeleton.neighbours, &pairs, stop)?;
        let mut neighbours = vec![Vec::new(); test.services()];
        for (pair, verdict) in pairs.into_iter().zip(verdicts) {
            skeleton.tests += verdict.tests;
            match verdict.separating_set {
                Some(set) => {
                    skeleton.separating_sets.insert(pair, set);
                }
                None => connect(&mut neighbours, pair),
            }
        }
        skeleton.neighbours = sorted(neighbours);
        on_level(size, skeleton.tests);
    }
    Ok(skeleton)
}

/// Tests the `pairs` of one level, in any number of shards: the verdict on a pair depends on nothing but the
/// arguments. `neighbours` is the whole skeleton as it stood when the level began.
///
/// # Errors
/// [`Stopped`] when the flag is set.
pub(crate) fn test_pairs<T: IndependenceTest>(
    level: &T::Level<'_>,
    neighbours: &Neighbours,
    pairs: &[(u32, u32)],
    stop: &AtomicBool,
) -> Result<Vec<Verdict>, Stopped> {
    pairs
        .par_iter()
        .with_max_len(PAIRS_PER_TASK)
        .map_init(T::Buffers::default, |buffers, &pair| {
            let (first, second) = (&neighbours[pair.0 as usize], &neighbours[pair.1 as usize]);
            T::search(level, buffers, pair, first, second, stop)
        })
        .collect()
}

/// Level 0 for all pairs at once.
fn level_zero<T: IndependenceTest>(test: &T, stop: &AtomicBool) -> Result<Skeleton, Stopped> {
    let services = test.services();
    let found: Vec<Dependent> = (0..services)
        .into_par_iter()
        .map(|first| {
            poll(stop)?;
            Ok(test.dependent(first))
        })
        .collect::<Result<_, Stopped>>()?;
    let mut neighbours = vec![Vec::new(); services];
    let mut tests = 0;
    for (first, dependent) in (0..).zip(found) {
        tests += dependent.tests;
        for second in dependent.services {
            connect(&mut neighbours, (first, second));
        }
    }
    Ok(Skeleton { neighbours: sorted(neighbours), separating_sets: BTreeMap::new(), tests })
}

fn connect(neighbours: &mut Neighbours, (first, second): (u32, u32)) {
    neighbours[first as usize].push(second);
    neighbours[second as usize].push(first);
}

/// Neighbour lists in ascending order, whatever order the pairs came in.
pub(crate) fn sorted(mut neighbours: Neighbours) -> Neighbours {
    for others in &mut neighbours {
        others.sort_unstable();
    }
    neighbours
}

/// Neighbour lists of `services` services from pairs.
pub(crate) fn neighbours_from_pairs(services: usize, pairs: &[(u32, u32)]) -> Neighbours {
    let mut neighbours = vec![Vec::new(); services];
    for &pair in pairs {
        connect(&mut neighbours, pair);
    }
    sorted(neighbours)
}
