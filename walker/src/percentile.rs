//! Percentiles of sorted values.

/// The value below which a share `quantile` of `sorted` lies, interpolated linearly between neighbours: position
/// q·(n − 1), as numpy does by default (type 7 of Hyndman and Fan, *Sample Quantiles in Statistical Packages*, 1996).
///
/// `sorted` ascends and holds no NaN; `quantile` is clamped to 0..1. Zero when there is no value. O(1).
pub fn percentile(sorted: &[f64], quantile: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else {
        return 0.0;
    };
    let position = quantile.clamp(0.0, 1.0) * last as f64;
    let below = (position.floor() as usize).min(last);
    let above = (below + 1).min(last);
    sorted[below] + (sorted[above] - sorted[below]) * (position - below as f64)
}

/// The middle of `sorted`. Zero when there is no value.
pub fn median(sorted: &[f64]) -> f64 {
    percentile(sorted, 0.5)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_between_samples_are_interpolated_as_numpy_does() {
        let sorted = [1.0, 2.0, 4.0, 8.0];
        for (quantile, expected) in [(0.0, 1.0), (0.2, 1.6), (0.5, 3.0), (0.8, 5.6), (0.975, 7.7), (1.0, 8.0)]
        {
            assert!((percentile(&sorted, quantile) - expected).abs() < 1e-12, "{quantile}");
        }
        assert_eq!(median(&[7.0]), 7.0);
        assert_eq!(median(&[]), 0.0);
    }
}
