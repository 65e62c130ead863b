//! What confidence is worth: answers are given from the most confident one down.
//!
//! - Risk-coverage (El-Yaniv and Wiener, *On the Foundations of Noise-free Selective Classification*, 2010): coverage is
//!   the share of incidents answered, risk the share of those whose first service is wrong.
//! - Precision-recall: precision is 1 − risk, recall the share of all incidents that were answered rightly.
//! - Calibration: of answers given with about the same confidence, how many are right?

use serde::Serialize;

use super::{bootstrap::mean, score_interval::score_interval};

/// Groups of a calibration table.
const GROUPS: usize = 5;

/// One answer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Answered {
    /// As the method says it, 0 to 1.
    pub confidence: f64,
    /// Whether the first service is right: 0, 1, or a share where services tie.
    pub right: f64,
}

/// What comes of answering only from some confidence on.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct CurvePoint {
    /// Least confidence with which an answer is given.
    pub threshold: f64,
    /// Share of the incidents that are answered.
    pub coverage: f64,
    /// Share of the answered incidents whose first service is wrong.
    pub risk: f64,
    /// Share of the answered incidents whose first service is right.
    pub precision: f64,
    /// Share of all incidents that are answered rightly.
    pub recall: f64,
}

/// One group of answers of similar confidence.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct CalibrationGroup {
    /// Answers in it.
    pub incidents: usize,
    /// Their mean confidence.
    pub confidence: f64,
    /// Share of them that is right.
    pub right: f64,
    /// Its 95 % interval.
    pub interval: [f64; 2],
}

/// One point per distinct confidence, from the most confident answers to all. Answers of equal confidence are given
/// together: no order among them is known. O(n log n).
pub fn curve(answers: &[Answered]) -> Vec<CurvePoint> {
    let sorted = by_confidence(answers);
    let all = sorted.len() as f64;
    let (mut given, mut right) = (0.0, 0.0);
    let mut points = Vec::new();
    for equals in sorted.chunk_by(|left, next| left.confidence == next.confidence) {
        given += equals.len() as f64;
        right += equals.iter().map(|answer| answer.right).sum::<f64>();
        points.push(CurvePoint {
            threshold: equals[0].confidence,
            coverage: given / all,
            risk: 1.0 - right / given,
            precision: right / given,
            recall: right / all,
        });
    }
    points
}

/// The share of right answers among the most confident `share` of all, 0 < share <= 1; of equals at the border as many as
/// are missing, in expectation. 0 of nothing.
pub fn right_among_most_confident(answers: &[Answered], share: f64) -> f64 {
    let wanted = share * answers.len() as f64;
    let (mut given, mut right) = (0.0, 0.0);
    for equals in by_confidence(answers).chunk_by(|left, next| left.confidence == next.confidence) {
        let taken = (wanted - given).clamp(0.0, equals.len() as f64);
        given += taken;
        right += taken * mean(&equals.iter().map(|answer| answer.right).collect::<Vec<_>>());
    }
    if given > 0.0 { right / given } else { 0.0 }
}

/// The area under the risk-coverage curve: the mean risk over all numbers of answers given, equals in expectation.
/// As small as the method's risk allows when confidence orders perfectly; the risk itself when it orders by chance.
pub fn risk_area(answers: &[Answered]) -> f64 {
    let risks: Vec<f64> = (1..=answers.len())
        .map(|given| 1.0 - right_among_most_confident(answers, given as f64 / answers.len() as f64))
        .collect();
    mean(&risks)
}

/// The area under the curve of right against wrong answers: the chance that a right answer is more confident than a wrong
/// one, ties half. `None` when all are right or all wrong. O(n²).
pub fn discrimination(answers: &[Answered]) -> Option<f64> {
    let (mut pairs, mut ordered) = (0.0, 0.0);
    for one in answers {
        for other in answers {
            let weight = one.right * (1.0 - other.right);
            pairs += weight;
            ordered += weight
                * match one.confidence.total_cmp(&other.confidence) {
                    std::cmp::Ordering::Greater => 1.0,
                    std::cmp::Ordering::Equal => 0.5,
                    std::cmp::Ordering::Less => 0.0,
                };
        }
    }
    (pairs > 0.0).then(|| ordered / pairs)
}

/// Five groups of as equal size as can be, from the least confident up; fewer where there are fewer answers.
pub fn calibration(answers: &[Answered]) -> Vec<CalibrationGroup> {
    let mut sorted = by_confidence(answers);
    sorted.reverse();
    let groups = GROUPS.min(sorted.len());
    (0..groups)
        .map(|group| {
            let members = &sorted[group * sorted.len() / groups..(group + 1) * sorted.len() / groups];
            let right = mean(&members.iter().map(|answer| answer.right).collect::<Vec<_>>());
            CalibrationGroup {
                incidents: members.len(),
                confidence: mean(&members.iter().map(|answer| answer.confidence).collect::<Vec<_>>()),
                right,
                interval: score_interval(right, members.len()),
            }
        })
        .collect()
}

/// The mean over all answers of how far the stated confidence of their group lies from its share of right answers
/// (expected calibration error, with groups of equal size). 0 of nothing.
pub fn calibration_error(answers: &[Answered]) -> f64 {
    let gap = |group: &CalibrationGroup| group.incidents as f64 * (group.confidence - group.right).abs();
    calibration(answers).iter().map(gap).sum::<f64>() / answers.len().max(1) as f64
}

fn by_confidence(answers: &[Answered]) -> Vec<Answered> {
    let mut sorted = answers.to_vec();
    sorted.sort_by(|left, right| right.confidence.total_cmp(&left.confidence));
    sorted
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answers(pairs: &[(f64, f64)]) -> Vec<Answered> {
        pairs.iter().map(|&(confidence, right)| Answered { confidence, right }).collect()
    }

    #[test]
    fn both_curves_worked_by_hand() {
        // From the top: right; then one right and one wrong together; then wrong.
        let found = curve(&answers(&[(0.2, 0.0), (0.5, 1.0), (0.9, 1.0), (0.5, 0.0)]));
        let rows: Vec<[f64; 5]> = found
            .iter()
            .map(|point| [point.threshold, point.coverage, point.risk, point.precision, point.recall])
            .collect();
        assert_eq!(rows[0], [0.9, 0.25, 0.0, 1.0, 0.25]);
        assert!((rows[1][2] - 1.0 / 3.0).abs() < 1e-12 && (rows[1][3] - 2.0 / 3.0).abs() < 1e-12);
        assert_eq!((rows[1][0], rows[1][1], rows[1][4]), (0.5, 0.75, 0.5));
        assert_eq!(rows[2], [0.2, 1.0, 0.5, 0.5, 0.5]);
        assert!(curve(&[]).is_empty());
    }

    #[test]
    fn the_most_confident_half_takes_its_share_of_equals() {
        let four = answers(&[(0.9, 1.0), (0.5, 1.0), (0.5, 0.0), (0.1, 0.0)]);
        // The first, and half of the two equals: (1 + .5) / 2.
        assert_eq!(right_among_most_confident(&four, 0.5), 0.75);
        assert_eq!(right_among_most_confident(&four, 1.0), 0.5);
        assert_eq!(right_among_most_confident(&[], 0.5), 0.0);
    }

    #[test]
    fn the_area_is_the_mean_risk_over_all_coverages() {
        // Risks at 1, 2 and 3 answers: 0, 0, 1/3.
        let found = risk_area(&answers(&[(0.9, 1.0), (0.8, 1.0), (0.7, 0.0)]));
        assert!((found - 1.0 / 9.0).abs() < 1e-12);
        let by_chance = risk_area(&answers(&[(0.5, 1.0), (0.5, 0.0), (0.5, 0.0)]));
        assert!((by_chance - 2.0 / 3.0).abs() < 1e-12);
    }

    #[test]
    fn discrimination_counts_ordered_pairs() {
        // Right .9 and .4 against wrong .4 and .1: 1 + 1 + .5 + 1 of 4.
        let found = discrimination(&answers(&[(0.9, 1.0), (0.4, 1.0), (0.4, 0.0), (0.1, 0.0)]));
        assert_eq!(found, Some(0.875));
        assert_eq!(discrimination(&answers(&[(0.9, 1.0)])), None);
    }

    #[test]
    fn the_interval_of_a_share_is_wilsons() {
        // 8 of 10: Newcombe, 1998, gives .490 to .943 for the method without continuity correction.
        let [low, high] = score_interval(0.8, 10);
        assert!((low - 0.4902).abs() < 1e-4 && (high - 0.9433).abs() < 1e-4, "{low} {high}");
        assert_eq!(score_interval(0.0, 5)[0], 0.0);
    }

    #[test]
    fn calibration_groups_are_equally_large_from_the_least_confident_up() {
        let ten: Vec<(f64, f64)> =
            (0..10).map(|rank| (f64::from(rank) / 10.0, f64::from(u32::from(rank >= 6)))).collect();
        let found = calibration(&answers(&ten));
        assert_eq!(found.len(), 5);
        assert_eq!((found[0].incidents, found[0].confidence, found[0].right), (2, 0.05, 0.0));
        assert!((found[3].confidence - 0.65).abs() < 1e-12 && found[3].right == 1.0);
        assert_eq!(calibration(&answers(&[(0.5, 1.0)])).len(), 1);
        // Groups state .05, .25, .45, .65, .85; right are 0, 0, 0, 1, 1.
        assert!((calibration_error(&answers(&ten)) - (0.05 + 0.25 + 0.45 + 0.35 + 0.15) / 5.0).abs() < 1e-12);
        assert_eq!(calibration_error(&[]), 0.0);
    }
}
