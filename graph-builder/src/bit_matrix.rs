//! A square matrix of bits, for adjacency that is looked up row by row.

const WORD_BITS: usize = u64::BITS as usize;

/// A square matrix of bits, row-major in words of 64.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BitMatrix {
    words_per_row: usize,
    words: Vec<u64>,
}

impl BitMatrix {
    /// All zero.
    pub(crate) fn new(size: usize) -> Self {
        let words_per_row = size.div_ceil(WORD_BITS);
        Self { words_per_row, words: vec![0; words_per_row * size] }
    }

    pub(crate) fn insert(&mut self, row: usize, column: usize) {
        self.words[row * self.words_per_row + column / WORD_BITS] |= 1 << (column % WORD_BITS);
    }

    pub(crate) fn remove(&mut self, row: usize, column: usize) {
        self.words[row * self.words_per_row + column / WORD_BITS] &= !(1 << (column % WORD_BITS));
    }

    pub(crate) fn contains(&self, row: usize, column: usize) -> bool {
        self.words[row * self.words_per_row + column / WORD_BITS] >> (column % WORD_BITS) & 1 == 1
    }

    /// The words of a row; bits beyond the size are zero.
    pub(crate) fn row(&self, row: usize) -> &[u64] {
        &self.words[row * self.words_per_row..(row + 1) * self.words_per_row]
    }
}

/// Positions of the bits that are set, ascending.
pub(crate) fn ones(words: impl IntoIterator<Item = u64>) -> impl Iterator<Item = usize> {
    words.into_iter().enumerate().flat_map(|(index, word)| {
        let mut left = word;
        std::iter::from_fn(move || {
            (left != 0).then(|| {
                let bit = left.trailing_zeros() as usize;
                left &= left - 1;
                index * WORD_BITS + bit
            })
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_are_kept_apart_across_words() {
        let mut matrix = BitMatrix::new(130);
        for column in [0, 63, 64, 129] {
            matrix.insert(7, column);
        }
        assert_eq!(ones(matrix.row(7).iter().copied()).collect::<Vec<_>>(), [0, 63, 64, 129]);
        assert!(matrix.contains(7, 64) && !matrix.contains(8, 64) && !matrix.contains(7, 65));
        matrix.remove(7, 64);
        assert!(!matrix.contains(7, 64));
        assert_eq!(BitMatrix::new(0).words.len(), 0);
    }
}
