//! One metric type made ready for its test: all that the tests take of the series.

use std::sync::atomic::AtomicBool;

use automap_proto::settings::GraphSettings;
use ndarray::Array2;

use crate::{
    contingency::Statistic,
    correlation::Correlation,
    discretise::Discretised,
    edge_tests::{Depth, SkeletonPValues, test_edges},
    fisher_z::FisherZ,
    independence::Verdict,
    load_removal::Load,
    partial_correlation::PartialCorrelationTest,
    skeleton::{self, Here, LevelTask, Levels, Neighbours, Skeleton},
    standardise::Standardised,
    stop::{Halt, Stopped},
    table_test::TableTest,
};

/// What the tests of one metric type take of its series.
#[derive(Debug)]
pub enum Prepared {
    /// For Fisher's z.
    Correlated {
        /// Of the series, freed of the load.
        correlation: Correlation,
        /// Variables that are conditioned on beside the set of a test: 1 where a load was removed.
        conditions: usize,
    },
    /// For χ² and G².
    Binned {
        /// The series, freed of the load.
        data: Discretised,
        /// Which of the two.
        statistic: Statistic,
    },
}

impl Prepared {
    /// Prepares `selected` (services × rows) for the test of `settings`.
    ///
    /// # Complexity
    /// O(services² · rows) for Fisher's z, O(services · rows · log rows) for tables.
    pub fn new(selected: Array2<f64>, load: &Load, settings: &GraphSettings) -> Self {
        let freed = load.remove_from(selected);
        match Statistic::of(settings.ci_test()) {
            None => Self::Correlated {
                correlation: Correlation::new(&freed.standardised),
                conditions: freed.conditions,
            },
            Some(statistic) => {
                Self::Binned { data: Discretised::new(&freed.standardised, settings.bins()), statistic }
            }
        }
    }

    /// The same, and the correlations of the series as they are.
    pub fn with_correlation(
        selected: Array2<f64>,
        load: &Load,
        settings: &GraphSettings,
        use_correlation: &mut dyn FnMut(&Correlation),
    ) -> Self {
        let is_whole = *load == Load::Nothing && Statistic::of(settings.ci_test()).is_none();
        if !is_whole {
            use_correlation(&Correlation::new(&Standardised::new(selected.clone())));
        }
        let prepared = Self::new(selected, load, settings);
        if let (true, Self::Correlated { correlation, .. }) = (is_whole, &prepared) {
            use_correlation(correlation);
        }
        prepared
    }

    /// The tests at a significance level, on the current rayon pool.
    pub const fn at(&self, alpha: f64) -> PreparedTest<'_> {
        PreparedTest { prepared: self, alpha }
    }

    /// The whole skeleton; see [`skeleton::learn`].
    ///
    /// # Errors
    /// [`Stopped`] when the flag is set.
    pub fn learn(
        &self,
        settings: &GraphSettings,
        stop: &AtomicBool,
        on_level: &mut (dyn FnMut(usize, u64) + Send),
    ) -> Result<Skeleton, Stopped> {
        let test = self.at(settings.alpha());
        skeleton::learn_within(&test, settings.max_condition(), None, Halt::on(stop), on_level)
    }
}

/// The tests of one metric type at a significance level, on the current rayon pool.
#[derive(Debug, Clone, Copy)]
pub struct PreparedTest<'a> {
    prepared: &'a Prepared,
    alpha: f64,
}

impl PreparedTest<'_> {
    /// How surely the ends of each edge of a skeleton depend on each other, by the same tests; see [`crate::edge_tests`].
    ///
    /// # Errors
    /// [`Stopped`] when nobody wants the answer any more.
    pub fn edges_of(
        &self,
        skeleton: &Skeleton,
        depth: Depth,
        halt: Halt<'_>,
    ) -> Result<SkeletonPValues, Stopped> {
        match self.prepared {
            Prepared::Correlated { correlation, conditions } => {
                let fisher_z = FisherZ::new(self.alpha).given(*conditions);
                test_edges(&PartialCorrelationTest::new(correlation, fisher_z), skeleton, depth, halt)
            }
            Prepared::Binned { data, statistic } => {
                test_edges(&TableTest::new(data, *statistic, self.alpha), skeleton, depth, halt)
            }
        }
    }

    fn with<T>(&self, use_levels: impl FnOnce(&dyn Levels) -> T) -> T {
        match self.prepared {
            Prepared::Correlated { correlation, conditions } => {
                let fisher_z = FisherZ::new(self.alpha).given(*conditions);
                use_levels(&Here(&PartialCorrelationTest::new(correlation, fisher_z)))
            }
            Prepared::Binned { data, statistic } => {
                use_levels(&Here(&TableTest::new(data, *statistic, self.alpha)))
            }
        }
    }
}

impl Levels for PreparedTest<'_> {
    fn level_zero(&self, halt: Halt<'_>) -> Result<(Neighbours, u64), Stopped> {
        self.with(|levels| levels.level_zero(halt))
    }

    fn has_level(&self, size: usize) -> bool {
        self.with(|levels| levels.has_level(size))
    }

    fn test(&self, task: &LevelTask<'_>, halt: Halt<'_>) -> Result<Vec<Verdict>, Stopped> {
        self.with(|levels| levels.test(task, halt))
    }
}
