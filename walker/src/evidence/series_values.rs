//! Step 1, series: the values of one series, its load taken off, in normal rows and in those of an incident.
//!
//! A missing sample is left out, never interpolated.

use std::ops::Range;

use super::{
    deviation::WindowValues,
    least_spread::LeastSpread,
    robust_range::{RobustRange, sigma},
    sorted_values::SortedValues,
};

/// Fewest normal values with which a series counts.
const MIN_NORMAL_VALUES: usize = 3;
/// Values are clamped to this magnitude, which no quantity reaches, so that sums of squares stay finite.
const MAX_MAGNITUDE: f64 = 1e150;
/// Rank of a sample that is missing.
const MISSING: u32 = u32::MAX;
/// Share of a sum of squares below which what remains after a window was taken off is rounding.
const CANCELLED: f64 = 1e-6;

/// The values that are there, clamped to what can be squared.
pub(crate) fn clamped(values: impl Iterator<Item = f64>) -> Vec<f64> {
    values.filter(|value| !value.is_nan()).map(|value| value.clamp(-MAX_MAGNITUDE, MAX_MAGNITUDE)).collect()
}

/// Whether a series counts: three normal values, which ascend, one in the incident, and not all alike.
pub(crate) fn counts(normal: &SortedValues<'_>, incident: &[f64]) -> bool {
    let Some((lowest, highest)) = normal.ends() else {
        return false;
    };
    normal.len() >= MIN_NORMAL_VALUES
        && !incident.is_empty()
        && (lowest < highest || incident.iter().any(|value| *value != lowest))
}

/// A window of one series beside the normal range that it is compared with.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Compared {
    /// Of the normal rows.
    pub range: RobustRange,
    /// Of the window.
    pub window: WindowValues,
}

/// Values of one series, sorted once, from which every window of normal rows can be taken.
#[derive(Debug, Clone, PartialEq)]
pub struct SeriesValues {
    /// Of the normal rows, ascending.
    normal: Vec<f64>,
    /// Rank of every normal row's value among them.
    ranks: Vec<u32>,
    /// Of the incident, ascending.
    incident: Vec<f64>,
    /// Sum of the normal values over their median, and of the squares.
    sums: [f64; 2],
    least: LeastSpread,
}

/// Reused from window to window.
#[derive(Debug, Clone, Default)]
pub struct WindowBuffer {
    ranks: Vec<u32>,
    values: Vec<f64>,
}

impl SeriesValues {
    /// Takes the values of `value`, a function of the row. O(rows · log rows).
    pub fn new(normal_rows: &[usize], incident_rows: &[usize], value: impl Fn(usize) -> f64) -> Self {
        let mut placed: Vec<(f64, u32)> = (0..)
            .zip(normal_rows)
            .map(|(position, &row)| (value(row).clamp(-MAX_MAGNITUDE, MAX_MAGNITUDE), position))
            .filter(|(value, _)| !value.is_nan())
            .collect();
        placed.sort_unstable_by(|left, right| left.0.total_cmp(&right.0).then(left.1.cmp(&right.1)));
        let mut ranks = vec![MISSING; normal_rows.len()];
        for (rank, (_, position)) in (0..).zip(&placed) {
            ranks[*position as usize] = rank;
        }
        let normal: Vec<f64> = placed.into_iter().map(|(value, _)| value).collect();
        let centre = SortedValues::all(&normal).median();
        let sums = normal.iter().fold([0.0, 0.0], |[sum, squares], value| {
            let distance = value - centre;
            [sum + distance, squares + distance * distance]
        });
        let mut incident = clamped(incident_rows.iter().map(|&row| value(row)));
        incident.sort_unstable_by(f64::total_cmp);
        Self { normal, ranks, incident, sums, least: LeastSpread::USUAL }
    }

    /// The same with another least spread.
    pub fn with_least_spread(self, least: LeastSpread) -> Self {
        Self { least, ..self }
    }

    /// The incident against all normal rows. `None` when the series does not count. O(rows).
    pub fn incident(&self) -> Option<Compared> {
        counts(&SortedValues::all(&self.normal), &self.incident).then(|| Compared {
            range: RobustRange::of_sorted(&self.normal, self.least),
            window: WindowValues::of_sorted(&self.incident),
        })
    }

    /// The normal rows at positions `window` against all others. `None` when the series does not count there.
    /// O(window · log window + log² rows).
    pub fn placebo(&self, window: &Range<usize>, buffer: &mut WindowBuffer) -> Option<Compared> {
        buffer.ranks.clear();
        buffer.ranks.extend(self.ranks.get(window.clone())?.iter().filter(|rank| **rank != MISSING));
        buffer.ranks.sort_unstable();
        buffer.values.clear();
        buffer.values.extend(buffer.ranks.iter().map(|&rank| self.normal[rank as usize]));
        let others = SortedValues::without(&self.normal, &buffer.ranks);
        counts(&others, &buffer.values).then(|| Compared {
            range: RobustRange::new(&others, self.sigma_without(&others, &buffer.values), self.least),
            window: WindowValues::of_sorted(&buffer.values),
        })
    }

    /// Standard deviation of the `others` that remain without `window`: the window is taken off the sums, unless it
    /// holds nearly all of the squares, so that what is left would be rounding.
    fn sigma_without(&self, others: &SortedValues<'_>, window: &[f64]) -> f64 {
        let centre = SortedValues::all(&self.normal).median();
        let [mut sum, mut squares] = self.sums;
        for value in window {
            let distance = value - centre;
            sum -= distance;
            squares -= distance * distance;
        }
        let count = others.len() as f64;
        let variance = squares / count - (sum / count).powi(2);
        // A NaN, of infinite sums, compares as cancelled.
        if variance * count > CANCELLED * self.sums[1] { variance.sqrt() } else { sigma(others.iter()) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NAN: f64 = f64::NAN;

    fn values(samples: &[f64], normal: usize) -> SeriesValues {
        let normal_rows: Vec<usize> = (0..normal).collect();
        let incident_rows: Vec<usize> = (normal..samples.len()).collect();
        SeriesValues::new(&normal_rows, &incident_rows, |row| samples[row])
    }

    #[test]
    fn missing_samples_are_left_out_and_never_filled() {
        let compared = values(&[3.0, NAN, 1.0, 2.0, NAN, 9.0], 4).incident().unwrap();
        assert_eq!(compared.range, RobustRange::of_sorted(&[1.0, 2.0, 3.0], LeastSpread::USUAL));
        assert_eq!(compared.window, WindowValues::of_sorted(&[9.0]));
    }

    #[test]
    fn series_with_too_few_values_or_none_that_differ_do_not_count() {
        for samples in [
            [1.0, 2.0, NAN, NAN, 3.0, 4.0],
            [1.0, 2.0, 3.0, 4.0, NAN, NAN],
            [5.0; 6],
            [NAN; 6],
            [NAN, NAN, NAN, NAN, NAN, 1.0],
        ] {
            assert_eq!(values(&samples, 4).incident(), None, "{samples:?}");
        }
        assert!(values(&[5.0, 5.0, 5.0, 5.0, 5.0, 6.0], 4).incident().is_some());
    }

    #[test]
    fn a_placebo_window_is_compared_with_the_other_normal_rows() {
        let all = values(&[4.0, 1.0, 3.0, 2.0, 5.0, 9.0], 5);
        let mut buffer = WindowBuffer::default();
        let compared = all.placebo(&(1..3), &mut buffer).unwrap();
        assert_eq!(compared.window, WindowValues::of_sorted(&[1.0, 3.0]));
        assert_eq!((compared.range.centre, compared.range.values), (4.0, 3));
        assert_eq!(all.placebo(&(0..3), &mut buffer), None, "two normal values remain");
    }

    proptest! {
        #[test]
        fn a_range_without_a_window_is_that_of_the_other_rows(
            samples in proptest::collection::vec(
                prop_oneof![-1e3..1e3_f64, Just(NAN), Just(0.0), Just(1e9), Just(1e200)],
                12..30,
            ),
            start in 0..9_usize,
        ) {
            let all = values(&samples, samples.len());
            let window = start..start + 3;
            let mut others =
                clamped((0..samples.len()).filter(|row| !window.contains(row)).map(|row| samples[row]));
            others.sort_unstable_by(f64::total_cmp);
            if let Some(found) = all.placebo(&window, &mut WindowBuffer::default()) {
                let expected = RobustRange::of_sorted(&others, LeastSpread::USUAL);
                prop_assert_eq!((found.range.centre, found.range.values), (expected.centre, expected.values));
                let off = (found.range.spread - expected.spread).abs();
                prop_assert!(off <= 1e-6 * expected.spread, "{:?} {expected:?}", found.range);
            }
        }
    }
}
