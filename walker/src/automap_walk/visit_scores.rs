//! One falling score from visits and relevance.

/// Services are ranked by visits, and those never reached follow in the order of s_i. In one score: the share of
/// visits, 0..1, where a walk can come, and s_i − 2, from −2 to −1, where none does. Equals keep equal scores.
///
/// Both lists hold one value per service.
pub(super) fn visit_scores(visit_shares: &[Option<f64>], relevance: &[f64]) -> Vec<f64> {
    visit_shares
        .iter()
        .zip(relevance)
        .map(|(visits, relevance)| visits.unwrap_or_else(|| relevance.clamp(0.0, 1.0) - 2.0))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_never_reached_follow_all_others_in_the_order_of_relevance() {
        let scores = visit_scores(&[Some(0.9), None, Some(0.0), None, None], &[0.0, 0.25, 0.0, 1.0, 0.25]);
        assert_eq!(scores, [0.9, -1.75, 0.0, -1.0, -1.75]);
    }
}
