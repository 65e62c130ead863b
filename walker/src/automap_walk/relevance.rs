//! s_i = Σ_k w_k · c(i, fe, k): how far each service moves with the front end.

use automap_proto::metric::METRIC_COUNT;

/// s_i for every service, each 0..1. `correlations` hold one value per service for each metric type; all lists have
/// the same length. O(services).
pub(super) fn relevance(correlations: &[Vec<f64>; METRIC_COUNT], weights: &[f64; METRIC_COUNT]) -> Vec<f64> {
    let services = correlations[0].len();
    let weighted = |service: usize| -> f64 {
        correlations.iter().zip(weights).map(|(row, weight)| weight * row[service]).sum()
    };
    (0..services).map(|service| weighted(service).clamp(0.0, 1.0)).collect()
}
