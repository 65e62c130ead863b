//! Skeletons as bits, for the wire.

use crate::{
    bit_matrix::BitMatrix,
    skeleton::{self, Neighbours},
};

/// The upper triangle of a skeleton without the diagonal, row by row, a bit for each pair, the lowest bit of a byte first.
///
/// # Complexity
/// O(services² / 8 + edges).
pub fn to_bits(neighbours: &Neighbours) -> Vec<u8> {
    let pairs: Vec<(u32, u32)> = skeleton::pairs_of(neighbours).collect();
    bits_of(&pairs, neighbours.len())
}

/// The same of pairs (first < second) of so many services.
///
/// # Complexity
/// O(services² / 8 + pairs).
pub fn bits_of(pairs: &[(u32, u32)], services: usize) -> Vec<u8> {
    let mut bytes = vec![0_u8; pairs_of(services).div_ceil(8)];
    for &(first, second) in pairs {
        let (first, second) = (first as usize, second as usize);
        // The rows before `first` hold the pairs of all services but those of the rest among themselves.
        let start = pairs_of(services) - pairs_of(services - first);
        let bit = start + second - first - 1;
        bytes[bit / 8] |= 1 << (bit % 8);
    }
    bytes
}

/// The pairs of a skeleton of so many services, sorted; `None` when there are not exactly as many bits as pairs, zeros at
/// the end of the last byte aside.
///
/// # Complexity
/// O(services² / 8 + edges).
pub fn from_bits(bytes: &[u8], services: usize) -> Option<Vec<(u32, u32)>> {
    let pairs = pairs_of(services);
    let spare = bytes.last().map_or(0, |last| if pairs.is_multiple_of(8) { 0 } else { last >> (pairs % 8) });
    if bytes.len() != pairs.div_ceil(8) || spare != 0 {
        return None;
    }
    let mut found = Vec::new();
    let (mut first, mut start, mut end) = (0, 0, services.saturating_sub(1));
    for (index, &byte) in bytes.iter().enumerate() {
        let mut left = byte;
        while left != 0 {
            let bit = index * 8 + left.trailing_zeros() as usize;
            left &= left - 1;
            while bit >= end {
                first += 1;
                start = end;
                end += services - first - 1;
            }
            found.push((first as u32, (first + 1 + bit - start) as u32));
        }
    }
    Some(found)
}

/// Bytes of [`to_bits`].
pub const fn bytes_for(services: usize) -> usize {
    pairs_of(services).div_ceil(8)
}

const fn pairs_of(services: usize) -> usize {
    services * services.saturating_sub(1) / 2
}

/// Whether pairs are distinct, ascending in themselves, and of so many services.
pub(crate) fn first_bad_pair(pairs: &[(u32, u32)], services: usize) -> Option<usize> {
    let mut seen = BitMatrix::new(services);
    pairs.iter().position(|&(first, second)| {
        let (first, second) = (first as usize, second as usize);
        let is_bad = first >= second || second >= services || seen.contains(first, second);
        if !is_bad {
            seen.insert(first, second);
        }
        is_bad
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::skeleton::neighbours_from_pairs;

    proptest! {
        #[test]
        fn skeletons_come_back(services in 0_usize..40, seed in any::<u64>()) {
            let pairs: Vec<(u32, u32)> = (0..services as u32)
                .flat_map(|first| (first + 1..services as u32).map(move |second| (first, second)))
                .filter(|&(first, second)| (seed ^ u64::from(first * 41 + second * 7)).count_ones().is_multiple_of(3))
                .collect();
            let bits = to_bits(&neighbours_from_pairs(services, &pairs));
            prop_assert_eq!(bits.len(), bytes_for(services));
            prop_assert_eq!(from_bits(&bits, services), Some(pairs));
        }
    }

    #[test]
    fn what_is_no_skeleton_is_refused() {
        assert_eq!(from_bits(&[], 2), None);
        assert_eq!(from_bits(&[0, 0], 2), None);
        assert_eq!(from_bits(&[0b10], 2), None);
        assert_eq!(from_bits(&[0b1], 2), Some(vec![(0, 1)]));
        assert_eq!(from_bits(&[], 1), Some(vec![]));
        assert_eq!(first_bad_pair(&[(0, 1), (1, 2), (0, 1)], 3), Some(2));
        assert_eq!(first_bad_pair(&[(0, 1), (1, 3)], 3), Some(1));
    }
}
