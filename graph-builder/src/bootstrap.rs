//! How sure an edge is: the share of resamples in which it stands.

use std::collections::{BTreeMap, BTreeSet};

use automap_proto::{frame::MetricFrame, settings::GraphSettings};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use crate::{
    build::Limits, load_removal::Load, prepared::Prepared, skeleton::learn_within, standardise::select,
    stop::Stopped,
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

/// For each pair of services (first < second) that is connected in any of `resamples` resamples, in any metric type, the
/// share in which it is, 0 to 1. Directions do not count: one edge more or less turns others around.
///
/// A resample holds about two thirds of the rows, some of them several times, and its tests count all: a pair that is close
/// to the critical value stands more often than in new data.
///
/// # Errors
/// [`Stopped`] when nobody wants the shares any more.
///
/// # Complexity
/// That of as many builds, on the current rayon pool.
pub fn edge_shares(
    frame: &MetricFrame,
    rows: &[usize],
    settings: &GraphSettings,
    resamples: u32,
    seed: u64,
    limits: Limits<'_>,
) -> Result<BTreeMap<(u32, u32), f64>, Stopped> {
    let connected = |index| connected_pairs(frame, &resample(rows, seed, index), settings, limits);
    let found: Vec<BTreeSet<(u32, u32)>> =
        (0..resamples).into_par_iter().map(connected).collect::<Result<_, Stopped>>()?;
    let mut counts: BTreeMap<(u32, u32), u32> = BTreeMap::new();
    for pair in found.into_iter().flatten() {
        *counts.entry(pair).or_default() += 1;
    }
    Ok(counts.into_iter().map(|(pair, count)| (pair, f64::from(count) / f64::from(resamples))).collect())
}

fn connected_pairs(
    frame: &MetricFrame,
    rows: &[usize],
    settings: &GraphSettings,
    limits: Limits<'_>,
) -> Result<BTreeSet<(u32, u32)>, Stopped> {
    let load = Load::of(frame, rows, settings);
    let max_tests = limits.max_tests.map(|most| most / settings.metrics().len() as u64);
    let mut pairs = BTreeSet::new();
    for &metric in settings.metrics() {
        limits.halt.check()?;
        let prepared = Prepared::new(select(frame, rows, metric), &load, settings);
        let test = prepared.at(settings.alpha());
        let skeleton = learn_within(&test, settings.max_condition(), max_tests, limits.halt, &mut |_, _| {})?;
        pairs.extend(skeleton.pairs());
    }
    Ok(pairs)
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
