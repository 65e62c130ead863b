//! The baseline `baro`: the largest rise above the normal median, in interquartile ranges.
//!
//! Per series max over incident rows of (x − median(normal)) / IQR(normal), and a service scores the largest of its
//! series: the robust scorer of Pham, Ha and Zhang, *BARO: Robust Root Cause Analysis for Microservices via
//! Multivariate Bayesian Online Change Point Detection*, FSE 2024, section 3.3, as the authors' code computes it: a
//! fall below the median counts for nothing. Its change point detection is left out: here the alert's time is given. A
//! series without an interquartile range counts as having one of 1, as the scaler that the authors use does; that
//! choice decides wherever half of the normal samples are equal. Missing samples are left out; the authors fill them
//! with the sample before.

use automap_proto::{frame::MetricFrame, incident::WindowRows, metric::MetricKind, ranking::Direction};

use crate::{
    percentile::{median, percentile},
    series_windows::SeriesWindows,
    service_evidence::{Departure, ServiceEvidence, furthest_per_metric},
};

/// The score of every service of the frame, in its order: total is the largest number of interquartile ranges.
/// O(series · rows · log rows).
pub fn baro(frame: &MetricFrame, rows: &WindowRows) -> Vec<ServiceEvidence> {
    furthest_per_metric(frame, rows, &MetricKind::MEASURED, departure)
        .into_iter()
        .map(|evidence| ServiceEvidence {
            total: evidence.first().map_or(0.0, |largest| largest.deviation.exp_m1().min(f64::MAX)),
            evidence,
        })
        .collect()
}

fn departure(windows: &SeriesWindows) -> Departure {
    let normal = windows.normal();
    let centre = median(normal);
    let range = percentile(normal, 0.75) - percentile(normal, 0.25);
    let scale = if range > 0.0 { range } else { 1.0 };
    // The values are sorted.
    let above = windows.incident().last().map_or(0.0, |highest| highest - centre);
    Departure { spreads: above.max(0.0) / scale, direction: Direction::Up }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;
    use crate::test_frames::{TestSeries, frame_of};

    fn rows() -> WindowRows {
        WindowRows { normal: (0..5).collect(), incident: vec![5, 6], exclusions_ignored: false }
    }

    #[test]
    fn the_largest_rise_in_interquartile_ranges_is_the_score() {
        // Normal 1 2 3 4 100: median 3, quartiles 2 and 4. Incident 4 and -70: 1/2 up. The outlier changes nothing.
        let frame = frame_of(&[TestSeries {
            service: "a",
            metric: MetricKind::Cpu,
            name: "cpu",
            samples: array![1.0, 3.0, 2.0, 100.0, 4.0, 4.0, -70.0],
        }]);
        let found = baro(&frame, &rows());
        assert!((found[0].total - 0.5).abs() < 1e-12);
        assert_eq!(found[0].evidence[0].direction, Direction::Up);
    }

    #[test]
    fn a_series_without_an_interquartile_range_is_measured_in_its_own_unit() {
        let frame = frame_of(&[TestSeries {
            service: "a",
            metric: MetricKind::Availability,
            name: "availability",
            samples: array![0.0, 0.0, 0.0, 0.0, 1.0, 0.25, 0.0],
        }]);
        assert!((baro(&frame, &rows())[0].total - 0.25).abs() < 1e-12);
    }
}
