//! Step 1, series: the values of one series, its load taken off, in normal rows and in those of an incident.
//!
//! A missing sample is left out, never interpolated.

use std::ops::Range;

/// Fewest normal values with which a series counts.
const MIN_NORMAL_VALUES: usize = 3;
/// Values are clamped to this magnitude, which no quantity reaches, so that sums of squares stay finite.
const MAX_MAGNITUDE: f64 = 1e150;

/// The values that are there, clamped to what can be squared.
pub(crate) fn clamped(values: impl Iterator<Item = f64>) -> Vec<f64> {
    values.filter(|value| !value.is_nan()).map(|value| value.clamp(-MAX_MAGNITUDE, MAX_MAGNITUDE)).collect()
}

/// Whether a series counts: three normal values, which ascend, one in the incident, and not all alike.
pub(crate) fn counts(normal: &[f64], incident: &[f64]) -> bool {
    let (Some(&lowest), Some(&highest)) = (normal.first(), normal.last()) else {
        return false;
    };
    normal.len() >= MIN_NORMAL_VALUES
        && !incident.is_empty()
        && (lowest < highest || incident.iter().any(|value| *value != lowest))
}

/// Values of one series, sorted once, from which every window of normal rows can be taken in one pass.
#[derive(Debug, Clone, PartialEq)]
pub struct SeriesValues {
    /// (value, position among the normal rows), by value.
    normal: Vec<(f64, usize)>,
    /// Ascending.
    incident: Vec<f64>,
}

/// Values of a window and of the normal rows it is compared with, both ascending.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ComparedValues {
    /// Of the normal rows.
    pub normal: Vec<f64>,
    /// Of the window.
    pub window: Vec<f64>,
}

impl SeriesValues {
    /// Takes the values of `value`, a function of the row. O(rows · log rows).
    pub fn new(normal_rows: &[usize], incident_rows: &[usize], value: impl Fn(usize) -> f64) -> Self {
        let mut normal: Vec<(f64, usize)> = normal_rows
            .iter()
            .enumerate()
            .map(|(position, &row)| (value(row).clamp(-MAX_MAGNITUDE, MAX_MAGNITUDE), position))
            .filter(|(value, _)| !value.is_nan())
            .collect();
        normal.sort_unstable_by(|left, right| left.0.total_cmp(&right.0));
        let mut incident = clamped(incident_rows.iter().map(|&row| value(row)));
        incident.sort_unstable_by(f64::total_cmp);
        Self { normal, incident }
    }

    /// The incident against all normal rows. `None` when the series does not count. O(rows).
    pub fn incident(&self) -> Option<ComparedValues> {
        let normal: Vec<f64> = self.normal.iter().map(|(value, _)| *value).collect();
        counts(&normal, &self.incident).then(|| ComparedValues { normal, window: self.incident.clone() })
    }

    /// The normal rows at positions `window` against all others, into `compared`. False when the series does not
    /// count there. O(rows).
    pub fn placebo(&self, window: &Range<usize>, compared: &mut ComparedValues) -> bool {
        compared.normal.clear();
        compared.window.clear();
        for (value, position) in &self.normal {
            let side = if window.contains(position) { &mut compared.window } else { &mut compared.normal };
            side.push(*value);
        }
        counts(&compared.normal, &compared.window)
    }
}

#[cfg(test)]
mod tests {
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
        assert_eq!(compared, ComparedValues { normal: vec![1.0, 2.0, 3.0], window: vec![9.0] });
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
        let mut compared = ComparedValues::default();
        assert!(all.placebo(&(1..3), &mut compared));
        assert_eq!(compared, ComparedValues { normal: vec![2.0, 4.0, 5.0], window: vec![1.0, 3.0] });
        assert!(!all.placebo(&(0..3), &mut compared), "two normal values remain");
    }
}
