//! The samples of one series in the normal and in the incident window.

use automap_proto::incident::WindowRows;
use ndarray::ArrayView1;

/// Fewest normal values with which a series counts.
pub const MIN_NORMAL_VALUES: usize = 3;
/// Samples are clamped to this magnitude, which no quantity reaches, so that sums of squares stay finite.
const MAX_MAGNITUDE: f64 = 1e150;
/// Share of the largest incident value that stands in for the spread of a series that never varied.
const FALLBACK_SHARE: f64 = 0.05;
/// Least stand-in for a spread, in the unit of the series.
const MIN_SCALE: f64 = 1e-9;

/// Values of one series that counts, each window sorted. Missing samples are left out, never interpolated.
#[derive(Debug, Clone, PartialEq)]
pub struct SeriesWindows {
    normal: Vec<f64>,
    incident: Vec<f64>,
}

impl SeriesWindows {
    /// Takes the values of `samples`, one per row of the grid, out of the rows of both windows.
    ///
    /// `None` when the series does not count: fewer than [`MIN_NORMAL_VALUES`] normal values, no incident value, or
    /// one and the same value everywhere. O(rows · log rows).
    pub fn new(samples: ArrayView1<'_, f64>, rows: &WindowRows) -> Option<Self> {
        let values = |selected: &[usize]| -> Vec<f64> {
            let mut values: Vec<f64> = selected
                .iter()
                .filter_map(|&row| samples.get(row))
                .filter(|value| !value.is_nan())
                .map(|value| value.clamp(-MAX_MAGNITUDE, MAX_MAGNITUDE))
                .collect();
            values.sort_unstable_by(f64::total_cmp);
            values
        };
        let (normal, incident) = (values(&rows.normal), values(&rows.incident));
        let (lowest, highest) = (normal.first()?, normal.last()?);
        let (incident_lowest, incident_highest) = (incident.first()?, incident.last()?);
        let varies = lowest.min(*incident_lowest) < highest.max(*incident_highest);
        (normal.len() >= MIN_NORMAL_VALUES && varies).then_some(Self { normal, incident })
    }

    /// Normal values, ascending, at least [`MIN_NORMAL_VALUES`].
    pub fn normal(&self) -> &[f64] {
        &self.normal
    }

    /// Incident values, ascending, at least one.
    pub fn incident(&self) -> &[f64] {
        &self.incident
    }

    /// Standard deviation of the normal values (divisor n), exactly zero when they are all the same.
    pub fn normal_sigma(&self) -> f64 {
        if self.normal.first() == self.normal.last() {
            // The mean of equal values may be off by a rounding, which would pass for a spread.
            return 0.0;
        }
        let centre = mean(&self.normal);
        let squares: f64 = self.normal.iter().map(|value| (value - centre).powi(2)).sum();
        (squares / self.normal.len() as f64).sqrt()
    }

    /// Stands in for the spread of a series that never varied while normal: 5 % of the largest |value| in the
    /// incident, at least 1e-9.
    pub fn fallback_scale(&self) -> f64 {
        let ends = [self.incident.first(), self.incident.last()];
        let largest = ends.into_iter().flatten().fold(0.0, |largest: f64, value| largest.max(value.abs()));
        (FALLBACK_SHARE * largest).max(MIN_SCALE)
    }
}

/// The arithmetic mean; zero when there is no value.
pub(crate) fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    fn rows() -> WindowRows {
        WindowRows { normal: vec![0, 1, 2, 3], incident: vec![4, 5], exclusions_ignored: false }
    }

    #[test]
    fn missing_samples_are_left_out_and_never_filled() {
        let windows =
            SeriesWindows::new(array![3.0, f64::NAN, 1.0, 2.0, f64::NAN, 9.0].view(), &rows()).unwrap();
        assert_eq!(windows.normal(), [1.0, 2.0, 3.0]);
        assert_eq!(windows.incident(), [9.0]);
    }

    #[test]
    fn series_with_too_few_values_or_none_that_differ_do_not_count() {
        let nan = f64::NAN;
        for samples in [
            array![1.0, 2.0, nan, nan, 3.0, 4.0],
            array![1.0, 2.0, 3.0, 4.0, nan, nan],
            array![5.0, 5.0, 5.0, 5.0, 5.0, 5.0],
            array![nan, nan, nan, nan, nan, nan],
        ] {
            assert_eq!(SeriesWindows::new(samples.view(), &rows()), None, "{samples}");
        }
        assert!(SeriesWindows::new(array![5.0, 5.0, 5.0, 5.0, 5.0, 6.0].view(), &rows()).is_some());
        assert!(SeriesWindows::new(array![5.0, 5.0, 5.0, 5.0, 4.0, 5.0].view(), &rows()).is_some());
    }

    #[test]
    fn a_constant_has_no_spread_whatever_the_rounding_of_its_mean() {
        let windows = SeriesWindows::new(array![0.1, 0.1, 0.1, 0.1, 0.2, 0.2].view(), &rows()).unwrap();
        assert_eq!(windows.normal_sigma(), 0.0);
        assert!((windows.fallback_scale() - 0.01).abs() < 1e-15);
    }

    #[test]
    fn the_standard_deviation_divides_by_n() {
        let windows = SeriesWindows::new(array![2.0, 4.0, 4.0, 6.0, 0.0, 0.0].view(), &rows()).unwrap();
        assert!((windows.normal_sigma() - 2.0_f64.sqrt()).abs() < 1e-15);
        assert_eq!(windows.fallback_scale(), 1e-9);
    }
}
