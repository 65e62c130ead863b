//! Congestion, the metric that is derived: throughput / latency (paper, table of metrics).

/// ε: the smallest latency that is divided by, seconds. Services do not answer within a microsecond; a latency of
/// zero is one that was not measured.
pub(crate) const MIN_LATENCY_SECONDS: f64 = 1e-6;

/// Congestion of one service, requests/s², from its throughput (requests/s) and mean latency (seconds), sample by
/// sample.
///
/// - With calls: throughput / max(latency, ε); missing where either is.
/// - Without calls (throughput of zero, whatever the latency says): there is no latency to divide by, and 0 would
///   read as a sudden calm. The last value is carried forward, and before the first value the first is carried
///   backward, so that an idle stretch deviates from nothing.
///
/// `None` when no sample has calls and a latency: the service then has no congestion series.
///
/// # Complexity
/// O(samples).
pub(crate) fn congestion(throughput: &[f64], latency: &[f64]) -> Option<Vec<f64>> {
    let with_calls = |requests: f64, seconds: f64| {
        (requests > 0.0 && !seconds.is_nan()).then(|| requests / seconds.max(MIN_LATENCY_SECONDS))
    };
    let pairs = || throughput.iter().copied().zip(latency.iter().copied());
    let mut carried = pairs().find_map(|(requests, seconds)| with_calls(requests, seconds))?;
    let values = pairs().map(|(requests, seconds)| match with_calls(requests, seconds) {
        Some(value) => {
            carried = value;
            value
        }
        None if requests <= 0.0 => carried,
        None => f64::NAN,
    });
    Some(values.collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MISSING: f64 = f64::NAN;

    fn assert_same(found: Option<Vec<f64>>, expected: &[f64]) {
        let bits = |values: &[f64]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&found.unwrap()), bits(expected));
    }

    #[test]
    fn congestion_is_throughput_over_latency_and_missing_where_either_is() {
        assert_same(
            congestion(&[10.0, MISSING, 8.0, 6.0], &[0.5, 0.5, MISSING, 2.0]),
            &[20.0, MISSING, MISSING, 3.0],
        );
    }

    #[test]
    fn without_calls_the_last_value_is_carried_forward_then_backward() {
        assert_same(
            congestion(&[0.0, 0.0, 4.0, 0.0, MISSING, 0.0], &[MISSING, 0.0, 2.0, 9.0, 1.0, MISSING]),
            &[2.0, 2.0, 2.0, 2.0, MISSING, 2.0],
        );
    }

    #[test]
    fn a_latency_of_zero_under_calls_counts_as_epsilon() {
        assert_same(congestion(&[3.0], &[0.0]), &[3.0 / MIN_LATENCY_SECONDS]);
    }

    #[test]
    fn a_service_that_is_never_called_has_no_congestion() {
        assert_eq!(congestion(&[0.0, 0.0], &[0.0, 1.0]), None);
        assert_eq!(congestion(&[MISSING, 1.0], &[1.0, MISSING]), None);
    }

    proptest! {
        #[test]
        fn congestion_is_finite_wherever_throughput_is_zero(
            pairs in proptest::collection::vec((prop_oneof![Just(0.0), 0.1..100.0_f64], 0.001..1.0_f64), 1..50),
        ) {
            let (throughput, latency): (Vec<f64>, Vec<f64>) = pairs.into_iter().unzip();
            match congestion(&throughput, &latency) {
                Some(values) => prop_assert!(values.iter().all(|value| value.is_finite() && *value > 0.0)),
                None => prop_assert!(throughput.iter().all(|value| *value == 0.0)),
            }
        }
    }
}
