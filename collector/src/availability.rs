//! Availability of RCAEval's recordings, which count failed requests instead.

/// Share of successful calls, 1 − failed / all, sample by sample, within 0 and 1 (counters that are scraped at
/// different moments can overshoot). Missing where either is, and where nothing was called.
pub(crate) fn availability(failed: &[f64], throughput: &[f64]) -> Vec<f64> {
    let share = |(&failures, &requests): (&f64, &f64)| {
        if requests > 0.0 && !failures.is_nan() {
            (1.0 - failures / requests).clamp(0.0, 1.0)
        } else {
            f64::NAN
        }
    };
    failed.iter().zip(throughput).map(share).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn availability_is_missing_without_calls_and_never_leaves_zero_to_one() {
        let values = availability(&[1.0, 0.0, 9.0, f64::NAN, 1.0], &[4.0, 0.0, 5.0, 5.0, f64::NAN]);
        assert_eq!(values[0], 0.75);
        assert_eq!(values[2], 0.0);
        assert!([1, 3, 4].iter().all(|&index: &usize| values[index].is_nan()));
    }
}
