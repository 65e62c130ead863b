//! The normal range of a series: its median and a spread that no single odd series fools.

use crate::percentile::{median, percentile};

/// Makes the median absolute deviation of a normal distribution its standard deviation.
pub(crate) const MAD_TO_SIGMA: f64 = 1.48;
/// A spread of this or less is no spread but rounding.
const NO_SPREAD: f64 = 1e-12;
/// Share of the largest incident value that stands in for the spread of a series that never varied.
const FALLBACK_SHARE: f64 = 0.05;
/// Least stand-in for a spread, in the unit of the series.
const MIN_SCALE: f64 = 1e-9;

/// Where a series lies in normal times, in its unit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RobustRange {
    /// m, the median.
    pub centre: f64,
    /// max(1.48·MAD, σ/4, 2 % of |m|, (P97.5 − P2.5)/4): the largest of four measures of spread, because each alone
    /// is fooled by some real series. MAD is zero for counters that rest most of the time, σ is blown up by one
    /// outlier, and both are tiny for series that are almost constant.
    pub spread: f64,
}

impl RobustRange {
    /// The range of normal values, which ascend; zero when there is none. O(values).
    pub fn of_sorted(sorted: &[f64]) -> Self {
        let centre = median(sorted);
        let spread = (MAD_TO_SIGMA * median_distance(sorted, centre))
            .max(sigma(sorted) / 4.0)
            .max(0.02 * centre.abs())
            .max((percentile(sorted, 0.975) - percentile(sorted, 0.025)) / 4.0);
        Self { centre, spread }
    }

    /// s, what departures are measured in: the spread, or for a series without any 5 % of `largest`, the largest
    /// |value| of the incident. Positive.
    pub fn scale(&self, largest: f64) -> f64 {
        if self.spread <= NO_SPREAD { (FALLBACK_SHARE * largest).max(MIN_SCALE) } else { self.spread }
    }
}

/// The median of |value − centre|, found by merging the distances on both sides, each of which ascends. O(values).
fn median_distance(sorted: &[f64], centre: f64) -> f64 {
    let above_from = sorted.partition_point(|value| *value < centre);
    let (mut below, mut above) = (sorted[..above_from].iter().rev(), sorted[above_from..].iter());
    let (mut next_below, mut next_above) = (below.next(), above.next());
    let mut nearest = Vec::with_capacity(sorted.len() / 2 + 1);
    while nearest.len() < sorted.len() / 2 + 1 {
        let from_below = next_below.map_or(f64::INFINITY, |value| centre - value);
        let from_above = next_above.map_or(f64::INFINITY, |value| value - centre);
        if next_below.is_none() && next_above.is_none() {
            break;
        }
        if from_below <= from_above {
            nearest.push(from_below);
            next_below = below.next();
        } else {
            nearest.push(from_above);
            next_above = above.next();
        }
    }
    match (sorted.len() % 2, nearest.as_slice()) {
        (_, []) => 0.0,
        (1, [.., last]) => *last,
        (_, [.., last_but_one, last]) => f64::midpoint(*last_but_one, *last),
        (_, [only]) => *only,
    }
}

/// Standard deviation (divisor n), exactly zero when all values are the same: the mean of equal values may be off by a
/// rounding, which would pass for a spread.
fn sigma(sorted: &[f64]) -> f64 {
    if sorted.first() == sorted.last() {
        return 0.0;
    }
    let count = sorted.len() as f64;
    let mean = sorted.iter().sum::<f64>() / count;
    (sorted.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / count).sqrt()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_range_worked_by_hand() {
        // 9 10 10 11 12: median 10, MAD 1, sigma sqrt(1.04), 2 % of the median .2, (11.9 − 9.1)/4 = .7.
        assert_eq!(
            RobustRange::of_sorted(&[9.0, 10.0, 10.0, 11.0, 12.0]),
            RobustRange { centre: 10.0, spread: 1.48 }
        );
    }

    #[test]
    fn a_series_without_spread_is_measured_by_its_incident_values() {
        let rested = RobustRange::of_sorted(&[0.0, 0.0, 0.0]);
        assert_eq!(rested.scale(4.0), 0.2);
        assert_eq!(rested.scale(0.0), 1e-9);
        assert_eq!(RobustRange::of_sorted(&[0.1, 0.1, 0.1]).spread, 0.002);
        assert_eq!(RobustRange::of_sorted(&[]), RobustRange { centre: 0.0, spread: 0.0 });
    }

    proptest! {
        #[test]
        fn merged_distances_have_the_median_of_sorted_ones(
            mut values in proptest::collection::vec(-1e3..1e3_f64, 1..30),
        ) {
            values.sort_unstable_by(f64::total_cmp);
            let centre = median(&values);
            let mut distances: Vec<f64> = values.iter().map(|value| (value - centre).abs()).collect();
            distances.sort_unstable_by(f64::total_cmp);
            prop_assert!((median_distance(&values, centre) - median(&distances)).abs() < 1e-9);
        }
    }
}
