//! Fisher's z as a test that skeletons are learned with: partial correlations from one correlation matrix.

use crate::{
    correlation::Correlation,
    fisher_z::{FisherZ, NOT_MADE},
    independence::{Dependent, IndependenceTest, Verdict},
    set_range::SetRange,
    set_search::{LevelTest, SetSearch},
    stop::{Halt, Stopped},
};

/// Independence of linearly related Gaussian series.
#[derive(Debug, Clone)]
pub struct PartialCorrelationTest<'a> {
    correlation: &'a Correlation,
    test: FisherZ,
    /// Squared critical correlation of level 0, by common rows.
    unconditional_limits: Vec<f64>,
}

impl<'a> PartialCorrelationTest<'a> {
    /// Tests the partial correlations that follow from `correlation`.
    pub fn new(correlation: &'a Correlation, test: FisherZ) -> Self {
        let unconditional_limits = test.limits(correlation.most_common_rows(), 0);
        Self { correlation, test, unconditional_limits }
    }
}

impl IndependenceTest for PartialCorrelationTest<'_> {
    type Level<'a>
        = LevelTest<'a>
    where
        Self: 'a;
    type Buffers = SetSearch;

    fn services(&self) -> usize {
        self.correlation.services()
    }

    /// `None` when even the pair with the most common rows has too few, n − |S| − 3 < 1, but never at level 0.
    fn level(&self, size: usize) -> Option<LevelTest<'_>> {
        let most_rows = self.correlation.most_common_rows();
        if size > 0 {
            self.test.critical_correlation(most_rows, size)?;
        }
        Some(LevelTest::new(self.correlation, self.test.limits(most_rows, size), size))
    }

    /// Pairs that share too few rows for a test are independent too.
    fn dependent(&self, first: usize) -> Dependent {
        let correlation = self.correlation;
        let mut dependent = Dependent::default();
        for (second, &coefficient) in correlation.row(first).iter().enumerate().skip(first + 1) {
            if !correlation.is_testable(first, second) {
                continue;
            }
            let limit = self.unconditional_limits[correlation.common_rows(first, second) as usize];
            if limit == NOT_MADE {
                continue;
            }
            dependent.tests += 1;
            if coefficient * coefficient > limit {
                dependent.services.push(second as u32);
            }
        }
        dependent
    }

    fn search(
        level: &LevelTest<'_>,
        buffers: &mut SetSearch,
        pair: (u32, u32),
        first_neighbours: &[u32],
        second_neighbours: &[u32],
        part: SetRange,
        halt: Halt<'_>,
    ) -> Result<Verdict, Stopped> {
        buffers.search(level, pair, [first_neighbours, second_neighbours], part, halt)
    }
}
