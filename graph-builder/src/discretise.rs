//! Series in bins of equal frequency, as bit planes that contingency tables are counted from.

use automap_proto::settings::Bins;

use crate::standardise::Standardised;

const WORD_BITS: usize = u64::BITS as usize;

/// The varying series of one metric type in bins.
///
/// A plane is the set of rows in which one series falls into one bin; a row without a sample is in none of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Discretised {
    services: usize,
    rows: usize,
    bins: usize,
    words: usize,
    varies: Vec<bool>,
    /// Whether no varying series misses a sample.
    is_complete: bool,
    /// services × bins × words, row-major; row r of the series is bit r % 64 of word r / 64.
    planes: Vec<u64>,
}

impl Discretised {
    /// Puts each series into bins that hold, ties aside, equally many samples to within one.
    ///
    /// Equal values share a bin, the one in which the middle of their ranks lies: a sample with l smaller and e equal
    /// ones (itself included) of n goes to bin ⌊bins · (2l + e) / 2n⌋. So a series that varies has at least two bins
    /// with samples, whatever ties it has.
    ///
    /// # Complexity
    /// O(services · rows · log rows) time, services · bins · rows / 8 bytes.
    pub fn new(standardised: &Standardised, bins: Bins) -> Self {
        let (services, rows, bins) = (standardised.services(), standardised.rows(), bins.count());
        // At least one, so that planes can be told apart when there is no row.
        let words = rows.div_ceil(WORD_BITS).max(1);
        let mut varies = vec![false; services];
        let mut planes = vec![0; services * bins * words];
        let mut order = Vec::with_capacity(rows);
        for (position, &member) in standardised.members().iter().enumerate() {
            varies[member] = true;
            let series = standardised.values().row(position);
            order.clear();
            order.extend((0..rows).filter(|&row| {
                standardised.presence().is_none_or(|presence| presence[[position, row]] > 0.0)
            }));
            order.sort_unstable_by(|&left, &right| series[left].total_cmp(&series[right]));
            let own = &mut planes[member * bins * words..(member + 1) * bins * words];
            let mut smaller = 0;
            for ties in order.chunk_by(|&left, &right| series[left] == series[right]) {
                let bin = bins * (2 * smaller + ties.len()) / (2 * order.len());
                for &row in ties {
                    own[bin * words + row / WORD_BITS] |= 1 << (row % WORD_BITS);
                }
                smaller += ties.len();
            }
        }
        Self { services, rows, bins, words, varies, is_complete: standardised.presence().is_none(), planes }
    }

    /// How many services there are, those whose series does not vary included.
    pub const fn services(&self) -> usize {
        self.services
    }

    /// Rows of the selection.
    pub const fn rows(&self) -> usize {
        self.rows
    }

    /// Bins of each series.
    pub const fn bins(&self) -> usize {
        self.bins
    }

    /// Words of a plane.
    pub(crate) const fn words(&self) -> usize {
        self.words
    }

    /// Whether the series of a service varies.
    pub fn varies(&self, service: usize) -> bool {
        self.varies[service]
    }

    /// Whether no varying series misses a sample.
    pub const fn is_complete(&self) -> bool {
        self.is_complete
    }

    /// The planes of a service: bins × words.
    pub(crate) fn planes(&self, service: usize) -> &[u64] {
        let size = self.bins * self.words;
        &self.planes[service * size..(service + 1) * size]
    }

    /// The bin of one sample; `None` where it is missing or the series does not vary.
    pub fn bin(&self, service: usize, row: usize) -> Option<usize> {
        let (word, bit) = (row / WORD_BITS, row % WORD_BITS);
        (0..self.bins).find(|bin| self.planes(service)[bin * self.words + word] >> bit & 1 == 1)
    }

    /// Bytes held, for caches.
    pub const fn bytes_for(services: usize, rows: usize, bins: Bins) -> usize {
        rows.div_ceil(WORD_BITS).saturating_mul(size_of::<u64>() * bins.count()).saturating_mul(services)
    }
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, array};
    use proptest::prelude::*;

    use super::*;

    fn bins_of(data: &Discretised, service: usize) -> Vec<Option<usize>> {
        (0..data.rows()).map(|row| data.bin(service, row)).collect()
    }

    fn discretised(values: Array2<f64>, bins: Bins) -> Discretised {
        Discretised::new(&Standardised::new(values), bins)
    }

    #[test]
    fn distinct_values_fill_the_bins_equally() {
        let data = discretised(array![[6.0, 1.0, 5.0, 2.0, 4.0, 3.0]], Bins::Three);
        assert_eq!(bins_of(&data, 0), [2, 0, 2, 0, 1, 1].map(Some));
    }

    #[test]
    fn ties_stay_together_and_never_hide_that_a_series_varies() {
        let mostly_up = array![[0.2, 0.9, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]];
        for bins in Bins::ALL {
            let found = bins_of(&discretised(mostly_up.clone(), bins), 0);
            assert!(found[2..].iter().all(|bin| *bin == found[2]));
            assert!(found[0] < found[2] && found[1] < found[2], "{found:?}");
        }
    }

    #[test]
    fn missing_samples_and_constant_series_have_no_bin() {
        let data = discretised(array![[1.0, f64::NAN, 3.0], [7.0, 7.0, 7.0]], Bins::Two);
        assert_eq!(bins_of(&data, 0), [Some(0), None, Some(1)]);
        assert_eq!(bins_of(&data, 1), [None; 3]);
        assert!(data.varies(0) && !data.varies(1) && !data.is_complete());
        assert_eq!(discretised(Array2::zeros((0, 0)), Bins::Two).rows(), 0);
    }

    proptest! {
        #[test]
        fn bins_follow_the_order_and_are_balanced_up_to_ties(
            draws in proptest::collection::vec(0_u8..40, 2..150),
            bins in prop_oneof![Just(Bins::Two), Just(Bins::Three), Just(Bins::Five)],
        ) {
            let values: Vec<f64> = draws.iter().map(|&draw| f64::from(draw)).collect();
            let rows = values.len();
            let data = discretised(Array2::from_shape_vec((1, rows), values).unwrap(), bins);
            if draws.iter().all(|draw| *draw == draws[0]) {
                prop_assert!(!data.varies(0));
                return Ok(());
            }
            let found: Vec<usize> = bins_of(&data, 0).into_iter().flatten().collect();
            prop_assert_eq!(found.len(), rows);
            let mut order: Vec<usize> = (0..rows).collect();
            order.sort_by_key(|&row| draws[row]);
            prop_assert!(order.is_sorted_by_key(|&row| found[row]));
            prop_assert!(found.iter().any(|bin| *bin != found[0]));
            let most_ties = (0..40).map(|value| draws.iter().filter(|draw| **draw == value).count()).max().unwrap();
            for bin in 0..bins.count() {
                let size = found.iter().filter(|other| **other == bin).count();
                prop_assert!(size <= rows.div_ceil(bins.count()) + most_ties, "{} of {}", size, rows);
            }
        }
    }
}
