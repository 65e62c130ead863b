//! How each service moves with the front end.

use automap_proto::metric::METRIC_COUNT;

use crate::correlation::Correlation;

/// c(i, fe, k) = |Pearson(M_k,i , M_k,fe)|: for each metric type, in order, one value for each service. 0 where
/// either series does not vary, 1 for the front end itself unless its series does not vary.
pub type FrontEndCorrelations = [Vec<f64>; METRIC_COUNT];

/// c(·, fe, k) of one metric type.
pub(crate) fn with_front_end(correlation: &Correlation, front_end: usize) -> Vec<f64> {
    correlation.row(front_end).iter().map(|coefficient| coefficient.abs()).collect()
}
