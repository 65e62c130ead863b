//! How much data a window had.

use automap_proto::{frame::MetricFrame, ranking::WindowSummary};

/// Summarises `rows` of the frame, which ascend and hold samples. `None` when there is none.
///
/// The missing fraction is taken over all series in those rows. O(series · rows).
pub fn summarise(frame: &MetricFrame, rows: &[usize]) -> Option<WindowSummary> {
    let grid = frame.grid();
    let selected: Vec<usize> = rows.iter().copied().filter(|&row| row < grid.samples()).collect();
    let (first, last) = (*selected.first()?, *selected.last()?);
    let missing: usize = frame
        .values()
        .rows()
        .into_iter()
        .map(|series| selected.iter().filter(|&&row| series[row].is_nan()).count())
        .sum();
    Some(WindowSummary {
        start: grid.time(first),
        end: grid.time(last),
        step_ms: grid.step_ms(),
        samples: selected.len(),
        missing_fraction: missing as f64 / (selected.len() * frame.series().len()) as f64,
    })
}

#[cfg(test)]
mod tests {
    use automap_proto::{metric::MetricKind, time::UnixMillis};
    use ndarray::array;

    use super::*;
    use crate::test_frames::{TestSeries, frame_of};

    #[test]
    fn missing_samples_are_counted_in_the_rows_of_the_window_only() {
        let nan = f64::NAN;
        let frame = frame_of(&[
            TestSeries {
                service: "a",
                metric: MetricKind::Cpu,
                name: "cpu",
                samples: array![nan, 1.0, nan, 2.0],
            },
            TestSeries {
                service: "b",
                metric: MetricKind::Cpu,
                name: "cpu",
                samples: array![nan, 1.0, 3.0, 2.0],
            },
        ]);
        let summary = summarise(&frame, &[1, 2, 3]).unwrap();
        assert_eq!((summary.start, summary.end), (UnixMillis(5_000), UnixMillis(15_000)));
        assert_eq!((summary.samples, summary.step_ms), (3, 5_000));
        assert!((summary.missing_fraction - 1.0 / 6.0).abs() < 1e-15);
        assert_eq!(summarise(&frame, &[]), None);
    }
}
