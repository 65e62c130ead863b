//! What would have to differ: who would be ranked first had part of the evidence against the first been absent.

use automap_proto::metric::MetricKind;

/// Most metric types that are left out one by one: each costs a walk.
const MAX_TYPES: usize = 3;

/// The leader after some of its own evidence was left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Leader {
    /// The metric type in which the first had stayed normal; all of them when absent.
    pub metric: Option<MetricKind>,
    /// Index of the service that would be ranked first.
    pub first: usize,
}

/// Leaves out the evidence against `first` by metric type, the largest three one by one and then all of it, and ranks again.
///
/// `parts` is what each type adds to the total of `first`; `totals` are those of all services, which `scores` turns into
/// scores when it is told what was left out, a type or all of them. Empty where nothing speaks against `first`. O(four rankings).
pub fn counterfactuals(
    first: usize,
    parts: &[(MetricKind, f64)],
    totals: &[f64],
    scores: impl Fn(&[f64], Option<MetricKind>) -> Vec<f64>,
) -> Vec<Leader> {
    let mut largest: Vec<(MetricKind, f64)> = parts.iter().copied().filter(|(_, part)| *part > 0.0).collect();
    largest.sort_by(|left, right| right.1.total_cmp(&left.1));
    largest.truncate(MAX_TYPES);
    let leader = |metric: Option<MetricKind>, left: f64| {
        let mut changed = totals.to_vec();
        changed[first] = left;
        let scores = scores(&changed, metric);
        let mut first = 0;
        for (service, score) in scores.iter().enumerate() {
            if *score > scores[first] {
                first = service;
            }
        }
        Leader { metric, first }
    };
    let without_one =
        largest.iter().map(|&(metric, part)| leader(Some(metric), (totals[first] - part).max(0.0)));
    let mut found: Vec<Leader> = without_one.collect();
    if !largest.is_empty() {
        found.push(leader(None, 0.0));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(totals: &[f64], _: Option<MetricKind>) -> Vec<f64> {
        totals.to_vec()
    }

    #[test]
    fn the_evidence_that_decides_is_the_one_without_which_another_leads() {
        let parts = [(MetricKind::Cpu, 1.0), (MetricKind::Memory, 4.0), (MetricKind::Io, 0.0)];
        let found = counterfactuals(1, &parts, &[3.0, 5.0, 2.0], plain);
        let leaders: Vec<(Option<MetricKind>, usize)> =
            found.iter().map(|leader| (leader.metric, leader.first)).collect();
        assert_eq!(leaders, [(Some(MetricKind::Memory), 0), (Some(MetricKind::Cpu), 1), (None, 0)]);
    }

    #[test]
    fn at_most_three_types_are_left_out_one_by_one_and_nothing_where_nothing_speaks() {
        let parts = MetricKind::ALL.map(|kind| (kind, 1.0));
        assert_eq!(counterfactuals(0, &parts, &[7.0, 1.0], plain).len(), 4);
        assert_eq!(counterfactuals(0, &[(MetricKind::Cpu, 0.0)], &[0.0], plain), []);
    }
}
