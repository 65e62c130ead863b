//! One series per service and metric type, freed of its location and scale.

use automap_proto::{frame::MetricFrame, metric::MetricKind};
use ndarray::{Array2, ArrayViewMut1, Axis};

/// A series whose largest deviation from its mean is below this share of its largest absolute value varies by
/// rounding alone and counts as constant.
const ROUNDING: f64 = 1e-13;

/// The first series (plain name, then alphabetical) of one metric type of every service, over the given rows.
///
/// Shape: services × rows, in the order of [`MetricFrame::services`] and of `rows`, in the unit of the metric. NaN
/// where a sample, or the whole series, is missing. A row beyond the frame is a missing sample.
///
/// # Complexity
/// O(services · rows).
pub fn select(frame: &MetricFrame, rows: &[usize], kind: MetricKind) -> Array2<f64> {
    let mut selected = Array2::from_elem((frame.services().len(), rows.len()), f64::NAN);
    for (service, mut target) in selected.rows_mut().into_iter().enumerate() {
        if let Some(series) = frame.series_of_kind(service, kind).next() {
            let samples = frame.samples(series);
            for (value, &row) in target.iter_mut().zip(rows) {
                *value = samples.get(row).copied().unwrap_or(f64::NAN);
            }
        }
    }
    selected
}

/// The varying series of one metric type, standardised.
#[derive(Debug, Clone)]
pub struct Standardised {
    /// Services whose series varies, ascending.
    members: Vec<usize>,
    /// members × rows: mean 0 and sum of squares 1 over the samples that are there, 0 where one is missing.
    values: Array2<f64>,
    /// members × rows: 1 where a sample is there, 0 elsewhere. `None` when nothing is missing.
    presence: Option<Array2<f64>>,
    services: usize,
}

impl Standardised {
    /// Standardises `selected`, shape services × rows. Series that are constant or hold no sample are left out.
    ///
    /// # Complexity
    /// O(services · rows).
    pub fn new(mut selected: Array2<f64>) -> Self {
        let services = selected.nrows();
        let (mut members, mut gaps) = (Vec::new(), Vec::new());
        for (service, mut series) in selected.rows_mut().into_iter().enumerate() {
            let absent: Vec<usize> =
                series.iter().enumerate().filter(|(_, value)| value.is_nan()).map(|(row, _)| row).collect();
            if standardise(&mut series) {
                gaps.extend(absent.into_iter().map(|row| (members.len(), row)));
                members.push(service);
            }
        }
        // Most selections lack nothing: neither of the two takes memory then.
        let is_ready = members.len() == services && selected.is_standard_layout();
        let values = if is_ready { selected } else { selected.select(Axis(0), &members) };
        let presence = (!gaps.is_empty()).then(|| {
            let mut presence = Array2::ones(values.raw_dim());
            for gap in gaps {
                presence[gap] = 0.0;
            }
            presence
        });
        Self { values, members, presence, services }
    }

    /// Services whose series varies, ascending.
    pub fn members(&self) -> &[usize] {
        &self.members
    }

    /// members × rows: mean 0 and sum of squares 1 over the samples that are there, 0 where one is missing.
    pub const fn values(&self) -> &Array2<f64> {
        &self.values
    }

    /// members × rows: 1 where a sample is there, 0 elsewhere. `None` when no member misses a sample.
    pub const fn presence(&self) -> Option<&Array2<f64>> {
        self.presence.as_ref()
    }

    /// All services, those left out included.
    pub const fn services(&self) -> usize {
        self.services
    }

    /// Rows of the selection.
    pub fn rows(&self) -> usize {
        self.values.ncols()
    }
}

/// Standardises one series in place and puts 0 for what is missing. `false`, with the series in an unspecified
/// state, when it does not vary.
fn standardise(series: &mut ArrayViewMut1<'_, f64>) -> bool {
    // Scaled to 1 first, so that neither sums nor squares of any finite sample overflow or vanish.
    let largest = series
        .iter()
        .filter(|value| !value.is_nan())
        .fold(0.0_f64, |largest, value| largest.max(value.abs()));
    if largest == 0.0 {
        return false;
    }
    series.mapv_inplace(|value| value / largest);
    let (mut sum, mut count) = (0.0, 0_usize);
    for value in series.iter().filter(|value| !value.is_nan()) {
        sum += value;
        count += 1;
    }
    let mean = sum / count as f64;
    series.mapv_inplace(|value| if value.is_nan() { 0.0 } else { value - mean });
    let deviation = series.iter().fold(0.0_f64, |most, value| most.max(value.abs()));
    if deviation <= ROUNDING {
        return false;
    }
    let squares: f64 = series.iter().map(|value| (value / deviation).powi(2)).sum();
    let norm = deviation * squares.sqrt();
    series.mapv_inplace(|value| value / norm);
    true
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;
    use crate::test_frames::{frame_of, key};

    #[test]
    fn the_plain_series_is_taken_and_absent_ones_are_missing() {
        let frame = frame_of(
            vec![
                key("a", MetricKind::Latency, "client-latency"),
                key("a", MetricKind::Latency, "latency"),
                key("b", MetricKind::Cpu, "cpu"),
            ],
            array![[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [7.0, 8.0, 9.0]],
        );
        let selected = select(&frame, &[0, 2, 99], MetricKind::Latency);
        assert_eq!(selected.row(0).to_vec()[..2], [4.0, 6.0]);
        assert!(selected[[0, 2]].is_nan() && selected.row(1).iter().all(|value| value.is_nan()));
    }

    #[test]
    fn mean_is_zero_and_length_one_over_what_is_there() {
        let standardised = Standardised::new(array![[1.0, f64::NAN, 2.0, 4.0], [5.0, 5.0, 5.0, 5.0]]);
        assert_eq!(standardised.members(), [0]);
        let row = standardised.values().row(0);
        assert!(row.sum().abs() < 1e-15 && (row.dot(&row) - 1.0).abs() < 1e-15);
        assert_eq!(row[1], 0.0);
        assert_eq!(standardised.presence().unwrap().row(0).to_vec(), [1.0, 0.0, 1.0, 1.0]);
    }

    #[test]
    fn constant_missing_and_rounding_series_do_not_vary() {
        let standardised = Standardised::new(array![
            [0.0, 0.0, 0.0],
            [f64::NAN, f64::NAN, f64::NAN],
            [0.1 + 0.2, 0.3, 0.3],
            [f64::NAN, 7.0, f64::NAN],
            [-3.0, -3.0, f64::NAN],
        ]);
        assert_eq!(standardised.members(), [0_usize; 0]);
        assert_eq!((standardised.services(), standardised.rows()), (5, 3));
    }

    #[test]
    fn extreme_magnitudes_neither_overflow_nor_vanish() {
        let standardised = Standardised::new(array![[f64::MAX, f64::MIN, 0.0], [1e-300, 2e-300, 4e-300]]);
        assert_eq!(standardised.members(), [0, 1]);
        assert!(standardised.values().iter().all(|value| value.is_finite()));
    }
}
