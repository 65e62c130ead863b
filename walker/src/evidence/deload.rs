//! Step 4, deload: what a resource uses because it is called more often, or less often, is no deviation.
//!
//! Within the normal range of throughput that is b·(throughput − median). Beyond it the line is not known to hold. Where calls
//! are more than ever, no more is taken off than at the edge of the range. Where they are fewer than ever, cpu and io may
//! be anything between their use at the edge and a use in proportion to the calls: a service that nobody calls does
//! nothing, and that is the fault of its callers.

use automap_proto::{frame::MetricFrame, metric::MetricKind};

/// Fewest rows with both samples from which a slope is taken; one that chance could make shrinks to nothing.
const MIN_ROWS: usize = 5;

/// How a resource of a service follows the service's own throughput in normal times.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Load {
    /// b, units of the resource per request/s.
    slope: f64,
    /// Median throughput, requests/s.
    centre: f64,
    /// Normal range of throughput: beyond it the line is not known to hold.
    lowest: f64,
    highest: f64,
    /// What the resource uses at the median throughput, where it is used for calls: cpu and io.
    usual: Option<f64>,
}

impl Load {
    /// Whether the load is taken off series of this type.
    pub const fn applies_to(kind: MetricKind) -> bool {
        matches!(kind, MetricKind::Cpu | MetricKind::Memory | MetricKind::Io)
    }

    /// Fits b = least-squares slope × clip(1 − 1/(n r²), 0, 1) on the `normal` rows that have both samples: a slope
    /// that chance could make shrinks to nothing.
    ///
    /// `None` for fewer than five such rows, or where one of both never varies. O(rows · log rows).
    pub fn fit(frame: &MetricFrame, series: usize, throughput: usize, normal: &[usize]) -> Option<Self> {
        let (uses, calls) = (frame.samples(series), frame.samples(throughput));
        let pairs: Vec<(f64, f64)> = normal
            .iter()
            .map(|&row| (calls[row], uses[row]))
            .filter(|(call, used)| !call.is_nan() && !used.is_nan())
            .collect();
        if pairs.len() < MIN_ROWS {
            return None;
        }
        let count = pairs.len() as f64;
        let mean_calls = pairs.iter().map(|(call, _)| call).sum::<f64>() / count;
        let mean_used = pairs.iter().map(|(_, used)| used).sum::<f64>() / count;
        let (mut both, mut of_calls, mut of_used) = (0.0, 0.0, 0.0);
        for (call, used) in &pairs {
            let (call, used) = (call - mean_calls, used - mean_used);
            both += call * used;
            of_calls += call * call;
            of_used += used * used;
        }
        let explained = both * both / (of_calls * of_used);
        let slope = both / of_calls * (1.0 - 1.0 / (count * explained)).clamp(0.0, 1.0);
        if !slope.is_finite() {
            return None;
        }
        let mut calls: Vec<f64> = pairs.iter().map(|(call, _)| *call).collect();
        calls.sort_unstable_by(f64::total_cmp);
        let (lowest, highest) = (*calls.first()?, *calls.last()?);
        let centre = crate::percentile::median(&calls);
        let usual = (frame.series()[series].metric != MetricKind::Memory)
            .then_some(mean_used + slope * (centre - mean_calls))
            .filter(|usual| usual.is_finite() && *usual > 0.0 && centre > 0.0);
        Some(Self { slope, centre, lowest, highest, usual })
    }

    /// What the load adds to the resource, in its unit, at this throughput and use of it. Nothing where the throughput is
    /// missing.
    pub fn part(&self, throughput: f64, used: f64) -> f64 {
        if throughput.is_nan() {
            return 0.0;
        }
        let at_edge = self.slope * (throughput.clamp(self.lowest, self.highest) - self.centre);
        match self.usual {
            Some(usual) if throughput < self.lowest => {
                let in_proportion = usual * (throughput.max(0.0) / self.centre - 1.0);
                // The nearest of those values to what would leave nothing unexplained.
                (used - usual).max(in_proportion).min(at_edge)
            }
            _ => at_edge,
        }
    }
}

#[cfg(test)]
mod tests {
    use ndarray::Array1;

    use super::*;
    use crate::test_frames::{TestSeries, frame_of};

    fn frame(uses: impl Fn(f64) -> f64) -> MetricFrame {
        let calls = |row: usize| (row % 4) as f64 * 10.0;
        let series = |metric, name, value: &dyn Fn(usize) -> f64| TestSeries {
            service: "cart",
            metric,
            name,
            samples: Array1::from_iter((0..12).map(value)),
        };
        frame_of(&[
            series(MetricKind::Throughput, "throughput", &calls),
            series(MetricKind::Cpu, "cpu", &|row| uses(calls(row))),
        ])
    }

    fn fit(frame: &MetricFrame, rows: usize) -> Option<Load> {
        Load::fit(frame, 1, 0, &(0..rows).collect::<Vec<_>>())
    }

    #[test]
    fn a_load_worked_by_hand() {
        // Exactly linear: r² = 1, so that b = .5 · (1 − 1/12); the median of 0 10 20 30 is 15.
        let load = fit(&frame(|calls| 2.0 + 0.5 * calls), 12).unwrap();
        let slope = 0.5 * 11.0 / 12.0;
        assert!((load.part(25.0, 0.0) - slope * 10.0).abs() < 1e-12);
        assert!((load.part(900.0, 0.0) - slope * 15.0).abs() < 1e-12, "clipped to the normal range");
        assert_eq!(load.part(f64::NAN, 0.0), 0.0);
    }

    #[test]
    fn fewer_calls_than_ever_explain_any_use_between_the_edge_of_the_range_and_their_share() {
        // Calls 10 to 40, median 25, use 2 + 0.5 · calls, so 14.5 there.
        let calls = |row: usize| 10.0 + (row % 4) as f64 * 10.0;
        let series = |metric: MetricKind, value: &dyn Fn(usize) -> f64| TestSeries {
            service: "cart",
            metric,
            name: metric.name(),
            samples: Array1::from_iter((0..12).map(value)),
        };
        let uses = |row: usize| 2.0 + 0.5 * calls(row);
        let both = [MetricKind::Io, MetricKind::Memory].map(|kind| {
            let frame = frame_of(&[series(MetricKind::Throughput, &calls), series(kind, &uses)]);
            let index = frame.series_of_kind(0, kind).start;
            let throughput = frame.series_of_kind(0, MetricKind::Throughput).start;
            Load::fit(&frame, index, throughput, &(0..12).collect::<Vec<_>>()).unwrap()
        });
        let at_edge = -0.5 * 11.0 / 12.0 * 15.0;
        let close =
            |found: f64, expected: f64| assert!((found - expected).abs() < 1e-9, "{found} {expected}");
        close(both[0].part(5.0, 4.5), 4.5 - 14.5);
        close(both[0].part(5.0, 1.0), 14.5 * (5.0 / 25.0 - 1.0));
        close(both[0].part(5.0, 9.0), at_edge);
        close(both[0].part(5.0, 90.0), at_edge);
        close(both[0].part(0.0, 0.0), -14.5);
        close(both[1].part(5.0, 4.5), at_edge);
    }

    #[test]
    fn few_rows_or_no_correlation_are_no_load() {
        let linear = frame(|calls| calls);
        assert!(fit(&linear, 5).is_some() && fit(&linear, 4).is_none());
        assert_eq!(fit(&frame(|_| 5.0), 12), None);
        assert!(Load::applies_to(MetricKind::Memory) && !Load::applies_to(MetricKind::Latency));
    }
}
