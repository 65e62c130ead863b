//! The skeleton of one metric type: which pairs of services no other service explains away.

use std::{collections::BTreeMap, sync::atomic::AtomicBool};

use rayon::prelude::*;

use crate::{
    independence::{Dependent, IndependenceTest, Verdict},
    level::Level,
    set_range::SetRange,
    stop::{Halt, Stopped},
    test_estimate::{equal_share, pair_sets},
};

/// Pairs that one task takes at most: small, because two pairs of one level may differ a thousandfold in work.
const PAIRS_PER_TASK: usize = 8;
/// Rounds after which a level that does not fit into its budget is cut. Each divides most of what is left among fewer pairs.
const MOST_ROUNDS: usize = 16;
/// A level is cut when less than one part in so many of the tests is left that it began with: a round makes all pairs ready
/// anew, however few sets each of them gets.
const LEAST_ROUND: u64 = 32;

/// Who neighbours whom: for each service the others, ascending.
pub type Neighbours = Vec<Vec<u32>>;

/// The undirected graph that the tests of one metric type leave, and what separated the rest.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Skeleton {
    neighbours: Neighbours,
    /// Of pairs that no empty set separates.
    separating_sets: BTreeMap<(u32, u32), Vec<u32>>,
    tests: u64,
    spent: u64,
    /// From 1 on.
    levels: Vec<Level>,
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
            spent: 0,
            levels: Vec::new(),
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

    /// What the tests took of a budget: one each, and from level 1 on one for each table that was counted and allowed none.
    pub const fn spent(&self) -> u64 {
        self.spent
    }

    /// What each level from 1 on took, and whether it was cut.
    pub fn levels(&self) -> &[Level] {
        &self.levels
    }
}

/// The pairs of a neighbour list (first < second), sorted.
pub(crate) fn pairs_of(neighbours: &Neighbours) -> impl Iterator<Item = (u32, u32)> + '_ {
    (0..).zip(neighbours).flat_map(|(first, others)| {
        let later = others.partition_point(|&second| second <= first);
        others[later..].iter().map(move |&second| (first, second))
    })
}

/// How the pairs of a level are tested: here, or spread over several machines. Whatever does it, the verdict on a pair
/// depends on nothing but the task.
pub trait Levels: Sync {
    /// Level 0 for all pairs at once: who depends on whom, and the tests made.
    ///
    /// # Errors
    /// [`Stopped`] when nobody wants the answer any more.
    fn level_zero(&self, halt: Halt<'_>) -> Result<(Neighbours, u64), Stopped>;

    /// Whether any pair can have a test that conditions on so many services.
    fn has_level(&self, size: usize) -> bool;

    /// The verdicts on the pairs of a task, in their order. A pair that was not looked at in time is cut.
    ///
    /// # Errors
    /// [`Stopped`] when nobody wants the answer any more.
    fn test(&self, task: &LevelTask<'_>, halt: Halt<'_>) -> Result<Vec<Verdict>, Stopped>;
}

/// Pairs to test at one level.
#[derive(Debug, Clone, Copy)]
pub struct LevelTask<'a> {
    /// Size of the conditioning sets, at least 1.
    pub size: usize,
    /// The whole skeleton as it stood when the level began.
    pub neighbours: &'a Neighbours,
    /// Pairs of it, ascending.
    pub pairs: &'a [(u32, u32)],
    /// Which sets of each pair to look at.
    pub part: SetRange,
    /// How many tests that may take, at a guess.
    pub expected_tests: u64,
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
    learn_within(&Here(test), max_condition, None, Halt::on(stop), on_level)
}

/// The same within a budget: at most so many tests after level 0, `None` for as many as it takes, and until the time
/// is up. A table that is counted takes one of them, also when it has too few samples for a test.
///
/// A level of which the pairs may have more sets than tests are left is gone over in rounds: each round gives every pair
/// that no set has separated yet the same number of further sets, so many that all together fit into what is left. So
/// the tests go to the pairs that need them, and nothing but the data and the number decides. When fewer than one set
/// a pair is left, or too little for a round, or the time is up, the level is cut: the pairs that were not separated keep their edges, whatever
/// their further sets would have said, and no deeper level is begun. [`Skeleton::levels`] tells.
///
/// # Errors
/// [`Stopped`] when nobody wants the answer any more.
pub fn learn_within(
    levels: &dyn Levels,
    max_condition: usize,
    max_tests: Option<u64>,
    halt: Halt<'_>,
    on_level: &mut (dyn FnMut(usize, u64) + Send),
) -> Result<Skeleton, Stopped> {
    let (neighbours, tests) = levels.level_zero(halt)?;
    let mut skeleton =
        Skeleton { neighbours, separating_sets: BTreeMap::new(), tests, spent: tests, levels: Vec::new() };
    on_level(0, skeleton.tests);
    let mut left = max_tests.map(|most| most.saturating_sub(tests));
    for size in 1..=max_condition {
        let largest_degree = skeleton.neighbours.iter().map(Vec::len).max().unwrap_or(0);
        if largest_degree <= size || !levels.has_level(size) {
            break;
        }
        let pairs: Vec<(u32, u32)> = skeleton.pairs().collect();
        let made_before = skeleton.levels.last().map_or(1.0, Level::share_made);
        let (verdicts, level, spent) =
            test_level(levels, &skeleton.neighbours, &pairs, size, made_before, left, halt)?;
        left = left.map(|most| most.saturating_sub(spent));
        skeleton.tests = skeleton.tests.saturating_add(level.tests);
        skeleton.spent = skeleton.spent.saturating_add(spent);
        let is_cut = level.cut_pairs > 0;
        skeleton.levels.push(level);
        let mut neighbours = vec![Vec::new(); skeleton.neighbours.len()];
        for (pair, verdict) in pairs.into_iter().zip(verdicts) {
            match verdict.separating_set {
                Some(set) => {
                    skeleton.separating_sets.insert(pair, set);
                }
                None => connect(&mut neighbours, pair),
            }
        }
        skeleton.neighbours = sorted(neighbours);
        on_level(size, skeleton.tests);
        if is_cut {
            break;
        }
    }
    Ok(skeleton)
}

/// One level within `left` tests, and until the time is up, with what it spent of them. `made_before` is the share of its
/// possible tests that the level before made.
fn test_level(
    levels: &dyn Levels,
    neighbours: &Neighbours,
    pairs: &[(u32, u32)],
    size: usize,
    made_before: f64,
    mut left: Option<u64>,
    halt: Halt<'_>,
) -> Result<(Vec<Verdict>, Level, u64), Stopped> {
    let own = pair_sets(neighbours, pairs, size);
    let most_tests = own.iter().fold(0_u64, |sum, pair| sum.saturating_add(pair.tests));
    let expected_tests = (most_tests as f64 * made_before) as u64;
    let mut level =
        Level { size, pairs: pairs.len(), most_tests, expected_tests, tests: 0, cut_pairs: 0, sets_tried: 0 };
    let (at_first, mut spent) = (left, 0_u64);
    let mut verdicts = vec![Verdict::default(); pairs.len()];
    let mut open: Vec<usize> = (0..pairs.len()).collect();
    for _ in 0..MOST_ROUNDS {
        let further = |&pair: &usize| own[pair].sets.saturating_sub(level.sets_tried).max(1);
        let most = left.map_or(u64::MAX, |left| equal_share(open.iter().map(further).collect(), left));
        let is_small =
            most != u64::MAX && left.zip(at_first).is_some_and(|(left, all)| left < all / LEAST_ROUND);
        if open.is_empty() || most == 0 || is_small || halt.is_time_up() {
            break;
        }
        let open_pairs: Vec<(u32, u32)> = open.iter().map(|&pair| pairs[pair]).collect();
        let part = SetRange { skip: level.sets_tried, most };
        let expected_tests = expected_tests.min(most.saturating_mul(open.len() as u64));
        let task = LevelTask { size, neighbours, pairs: &open_pairs, part, expected_tests };
        let found = levels.test(&task, halt)?;
        let mut still_open = Vec::new();
        for (pair, verdict) in open.into_iter().zip(found) {
            level.tests = level.tests.saturating_add(verdict.tests);
            spent = spent.saturating_add(verdict.spent);
            left = left.map(|most| most.saturating_sub(verdict.spent));
            if verdict.is_cut {
                still_open.push(pair);
            }
            verdicts[pair] = verdict;
        }
        open = still_open;
        level.sets_tried = level.sets_tried.saturating_add(most);
    }
    level.cut_pairs = open.len();
    Ok((verdicts, level, spent))
}

/// Tests on the current rayon pool.
pub(crate) struct Here<'a, T>(pub(crate) &'a T);

impl<T: IndependenceTest> Levels for Here<'_, T> {
    fn level_zero(&self, halt: Halt<'_>) -> Result<(Neighbours, u64), Stopped> {
        let services = self.0.services();
        let found: Vec<Dependent> = (0..services)
            .into_par_iter()
            .map(|first| {
                halt.check()?;
                Ok(self.0.dependent(first))
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
        Ok((sorted(neighbours), tests))
    }

    fn has_level(&self, size: usize) -> bool {
        self.0.level(size).is_some()
    }

    fn test(&self, task: &LevelTask<'_>, halt: Halt<'_>) -> Result<Vec<Verdict>, Stopped> {
        match self.0.level(task.size) {
            Some(level) => test_pairs::<T>(&level, task.neighbours, task.pairs, task.part, halt),
            None => Ok(vec![Verdict::default(); task.pairs.len()]),
        }
    }
}

/// Tests the `pairs` of one level, in any number of shards: the verdict on a pair depends on nothing but the
/// arguments. `neighbours` is the whole skeleton as it stood when the level began.
///
/// # Errors
/// [`Stopped`] when nobody wants the answer any more.
fn test_pairs<T: IndependenceTest>(
    level: &T::Level<'_>,
    neighbours: &Neighbours,
    pairs: &[(u32, u32)],
    part: SetRange,
    halt: Halt<'_>,
) -> Result<Vec<Verdict>, Stopped> {
    pairs
        .par_iter()
        .with_max_len(PAIRS_PER_TASK)
        .map_init(T::Buffers::default, |buffers, &pair| {
            let (first, second) = (&neighbours[pair.0 as usize], &neighbours[pair.1 as usize]);
            match T::search(level, buffers, pair, first, second, part, halt) {
                // The time was up in the midst of this pair.
                Err(Stopped) if !halt.is_stopped() => Ok(Verdict { is_cut: true, ..Verdict::default() }),
                outcome => outcome,
            }
        })
        .collect()
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
