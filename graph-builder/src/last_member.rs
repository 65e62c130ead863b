//! The last member of a separating set, tried candidate after candidate.
//!
//! It is never eliminated: its effect on the pair is a closed form that compares squares, without a root or a
//! division.

use crate::{
    elimination::{NO_VARIANCE, PairMoments, Pivot},
    fisher_z::NOT_MADE,
};

/// Sets tested between two looks for a hit; a power of two that vector units divide evenly.
const LANES: usize = 8;

/// Candidates for the last member of a set: residuals before the last pivot, that pivot's row, and the limits.
pub(crate) struct Tail<'a> {
    pub(crate) to_first: &'a [f64],
    pub(crate) to_second: &'a [f64],
    pub(crate) variance: &'a [f64],
    pub(crate) pivot_row: &'a [f64],
    pub(crate) limits: &'a [f64],
}

impl Tail<'_> {
    /// The first candidate that, with the services before it, separates the pair. `moments` are those of the pair
    /// given the services before it, `pivot` is the last of these.
    ///
    /// A candidate without residual variance adds nothing, and one that leaves an end of the pair without residual
    /// variance does not separate.
    #[inline(always)]
    pub(crate) fn first_separating(&self, moments: PairMoments, pivot: Pivot) -> Option<usize> {
        let (to_first, _) = self.to_first.as_chunks::<LANES>();
        let (to_second, _) = self.to_second.as_chunks::<LANES>();
        let (variance, _) = self.variance.as_chunks::<LANES>();
        let (pivot_row, _) = self.pivot_row.as_chunks::<LANES>();
        let (limits, rest) = self.limits.as_chunks::<LANES>();
        let chunks = to_first.iter().zip(to_second).zip(variance).zip(pivot_row).zip(limits);
        for (index, ((((to_first, to_second), variance), pivot_row), limits)) in chunks.enumerate() {
            // Without a branch inside, so that the compiler tests several candidates with one instruction.
            let mut look_closer = false;
            for lane in 0..LANES {
                let along = pivot_row[lane];
                let first = to_first[lane] - pivot.to_first * along;
                let second = to_second[lane] - pivot.to_second * along;
                let own = variance[lane] - pivot.inverse * along * along;
                let (squared, bound, smaller) = compare(moments, first, second, own);
                look_closer |= (own <= NO_VARIANCE)
                    | ((squared <= limits[lane] * bound) & (smaller > NO_VARIANCE * own));
            }
            if look_closer {
                let start = index * LANES;
                let hit = (start..start + LANES).find(|&position| self.separates(position, moments, pivot));
                if hit.is_some() {
                    return hit;
                }
            }
        }
        let start = self.limits.len() - rest.len();
        (start..self.limits.len()).find(|&position| self.separates(position, moments, pivot))
    }

    /// Whether one candidate, with the services before it, separates the pair.
    fn separates(&self, position: usize, moments: PairMoments, pivot: Pivot) -> bool {
        let limit = self.limits[position];
        let along = self.pivot_row[position];
        let first = self.to_first[position] - pivot.to_first * along;
        let second = self.to_second[position] - pivot.to_second * along;
        let own = self.variance[position] - pivot.inverse * along * along;
        if limit == NOT_MADE {
            return false;
        }
        if own <= NO_VARIANCE {
            let bound = moments.first_variance * moments.second_variance;
            return moments.covariance * moments.covariance <= limit * bound;
        }
        let (squared, bound, smaller) = compare(moments, first, second, own);
        (squared <= limit * bound) & (smaller > NO_VARIANCE * own)
    }
}

/// The pair's partial correlation r given one more variable, free of divisions: with that variable's residual
/// covariances with both ends and its residual variance v, answers (r² · bound, bound, v · the smaller residual
/// variance of the ends).
#[inline(always)]
pub(crate) fn compare(moments: PairMoments, first: f64, second: f64, own: f64) -> (f64, f64, f64) {
    let covariance = moments.covariance * own - first * second;
    let first_variance = moments.first_variance * own - first * first;
    let second_variance = moments.second_variance * own - second * second;
    let smaller = if first_variance < second_variance { first_variance } else { second_variance };
    (covariance * covariance, first_variance * second_variance, smaller)
}
