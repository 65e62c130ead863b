//! Resamples whose edges are made up: what comes from workers is compared with what it is without them.

use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;

use crate::{
    bootstrap::Tally,
    sharding::resamples::{Gathering, ResampleShard, cut},
};

/// The resamples of one graph.
#[derive(Debug)]
pub(super) struct Resampled {
    seed: u64,
    resamples: u32,
    metrics: usize,
    shards: Vec<ResampleShard>,
    costs: Vec<u64>,
    /// Position of the first of these shards among all.
    first_shard: usize,
    gathering: Gathering,
}

impl Resampled {
    /// Resamples in shards that follow `first_shard` others.
    pub(super) fn draw(random: &mut ChaCha8Rng, first_shard: usize) -> Self {
        let (resamples, metrics) = (random.random_range(1..40), random.random_range(1..8));
        let shards = cut(resamples, metrics, random.random_range(1..80), random.random_range(1..20));
        let each = random.random_range(1..60);
        let cost = |shard: &ResampleShard| each * (shard.resamples.len() * shard.metrics.len()) as u64;
        Self {
            seed: random.random(),
            resamples,
            metrics,
            costs: shards.iter().map(cost).collect(),
            shards,
            first_shard,
            gathering: Gathering::new(metrics),
        }
    }

    /// What each shard costs.
    pub(super) fn costs(&self) -> &[u64] {
        &self.costs
    }

    pub(super) const fn first_shard(&self) -> usize {
        self.first_shard
    }

    /// The answer to the shard at that position among all was taken.
    pub(super) fn take(&mut self, position: usize) {
        let Some(shard) = position.checked_sub(self.first_shard).and_then(|shard| self.shards.get(shard))
        else {
            return;
        };
        let resamples = shard.resamples.clone();
        let connected = resamples.map(|resample| {
            let mut pairs: Vec<(u32, u32)> =
                shard.metrics.clone().flat_map(|metric| pairs_of(self.seed, resample, metric)).collect();
            pairs.sort_unstable();
            pairs.dedup();
            Some(pairs)
        });
        self.gathering.take(shard, connected.collect());
    }

    /// All shards were answered: the edges must be counted as without workers. Answers the number of resamples.
    pub(super) fn check(&mut self) -> Result<u32, String> {
        let mut alone = Tally::default();
        for resample in 0..self.resamples {
            let mut pairs: Vec<(u32, u32)> =
                (0..self.metrics).flat_map(|metric| pairs_of(self.seed, resample, metric)).collect();
            pairs.sort_unstable();
            pairs.dedup();
            alone.add(pairs);
        }
        let gathered = std::mem::replace(&mut self.gathering, Gathering::new(self.metrics)).finish();
        if gathered != alone {
            return Err("the resamples were counted otherwise than without workers".into());
        }
        Ok(self.resamples)
    }
}

/// The pairs that are connected in a resample and metric type.
fn pairs_of(seed: u64, resample: u32, metric: usize) -> impl Iterator<Item = (u32, u32)> {
    let bits = (seed ^ (u64::from(resample) << 8) ^ metric as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (0..10).filter(move |pair| (bits >> (40 + 2 * pair)) & 3 == 0).map(|pair| (pair as u32, pair as u32 + 1))
}
