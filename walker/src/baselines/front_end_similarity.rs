//! How far the latency of each service moves with that of the front end.
//!
//! The similarity of MonitorRank (Kim, Sumbaly and Shah, SIGMETRICS 2013) and the correlation score of CloudRanger
//! (Wang et al., CCGRID 2018), both taken over one metric; here latency, on which front ends alert.

use automap_proto::{frame::MetricFrame, incident::WindowRows, metric::MetricKind};

/// Fewest common samples of two series that are compared.
const MIN_COMMON_ROWS: usize = 4;

/// |Pearson| of the first latency series of each service of the frame with the front end's, over normal and incident
/// rows that both have: 0 to 1 per service. 1 for the front end itself, 0 where a series is missing, does not vary, or
/// shares fewer than four rows. All 0 when the front end has no latency. O(services · rows).
pub fn front_end_similarity(frame: &MetricFrame, rows: &WindowRows, front_end: &str) -> Vec<f64> {
    let rows = rows.all();
    let latency = |service: usize| {
        let index = frame.series_of_kind(service, MetricKind::Latency).next()?;
        let samples = frame.samples(index);
        Some(rows.iter().map(|&row| samples.get(row).copied().unwrap_or(f64::NAN)).collect::<Vec<f64>>())
    };
    let reference = frame.service_index(front_end).and_then(latency);
    let similarity = |service: usize| Some(pearson(reference.as_ref()?, &latency(service)?).abs());
    (0..frame.services().len()).map(|service| similarity(service).unwrap_or(0.0)).collect()
}

/// Pearson's r over the places where neither is NaN, -1 to 1; 0 where it is not defined.
pub(crate) fn pearson(left: &[f64], right: &[f64]) -> f64 {
    let pairs: Vec<(f64, f64)> = left
        .iter()
        .zip(right)
        .filter(|(first, second)| !first.is_nan() && !second.is_nan())
        .map(|(&first, &second)| (first, second))
        .collect();
    if pairs.len() < MIN_COMMON_ROWS {
        return 0.0;
    }
    // Divided by the largest magnitude first, so that squares of huge samples stay finite.
    let unit = |value: fn(&(f64, f64)) -> f64| {
        pairs.iter().map(|pair| value(pair).abs()).fold(0.0, f64::max).max(f64::MIN_POSITIVE)
    };
    let (first_unit, second_unit) = (unit(|pair| pair.0), unit(|pair| pair.1));
    let scaled: Vec<(f64, f64)> =
        pairs.iter().map(|(first, second)| (first / first_unit, second / second_unit)).collect();
    let count = scaled.len() as f64;
    let first_mean = scaled.iter().map(|pair| pair.0).sum::<f64>() / count;
    let second_mean = scaled.iter().map(|pair| pair.1).sum::<f64>() / count;
    let (mut products, mut first_squares, mut second_squares) = (0.0, 0.0, 0.0);
    for (first, second) in scaled {
        let (first, second) = (first - first_mean, second - second_mean);
        products += first * second;
        first_squares += first * first;
        second_squares += second * second;
    }
    // What is left of equal values is rounding.
    let varies = |squares: f64| squares > 1e-24 * count;
    if varies(first_squares) && varies(second_squares) {
        (products / (first_squares * second_squares).sqrt()).clamp(-1.0, 1.0)
    } else {
        0.0
    }
}

#[cfg(test)]
mod tests {
    use ndarray::{Array1, array};

    use super::*;
    use crate::test_frames::{TestSeries, frame_of};

    fn latency(service: &'static str, samples: Array1<f64>) -> TestSeries {
        TestSeries { service, metric: MetricKind::Latency, name: "latency", samples }
    }

    #[test]
    fn correlation_is_taken_over_common_rows_and_its_sign_is_dropped() {
        let nan = f64::NAN;
        let frame = frame_of(&[
            latency("web", array![1.0, 2.0, 3.0, 4.0, 5.0, nan]),
            latency("cart", array![9.0, 7.0, 5.0, 3.0, nan, 7.0]),
            latency("db", array![1.0, 3.0, 2.0, 5.0, 4.0, 0.0]),
            latency("flat", array![0.1, 0.1, 0.1, 0.1, 0.1, 0.1]),
            latency("few", array![nan, nan, 1.0, 2.0, 3.0, 4.0]),
        ]);
        let rows = WindowRows { normal: (0..4).collect(), incident: vec![4, 5], exclusions_ignored: false };
        // Services in order: cart, db, few, flat, web. r of 1..5 and 1 3 2 5 4 is 8/10.
        let found = front_end_similarity(&frame, &rows, "web");
        for (value, expected) in found.iter().zip([1.0, 0.8, 0.0, 0.0, 1.0]) {
            assert!((value - expected).abs() < 1e-12, "{found:?}");
        }
        assert_eq!(front_end_similarity(&frame, &rows, "nobody"), [0.0; 5]);
    }

    #[test]
    fn huge_samples_correlate_finitely() {
        let huge = [f64::MAX, f64::MIN, f64::MAX, 0.0];
        assert!((pearson(&huge, &huge) - 1.0).abs() < 1e-12);
    }
}
