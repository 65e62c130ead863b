//! When shipping pays, and how large shards are.
//!
//! The constants are those of `automap bench graph` on one core of an AMD EPYC; see `SCALING.md`.

use std::ops::Range;

/// Tests that a core makes in a second, at least: of the loads measured, the slowest with enough tests to ship.
pub const TESTS_PER_SECOND: f64 = 150e6;
/// Squares of services times rows that a core makes into correlations, and into a graph without deep levels, in a second: a
/// build of 1000 services, its tests aside.
pub const CORRELATED_PER_SECOND: f64 = 5e9;
/// What a shard costs beside its tests and its bytes: a call there and back, queues included, seconds.
pub const SECONDS_PER_SHARD: f64 = 0.002;
/// Computing must take so many times as long as shipping: the number of tests is a guess, and seldom a good one.
pub const CLEARLY: f64 = 4.0;
/// How long a shard should take on a core, seconds: long beside a call, short beside a level, so that workers that finish
/// early find more to do.
const SHARD_SECONDS: f64 = 0.1;
/// Shards for each worker, at least.
const SHARDS_PER_WORKER: usize = 4;
/// Shards of one level, at most.
const MOST_SHARDS: usize = 2048;

/// Seconds of a core that so many tests take.
pub fn seconds_of_tests(tests: u64) -> f64 {
    tests as f64 / TESTS_PER_SECOND
}

/// Tests that take so many seconds of a core: the unit in which all shards are weighed.
pub fn tests_of_seconds(seconds: f64) -> u64 {
    (seconds * TESTS_PER_SECOND) as u64
}

/// Seconds of a core that a build of one metric type takes beside the tests of its levels.
pub fn seconds_of_correlations(services: usize, rows: usize) -> f64 {
    (services as f64).powi(2) * rows as f64 / CORRELATED_PER_SECOND
}

/// What a level, or the resamples of a graph, are expected to take, and what they would have to ship.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Prospect {
    /// Seconds of a core.
    pub core_seconds: f64,
    /// Threads here.
    pub threads: usize,
    /// Bytes that go to each worker before its first shard.
    pub input_bytes: u64,
    /// Bytes that go along with each shard, or come back.
    pub shard_bytes: u64,
    /// Workers that could help.
    pub workers: usize,
    /// Bytes a second that leave here.
    pub bytes_per_second: f64,
}

impl Prospect {
    /// Seconds that it takes here alone.
    pub fn compute_seconds(&self) -> f64 {
        self.core_seconds / self.threads.max(1) as f64
    }

    /// Seconds that shipping takes: the input to every worker and what goes along with the shards, over one link.
    pub fn shipping_seconds(&self) -> f64 {
        let shards = self.shards() as f64;
        let bytes = self.input_bytes as f64 * self.workers as f64 + self.shard_bytes as f64 * shards;
        bytes / self.bytes_per_second.max(1.0) + SECONDS_PER_SHARD * shards / self.workers.max(1) as f64
    }

    /// Whether computing here takes clearly longer than shipping, so that it pays even when the guess is too high.
    pub fn pays(&self) -> bool {
        self.workers > 0 && self.compute_seconds() > CLEARLY * self.shipping_seconds()
    }

    /// Shards to cut it into.
    pub fn shards(&self) -> usize {
        let by_time = (self.core_seconds / SHARD_SECONDS).min(MOST_SHARDS as f64) as usize;
        by_time.clamp(
            SHARDS_PER_WORKER * (self.workers + 1),
            MOST_SHARDS.max(SHARDS_PER_WORKER * (self.workers + 1)),
        )
    }
}

/// Cuts positions into at most `shards` ranges of about the same weight, none of them empty.
///
/// # Complexity
/// O(positions).
pub fn cut(weights: &[u64], shards: usize) -> Vec<Range<usize>> {
    let total: u128 = weights.iter().map(|&weight| u128::from(weight.max(1))).sum();
    let shards = shards.max(1) as u128;
    let mut ranges = Vec::new();
    let (mut start, mut sum) = (0, 0_u128);
    for (position, &weight) in weights.iter().enumerate() {
        sum += u128::from(weight.max(1));
        if sum * shards >= total * (ranges.len() as u128 + 1) {
            ranges.push(start..position + 1);
            start = position + 1;
        }
    }
    if start < weights.len() {
        ranges.push(start..weights.len());
    }
    ranges
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const GIGABIT: f64 = 117e6;

    fn prospect(tests: u64) -> Prospect {
        Prospect {
            core_seconds: seconds_of_tests(tests),
            threads: 2,
            input_bytes: 12 << 20,
            shard_bytes: 6 << 10,
            workers: 2,
            bytes_per_second: GIGABIT,
        }
    }

    #[test]
    fn only_what_clearly_takes_longer_than_shipping_is_shipped() {
        assert!(!prospect(1_000_000).pays());
        assert!(!prospect(200_000_000).pays());
        assert!(prospect(500_000_000).pays());
        assert!(!Prospect { workers: 0, ..prospect(500_000_000) }.pays());
        assert!(!Prospect { bytes_per_second: 1e6, ..prospect(500_000_000) }.pays());
    }

    #[test]
    fn every_worker_finds_several_shards_and_none_takes_for_ever() {
        assert_eq!(prospect(0).shards(), 12);
        assert_eq!(prospect(3_000_000_000).shards(), 200);
        assert_eq!(prospect(u64::MAX).shards(), MOST_SHARDS);
    }

    proptest! {
        #[test]
        fn ranges_cover_everything_once_and_weigh_about_the_same(
            weights in proptest::collection::vec(0_u64..1000, 0..400),
            shards in 1_usize..50,
        ) {
            let ranges = cut(&weights, shards);
            let covered: Vec<usize> = ranges.iter().cloned().flatten().collect();
            prop_assert_eq!(covered, (0..weights.len()).collect::<Vec<_>>());
            prop_assert!(ranges.len() <= shards && ranges.iter().all(|range| !range.is_empty()));
            let weight = |range: &Range<usize>| weights[range.clone()].iter().map(|&one| one.max(1)).sum::<u64>();
            let total: u64 = weights.iter().map(|&one| one.max(1)).sum();
            for range in &ranges {
                prop_assert!(weight(range) <= total / shards as u64 + 1000);
            }
        }
    }
}
