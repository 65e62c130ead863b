//! How many tests a level may take, and how many sets each pair gets when that is too many.

use crate::{bit_matrix::BitMatrix, skeleton::Neighbours};

/// Sets of a level's size among the neighbours of a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct PairSets {
    /// Of both ends: what a search looks at.
    pub(crate) sets: u64,
    /// Without those among common neighbours twice: most tests.
    pub(crate) tests: u64,
}

/// For each of `pairs` the sets of `size` that its search looks at when none separates.
///
/// # Complexity
/// O(services² / 64 + pairs · services / 64).
pub(crate) fn pair_sets(neighbours: &Neighbours, pairs: &[(u32, u32)], size: usize) -> Vec<PairSets> {
    let mut adjacent = BitMatrix::new(neighbours.len());
    for (service, others) in neighbours.iter().enumerate() {
        for &other in others {
            adjacent.insert(service, other as usize);
        }
    }
    pairs
        .iter()
        .map(|&(first, second)| {
            let (first, second) = (first as usize, second as usize);
            let words = adjacent.row(first).iter().zip(adjacent.row(second));
            let common: usize = words.map(|(left, right)| (left & right).count_ones() as usize).sum();
            // The other end is a neighbour too.
            let [of_first, of_second] = [first, second].map(|end| neighbours[end].len().saturating_sub(1));
            let sets = binomial(of_first, size).saturating_add(binomial(of_second, size));
            PairSets { sets, tests: sets.saturating_sub(binomial(common, size)) }
        })
        .collect()
}

/// n over k, at most `u64::MAX`.
fn binomial(n: usize, k: usize) -> u64 {
    if k > n {
        return 0;
    }
    let mut product: u128 = 1;
    for step in 0..k.min(n - k) {
        // Always whole: it is a binomial coefficient itself.
        product = product * (n - step) as u128 / (step + 1) as u128;
        if product > u128::from(u64::MAX) {
            return u64::MAX;
        }
    }
    u64::try_from(product).unwrap_or(u64::MAX)
}

/// The largest number that each pair may take so that all together, each with no more than its own number, take at most
/// `budget`; `u64::MAX` when all fit.
pub(crate) fn equal_share(mut own: Vec<u64>, budget: u64) -> u64 {
    own.sort_unstable();
    let mut left = budget;
    for (index, &number) in own.iter().enumerate() {
        let share = left / (own.len() - index) as u64;
        if number > share {
            return share;
        }
        left -= number;
    }
    u64::MAX
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::skeleton::neighbours_from_pairs;

    #[test]
    fn sets_of_common_neighbours_are_tested_once() {
        // 0 and 1 have 2 and 3 in common; 0 has 4 alone.
        let pairs = [(0, 1), (0, 2), (0, 3), (0, 4), (1, 2), (1, 3)];
        let neighbours = neighbours_from_pairs(5, &pairs);
        let found = |size| pair_sets(&neighbours, &[(0, 1), (0, 4)], size);
        assert_eq!(found(1), [PairSets { sets: 5, tests: 3 }, PairSets { sets: 3, tests: 3 }]);
        assert_eq!(found(2)[0], PairSets { sets: 4, tests: 3 });
        assert_eq!(found(4), [PairSets::default(); 2]);
    }

    #[test]
    fn large_numbers_saturate() {
        assert_eq!((binomial(5, 2), binomial(5, 5), binomial(5, 6), binomial(0, 0)), (10, 1, 0, 1));
        assert_eq!(binomial(2000, 3), 1_331_334_000);
        assert_eq!(binomial(2000, 40), u64::MAX);
    }

    #[test]
    fn small_needs_are_met_and_the_rest_shares_alike() {
        assert_eq!(equal_share(vec![10, 1, 10, 2], 23), u64::MAX);
        // 3 for the small ones, 19 for two.
        assert_eq!(equal_share(vec![10, 1, 10, 2], 22), 9);
        assert_eq!(equal_share(vec![10, 10], 1), 0);
        assert_eq!(equal_share(vec![u64::MAX, u64::MAX], u64::MAX), u64::MAX / 2);
        assert_eq!(equal_share(Vec::new(), 0), u64::MAX);
    }
}
