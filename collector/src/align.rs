//! Puts rows onto a uniform time grid.

use automap_proto::time::{TimeGrid, UnixMillis};

use crate::error::CollectError;

/// A grid may always have this many points.
const FREE_POINTS: u64 = 10_000;
/// Beyond, it may have this many points per row.
const POINTS_PER_ROW: u64 = 20;
/// A median distance this near to whole seconds is meant to be whole seconds, relative.
const WHOLE_SECOND_TOLERANCE: f64 = 0.01;
/// The step of a single row, which has no distance to another.
const LONE_ROW_STEP_MS: u64 = 1000;

/// Which row each point of a grid takes its samples from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Alignment {
    grid: TimeGrid,
    rows: Vec<Option<usize>>,
    /// Every row stands on its own grid point, in order: nothing has to be moved.
    unchanged: bool,
    merged: usize,
}

impl Alignment {
    /// Aligns rows at `times`, which `order` (indices into `times`) sorts without duplicates, to a grid that is
    /// anchored at the earliest of them.
    ///
    /// The step is `step_ms`, else the lower median of the distances of neighbours, rounded to whole seconds when
    /// within 1 % of them: sources sample at whole seconds and stamp with jitter, and a median that is off by 3
    /// ms drifts by half a step of 5 s within 833 samples. Each row goes to the nearest grid point (half-way: the
    /// later one). Of two rows on one point the nearer stays (tie: the later), whole.
    ///
    /// # Errors
    /// The grid would have more than max(10,000, 20 per row) points, or more than a frame can hold.
    ///
    /// # Complexity
    /// O(rows + points).
    pub(crate) fn new(
        file: &str,
        times: &[UnixMillis],
        order: &[usize],
        step_ms: Option<u64>,
    ) -> Result<Self, CollectError> {
        let (Some(&first_row), Some(&last_row)) = (order.first(), order.last()) else {
            return Err(CollectError::malformed(format!("{file} holds no rows")));
        };
        let start = times[first_row];
        let step = step_ms.unwrap_or_else(|| median_distance(times, order)).max(1);
        let point = |time: UnixMillis| {
            let offset = time.0.abs_diff(start.0);
            let index = (offset + step / 2) / step;
            (index, offset.abs_diff(index * step))
        };
        let last_point = point(times[last_row]).0;
        let rows = order.len() as u64;
        if last_point >= FREE_POINTS.max(rows.saturating_mul(POINTS_PER_ROW)) {
            return Err(CollectError::malformed(format!(
                "{file}: {rows} rows from {} to {} (unix seconds) on a grid of {} s take {} points; set step_seconds to \
                 the distance of the rows, or cut the file to the incident and the time before it",
                start.seconds(),
                times[last_row].seconds(),
                step as f64 / 1000.0,
                last_point + 1
            )));
        }
        let grid = TimeGrid::new(start, step, last_point as usize + 1)?;
        let mut taken: Vec<Option<(usize, u64)>> = vec![None; grid.samples()];
        let mut merged = 0;
        for &row in order {
            let (index, distance) = point(times[row]);
            let place = &mut taken[index as usize];
            merged += usize::from(place.is_some());
            if place.is_none_or(|(_, earlier)| distance <= earlier) {
                *place = Some((row, distance));
            }
        }
        let source: Vec<Option<usize>> = taken.iter().map(|place| place.map(|(row, _)| row)).collect();
        let unchanged =
            source.len() == times.len() && source.iter().enumerate().all(|(index, row)| *row == Some(index));
        Ok(Self { grid, rows: source, unchanged, merged })
    }

    /// The grid.
    pub(crate) const fn grid(&self) -> TimeGrid {
        self.grid
    }

    /// Rows that gave way to another one on their grid point.
    pub(crate) const fn merged(&self) -> usize {
        self.merged
    }

    /// The samples of a column at the grid points; NaN where no row is. Costs nothing when rows and points are
    /// the same.
    pub(crate) fn place(&self, column: Vec<f64>) -> Vec<f64> {
        if self.unchanged {
            return column;
        }
        self.rows.iter().map(|row| row.map_or(f64::NAN, |index| column[index])).collect()
    }
}

/// Lower median of the distances of neighbours, milliseconds.
fn median_distance(times: &[UnixMillis], order: &[usize]) -> u64 {
    let mut distances: Vec<u64> =
        order.windows(2).map(|pair| times[pair[1]].0.abs_diff(times[pair[0]].0)).collect();
    if distances.is_empty() {
        return LONE_ROW_STEP_MS;
    }
    let middle = (distances.len() - 1) / 2;
    let median = *distances.select_nth_unstable(middle).1;
    let whole = median.saturating_add(500) / 1000 * 1000;
    let error = median.abs_diff(whole) as f64;
    if whole > 0 && error <= WHOLE_SECOND_TOLERANCE * median as f64 { whole } else { median }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn align(milliseconds: &[i64], step_ms: Option<u64>) -> Result<Alignment, CollectError> {
        let times: Vec<_> = milliseconds.iter().copied().map(UnixMillis).collect();
        let order: Vec<usize> = (0..times.len()).collect();
        Alignment::new("m.csv", &times, &order, step_ms)
    }

    fn rows(milliseconds: &[i64], step_ms: Option<u64>) -> Vec<Option<usize>> {
        align(milliseconds, step_ms).unwrap().rows
    }

    #[test]
    fn rows_on_the_grid_stay_as_they_are() {
        let aligned = align(&[5_000, 10_000, 15_000], None).unwrap();
        assert!(aligned.unchanged);
        assert_eq!(aligned.grid(), TimeGrid::new(UnixMillis(5_000), 5_000, 3).unwrap());
        let column = vec![1.0, 2.0, 3.0];
        assert_eq!(aligned.place(column.clone()), column);
    }

    #[test]
    fn gaps_are_missing_samples() {
        let aligned = align(&[0, 1000, 2000, 5000, 6000], None).unwrap();
        let placed = aligned.place(vec![1.0, 2.0, 3.0, 4.0, 5.0]);
        let missing: Vec<bool> = placed.iter().map(|value| value.is_nan()).collect();
        assert_eq!(missing, [false, false, false, true, true, false, false]);
        assert_eq!(placed[5], 4.0);
    }

    #[test]
    fn jitter_is_snapped_and_does_not_drift() {
        let times: Vec<i64> =
            (0..2000).map(|index| index * 5000 + [0, 13, -40, 90, -61][index as usize % 5]).collect();
        let aligned = align(&times, None).unwrap();
        assert_eq!(aligned.grid().step_ms(), 5000);
        assert!(aligned.unchanged);
        assert_eq!(align(&[0, 700, 1400, 2100], None).unwrap().grid().step_ms(), 700);
    }

    #[test]
    fn of_two_rows_on_a_point_the_nearer_stays_and_of_equals_the_later() {
        assert_eq!(rows(&[0, 1000, 1400, 2000], Some(1000)), [Some(0), Some(1), Some(3)]);
        assert_eq!(rows(&[0, 700, 900, 2000], Some(1000)), [Some(0), Some(2), Some(3)]);
        assert_eq!(rows(&[0, 900, 1100, 2000], Some(1000)), [Some(0), Some(2), Some(3)]);
        assert_eq!(align(&[0, 900, 1100, 2000], Some(1000)).unwrap().merged(), 1);
    }

    #[test]
    fn the_order_decides_which_row_is_first() {
        let times = [3000, 1000, 2000].map(UnixMillis);
        let aligned = Alignment::new("m.csv", &times, &[1, 2, 0], None).unwrap();
        assert_eq!(aligned.rows, [Some(1), Some(2), Some(0)]);
        assert_eq!(aligned.place(vec![3.0, 1.0, 2.0]), [1.0, 2.0, 3.0]);
    }

    #[test]
    fn a_far_outlier_is_refused_with_span_and_step() {
        let error = align(&[0, 1000, 2000, 86_400_000], None).unwrap_err();
        assert_eq!(
            error.to_string(),
            "m.csv: 4 rows from 0 to 86400 (unix seconds) on a grid of 1 s take 86401 points; set step_seconds to the \
             distance of the rows, or cut the file to the incident and the time before it"
        );
        assert!(align(&[0, 1000, 2000, 9_999_000], None).is_ok());
        assert!(align(&[0, 1000, 2000, 10_000_000], None).is_err());
        let hostile = [-62_135_596_800_000, 253_402_300_799_000];
        assert!(align(&hostile, Some(1)).is_err());
    }

    #[test]
    fn a_lone_row_is_a_grid_of_one_point() {
        assert_eq!(align(&[7000], None).unwrap().grid().samples(), 1);
    }
}
