//! Step 9, root-cause metric: which resource of the service ranked first is at fault.

use automap_proto::{
    assessment::{MAX_METRIC_CANDIDATES, MetricCandidate},
    metric::MetricKind,
};

use super::deviation::ServiceDeviation;
use crate::percentile::percentile;

/// The types that may be at fault. Throughput and congestion are consequences.
const CANDIDATES: [MetricKind; 5] =
    [MetricKind::Latency, MetricKind::Cpu, MetricKind::Memory, MetricKind::Availability, MetricKind::Io];

/// The two types whose F exceeds most what the type shows in normal times, the 90th percentile of its placebo F. Only
/// types that departed at all are named; of equals the first in the order above. `placebo` holds the F of the same
/// service in each placebo window. O(windows · log windows).
pub fn root_cause_metrics(
    deviation: &ServiceDeviation,
    placebo: &[ServiceDeviation],
) -> Vec<MetricCandidate> {
    let mut candidates: Vec<MetricCandidate> = CANDIDATES
        .into_iter()
        .filter(|kind| deviation[kind.index()] > 0.0)
        .map(|metric| {
            let mut normal: Vec<f64> = placebo.iter().map(|window| window[metric.index()]).collect();
            normal.sort_unstable_by(f64::total_cmp);
            MetricCandidate { metric, score: deviation[metric.index()] - percentile(&normal, 0.9) }
        })
        .collect();
    candidates.sort_by(|left, right| right.score.total_cmp(&left.score));
    candidates.truncate(MAX_METRIC_CANDIDATES);
    candidates
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_that_is_noisy_in_normal_times_gives_way() {
        // latency .. availability: cpu 3 against a normal 2.5, memory 2 against none, throughput is no candidate.
        let deviation = [0.0, 9.0, 0.0, 3.0, 0.5, 2.0, 0.0];
        let noisy = [0.0, 0.0, 0.0, 2.5, 0.0, 0.0, 0.0];
        let found = root_cause_metrics(&deviation, &[noisy; 3]);
        let kinds: Vec<MetricKind> = found.iter().map(|one| one.metric).collect();
        assert_eq!(kinds, [MetricKind::Memory, MetricKind::Cpu]);
        assert_eq!(found[1].score, 0.5);
        assert!(root_cause_metrics(&[0.0; 7], &[]).is_empty());
    }
}
