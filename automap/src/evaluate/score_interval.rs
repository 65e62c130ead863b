//! The interval of a share of few answers.

/// Wilson's score interval of 95 % for a share of `count` answers (Wilson, *Probable inference*, 1927), which holds for
/// few answers and for shares near 0 and 1, where resamples are all alike and their interval has no width. From 0 to 1 of
/// nothing.
pub fn score_interval(share: f64, count: usize) -> [f64; 2] {
    const Z: f64 = 1.959_963_985;
    if count == 0 {
        return [0.0, 1.0];
    }
    let count = count as f64;
    let centre = share + Z * Z / (2.0 * count);
    let half = Z * (share * (1.0 - share) / count + Z * Z / (4.0 * count * count)).sqrt();
    [centre - half, centre + half].map(|end| (end / (1.0 + Z * Z / count)).clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn none_or_all_of_few_is_not_certain() {
        // 7 of 7: 7 / (7 + 1.96²).
        let [low, high] = score_interval(1.0, 7);
        assert!((low - 0.6457).abs() < 1e-4 && high == 1.0, "{low} {high}");
        let [low, high] = score_interval(0.0, 7);
        assert!(low == 0.0 && (high - 0.3543).abs() < 1e-4, "{low} {high}");
        assert_eq!(score_interval(0.0, 0), [0.0, 1.0]);
    }
}
