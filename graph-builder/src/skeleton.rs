//! The skeleton of one metric type: which pairs of services no other service explains away.

use std::{collections::BTreeMap, sync::atomic::AtomicBool};

use rayon::prelude::*;

use crate::{
    correlation::Correlation,
    fisher_z::{FisherZ, NOT_MADE},
    set_search::{LevelTest, SetSearch, Verdict},
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
/// Levels go from 0 to `max_condition` and end early when no pair has enough neighbours, or when even the pair
/// with the most common rows has too few for a test (n − L − 3 < 1). `on_level` is told each finished level and the
/// tests made so far. Runs on the current rayon pool.
///
/// # Errors
/// [`Stopped`] when the flag is set.
///
/// # Complexity
/// O(services² + Σ_L edges · C(degree, L)) tests, each O(L).
pub fn learn(
    correlation: &Correlation,
    test: FisherZ,
    max_condition: usize,
    stop: &AtomicBool,
    on_level: &mut (dyn FnMut(usize, u64) + Send),
) -> Result<Skeleton, Stopped> {
    let mut skeleton = level_zero(correlation, test, stop)?;
    on_level(0, skeleton.tests);
    let most_rows = correlation.most_common_rows();
    for level in 1..=max_condition {
        let largest_degree = skeleton.neighbours.iter().map(Vec::len).max().unwrap_or(0);
        if largest_degree <= level || test.critical_correlation(most_rows, level).is_none() {
            break;
        }
        let pairs: Vec<(u32, u32)> = skeleton.pairs().collect();
        let verdicts = test_pairs(correlation, test, &skeleton.neighbours, &pairs, level, stop)?;
        let mut neighbours = vec![Vec::new(); correlation.services()];
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
        on_level(level, skeleton.tests);
    }
    Ok(skeleton)
}

/// Tests the `pairs` of one level, in any number of shards: the verdict on a pair depends on nothing but the
/// arguments. `neighbours` is the whole skeleton as it stood when the level began.
///
/// # Errors
/// [`Stopped`] when the flag is set.
pub(crate) fn test_pairs(
    correlation: &Correlation,
    test: FisherZ,
    neighbours: &Neighbours,
    pairs: &[(u32, u32)],
    level: usize,
    stop: &AtomicBool,
) -> Result<Vec<Verdict>, Stopped> {
    let limits = test.limits(correlation.most_common_rows(), level);
    let level_test = LevelTest { correlation, limits: &limits, level };
    pairs
        .par_iter()
        .with_max_len(PAIRS_PER_TASK)
        .map_init(SetSearch::default, |search, &pair| {
            search.search(level_test, pair, &neighbours[pair.0 as usize], &neighbours[pair.1 as usize], stop)
        })
        .collect()
}

/// Level 0 for all pairs at once. A pair that cannot be tested, as either series does not vary or they share fewer
/// than four rows, is independent.
fn level_zero(correlation: &Correlation, test: FisherZ, stop: &AtomicBool) -> Result<Skeleton, Stopped> {
    let services = correlation.services();
    let limits = test.limits(correlation.most_common_rows(), 0);
    let rows: Vec<(Vec<(u32, u32)>, u64)> = (0..services)
        .into_par_iter()
        .map(|first| {
            poll(stop)?;
            let mut dependent = Vec::new();
            let mut tests = 0;
            for (second, &coefficient) in correlation.row(first).iter().enumerate().skip(first + 1) {
                if !correlation.is_testable(first, second) {
                    continue;
                }
                let limit = limits[correlation.common_rows(first, second) as usize];
                if limit != NOT_MADE {
                    tests += 1;
                }
                if coefficient * coefficient > limit {
                    dependent.push((first as u32, second as u32));
                }
            }
            Ok((dependent, tests))
        })
        .collect::<Result<_, Stopped>>()?;
    let mut neighbours = vec![Vec::new(); services];
    let mut tests = 0;
    for (dependent, made) in rows {
        tests += made;
        for pair in dependent {
            connect(&mut neighbours, pair);
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
