//! How good a ranking was, judged by the confirmed root causes.

use std::collections::BTreeSet;

/// PR@K = |top-K ∩ roots| / min(K, |roots|), 0..1: 1 when the first K places hold as many root causes as they can.
/// 0 when there are no roots or K is 0. Names given twice count once.
pub fn precision_at<S: AsRef<str>, R: AsRef<str>>(k: usize, ranked: &[S], roots: &[R]) -> f64 {
    let (hits, roots) = hits_at(k, ranked, roots);
    share(hits, roots.min(k))
}

/// recall@K = |top-K ∩ roots| / |roots|, 0..1: never 1 while there are more than K root causes. Some authors report
/// this number as precision.
pub fn recall_at<S: AsRef<str>, R: AsRef<str>>(k: usize, ranked: &[S], roots: &[R]) -> f64 {
    let (hits, roots) = hits_at(k, ranked, roots);
    share(hits, roots)
}

fn hits_at<S: AsRef<str>, R: AsRef<str>>(k: usize, ranked: &[S], roots: &[R]) -> (usize, usize) {
    let wanted: BTreeSet<&str> = roots.iter().map(AsRef::as_ref).collect();
    let top: BTreeSet<&str> = ranked.iter().take(k).map(AsRef::as_ref).collect();
    (top.intersection(&wanted).count(), wanted.len())
}

fn share(hits: usize, of: usize) -> f64 {
    if of == 0 { 0.0 } else { hits as f64 / of as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RANKED: [&str; 6] = ["a", "b", "c", "d", "e", "f"];

    #[test]
    fn precision_at_five_with_four_roots_divides_by_four() {
        assert_eq!(precision_at(5, &RANKED, &["a", "c", "f", "z"]), 0.5);
        assert_eq!(recall_at(5, &RANKED, &["a", "c", "f", "z"]), 0.5);
    }

    #[test]
    fn with_more_roots_than_places_precision_divides_by_the_places_and_recall_by_the_roots() {
        let roots = ["a", "b", "c", "e"];
        assert_eq!(precision_at(3, &RANKED, &roots), 1.0);
        assert_eq!(recall_at(3, &RANKED, &roots), 0.75);
    }

    #[test]
    fn nothing_confirmed_or_nothing_ranked_scores_zero() {
        let none: [&str; 0] = [];
        assert_eq!(precision_at(3, &RANKED, &none), 0.0);
        assert_eq!(recall_at(3, &RANKED, &none), 0.0);
        assert_eq!(precision_at(3, &none, &["a"]), 0.0);
        assert_eq!(precision_at(0, &RANKED, &["a"]), 0.0);
    }

    #[test]
    fn a_root_named_twice_counts_once() {
        assert_eq!(precision_at(3, &RANKED, &["a", "a"]), 1.0);
    }
}
