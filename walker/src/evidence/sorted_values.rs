//! Order statistics of sorted values of which some are left out: one sorting serves every window.

/// Values that ascend, without those at some ranks.
#[derive(Debug, Clone, Copy)]
pub struct SortedValues<'a> {
    sorted: &'a [f64],
    /// Ranks that are left out, ascending.
    left_out: &'a [u32],
}

impl<'a> SortedValues<'a> {
    /// All of `sorted`, which ascend and hold no NaN.
    pub const fn all(sorted: &'a [f64]) -> Self {
        Self { sorted, left_out: &[] }
    }

    /// Those of `sorted` whose rank is none of `left_out`; both ascend.
    pub const fn without(sorted: &'a [f64], left_out: &'a [u32]) -> Self {
        Self { sorted, left_out }
    }

    /// How many there are.
    pub const fn len(&self) -> usize {
        self.sorted.len().saturating_sub(self.left_out.len())
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The value at `index`, the smallest at 0; NaN beyond the last. O(log left out).
    pub fn at(&self, index: usize) -> f64 {
        // The n-th rank that is left out lies before it when no more than `index` values lie before that rank.
        let (mut before, mut after) = (0, self.left_out.len());
        while before < after {
            let middle = before.midpoint(after);
            if self.left_out[middle] as usize - middle <= index {
                before = middle + 1;
            } else {
                after = middle;
            }
        }
        self.sorted.get(index + before).copied().unwrap_or(f64::NAN)
    }

    /// The smallest and the largest.
    pub fn ends(&self) -> Option<(f64, f64)> {
        Some((self.at(0), self.at(self.len().checked_sub(1)?)))
    }

    /// All of them, ascending.
    pub fn iter(&self) -> impl Iterator<Item = f64> + Clone {
        let mut skipped = self.left_out.iter().map(|&rank| rank as usize).peekable();
        let sorted = self.sorted.iter().enumerate();
        sorted.filter_map(move |(rank, &value)| (skipped.next_if_eq(&rank).is_none()).then_some(value))
    }

    /// The value below which a share `quantile` lies, as [`percentile`](crate::percentile::percentile). O(log left out).
    pub fn percentile(&self, quantile: f64) -> f64 {
        let Some(last) = self.len().checked_sub(1) else {
            return 0.0;
        };
        let position = quantile.clamp(0.0, 1.0) * last as f64;
        let below = (position.floor() as usize).min(last);
        let lower = self.at(below);
        lower + (self.at((below + 1).min(last)) - lower) * (position - below as f64)
    }

    /// The middle; zero when there is none.
    pub fn median(&self) -> f64 {
        self.percentile(0.5)
    }

    /// The median of |value − centre|. O(log² values): distances ascend on either side of the centre, and how many of
    /// the nearer half lie below it is found by bisection.
    pub fn median_distance(&self, centre: f64) -> f64 {
        let count = self.len();
        if count == 0 {
            return 0.0;
        }
        let sorted_below = self.sorted.partition_point(|value| *value < centre);
        let below = sorted_below - self.left_out.partition_point(|&rank| (rank as usize) < sorted_below);
        let above = count - below;
        // Distances of the n-th nearest on each side; beyond the last, further than any.
        let from_below = |index: usize| {
            if index < below { centre - self.at(below - 1 - index) } else { f64::INFINITY }
        };
        let from_above = |index: usize| {
            if index < above { self.at(below + index) - centre } else { f64::INFINITY }
        };
        let nearer = count / 2 + 1;
        let (mut low, mut high) = (nearer.saturating_sub(above), nearer.min(below));
        while low < high {
            let taken = low.midpoint(high);
            // Enough are taken from below when the next of them is no nearer than the last from above.
            if nearer == taken || from_below(taken) >= from_above(nearer - taken - 1) {
                high = taken;
            } else {
                low = taken + 1;
            }
        }
        let last = |distance: &dyn Fn(usize) -> f64, taken: usize| {
            taken.checked_sub(1).map_or(f64::NEG_INFINITY, distance)
        };
        let (farthest_below, farthest_above) = (last(&from_below, low), last(&from_above, nearer - low));
        let farthest = farthest_below.max(farthest_above);
        if count % 2 == 1 {
            return farthest;
        }
        let next = if farthest_below >= farthest_above {
            farthest_above.max(last(&from_below, low - 1))
        } else {
            farthest_below.max(last(&from_above, nearer - low - 1))
        };
        f64::midpoint(next, farthest)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::percentile::{median, percentile};

    #[test]
    fn nothing_is_left_of_nothing() {
        let none = SortedValues::without(&[1.0, 2.0], &[0, 1]);
        assert!(none.is_empty() && none.ends().is_none() && none.at(0).is_nan());
        assert_eq!((none.median(), none.median_distance(0.0)), (0.0, 0.0));
    }

    proptest! {
        #[test]
        fn every_statistic_is_that_of_the_values_which_are_left(
            values in proptest::collection::vec(
                (prop_oneof![-1e3..1e3_f64, Just(0.0), Just(7.0), Just(1e150)], any::<bool>()),
                1..40,
            ),
            quantile in 0.0..1.0_f64,
        ) {
            let mut values = values;
            values.sort_by(|left, right| left.0.total_cmp(&right.0));
            let sorted: Vec<f64> = values.iter().map(|(value, _)| *value).collect();
            let left_out: Vec<u32> = (0..).zip(&values).filter(|(_, (_, out))| *out).map(|(rank, _)| rank).collect();
            let left: Vec<f64> = values.iter().filter(|(_, out)| !out).map(|(value, _)| *value).collect();
            let found = SortedValues::without(&sorted, &left_out);
            prop_assert_eq!(found.len(), left.len());
            prop_assert_eq!(found.iter().collect::<Vec<_>>(), left.clone());
            prop_assert_eq!(found.percentile(quantile), percentile(&left, quantile));
            prop_assert_eq!(found.ends(), left.first().copied().zip(left.last().copied()));
            let centre = median(&left);
            let mut distances: Vec<f64> = left.iter().map(|value| (value - centre).abs()).collect();
            distances.sort_unstable_by(f64::total_cmp);
            let expected = median(&distances);
            prop_assert!((found.median_distance(centre) - expected).abs() <= 1e-12 * expected.abs());
        }
    }
}
