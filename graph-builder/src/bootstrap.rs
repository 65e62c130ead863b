//! How sure an edge is: the share of resamples in which it stands.

use std::collections::BTreeMap;

use automap_proto::{frame::MetricFrame, metric::MetricKind, settings::GraphSettings};
use ndarray::Array2;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use crate::{
    load_removal::Load,
    prepared::Prepared,
    resample_share::TestsByMetric,
    skeleton::learn_within,
    standardise::select,
    stop::{Halt, Stopped},
};

/// Rows of a block: the cube root of all, rounded up, the order that is best for variances (P. Hall, J. L. Horowitz and
/// B.-Y. Jing, *On blocking rules for the bootstrap with dependent data*, 1995).
pub fn block_length(rows: usize) -> usize {
    (1..).find(|length: &usize| length.saturating_pow(3) >= rows).unwrap_or(1)
}

/// One resample of `rows` by moving blocks (H. R. Künsch, *The jackknife and the bootstrap for general stationary
/// observations*, 1989): blocks of neighbouring rows, each beginning anywhere, one after the other until there are as many
/// rows as before. So a sample keeps the ones before it, on which it depends.
///
/// `seed` and `index` decide about it and nothing else does.
pub fn resample(rows: &[usize], seed: u64, index: u32) -> Vec<usize> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    random.set_stream(u64::from(index));
    let block = block_length(rows.len());
    let mut drawn = Vec::with_capacity(rows.len() + block);
    while drawn.len() < rows.len() {
        let start = random.random_range(0..=rows.len() - block);
        drawn.extend_from_slice(&rows[start..start + block]);
    }
    drawn.truncate(rows.len());
    drawn
}

/// The series of a selection of rows, from which resamples are taken.
pub trait Resampled: Sync {
    /// Rows of the selection.
    fn rows(&self) -> usize;

    /// services × positions: the series of one metric type at these positions among the rows, as
    /// [`select`](crate::standardise::select) has them.
    fn series(&self, metric: MetricKind, positions: &[usize]) -> Array2<f64>;

    /// The load that `settings` remove from these positions; see [`Load::of`].
    fn load(&self, settings: &GraphSettings, positions: &[usize]) -> Load;
}

/// Rows of a frame.
#[derive(Debug, Clone, Copy)]
pub struct FrameRows<'a> {
    /// The frame.
    pub frame: &'a MetricFrame,
    /// Sample indices of it.
    pub rows: &'a [usize],
}

impl FrameRows<'_> {
    fn at(&self, positions: &[usize]) -> Vec<usize> {
        positions.iter().map(|&position| self.rows[position]).collect()
    }
}

impl Resampled for FrameRows<'_> {
    fn rows(&self) -> usize {
        self.rows.len()
    }

    fn series(&self, metric: MetricKind, positions: &[usize]) -> Array2<f64> {
        select(self.frame, &self.at(positions), metric)
    }

    fn load(&self, settings: &GraphSettings, positions: &[usize]) -> Load {
        Load::of(self.frame, &self.at(positions), settings)
    }
}

/// How resamples are drawn and tested.
#[derive(Debug, Clone, Copy)]
pub struct Resampling<'a> {
    /// How each is tested.
    pub settings: &'a GraphSettings,
    /// Seeds all of them.
    pub seed: u64,
    /// Most tests of a resample; `None` for as many as it takes.
    pub most_tests: Option<TestsByMetric>,
    /// What ends it early.
    pub halt: Halt<'a>,
}

impl Resampling<'_> {
    /// The pairs (first < second, ascending) that are connected in resample `index`, in any of `metrics`, which are some of
    /// those of the settings; `None` when the time was up before it was done. Runs on the current rayon pool.
    ///
    /// # Errors
    /// [`Stopped`] when nobody wants them any more.
    ///
    /// # Complexity
    /// That of a build of these metric types.
    pub fn connected(
        &self,
        source: &dyn Resampled,
        index: u32,
        metrics: &[MetricKind],
    ) -> Result<Option<Vec<(u32, u32)>>, Stopped> {
        let all: Vec<usize> = (0..source.rows()).collect();
        let positions = resample(&all, self.seed, index);
        let load = source.load(self.settings, &positions);
        let mut pairs = Vec::new();
        for &metric in metrics {
            self.halt.check()?;
            if self.halt.is_time_up() {
                return Ok(None);
            }
            let prepared = Prepared::new(source.series(metric, &positions), &load, self.settings);
            let test = prepared.at(self.settings.alpha());
            let depth = self.settings.max_condition();
            let most = self.most_tests.map(|most| most[metric.index()]);
            pairs.extend(learn_within(&test, depth, most, self.halt, &mut |_, _| {})?.pairs());
        }
        pairs.sort_unstable();
        pairs.dedup();
        Ok((!self.halt.is_time_up()).then_some(pairs))
    }
}

/// In how many resamples each pair is connected.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tally {
    counts: BTreeMap<(u32, u32), u32>,
    resamples: u32,
}

impl Tally {
    /// One more resample, in which these pairs are connected, each named once.
    pub fn add(&mut self, connected: impl IntoIterator<Item = (u32, u32)>) {
        self.resamples += 1;
        for pair in connected {
            *self.counts.entry(pair).or_default() += 1;
        }
    }

    /// Resamples that were added.
    pub const fn resamples(&self) -> u32 {
        self.resamples
    }

    /// For each pair that is connected in any resample the share in which it is, above 0 to 1.
    pub fn shares(&self) -> BTreeMap<(u32, u32), f64> {
        let share = |&count| f64::from(count) / f64::from(self.resamples);
        self.counts.iter().map(|(pair, count)| (*pair, share(count))).collect()
    }
}

/// Counts in how many of `resamples` resamples each pair of services is connected, in any metric type. Directions do not
/// count: one edge more or less turns others around. A resample that was not done when the time was up is not counted.
///
/// A resample holds about two thirds of the rows, some of them several times, and its tests count all: a pair that is close
/// to the critical value stands more often than in new data.
///
/// # Errors
/// [`Stopped`] when nobody wants the shares any more.
///
/// # Complexity
/// That of as many builds, on the current rayon pool; memory that of as many as it has threads.
pub fn count_edges(
    source: &dyn Resampled,
    resampling: &Resampling<'_>,
    resamples: u32,
) -> Result<Tally, Stopped> {
    let all: Vec<u32> = (0..resamples).collect();
    let metrics = resampling.settings.metrics();
    let mut tally = Tally::default();
    // A thread that waits within one resample may begin another one: not too many at once.
    for some in all.chunks(rayon::current_num_threads()) {
        let found: Vec<Option<Vec<(u32, u32)>>> = some
            .par_iter()
            .map(|&index| resampling.connected(source, index, metrics))
            .collect::<Result<_, Stopped>>()?;
        found.into_iter().flatten().for_each(|connected| tally.add(connected));
    }
    Ok(tally)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn blocks_grow_with_the_cube_root() {
        let lengths = [0, 1, 2, 8, 9, 27, 28, 720, 1000].map(block_length);
        assert_eq!(lengths, [1, 1, 2, 2, 3, 3, 4, 9, 10]);
    }

    proptest! {
        #[test]
        fn resamples_are_blocks_of_neighbours_and_seeded(count in 0_usize..200, seed in any::<u64>(), index in 0..9_u32) {
            let rows: Vec<usize> = (0..count).map(|row| 1000 + row).collect();
            let drawn = resample(&rows, seed, index);
            prop_assert_eq!(drawn.len(), count);
            for block in drawn.chunks(block_length(count)) {
                prop_assert!(block.windows(2).all(|two| two[1] == two[0] + 1));
                prop_assert!(block.iter().all(|row| rows.contains(row)));
            }
            prop_assert_eq!(&drawn, &resample(&rows, seed, index));
            if count > 30 {
                prop_assert_ne!(&drawn, &resample(&rows, seed, index + 1));
                prop_assert_ne!(&drawn, &resample(&rows, seed ^ 1, index));
            }
        }
    }
}
