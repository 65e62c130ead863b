//! Fisher's z test of a partial correlation.

use statrs::distribution::{ContinuousCDF as _, Normal};

/// The test that a partial correlation is zero: √(n − |S| − 3) · atanh|r| against the standard normal (R. A. Fisher,
/// *On the probable error of a coefficient of correlation*, 1921; for partial correlations 1924).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FisherZ {
    quantile: f64,
    /// Conditioning variables beside those of the set: a load that was removed from all series.
    given: usize,
}

impl FisherZ {
    /// `alpha` is the two-sided significance level, strictly between 0 and 1.
    pub fn new(alpha: f64) -> Self {
        // The lower quantile negated: 1 − α/2 would round to 1 for small α.
        Self { quantile: -Normal::standard().inverse_cdf((alpha / 2.0).clamp(0.0, 0.5)), given: 0 }
    }

    /// The same test of residuals given `count` variables: each takes a degree of freedom, as a member of S does.
    #[must_use]
    pub const fn given(self, count: usize) -> Self {
        Self { given: count, ..self }
    }

    /// The largest |r| with which independence is accepted (p ≥ α), below 1.
    ///
    /// `samples` is the effective number of rows n, `conditioning` is |S|. `None` when n − |S| − 3 < 1: then the
    /// test is not made.
    pub fn critical_correlation(&self, samples: u32, conditioning: usize) -> Option<f64> {
        let used = conditioning.checked_add(self.given)?.checked_add(3)?;
        let freedom = usize::try_from(samples).ok()?.checked_sub(used)?;
        // Perfect correlation is never independence, however small α is.
        (freedom >= 1).then(|| (self.quantile / (freedom as f64).sqrt()).tanh().min(1.0 - f64::EPSILON))
    }

    /// The squared critical correlation for each n = 0..=`largest`, [`NOT_MADE`] where the test is not made.
    pub(crate) fn limits(&self, largest: u32, conditioning: usize) -> Vec<f64> {
        (0..=largest)
            .map(|samples| {
                self.critical_correlation(samples, conditioning)
                    .map_or(NOT_MADE, |critical| critical * critical)
            })
            .collect()
    }
}

/// The limit of a test that is not made: no squared correlation lies below it.
pub(crate) const NOT_MADE: f64 = -1.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn critical_values_agree_with_printed_tables() {
        let test = FisherZ::new(0.05);
        // tanh(1.959964 / √(n − |S| − 3))
        assert!((test.critical_correlation(103, 0).unwrap() - 0.193_525).abs() < 1e-6);
        assert!((test.critical_correlation(103, 3).unwrap() - 0.196_413).abs() < 1e-4);
        assert!((FisherZ::new(0.01).critical_correlation(28, 0).unwrap() - 0.474_2).abs() < 1e-3);
    }

    #[test]
    fn the_test_is_made_from_one_degree_of_freedom_on() {
        let test = FisherZ::new(0.05);
        assert!(test.critical_correlation(4, 0).is_some());
        assert_eq!(test.critical_correlation(3, 0), None);
        assert_eq!(test.critical_correlation(6, 3), None);
        assert!(test.critical_correlation(7, 3).is_some());
        assert_eq!(test.critical_correlation(u32::MAX, usize::MAX), None);
        assert_eq!(test.limits(4, 1), [NOT_MADE; 5]);
        assert_eq!(test.given(1).critical_correlation(4, 0), None);
        assert_eq!(test.given(1).critical_correlation(9, 1), test.critical_correlation(9, 2));
    }

    #[test]
    fn extreme_levels_have_an_answer() {
        let strict = FisherZ::new(f64::MIN_POSITIVE).critical_correlation(5, 0).unwrap();
        assert!(strict < 1.0 && strict > 0.999);
        let lax = FisherZ::new(1.0 - f64::EPSILON).critical_correlation(5, 0).unwrap();
        assert!((0.0..1e-12).contains(&lax));
    }

    #[test]
    fn more_samples_and_smaller_sets_make_the_test_sharper() {
        let test = FisherZ::new(0.05);
        let critical = |samples, conditioning| test.critical_correlation(samples, conditioning).unwrap();
        assert!(critical(50, 0) < critical(40, 0));
        assert!(critical(50, 0) < critical(50, 1));
    }
}
