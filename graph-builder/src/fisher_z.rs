//! Fisher's z test of a partial correlation.

use statrs::distribution::{ContinuousCDF as _, Normal};

/// The test that a partial correlation is zero: √(n − |S| − 3) · atanh|r| against the standard normal (R. A. Fisher,
/// *On the probable error of a coefficient of correlation*, 1921; for partial correlations 1924).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FisherZ {
    alpha: f64,
    quantile: f64,
    /// Conditioning variables beside those of the set: a load that was removed from all series.
    given: usize,
}

impl FisherZ {
    /// `alpha` is the two-sided significance level, strictly between 0 and 1.
    pub fn new(alpha: f64) -> Self {
        // The lower quantile negated: 1 − α/2 would round to 1 for small α.
        Self { alpha, quantile: -Normal::standard().inverse_cdf((alpha / 2.0).clamp(0.0, 0.5)), given: 0 }
    }

    /// The significance level.
    pub const fn alpha(&self) -> f64 {
        self.alpha
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
        // Perfect correlation is never independence, however small α is.
        Some((self.quantile / self.scale(samples, conditioning)?).tanh().min(BELOW_ONE))
    }

    /// √(n − |S| − 3) · atanh|r|, which is normal with variance 1 where there is no relation; `None` where the test is not
    /// made. |r| counts as below 1.
    pub fn statistic(&self, correlation: f64, samples: u32, conditioning: usize) -> Option<f64> {
        Some(self.scale(samples, conditioning)? * correlation.abs().min(BELOW_ONE).atanh())
    }

    /// p of a statistic: 2 (1 − Φ(|z|)), without the loss of digits that the difference would bring.
    pub fn p_value(statistic: f64) -> f64 {
        (2.0 * Normal::standard().sf(statistic.abs())).clamp(0.0, 1.0)
    }

    /// √(n − |S| − 3); `None` below 1.
    fn scale(&self, samples: u32, conditioning: usize) -> Option<f64> {
        let used = conditioning.checked_add(self.given)?.checked_add(3)?;
        let freedom = usize::try_from(samples).ok()?.checked_sub(used)?;
        (freedom >= 1).then(|| (freedom as f64).sqrt())
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

/// The largest |r| that is told from a perfect correlation.
const BELOW_ONE: f64 = 1.0 - f64::EPSILON;

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
    fn p_values_are_those_of_the_normal_distribution() {
        let test = FisherZ::new(0.05);
        // √100 · atanh(0.2) = 2.027326; 2 (1 − Φ(2.027326)) = 0.042630.
        let z = test.statistic(-0.2, 103, 0).unwrap();
        assert!((z - 2.027_325_54).abs() < 1e-8);
        assert!((FisherZ::p_value(z) - 0.042_629_6).abs() < 1e-6, "{}", FisherZ::p_value(z));
        assert_eq!(FisherZ::p_value(0.0), 1.0);
        // 1 − Φ(9) rounds to 1 − 1 by the difference.
        assert!((FisherZ::p_value(9.0) / 2.257_176_8e-19 - 1.0).abs() < 1e-6, "{:e}", FisherZ::p_value(9.0));
        assert_eq!(FisherZ::p_value(f64::INFINITY), 0.0);
        assert!(test.statistic(1.5, 103, 0).is_some_and(f64::is_finite));
        assert_eq!((test.statistic(0.5, 3, 0), test.given(1).statistic(0.5, 5, 1)), (None, None));
        for (samples, conditioning) in [(4, 0), (50, 1), (5000, 3)] {
            let critical = test.critical_correlation(samples, conditioning).unwrap();
            let p = FisherZ::p_value(test.statistic(critical, samples, conditioning).unwrap());
            // The quantile is exact to ten digits.
            assert!((p - test.alpha()).abs() < 1e-10, "{p}");
        }
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
