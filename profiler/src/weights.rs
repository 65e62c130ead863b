//! Metric weights learnt from similar confirmed incidents (paper, weight learning).

use automap_proto::metric::METRIC_COUNT;

/// What one confirmed past incident says about the metrics.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Vote {
    /// P_g, how good the ranking given then was, 0..1.
    pub precision: f64,
    /// c(rc_g, fe_g, k): |Pearson| of its root cause with its front end per metric, 0..1; the mean over several root
    /// causes.
    pub correlations: [f64; METRIC_COUNT],
}

/// Every metric alike, 1/7: the weights before anything was learnt.
pub const UNIFORM_WEIGHTS: [f64; METRIC_COUNT] = [1.0 / METRIC_COUNT as f64; METRIC_COUNT];

/// w_k = Σ_g P_g · c(rc_g, fe_g, k), scaled so that Σ_k w_k = 1; [`UNIFORM_WEIGHTS`] when there is no vote or every
/// vote is zero. The votes are added in the given order.
pub fn metric_weights(votes: &[Vote]) -> [f64; METRIC_COUNT] {
    let mut weights = [0.0; METRIC_COUNT];
    for vote in votes {
        for (weight, correlation) in weights.iter_mut().zip(vote.correlations) {
            *weight += vote.precision * correlation;
        }
    }
    let total: f64 = weights.iter().sum();
    if total > 0.0 { weights.map(|weight| weight / total) } else { UNIFORM_WEIGHTS }
}

/// The mean of correlation vectors, one for each root cause; zeros for none.
pub fn mean_correlations(of_root_causes: &[[f64; METRIC_COUNT]]) -> [f64; METRIC_COUNT] {
    let count = of_root_causes.len().max(1) as f64;
    std::array::from_fn(|metric| of_root_causes.iter().map(|row| row[metric]).sum::<f64>() / count)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn one_vote_of_full_precision_gives_its_normalised_correlations() {
        let correlations = [0.8, 0.4, 0.0, 0.4, 0.2, 0.2, 0.0];
        let weights = metric_weights(&[Vote { precision: 1.0, correlations }]);
        for (weight, correlation) in weights.iter().zip(correlations) {
            assert!((weight - correlation / 2.0).abs() < 1e-15);
        }
    }

    #[test]
    fn votes_count_by_their_precision() {
        let vote = |precision, metric: usize| Vote {
            precision,
            correlations: std::array::from_fn(|index| f64::from(u8::from(index == metric))),
        };
        let weights = metric_weights(&[vote(0.75, 0), vote(0.25, 3), vote(0.0, 5)]);
        assert_eq!(weights, [0.75, 0.0, 0.0, 0.25, 0.0, 0.0, 0.0]);
    }

    #[test]
    fn without_history_or_with_worthless_history_every_metric_weighs_the_same() {
        assert_eq!(metric_weights(&[]), UNIFORM_WEIGHTS);
        let worthless = Vote { precision: 0.0, correlations: [0.5; 7] };
        let silent = Vote { precision: 1.0, correlations: [0.0; 7] };
        assert_eq!(metric_weights(&[worthless, silent]), UNIFORM_WEIGHTS);
    }

    #[test]
    fn several_root_causes_vote_with_their_mean() {
        assert_eq!(mean_correlations(&[[1.0; 7], [0.5; 7]]), [0.75; 7]);
        assert_eq!(mean_correlations(&[]), [0.0; 7]);
    }

    proptest! {
        #[test]
        fn weights_are_shares(raw in proptest::collection::vec((0.0..=1.0_f64, proptest::array::uniform7(0.0..=1.0_f64)), 0..6)) {
            let votes: Vec<Vote> =
                raw.into_iter().map(|(precision, correlations)| Vote { precision, correlations }).collect();
            let weights = metric_weights(&votes);
            prop_assert!((weights.iter().sum::<f64>() - 1.0).abs() < 1e-12);
            prop_assert!(weights.iter().all(|weight| (0.0..=1.0).contains(weight)));
        }
    }
}
