//! Bootstrap resamples in shards: cut by resample, and by metric type where there are few of them, and put together again.

use std::{collections::BTreeMap, ops::Range};

use crate::bootstrap::Tally;

/// Some resamples, in some metric types.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResampleShard {
    /// Numbers of the resamples, not empty.
    pub resamples: Range<u32>,
    /// Positions among the metric types of the settings, not empty.
    pub metrics: Range<usize>,
}

/// Cuts `resamples` resamples in `metrics` metric types into about `shards` shards, none of which holds more than `most`
/// resamples. A resample is cut by metric types only where there are more shards than resamples. Shards are in the order of
/// their resamples.
///
/// # Complexity
/// O(resamples · metrics).
pub fn cut(resamples: u32, metrics: usize, shards: usize, most: u32) -> Vec<ResampleShard> {
    let wanted = u32::try_from(shards.max(1)).unwrap_or(u32::MAX);
    let length = resamples.div_ceil(wanted).clamp(1, most.max(1));
    let parts =
        if length > 1 { 1 } else { shards.div_ceil(resamples.max(1) as usize).clamp(1, metrics.max(1)) };
    let mut cut = Vec::new();
    for first in (0..resamples).step_by(length as usize) {
        for part in 0..parts {
            cut.push(ResampleShard {
                resamples: first..resamples.min(first + length),
                metrics: metrics * part / parts..metrics * (part + 1) / parts,
            });
        }
    }
    cut
}

/// The pairs that are connected in each resample of a shard, in the metric types of the shard; `None` for a resample that
/// was not done when the time was up.
pub type Connected = Vec<Option<Vec<(u32, u32)>>>;

/// Puts shards together, in whatever order they come. A resample counts when it has come in all metric types, and then its
/// pairs count once each.
#[derive(Debug)]
pub struct Gathering {
    metrics: usize,
    /// Metric types that are still to come, and pairs that came.
    open: BTreeMap<u32, (usize, Vec<(u32, u32)>)>,
    tally: Tally,
}

impl Gathering {
    /// Of resamples in so many metric types.
    pub fn new(metrics: usize) -> Self {
        Self { metrics, open: BTreeMap::new(), tally: Tally::default() }
    }

    /// Takes a shard; each may be taken once.
    pub fn take(&mut self, shard: &ResampleShard, connected: Connected) {
        for (resample, pairs) in shard.resamples.clone().zip(connected) {
            let Some(pairs) = pairs else { continue };
            let (missing, known) = self.open.entry(resample).or_insert_with(|| (self.metrics, Vec::new()));
            *missing = missing.saturating_sub(shard.metrics.len());
            known.extend(pairs);
            if *missing == 0
                && let Some((_, mut pairs)) = self.open.remove(&resample)
            {
                pairs.sort_unstable();
                pairs.dedup();
                self.tally.add(pairs);
            }
        }
    }

    /// What was counted.
    pub fn finish(self) -> Tally {
        self.tally
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Pairs of a resample in a metric type, some of them in several types.
    fn pairs_of(resample: u32, metric: usize) -> Vec<(u32, u32)> {
        (0..6)
            .filter(|first| (resample + first) % 4 != metric as u32 % 3)
            .map(|first| (first, first + 1))
            .collect()
    }

    fn answer(shard: &ResampleShard) -> Connected {
        let resamples = shard.resamples.clone();
        resamples
            .map(|resample| {
                Some(shard.metrics.clone().flat_map(|metric| pairs_of(resample, metric)).collect())
            })
            .collect()
    }

    #[test]
    fn many_resamples_are_cut_between_them_and_few_also_within() {
        let shards = cut(100, 7, 10, u32::MAX);
        assert_eq!(shards.len(), 10);
        assert_eq!(shards[1], ResampleShard { resamples: 10..20, metrics: 0..7 });
        assert_eq!(cut(100, 7, 10, 4).len(), 25);
        let shards = cut(4, 7, 20, 9);
        assert_eq!(shards.len(), 20);
        assert_eq!(shards[5], ResampleShard { resamples: 1..2, metrics: 0..1 });
        assert_eq!(shards[9], ResampleShard { resamples: 1..2, metrics: 5..7 });
        assert_eq!(cut(4, 7, 2000, 9).len(), 28);
    }

    #[test]
    fn a_resample_that_is_not_complete_does_not_count() {
        let mut gathering = Gathering::new(2);
        gathering
            .take(&ResampleShard { resamples: 0..2, metrics: 0..1 }, vec![Some(vec![(0, 1)]), Some(vec![])]);
        gathering
            .take(&ResampleShard { resamples: 0..2, metrics: 1..2 }, vec![Some(vec![(0, 1), (1, 2)]), None]);
        let tally = gathering.finish();
        assert_eq!(tally.resamples(), 1);
        assert_eq!(tally.shares(), BTreeMap::from([((0, 1), 1.0), ((1, 2), 1.0)]));
    }

    proptest! {
        #[test]
        fn shards_in_any_order_count_what_one_counts(
            resamples in 1_u32..30, metrics in 1_usize..8, shards in 1_usize..300, most in 1_u32..9, seed in any::<u64>(),
        ) {
            let mut gathering = Gathering::new(metrics);
            let whole = ResampleShard { resamples: 0..resamples, metrics: 0..metrics };
            gathering.take(&whole, answer(&whole));
            let expected = gathering.finish();
            prop_assert_eq!(expected.resamples(), resamples);

            let mut cut = cut(resamples, metrics, shards, most);
            prop_assert!(cut.iter().all(|shard| !shard.resamples.is_empty() && !shard.metrics.is_empty()));
            prop_assert!(cut.iter().all(|shard| shard.resamples.len() <= most as usize));
            cut.sort_by_key(|shard| {
                (u64::from(shard.resamples.start) * 31 + shard.metrics.start as u64).wrapping_mul(seed | 1)
            });
            let mut gathering = Gathering::new(metrics);
            cut.iter().for_each(|shard| gathering.take(shard, answer(shard)));
            prop_assert_eq!(gathering.finish(), expected);
        }
    }
}
