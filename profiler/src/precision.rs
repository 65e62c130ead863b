//! How good a ranking was, judged by the confirmed root causes.

use std::collections::BTreeSet;

/// PR@K = |top-K ∩ roots| / min(K, |roots|), 0..1: 1 when the first K places hold as many root causes as they can.
/// 0 when there are no roots or K is 0. Names given twice count once.
pub fn precision_at<S: AsRef<str>, R: AsRef<str>>(k: usize, ranked: &[S], roots: &[R]) -> f64 {
    let wanted: BTreeSet<&str> = roots.iter().map(AsRef::as_ref).collect();
    let top: BTreeSet<&str> = ranked.iter().take(k).map(AsRef::as_ref).collect();
    match wanted.len().min(k) {
        0 => 0.0,
        most => top.intersection(&wanted).count() as f64 / most as f64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RANKED: [&str; 6] = ["a", "b", "c", "d", "e", "f"];

    #[test]
    fn precision_at_five_with_four_roots_divides_by_four() {
        assert_eq!(precision_at(5, &RANKED, &["a", "c", "f", "z"]), 0.5);
    }

    #[test]
    fn with_more_roots_than_places_precision_divides_by_the_places() {
        assert_eq!(precision_at(3, &RANKED, &["a", "b", "c", "e"]), 1.0);
        assert_eq!(precision_at(3, &RANKED, &["a", "d", "c", "e"]), 2.0 / 3.0);
    }

    #[test]
    fn nothing_confirmed_or_nothing_ranked_scores_zero() {
        let none: [&str; 0] = [];
        assert_eq!(precision_at(3, &RANKED, &none), 0.0);
        assert_eq!(precision_at(3, &none, &["a"]), 0.0);
        assert_eq!(precision_at(0, &RANKED, &["a"]), 0.0);
    }

    #[test]
    fn a_root_named_twice_counts_once() {
        assert_eq!(precision_at(3, &RANKED, &["a", "a"]), 1.0);
    }
}
