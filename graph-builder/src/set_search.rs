//! The search for a set of services that separates one pair: sets of one size, depth first, in lexicographic order.

use pulp::{Arch, NullaryFnOnce};

use crate::{
    correlation::Correlation,
    elimination::{Elimination, PairMoments, Pivot},
    fisher_z::NOT_MADE,
    independence::Verdict,
    last_member::Tail,
    set_range::{SetCursor, SetRange},
    stop::{Halt, Stopped},
    untried::Untried,
};

/// A candidate that correlates with an end of the pair at least so much is a copy of it and never separates.
const COPY: f64 = 1.0 - 1e-9;

/// Whether a candidate is a copy of an end of the pair.
pub(crate) fn is_copy(correlation: &Correlation, candidate: u32, pair: (u32, u32)) -> bool {
    [pair.0, pair.1]
        .into_iter()
        .any(|end| correlation.coefficient(end as usize, candidate as usize).abs() >= COPY)
}

/// The tests of one metric type at one level.
#[derive(Debug, Clone)]
pub struct LevelTest<'a> {
    correlation: &'a Correlation,
    /// Squared critical correlation by effective number of rows, for sets of this level's size.
    limits: Vec<f64>,
    /// Size of the conditioning sets.
    level: usize,
}

impl<'a> LevelTest<'a> {
    pub(crate) const fn new(correlation: &'a Correlation, limits: Vec<f64>, level: usize) -> Self {
        Self { correlation, limits, level }
    }

    fn limit(&self, rows: u32) -> f64 {
        self.limits.get(rows as usize).copied().unwrap_or(NOT_MADE)
    }
}

/// Searches one pair after another, with the same buffers.
#[derive(Debug, Default)]
pub struct SetSearch {
    elimination: Elimination,
    untried: Untried,
    /// Limit of the test of each candidate as the last member of a set.
    limits: Vec<f64>,
    /// The same where only untried candidates are tested.
    untried_limits: Vec<f64>,
    cursor: SetCursor,
    tests: u64,
    /// The processor that this runs on.
    processor: Arch,
}

impl SetSearch {
    /// Looks for the first set that separates the pair, in the order of
    /// [`IndependenceTest::search`](crate::independence::IndependenceTest::search).
    ///
    /// The effective n of a test is the smallest number of common rows of any two of its variables. A candidate
    /// without residual variance adds nothing (as with a pseudo-inverse). A set that leaves an end of the pair
    /// without residual variance, or holds a copy of an end, never separates. |r| counts as below 1, which
    /// pairwise-complete correlations need not be.
    ///
    /// # Errors
    /// [`Stopped`] when the computation is halted.
    ///
    /// # Complexity
    /// About 25 + 2 · level operations a test; O(level · neighbours) memory.
    pub(crate) fn search(
        &mut self,
        test: &LevelTest<'_>,
        pair: (u32, u32),
        neighbours: [&[u32]; 2],
        part: SetRange,
        halt: Halt<'_>,
    ) -> Result<Verdict, Stopped> {
        halt.poll()?;
        let moments = PairMoments::unconditional(test.correlation, pair);
        let limit = test.limit(moments.fewest_rows);
        let is_testable = test.correlation.is_testable(pair.0 as usize, pair.1 as usize);
        if test.level == 0 {
            // A load that was removed takes a row more than a pair must have.
            let is_testable = is_testable && limit != NOT_MADE;
            let is_independent = !is_testable || moments.covariance * moments.covariance <= limit;
            return Ok(Verdict {
                separating_set: is_independent.then(Vec::new),
                tests: u64::from(is_testable),
                spent: u64::from(is_testable),
                is_cut: false,
            });
        }
        self.tests = 0;
        self.cursor = SetCursor::start(part);
        // With more variables the effective n only shrinks: a pair with too few rows has no test at this level.
        let is_tested = is_testable && limit != NOT_MADE;
        for (own, before) in [(neighbours[0], None), (neighbours[1], Some(neighbours[0]))] {
            // After a cut there is nothing more to look at, and no need to make the candidates ready for it.
            if !is_tested || own.len() < test.level || self.cursor.is_cut() {
                continue;
            }
            self.load(test, pair, own, before);
            if self.untried.width() < test.level || self.untried.end() == 0 {
                continue;
            }
            let found = if test.level == 1 {
                let (from, to) = (self.untried.next_from(0), self.untried.end());
                self.last_members(test, moments, None, from, to, true)
            } else {
                self.descend(test, moments, 0, 0, true, halt)?
            };
            if let Some(last) = found {
                let mut set: Vec<u32> = self.elimination.chosen(test.level - 1).collect();
                set.push(self.elimination.candidates()[last]);
                let tests = self.tests;
                return Ok(Verdict { separating_set: Some(set), tests, spent: tests, is_cut: false });
            }
        }
        let (tests, is_cut) = (self.tests, self.cursor.is_cut());
        Ok(Verdict { separating_set: None, tests, spent: tests, is_cut })
    }

    /// Fills the buffers for the candidates among `neighbours`; those also in `before` count as tried.
    fn load(&mut self, test: &LevelTest<'_>, pair: (u32, u32), neighbours: &[u32], before: Option<&[u32]>) {
        let correlation = test.correlation;
        let candidates = neighbours.iter().copied().filter(|&candidate| {
            let is_end = candidate == pair.0 || candidate == pair.1;
            !is_end && !is_copy(correlation, candidate, pair)
        });
        let depths = test.level.saturating_sub(1).max(1);
        self.elimination.start(correlation, pair, candidates, depths);

        self.untried.start(self.elimination.candidates(), before);
        let width = self.untried.width();
        let limit = test.limit(correlation.common_rows(pair.0 as usize, pair.1 as usize));
        self.limits.clear();
        self.limits.resize(width, limit);
        self.untried_limits.clear();
        self.untried_limits
            .extend(self.untried.tried().iter().map(|&tried| if tried { NOT_MADE } else { limit }));
    }

    /// Chooses the member of the set at `depth` from position `start` on and tests every set that begins with the
    /// services chosen so far; with `only_tried`, all of those were tried before, and so an untried one must follow.
    /// Returns the position of the last member of the first set that separates; the elimination knows those before.
    fn descend(
        &mut self,
        test: &LevelTest<'_>,
        moments: PairMoments,
        depth: usize,
        start: usize,
        only_tried: bool,
        halt: Halt<'_>,
    ) -> Result<Option<usize>, Stopped> {
        let width = self.untried.width();
        // Enough candidates must be left for the members that follow.
        for position in start..(width + 1 + depth).saturating_sub(test.level) {
            halt.poll()?;
            let only_tried = only_tried && self.untried.tried()[position];
            if only_tried && self.untried.next_from(position + 1) == width || self.cursor.ends() {
                break;
            }
            let Some((pivot, rest)) = self.elimination.choose(moments, depth, position) else {
                continue;
            };
            if test.limit(rest.fewest_rows) == NOT_MADE {
                continue;
            }
            let found = if depth + 2 == test.level {
                let (from, to) = if only_tried {
                    (self.untried.next_from(position + 1), self.untried.end())
                } else {
                    (position + 1, width)
                };
                if self.cursor.skips(to - from) {
                    continue;
                }
                self.last_members(test, rest, Some(pivot), from, to, only_tried)
            } else {
                self.elimination.fill_pivot_row(test.correlation, depth, position + 1, width);
                self.elimination.eliminate(test.correlation, depth);
                self.descend(test, rest, depth + 1, position + 1, only_tried, halt)?
            };
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    /// Tests the chosen services together with each candidate of `from..to` as the last member, as far as they are part of
    /// what is to be looked at, and returns the position of the first that separates. `moments` are those of the pair given
    /// the chosen services, `pivot` the last of these.
    fn last_members(
        &mut self,
        test: &LevelTest<'_>,
        moments: PairMoments,
        pivot: Option<Pivot>,
        from: usize,
        to: usize,
        only_tried: bool,
    ) -> Option<usize> {
        let part = self.cursor.take(to - from);
        let (from, to) = (from + part.start, from + part.end);
        self.processor.dispatch(LastMembers { search: self, test, moments, pivot, from, to, only_tried })
    }
}

/// What nearly all time goes into, compiled for each kind of processor. Only whole vectors of candidates make a difference:
/// each is computed as without them, to the last bit.
struct LastMembers<'s, 'c> {
    search: &'s mut SetSearch,
    test: &'s LevelTest<'c>,
    moments: PairMoments,
    pivot: Option<Pivot>,
    from: usize,
    to: usize,
    only_tried: bool,
}

impl NullaryFnOnce for LastMembers<'_, '_> {
    type Output = Option<usize>;

    #[inline(always)]
    fn call(self) -> Option<usize> {
        let Self { search, test, moments, pivot, from, to, only_tried } = self;
        let depth = test.level.saturating_sub(2);
        if pivot.is_some() {
            search.elimination.fill_pivot_row(test.correlation, depth, from, to);
        }
        let mut is_masked = only_tried;
        if let Some(fewest_rows) = search.elimination.fewest_rows(depth, from, to) {
            is_masked = false;
            let candidates = search.elimination.candidates();
            let counts =
                pivot.and_then(|pivot| test.correlation.count_row(candidates[pivot.position] as usize));
            for (position, &known) in (from..to).zip(fewest_rows) {
                let with_pivot =
                    counts.map_or(known, |counts| known.min(counts[candidates[position] as usize]));
                search.limits[position] = if only_tried && search.untried.tried()[position] {
                    NOT_MADE
                } else {
                    test.limit(moments.fewest_rows.min(with_pivot))
                };
            }
        }
        let limits = if is_masked { &search.untried_limits[from..to] } else { &search.limits[from..to] };
        let [to_first, to_second, variance, pivot_row] = search.elimination.residuals(depth, from, to);
        let tail = Tail { to_first, to_second, variance, pivot_row, limits };
        let found = tail.first_separating(moments, pivot.unwrap_or_default());
        let looked_at = &limits[..found.map_or(limits.len(), |hit| hit + 1)];
        // A checked sum would be computed one by one; this one cannot overflow.
        let made = |sum: u64, limit: &f64| sum.wrapping_add(u64::from(*limit != NOT_MADE));
        search.tests += looked_at.iter().fold(0, made);
        found.map(|hit| from + hit)
    }
}

#[cfg(test)]
mod tests;
