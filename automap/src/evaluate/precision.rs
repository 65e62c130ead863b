//! PR@K of a ranking with ties, by expectation.

/// Largest K that is reported.
pub const MAX_K: usize = 5;

/// PR@1 to PR@5 of one ranking.
///
/// PR@K = |top-K ∩ roots| / min(K, |roots|). `scored` are (score, is a root cause) from the highest score down; services
/// with equal scores are taken in random order, and the expectation over that order is returned, so that no method
/// gains by its names. `roots` counts all root causes, also those that were not ranked.
///
/// Complexity O(services).
pub fn expected_precision(scored: &[(f64, bool)], roots: usize) -> [f64; MAX_K] {
    let mut precision = [0.0; MAX_K];
    if roots == 0 {
        return precision;
    }
    let mut before = 0;
    for ties in scored.chunk_by(|left, right| left.0 == right.0) {
        let hits = ties.iter().filter(|(_, is_root)| *is_root).count() as f64;
        for (index, value) in precision.iter_mut().enumerate() {
            let places = (index + 1).saturating_sub(before).min(ties.len());
            *value += hits * places as f64 / ties.len() as f64;
        }
        before += ties.len();
    }
    for (index, value) in precision.iter_mut().enumerate() {
        *value /= (index + 1).min(roots) as f64;
    }
    precision
}

/// Mean of PR@1 to PR@5.
pub fn average_at_five(precision: &[f64; MAX_K]) -> f64 {
    precision.iter().sum::<f64>() / MAX_K as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sole_root_counts_from_its_rank_on() {
        let scored = [(3.0, false), (2.0, true), (1.0, false)];
        assert_eq!(expected_precision(&scored, 1), [0.0, 1.0, 1.0, 1.0, 1.0]);
    }

    #[test]
    fn pr_at_five_with_four_roots_divides_by_four() {
        let scored = [(6.0, true), (5.0, false), (4.0, true), (3.0, false), (2.0, true), (1.0, true)];
        let precision = expected_precision(&scored, 4);
        assert_eq!(precision[4], 3.0 / 4.0);
        assert_eq!(precision[2], 2.0 / 3.0);
    }

    #[test]
    fn ties_count_as_expected_hits() {
        let scored = [(0.0, false), (0.0, true), (0.0, false), (0.0, false)];
        assert_eq!(expected_precision(&scored, 1), [0.25, 0.5, 0.75, 1.0, 1.0]);
        let scored = [(9.0, false), (1.0, true), (1.0, false)];
        assert_eq!(expected_precision(&scored, 1)[..3], [0.0, 0.5, 1.0]);
    }

    #[test]
    fn roots_that_were_not_ranked_still_count() {
        assert_eq!(expected_precision(&[(1.0, true)], 2), [1.0, 0.5, 0.5, 0.5, 0.5]);
        assert_eq!(expected_precision(&[], 1), [0.0; 5]);
        assert_eq!(expected_precision(&[(1.0, false)], 0), [0.0; 5]);
    }

    #[test]
    fn the_average_is_over_one_to_five() {
        assert_eq!(average_at_five(&[0.0, 0.5, 1.0, 1.0, 1.0]), 0.7);
    }
}
