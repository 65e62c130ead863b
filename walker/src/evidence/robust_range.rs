//! The normal range of a series: its median and a spread that no single odd series fools.

use super::{least_spread::LeastSpread, sorted_values::SortedValues};

/// Makes the median absolute deviation of a normal distribution its standard deviation.
pub(crate) const MAD_TO_SIGMA: f64 = 1.48;
/// τ: consecutive values resemble each other, so that so many count as one that is independent.
const CORRELATED_VALUES: f64 = 20.0;
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
    /// max(√(1 + τ/n)·max(1.48·MAD, σ/4, (P97.5 − P2.5)/4), least spread): the largest of several measures of spread,
    /// because each alone is fooled by some real series. MAD is zero for counters that rest most of the time, σ is blown
    /// up by one outlier, and both are tiny for series that are almost constant. The factor makes the spread around m
    /// that of a value to come: m itself is off by s·√(τ/n), since n values in a row say little of a level that drifts.
    pub spread: f64,
    /// How many values it was taken from.
    pub values: usize,
}

impl RobustRange {
    /// The range of normal values, which ascend; zero when there is none. O(values).
    pub fn of_sorted(sorted: &[f64], least: LeastSpread) -> Self {
        Self::new(&SortedValues::all(sorted), sigma(sorted.iter().copied()), least)
    }

    /// The range of values whose standard deviation is known. O(log² values).
    pub(crate) fn new(values: &SortedValues<'_>, sigma: f64, least: LeastSpread) -> Self {
        let centre = values.median();
        let varies = values.ends().is_some_and(|(lowest, highest)| lowest < highest);
        // The mean of equal values may be off by a rounding, which would pass for a spread.
        let around = if varies {
            (MAD_TO_SIGMA * values.median_distance(centre))
                .max(sigma / 4.0)
                .max((values.percentile(0.975) - values.percentile(0.025)) / 4.0)
        } else {
            0.0
        };
        let to_come = (1.0 + CORRELATED_VALUES / values.len().max(1) as f64).sqrt();
        let spread = (around * to_come).max(least.around(centre, values.len()));
        Self { centre, spread, values: values.len() }
    }

    /// Whether the series ever varied or lay off zero, so that its spread tells anything.
    pub(crate) fn has_spread(&self) -> bool {
        self.spread > NO_SPREAD
    }

    /// s, what departures are measured in: the spread, or for a series without any 5 % of `largest`, the largest
    /// |value| of the incident. Positive.
    pub fn scale(&self, largest: f64) -> f64 {
        if self.has_spread() { self.spread } else { (FALLBACK_SHARE * largest).max(MIN_SCALE) }
    }
}

/// Standard deviation (divisor n) of what `values` gives; zero for none. O(values).
pub(crate) fn sigma(values: impl Iterator<Item = f64> + Clone) -> f64 {
    let (count, sum) = values.clone().fold((0.0, 0.0), |(count, sum), value| (count + 1.0, sum + value));
    if count == 0.0 {
        return 0.0;
    }
    let mean = sum / count;
    (values.map(|value| (value - mean).powi(2)).sum::<f64>() / count).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_worked_by_hand() {
        // 9 10 10 11 12: median 10, MAD 1, sigma sqrt(1.04), (11.9 − 9.1)/4 = .7, and five values: sqrt(1 + 20/5).
        let found = RobustRange::of_sorted(&[9.0, 10.0, 10.0, 11.0, 12.0], LeastSpread::USUAL);
        assert_eq!((found.centre, found.values), (10.0, 5));
        assert!((found.spread - 1.48 * 5.0_f64.sqrt()).abs() < 1e-12, "{found:?}");
    }

    #[test]
    fn a_series_without_spread_is_measured_by_its_incident_values() {
        let rested = RobustRange::of_sorted(&[0.0, 0.0, 0.0], LeastSpread::USUAL);
        assert_eq!(rested.scale(4.0), 0.2);
        assert_eq!(rested.scale(0.0), 1e-9);
        assert_eq!(RobustRange::of_sorted(&[0.1, 0.1, 0.1], LeastSpread::USUAL).spread, 0.002);
        assert_eq!(
            RobustRange::of_sorted(&[], LeastSpread::USUAL),
            RobustRange { centre: 0.0, spread: 0.0, values: 0 }
        );
    }
}
