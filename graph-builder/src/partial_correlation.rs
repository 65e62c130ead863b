//! Fisher's z as a test that skeletons are learned with: partial correlations from one correlation matrix.

use crate::{
    correlation::Correlation,
    edge_tests::{PairTest, TestedPair, below},
    elimination::{NO_VARIANCE, PairMoments},
    fisher_z::{FisherZ, NOT_MADE},
    independence::{Dependent, IndependenceTest, Verdict},
    last_member::compare,
    set_range::SetRange,
    set_search::{LevelTest, SetSearch, is_copy},
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

impl PairTest for PartialCorrelationTest<'_> {
    type Buffers = ();

    fn given_nothing(&self, (): &mut (), (first, second): (u32, u32)) -> Option<TestedPair> {
        let (first, second) = (first as usize, second as usize);
        if !self.correlation.is_testable(first, second) {
            return None;
        }
        let samples = self.correlation.common_rows(first, second);
        let statistic = self.test.statistic(self.correlation.coefficient(first, second), samples, 0)?;
        Some(TestedPair { p_value: below(self.test.alpha(), FisherZ::p_value(statistic)), samples })
    }

    /// The rows of a test and the candidates that never separate are those of the search. The smallest statistic has the
    /// largest p; with as many rows or more, a stronger correlation has no smaller one.
    fn largest_given_one(&self, (): &mut (), pair: (u32, u32), neighbours: [&[u32]; 2]) -> Option<f64> {
        let correlation = self.correlation;
        let moments = PairMoments::unconditional(correlation, pair);
        let (mut least, mut weakest) = (None, (f64::INFINITY, u32::MAX));
        for &candidate in neighbours.into_iter().flatten() {
            let is_end = candidate == pair.0 || candidate == pair.1;
            if is_end || is_copy(correlation, candidate, pair) {
                continue;
            }
            let ends = [pair.0 as usize, pair.1 as usize];
            let [first, second] = ends.map(|end| correlation.coefficient(end, candidate as usize));
            let rows = ends.map(|end| correlation.common_rows(end, candidate as usize));
            let samples = rows.into_iter().fold(moments.fewest_rows, u32::min);
            let (squared, bound, smaller) = compare(moments, first, second, 1.0);
            if smaller <= NO_VARIANCE {
                continue;
            }
            let strength = squared / bound;
            if strength >= weakest.0 && samples >= weakest.1 {
                continue;
            }
            let Some(statistic) = self.test.statistic(strength.sqrt(), samples, 1) else {
                continue;
            };
            if least.is_none_or(|least| statistic < least) {
                (least, weakest) = (Some(statistic), (strength, samples));
            }
        }
        least.map(|statistic| below(self.test.alpha(), FisherZ::p_value(statistic)))
    }
}
