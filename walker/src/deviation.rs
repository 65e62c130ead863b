//! The deviation of each service from its own normal behaviour, the evidence of the default method.
//!
//! For every series that counts, with m and s the median and the scale of its normal values:
//!
//! ```text
//! deviation = ln(1 + max(P80(incident) − m, m − P20(incident), 0) / s)
//! s = max(1.48·MAD, σ/4, 2 % of |m|, (P97.5 − P2.5)/4); where that is nothing, 5 % of the largest incident value
//! ```
//!
//! The scale takes the largest of four measures of spread because each alone is fooled by some real series: MAD is
//! zero for counters that rest most of the time, σ is blown up by one outlier, and both are tiny for series that are
//! almost constant. The largest series of each metric type is kept, and the types of a service are summed.

use automap_proto::{frame::MetricFrame, incident::WindowRows, metric::MetricKind, ranking::Direction};

use crate::{
    percentile::{median, percentile},
    series_windows::SeriesWindows,
    service_evidence::{Departure, ServiceEvidence, furthest_per_metric},
};

/// Makes the median absolute deviation of a normal distribution its standard deviation.
const MAD_TO_SIGMA: f64 = 1.48;
/// A scale of this or less is no spread but rounding.
const NO_SPREAD: f64 = 1e-12;

/// The evidence a_i of every service of the frame, in its order: total is Σ over metric types.
///
/// A NaN sample is left out, never interpolated; what counts as a series is told by [`SeriesWindows::new`].
/// O(series · rows · log rows).
pub fn deviations(frame: &MetricFrame, rows: &WindowRows) -> Vec<ServiceEvidence> {
    furthest_per_metric(frame, rows, &MetricKind::ALL, departure)
        .into_iter()
        // Summed in falling order, so that services with equal deviations have equal totals whatever the types.
        .map(|evidence| ServiceEvidence { total: evidence.iter().map(|item| item.deviation).sum(), evidence })
        .collect()
}

/// How far the incident's 80th or 20th percentile lies from the normal median, in units of the robust scale.
fn departure(windows: &SeriesWindows) -> Departure {
    let centre = median(windows.normal());
    let scale = robust_scale(windows, centre);
    let above = percentile(windows.incident(), 0.8) - centre;
    let below = centre - percentile(windows.incident(), 0.2);
    let (distance, direction) =
        if above >= below { (above, Direction::Up) } else { (below, Direction::Down) };
    Departure { spreads: distance.max(0.0) / scale, direction }
}

/// s of the module's formula; positive.
fn robust_scale(windows: &SeriesWindows, centre: f64) -> f64 {
    let normal = windows.normal();
    let mut distances: Vec<f64> = normal.iter().map(|value| (value - centre).abs()).collect();
    distances.sort_unstable_by(f64::total_cmp);
    let scale = (MAD_TO_SIGMA * median(&distances))
        .max(windows.normal_sigma() / 4.0)
        .max(0.02 * centre.abs())
        .max((percentile(normal, 0.975) - percentile(normal, 0.025)) / 4.0);
    if scale <= NO_SPREAD { windows.fallback_scale() } else { scale }
}

#[cfg(test)]
mod tests {
    use ndarray::{Array1, Array2};
    use proptest::prelude::*;

    use super::*;
    use crate::test_frames::{TestSeries, frame_of};

    fn split(normal: usize, incident: usize) -> WindowRows {
        WindowRows {
            normal: (0..normal).collect(),
            incident: (normal..normal + incident).collect(),
            exclusions_ignored: false,
        }
    }

    fn series(name: &'static str, metric: MetricKind, samples: &[f64]) -> TestSeries {
        TestSeries { service: "cart", metric, name, samples: Array1::from(samples.to_vec()) }
    }

    #[test]
    fn a_deviation_worked_by_hand() {
        // normal 10 12 11 9 10: median 10, MAD 1, sigma sqrt(1.04), 2 % of the median .2,
        // P2.5 9.1 and P97.5 11.9, so (P97.5 - P2.5)/4 = .7; s = 1.48. incident 20 30: P80 28, so 18/1.48.
        let frame = frame_of(&[series("cpu", MetricKind::Cpu, &[10.0, 12.0, 11.0, 9.0, 10.0, 20.0, 30.0])]);
        let found = deviations(&frame, &split(5, 2));
        let expected = (1.0_f64 + 18.0 / 1.48).ln();
        assert!((found[0].total - expected).abs() < 1e-12);
        assert_eq!(found[0].evidence[0].direction, Direction::Up);
        assert_eq!(found[0].evidence[0].series, "cpu");
    }

    #[test]
    fn a_fall_counts_as_much_as_a_rise_and_says_so() {
        let frame = frame_of(&[series("cpu", MetricKind::Cpu, &[10.0, 12.0, 11.0, 9.0, 10.0, 0.0, -10.0])]);
        let found = deviations(&frame, &split(5, 2));
        assert!((found[0].total - (1.0_f64 + 18.0 / 1.48).ln()).abs() < 1e-12);
        assert_eq!(found[0].evidence[0].direction, Direction::Down);
    }

    #[test]
    fn the_largest_series_of_a_type_counts_once_and_types_add() {
        let small = [10.0, 12.0, 11.0, 9.0, 10.0, 12.0, 12.0];
        let large = [10.0, 12.0, 11.0, 9.0, 10.0, 50.0, 50.0];
        let frame = frame_of(&[
            series("latency", MetricKind::Latency, &small),
            series("latency-p99", MetricKind::Latency, &large),
            series("cpu", MetricKind::Cpu, &small),
        ]);
        let found = deviations(&frame, &split(5, 2));
        let names: Vec<&str> = found[0].evidence.iter().map(|item| item.series.as_str()).collect();
        assert_eq!(names, ["latency-p99", "cpu"]);
        let expected = (1.0_f64 + 40.0 / 1.48).ln() + (1.0_f64 + 2.0 / 1.48).ln();
        assert!((found[0].total - expected).abs() < 1e-12);
    }

    #[test]
    fn a_series_that_rested_at_zero_is_measured_by_its_incident_values() {
        // s = 5 % of 4: deviation ln(1 + 4/.2).
        let frame = frame_of(&[series("cpu", MetricKind::Cpu, &[0.0, 0.0, 0.0, 4.0])]);
        let found = deviations(&frame, &split(3, 1));
        assert!((found[0].total - 21.0_f64.ln()).abs() < 1e-12);
    }

    #[test]
    fn a_series_that_stayed_normal_or_does_not_count_is_no_evidence() {
        let frame = frame_of(&[
            series("cpu", MetricKind::Cpu, &[1.0, 2.0, 3.0, 2.0, 2.0]),
            series("memory", MetricKind::Memory, &[7.0; 5]),
            series("io", MetricKind::Io, &[f64::NAN; 5]),
        ]);
        assert_eq!(deviations(&frame, &split(3, 2)), [ServiceEvidence::default()]);
    }

    proptest! {
        #[test]
        fn every_deviation_is_finite_and_not_negative(
            samples in proptest::collection::vec(
                prop_oneof![any::<f64>(), Just(f64::NAN), Just(f64::MAX), Just(f64::MIN), Just(0.0), -1e3..1e3],
                12,
            ),
        ) {
            let values = Array2::from_shape_vec((2, 6), samples).unwrap();
            let frame = frame_of(&[
                TestSeries { service: "a", metric: MetricKind::Cpu, name: "cpu", samples: values.row(0).to_owned() },
                TestSeries { service: "a", metric: MetricKind::Io, name: "io", samples: values.row(1).to_owned() },
            ]);
            for found in deviations(&frame, &split(3, 3)) {
                prop_assert!(found.total.is_finite() && found.total >= 0.0);
                prop_assert!(found.evidence.iter().all(|item| item.deviation.is_finite() && item.deviation > 0.0));
            }
        }

        #[test]
        fn a_change_of_unit_changes_nothing(
            samples in proptest::collection::vec(1.0..100.0_f64, 12),
            unit in prop_oneof![Just(1000.0), Just(0.001), Just(64.0)],
        ) {
            let one = frame_of(&[series("cpu", MetricKind::Cpu, &samples)]);
            let scaled: Vec<f64> = samples.iter().map(|value| value * unit).collect();
            let other = frame_of(&[series("cpu", MetricKind::Cpu, &scaled)]);
            let rows = split(8, 4);
            prop_assert!((deviations(&one, &rows)[0].total - deviations(&other, &rows)[0].total).abs() < 1e-9);
        }
    }
}
