//! χ² and G² as tests that skeletons are learned with: contingency tables counted from bit planes.

use crate::{
    contingency::{Association, CriticalValues, MIN_SAMPLES_PER_CELL, Statistic, Tabulation},
    correlation::MIN_COMMON_ROWS,
    discretise::Discretised,
    independence::{Dependent, IndependenceTest, Verdict},
    set_range::{SetCursor, SetRange},
    stop::{Halt, Stopped},
    untried::Untried,
};

/// Independence of discretised series: association within every cell of the conditioning set.
///
/// A table without a degree of freedom or with fewer than [`MIN_SAMPLES_PER_CELL`] samples per cell is not tested, and
/// the pair stays. So a set that determines an end of the pair, such as a copy of it, never separates. A test is made
/// over the rows in which all of its series have a sample.
#[derive(Debug)]
pub struct TableTest<'a> {
    data: &'a Discretised,
    tabulation: Tabulation,
    critical: CriticalValues,
}

impl<'a> TableTest<'a> {
    /// `alpha` is the significance level, strictly between 0 and 1.
    pub fn new(data: &'a Discretised, statistic: Statistic, alpha: f64) -> Self {
        // A tested table has at most that many cells, and more cells than degrees of freedom.
        let most_freedom = data.rows() / MIN_SAMPLES_PER_CELL as usize;
        Self {
            data,
            tabulation: Tabulation::new(statistic, data.rows()),
            critical: CriticalValues::new(alpha, most_freedom),
        }
    }

    /// Whether a pair depends on each other, given nothing, and whether that took a test.
    fn unconditional(&self, first: usize, second: usize, counts: &mut Vec<u32>) -> (bool, bool) {
        if !(self.data.varies(first) && self.data.varies(second)) {
            return (false, false);
        }
        let association = self.association(first, second, counts);
        // A series that is constant over the common rows is independent as one that is constant throughout.
        if association.samples < u64::from(MIN_COMMON_ROWS) || association.degrees_of_freedom == 0 {
            return (false, false);
        }
        if !association.is_testable() {
            return (true, false);
        }
        (!self.critical.accepts_independence(&association), true)
    }

    /// The association of a pair, given nothing.
    fn association(&self, first: usize, second: usize, counts: &mut Vec<u32>) -> Association {
        let (words, bins) = (self.data.words(), self.data.bins());
        counts.clear();
        for plane in self.data.planes(first).chunks_exact(words) {
            counts.extend(self.data.planes(second).chunks_exact(words).map(|other| common(plane, other)));
        }
        let mut association = Association::default();
        self.tabulation.add(&mut association, counts, bins);
        association
    }
}

/// Rows that are in both sets.
fn common(left: &[u64], right: &[u64]) -> u32 {
    left.iter().zip(right).map(|(left, right)| (left & right).count_ones()).sum()
}

/// The tests of one metric type at one level.
#[derive(Debug, Clone, Copy)]
pub struct TableLevel<'a> {
    test: &'a TableTest<'a>,
    /// Size of the conditioning sets.
    size: usize,
}

impl IndependenceTest for TableTest<'_> {
    type Level<'a>
        = TableLevel<'a>
    where
        Self: 'a;
    type Buffers = TableSearch;

    fn services(&self) -> usize {
        self.data.services()
    }

    /// `None` when there are too few rows for a table of four cells, but never at level 0.
    fn level(&self, size: usize) -> Option<TableLevel<'_>> {
        let is_possible = size == 0 || self.data.rows() as u64 >= 4 * MIN_SAMPLES_PER_CELL;
        is_possible.then_some(TableLevel { test: self, size })
    }

    /// Pairs that share fewer than four rows, or rows in which either series is constant, are independent too.
    fn dependent(&self, first: usize) -> Dependent {
        let mut counts = Vec::new();
        let mut dependent = Dependent::default();
        for second in first + 1..self.data.services() {
            let (depends, is_tested) = self.unconditional(first, second, &mut counts);
            dependent.tests += u64::from(is_tested);
            if depends {
                dependent.services.push(second as u32);
            }
        }
        dependent
    }

    fn search(
        level: &TableLevel<'_>,
        buffers: &mut TableSearch,
        pair: (u32, u32),
        first_neighbours: &[u32],
        second_neighbours: &[u32],
        part: SetRange,
        halt: Halt<'_>,
    ) -> Result<Verdict, Stopped> {
        buffers.search(*level, pair, [first_neighbours, second_neighbours], part, halt)
    }
}

/// Searches one pair after another, with the same buffers.
#[derive(Debug, Default)]
pub struct TableSearch {
    candidates: Vec<u32>,
    untried: Untried,
    chosen: Vec<u32>,
    /// Rows in each cell of the pair's table: bins² planes.
    cells: Vec<u64>,
    /// By depth: the strata that the services chosen so far divide the rows into, those without a row left out.
    strata: Vec<Vec<u64>>,
    stratum: Vec<u64>,
    counts: Vec<u32>,
    cursor: SetCursor,
    tests: u64,
    /// Tables that were counted, whether they had samples enough for a test or not.
    spent: u64,
}

impl TableSearch {
    fn search(
        &mut self,
        level: TableLevel<'_>,
        pair: (u32, u32),
        neighbours: [&[u32]; 2],
        part: SetRange,
        halt: Halt<'_>,
    ) -> Result<Verdict, Stopped> {
        halt.poll()?;
        let (first, second) = (pair.0 as usize, pair.1 as usize);
        if level.size == 0 {
            let (depends, is_tested) = level.test.unconditional(first, second, &mut self.counts);
            let separating_set = (!depends).then(Vec::new);
            let tests = u64::from(is_tested);
            return Ok(Verdict { separating_set, tests, spent: tests, is_cut: false });
        }
        (self.tests, self.spent) = (0, 0);
        self.cursor = SetCursor::start(part);
        self.load_cells(level.test.data, first, second);
        for (own, before) in [(neighbours[0], None), (neighbours[1], Some(neighbours[0]))] {
            self.candidates.clear();
            self.candidates
                .extend(own.iter().filter(|&&candidate| candidate != pair.0 && candidate != pair.1));
            self.untried.start(&self.candidates, before);
            if self.untried.width() < level.size || self.untried.end() == 0 {
                continue;
            }
            self.chosen.clear();
            if self.descend(level, 0, true, halt)? {
                return Ok(self.verdict(Some(self.chosen.clone()), false));
            }
        }
        Ok(self.verdict(None, self.cursor.is_cut()))
    }

    const fn verdict(&self, separating_set: Option<Vec<u32>>, is_cut: bool) -> Verdict {
        Verdict { separating_set, tests: self.tests, spent: self.spent, is_cut }
    }

    fn load_cells(&mut self, data: &Discretised, first: usize, second: usize) {
        let words = data.words();
        self.cells.clear();
        self.strata.resize(1, Vec::new());
        self.strata[0].clear();
        self.strata[0].resize(words, 0);
        for plane in data.planes(first).chunks_exact(words) {
            for other in data.planes(second).chunks_exact(words) {
                self.cells.extend(plane.iter().zip(other).map(|(left, right)| left & right));
            }
        }
        for cell in self.cells.chunks_exact(words) {
            for (all, rows) in self.strata[0].iter_mut().zip(cell) {
                *all |= rows;
            }
        }
    }

    /// Chooses the next member of the set from position `start` on and tests every set that begins with the services
    /// chosen so far; with `only_tried`, all of those were tried before, and so an untried one must follow. When a
    /// set separates, it is what is chosen then.
    fn descend(
        &mut self,
        level: TableLevel<'_>,
        start: usize,
        only_tried: bool,
        halt: Halt<'_>,
    ) -> Result<bool, Stopped> {
        let width = self.untried.width();
        let depth = self.chosen.len();
        // Enough candidates must be left for the members that follow.
        for position in start..(width + 1 + depth).saturating_sub(level.size) {
            halt.poll()?;
            let only_tried = only_tried && self.untried.tried()[position];
            if only_tried && self.untried.next_from(position + 1) == width || self.cursor.ends() {
                break;
            }
            let candidate = self.candidates[position];
            self.chosen.push(candidate);
            let found = if depth + 1 == level.size {
                let is_new = !self.cursor.take(1).is_empty() && !only_tried;
                self.spent += u64::from(is_new);
                is_new && self.separates(level.test, depth, candidate)
            } else {
                self.divide(level.test.data, depth, candidate);
                let strata = (self.strata[depth + 1].len() / level.test.data.words().max(1)) as u64;
                // Without gaps a further member never makes strata fewer, and each has at least one cell.
                let is_hopeless = level.test.data.is_complete()
                    && strata * MIN_SAMPLES_PER_CELL > level.test.data.rows() as u64;
                if is_hopeless {
                    // All sets that begin so count as one.
                    self.spent += self.cursor.take(1).len() as u64;
                }
                !is_hopeless && self.descend(level, position + 1, only_tried, halt)?
            };
            if found {
                return Ok(true);
            }
            self.chosen.pop();
        }
        Ok(false)
    }

    /// Divides the strata of `depth` further by the bins of one service.
    fn divide(&mut self, data: &Discretised, depth: usize, service: u32) {
        if self.strata.len() <= depth + 1 {
            self.strata.push(Vec::new());
        }
        let (known, deeper) = self.strata.split_at_mut(depth + 1);
        let next = &mut deeper[0];
        next.clear();
        for stratum in known[depth].chunks_exact(data.words()) {
            for plane in data.planes(service as usize).chunks_exact(data.words()) {
                let begin = next.len();
                next.extend(stratum.iter().zip(plane).map(|(rows, own)| rows & own));
                if next[begin..].iter().all(|word| *word == 0) {
                    next.truncate(begin);
                }
            }
        }
    }

    /// Whether the services chosen up to `depth` together with one more separate the pair.
    fn separates(&mut self, test: &TableTest<'_>, depth: usize, last: u32) -> bool {
        let association = self.association(test, depth, last);
        if !association.is_testable() {
            return false;
        }
        self.tests += 1;
        test.critical.accepts_independence(&association)
    }

    /// The association of the pair given the services chosen up to `depth` and one more.
    #[inline]
    fn association(&mut self, test: &TableTest<'_>, depth: usize, last: u32) -> Association {
        let (words, bins) = (test.data.words(), test.data.bins());
        let mut association = Association::default();
        for stratum in self.strata[depth].chunks_exact(words) {
            for plane in test.data.planes(last as usize).chunks_exact(words) {
                self.stratum.clear();
                self.stratum.extend(stratum.iter().zip(plane).map(|(rows, own)| rows & own));
                self.counts.clear();
                self.counts.extend(self.cells.chunks_exact(words).map(|cell| common(&self.stratum, cell)));
                test.tabulation.add(&mut association, &self.counts, bins);
            }
        }
        association
    }
}

#[cfg(test)]
mod budget_tests;
mod p_values;
#[cfg(test)]
mod tests;
