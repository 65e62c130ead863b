//! Seeded bootstrap over incidents: how far a figure would move with other incidents of the same kind.
//!
//! Incidents are drawn with replacement within each dataset, so that no resample loses one, and every contender is
//! measured on the same draws, so that differences between contenders are paired. Intervals are percentile intervals
//! (Efron and Tibshirani, *An Introduction to the Bootstrap*, 1993, chapter 13) of 95 %. They speak of the incidents'
//! luck alone: the systems themselves are few, and other systems may differ by more.

use automap_walker::percentile::percentile;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

/// A figure with the interval in which 95 % of its resamples lie.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Estimate {
    /// On the incidents as they are.
    pub value: f64,
    /// 2.5th percentile of the resamples.
    pub low: f64,
    /// 97.5th percentile of the resamples.
    pub high: f64,
}

/// Draws of incidents, the same for all that is measured with them.
#[derive(Debug, Clone)]
pub struct Resamples {
    /// Per dataset and resample as many incident indices as the dataset has incidents.
    draws: Vec<Vec<Vec<usize>>>,
}

impl Resamples {
    /// `count` resamples of datasets with `sizes` incidents each.
    ///
    /// Each dataset draws from its own stream of the seed, so that none changes with another.
    pub fn new(sizes: &[usize], count: usize, seed: u64) -> Self {
        let draws = sizes.iter().enumerate().map(|(dataset, &size)| {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            rng.set_stream(dataset as u64);
            let range = 0..size.max(1);
            let mut draw = || (0..size).map(|_| rng.random_range(range.clone())).collect();
            (0..count).map(|_| draw()).collect()
        });
        Self { draws: draws.collect() }
    }

    /// The mean of `values`, one per incident of `dataset`. O(resamples · incidents).
    pub fn dataset(&self, dataset: usize, values: &[f64]) -> Estimate {
        estimate(mean(values), self.resampled(dataset, values))
    }

    /// The mean over `datasets` of the means of `values`, one list per dataset of all. O(resamples · incidents).
    pub fn mean_over(&self, datasets: &[usize], values: &[Vec<f64>]) -> Estimate {
        let means: Vec<f64> = datasets.iter().map(|&dataset| mean(&values[dataset])).collect();
        let per_dataset: Vec<Vec<f64>> =
            datasets.iter().map(|&dataset| self.resampled(dataset, &values[dataset])).collect();
        let count = per_dataset.first().map_or(0, Vec::len);
        let resampled = (0..count)
            .map(|resample| mean(&per_dataset.iter().map(|means| means[resample]).collect::<Vec<_>>()));
        estimate(mean(&means), resampled.collect())
    }

    fn resampled(&self, dataset: usize, values: &[f64]) -> Vec<f64> {
        let drawn = |draw: &Vec<usize>| draw.iter().map(|&incident| values[incident]).sum::<f64>();
        let count = values.len().max(1) as f64;
        self.draws[dataset].iter().map(|draw| drawn(draw) / count).collect()
    }
}

/// `value` with the 95 % interval of its resamples.
fn estimate(value: f64, mut resampled: Vec<f64>) -> Estimate {
    resampled.sort_unstable_by(f64::total_cmp);
    Estimate { value, low: percentile(&resampled, 0.025), high: percentile(&resampled, 0.975) }
}

/// Arithmetic mean; 0 of nothing.
pub fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_is_that_of_the_percentiles_of_the_resamples() {
        // 0, 1, …, 40: position .025·40 = 1 and .975·40 = 39.
        let resampled = (0..=40).rev().map(f64::from).collect();
        assert_eq!(estimate(17.0, resampled), Estimate { value: 17.0, low: 1.0, high: 39.0 });
    }

    #[test]
    fn a_half_right_dataset_has_the_binomial_interval() {
        // Of 100 incidents, half right: the mean of a resample is binomial, sd .05, so that 95 % lie within .40 to .60.
        let values: Vec<f64> = (0..100).map(|incident| f64::from(incident % 2)).collect();
        let found = Resamples::new(&[100], 20_000, 1).dataset(0, &values);
        assert_eq!(found.value, 0.5);
        assert!((found.low - 0.40).abs() < 0.011 && (found.high - 0.60).abs() < 0.011, "{found:?}");
    }

    #[test]
    fn a_paired_difference_that_every_incident_shares_is_certain() {
        let resamples = Resamples::new(&[3, 2], 500, 7);
        let gain = vec![vec![0.25; 3], vec![0.25; 2]];
        assert_eq!(resamples.mean_over(&[0, 1], &gain), Estimate { value: 0.25, low: 0.25, high: 0.25 });
    }

    #[test]
    fn datasets_count_alike_whatever_their_size() {
        let resamples = Resamples::new(&[4, 1], 100, 7);
        let found = resamples.mean_over(&[0, 1], &[vec![0.0; 4], vec![1.0]]);
        assert_eq!(found, Estimate { value: 0.5, low: 0.5, high: 0.5 });
        assert_eq!(resamples.mean_over(&[1], &[vec![0.0; 4], vec![1.0]]).value, 1.0);
        assert_eq!(resamples.mean_over(&[], &[]), Estimate::default());
    }

    #[test]
    fn the_same_seed_gives_the_same_interval_and_datasets_do_not_depend_on_each_other() {
        let values: Vec<f64> = (0..20).map(f64::from).collect();
        let one = Resamples::new(&[20], 200, 3).dataset(0, &values);
        assert_eq!(one, Resamples::new(&[20, 5], 200, 3).dataset(0, &values));
        assert_ne!(one, Resamples::new(&[20], 200, 4).dataset(0, &values));
    }
}
