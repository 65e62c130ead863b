//! The baseline `n-sigma`: the largest distance from the normal mean, in standard deviations.
//!
//! Per series max over incident rows of |x − mean(normal)| / σ(normal), and a service scores the largest of its series:
//! the scorer of that name in Li et al., *Causal Inference-Based Root Cause Analysis for Online Service Systems with
//! Intervention Recognition* (CIRCA), KDD 2022. A series that was constant while normal has σ = 1 there and here. It reads
//! measured series only: congestion is derived for the graph methods.

use automap_proto::{frame::MetricFrame, incident::WindowRows, metric::MetricKind, ranking::Direction};

use crate::{
    series_windows::{SeriesWindows, mean},
    service_evidence::{Departure, ServiceEvidence, furthest_per_metric},
};

/// The score of every service of the frame, in its order: total is the largest number of standard deviations.
/// O(series · rows · log rows).
pub fn n_sigma(frame: &MetricFrame, rows: &WindowRows) -> Vec<ServiceEvidence> {
    furthest_per_metric(frame, rows, &MetricKind::MEASURED, departure)
        .into_iter()
        .map(|evidence| ServiceEvidence {
            total: evidence.first().map_or(0.0, |largest| largest.deviation.exp_m1().min(f64::MAX)),
            evidence,
        })
        .collect()
}

fn departure(windows: &SeriesWindows) -> Departure {
    let centre = mean(windows.normal());
    let sigma = windows.normal_sigma();
    let scale = if sigma > 0.0 { sigma } else { 1.0 };
    // The values are sorted: the furthest is the first or the last.
    let above = windows.incident().last().map_or(0.0, |highest| highest - centre);
    let below = windows.incident().first().map_or(0.0, |lowest| centre - lowest);
    let (distance, direction) =
        if above >= below { (above, Direction::Up) } else { (below, Direction::Down) };
    Departure { spreads: distance.max(0.0) / scale, direction }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;
    use crate::test_frames::{TestSeries, frame_of};

    fn rows() -> WindowRows {
        WindowRows { normal: vec![0, 1, 2, 3], incident: vec![4, 5], exclusions_ignored: false }
    }

    #[test]
    fn the_largest_distance_in_standard_deviations_is_the_score() {
        // cpu: mean 4, sigma sqrt 2, lowest -1: 5/sqrt 2 down. memory: mean 2, sigma 1, highest 4: 2 up.
        let frame = frame_of(&[
            TestSeries {
                service: "a",
                metric: MetricKind::Cpu,
                name: "cpu",
                samples: array![2.0, 4.0, 4.0, 6.0, -1.0, 1.0],
            },
            TestSeries {
                service: "a",
                metric: MetricKind::Memory,
                name: "memory",
                samples: array![1.0, 3.0, 1.0, 3.0, 4.0, 4.0],
            },
        ]);
        let found = n_sigma(&frame, &rows());
        assert!((found[0].total - 5.0 / 2.0_f64.sqrt()).abs() < 1e-12);
        assert_eq!(found[0].evidence[0].direction, Direction::Down);
        assert!((found[0].evidence[1].deviation - 3.0_f64.ln()).abs() < 1e-12);
    }

    #[test]
    fn a_constant_that_moves_has_a_spread_of_one_and_congestion_is_not_read() {
        let frame = frame_of(&[
            TestSeries {
                service: "a",
                metric: MetricKind::Availability,
                name: "availability",
                samples: array![1.0, 1.0, 1.0, 1.0, 0.5, 0.5],
            },
            TestSeries {
                service: "b",
                metric: MetricKind::Congestion,
                name: "congestion",
                samples: array![1.0, 2.0, 1.0, 2.0, 90.0, 90.0],
            },
        ]);
        let found = n_sigma(&frame, &rows());
        assert!((found[0].total - 0.5).abs() < 1e-9);
        assert_eq!(found[1], ServiceEvidence::default());
    }

    #[test]
    fn enormous_values_still_score_finitely() {
        let frame = frame_of(&[TestSeries {
            service: "a",
            metric: MetricKind::Cpu,
            name: "cpu",
            samples: array![f64::MAX, f64::MIN, 0.0, 1.0, f64::MAX, f64::MAX],
        }]);
        assert!(n_sigma(&frame, &rows())[0].total.is_finite());
    }
}
