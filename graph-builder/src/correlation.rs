//! Pearson correlation of every pair of services in one metric type.

use ndarray::{Array2, ArrayView1, ArrayView2, Axis, Slice};
use rayon::prelude::*;

use crate::standardise::Standardised;

/// Fewest common rows of two series that are compared at all: Fisher's z has n − 3 degrees of freedom.
pub const MIN_COMMON_ROWS: u32 = 4;

/// Series multiplied at once. A constant, so that results do not depend on the number of threads.
const BLOCK: usize = 64;

/// Where the variance of a series over the rows that it shares with another is a smaller share than this of its raw
/// second moment there, the one-pass formula has lost too many digits and the pair is computed in two passes.
const CANCELLATION: f64 = 1e-4;

/// How many rows each pair of series has in common.
#[derive(Debug, Clone, PartialEq, Eq)]
enum SampleCounts {
    /// Nothing is missing in any series that varies.
    Uniform(u32),
    /// services × services.
    Pairwise(Vec<u32>),
}

/// The correlation matrix of one metric type: services × services, symmetric.
///
/// A series that is constant or holds no sample, and a pair with fewer than [`MIN_COMMON_ROWS`] common rows,
/// correlates 0. With missing samples the matrix is pairwise complete and need not be positive definite.
#[derive(Debug, Clone, PartialEq)]
pub struct Correlation {
    services: usize,
    coefficients: Vec<f64>,
    varies: Vec<bool>,
    counts: SampleCounts,
}

impl Correlation {
    /// Correlates standardised series: one matrix product when nothing is missing, otherwise the products of values,
    /// squares and presence that give the moments over the common rows of each pair.
    ///
    /// Sums run in a fixed order: the answer does not depend on the number of threads.
    ///
    /// # Complexity
    /// O(services² · rows) time, O(services²) memory.
    pub fn new(standardised: &Standardised) -> Self {
        let services = standardised.services();
        let members = standardised.members();
        let mut varies = vec![false; services];
        for &member in members {
            varies[member] = true;
        }
        let rows = u32::try_from(standardised.rows()).unwrap_or(u32::MAX);
        let mut correlation = Self {
            services,
            coefficients: vec![0.0; services * services],
            varies,
            counts: match standardised.presence() {
                None => SampleCounts::Uniform(rows),
                Some(_) => SampleCounts::Pairwise(vec![0; services * services]),
            },
        };
        let starts: Vec<usize> = (0..members.len()).step_by(BLOCK).collect();
        let blocks: Vec<Vec<(f64, u32)>> = starts
            .par_iter()
            .map(|&start| match standardised.presence() {
                None => complete_block(standardised.values(), start, rows),
                Some(presence) => pairwise_block(standardised.values(), presence, start),
            })
            .collect();
        for (&start, block) in starts.iter().zip(&blocks) {
            let width = members.len() - start;
            for (offset, pairs) in block.chunks(width).enumerate() {
                for (shift, &(coefficient, count)) in pairs.iter().enumerate().skip(offset) {
                    correlation.set(members[start + offset], members[start + shift], coefficient, count);
                }
            }
        }
        correlation
    }

    fn set(&mut self, first: usize, second: usize, coefficient: f64, count: u32) {
        let value = match (first == second, count < MIN_COMMON_ROWS) {
            (true, _) => 1.0,
            (false, true) => 0.0,
            (false, false) => coefficient.clamp(-1.0, 1.0),
        };
        for cell in [first * self.services + second, second * self.services + first] {
            self.coefficients[cell] = value;
            if let SampleCounts::Pairwise(counts) = &mut self.counts {
                counts[cell] = count;
            }
        }
    }

    /// How many services the matrix has, those whose series does not vary included.
    pub const fn services(&self) -> usize {
        self.services
    }

    /// Whether the series of a service varies.
    pub fn varies(&self, service: usize) -> bool {
        self.varies[service]
    }

    /// r of a service with every other, -1 to 1; with itself 1, or 0 where its series does not vary.
    pub fn row(&self, service: usize) -> &[f64] {
        &self.coefficients[service * self.services..(service + 1) * self.services]
    }

    /// r of two services.
    pub fn coefficient(&self, first: usize, second: usize) -> f64 {
        self.coefficients[first * self.services + second]
    }

    /// Rows in which two series that vary both have a sample.
    pub fn common_rows(&self, first: usize, second: usize) -> u32 {
        match &self.counts {
            SampleCounts::Uniform(rows) => *rows,
            SampleCounts::Pairwise(counts) => counts[first * self.services + second],
        }
    }

    /// The common rows of a service with every other; `None` when they are the same for all pairs.
    pub(crate) fn count_row(&self, service: usize) -> Option<&[u32]> {
        match &self.counts {
            SampleCounts::Uniform(_) => None,
            SampleCounts::Pairwise(counts) => {
                Some(&counts[service * self.services..(service + 1) * self.services])
            }
        }
    }

    /// The largest number of common rows of any pair.
    pub fn most_common_rows(&self) -> u32 {
        match &self.counts {
            SampleCounts::Uniform(rows) => *rows,
            SampleCounts::Pairwise(counts) => counts.iter().copied().max().unwrap_or(0),
        }
    }

    /// Whether both series vary and share at least [`MIN_COMMON_ROWS`] rows.
    pub fn is_testable(&self, first: usize, second: usize) -> bool {
        self.varies[first] && self.varies[second] && self.common_rows(first, second) >= MIN_COMMON_ROWS
    }

    /// Bytes held, for caches.
    pub const fn bytes_for(services: usize) -> usize {
        services.saturating_mul(services).saturating_mul(size_of::<f64>() + size_of::<u32>())
    }
}

fn rows_of(matrix: &Array2<f64>, start: usize, end: usize) -> ArrayView2<'_, f64> {
    matrix.slice_axis(Axis(0), Slice::from(start..end))
}

/// r of the series `start..start + BLOCK` with all from `start` on, when nothing is missing.
fn complete_block(values: &Array2<f64>, start: usize, rows: u32) -> Vec<(f64, u32)> {
    let end = (start + BLOCK).min(values.nrows());
    let product = rows_of(values, start, end).dot(&rows_of(values, start, values.nrows()).t());
    product.iter().map(|&coefficient| (coefficient, rows)).collect()
}

/// r and common rows of the series `start..start + BLOCK` with all from `start` on.
fn pairwise_block(values: &Array2<f64>, presence: &Array2<f64>, start: usize) -> Vec<(f64, u32)> {
    let end = (start + BLOCK).min(values.nrows());
    let (own, own_there) = (rows_of(values, start, end), rows_of(presence, start, end));
    let (other, other_there) =
        (rows_of(values, start, values.nrows()), rows_of(presence, start, values.nrows()));
    let square = |value: f64| value * value;
    let counts = own_there.dot(&other_there.t());
    let own_sums = own.dot(&other_there.t());
    let other_sums = own_there.dot(&other.t());
    let own_squares = own.mapv(square).dot(&other_there.t());
    let other_squares = own_there.dot(&other.mapv(square).t());
    let products = own.dot(&other.t());

    let mut pairs = Vec::with_capacity(products.len());
    for ((first, second), &product) in products.indexed_iter() {
        let cell = (first, second);
        // Sums of ones: exact, and at most the number of rows.
        let count = counts[cell] as u32;
        if count < MIN_COMMON_ROWS {
            pairs.push((0.0, count));
            continue;
        }
        let size = f64::from(count);
        let own_variance = own_squares[cell] - square(own_sums[cell]) / size;
        let other_variance = other_squares[cell] - square(other_sums[cell]) / size;
        let accurate = own_variance > CANCELLATION * own_squares[cell]
            && other_variance > CANCELLATION * other_squares[cell];
        let coefficient = if accurate {
            (product - own_sums[cell] * other_sums[cell] / size) / (own_variance * other_variance).sqrt()
        } else {
            two_pass((own.row(first), own_there.row(first)), (other.row(second), other_there.row(second)))
        };
        pairs.push((if coefficient.is_finite() { coefficient } else { 0.0 }, count));
    }
    pairs
}

/// r over the common rows of two series, each given with its presence; 0 where either is constant there.
fn two_pass(
    first: (ArrayView1<'_, f64>, ArrayView1<'_, f64>),
    second: (ArrayView1<'_, f64>, ArrayView1<'_, f64>),
) -> f64 {
    let common: Vec<(f64, f64)> = (0..first.0.len())
        .filter(|&row| first.1[row] > 0.0 && second.1[row] > 0.0)
        .map(|row| (first.0[row], second.0[row]))
        .collect();
    let Some(&(first_start, second_start)) = common.first() else {
        return 0.0;
    };
    if common.iter().all(|pair| pair.0 == first_start) || common.iter().all(|pair| pair.1 == second_start) {
        return 0.0;
    }
    let size = common.len() as f64;
    let first_mean = common.iter().map(|pair| pair.0).sum::<f64>() / size;
    let second_mean = common.iter().map(|pair| pair.1).sum::<f64>() / size;
    let (mut first_squares, mut second_squares, mut products) = (0.0, 0.0, 0.0);
    for (left, right) in common {
        let (left, right) = (left - first_mean, right - second_mean);
        first_squares += left * left;
        second_squares += right * right;
        products += left * right;
    }
    products / (first_squares.sqrt() * second_squares.sqrt())
}

#[cfg(test)]
mod tests {
    use ndarray::array;
    use proptest::prelude::*;

    use super::*;

    fn correlate(values: Array2<f64>) -> Correlation {
        Correlation::new(&Standardised::new(values))
    }

    /// The textbook formula over the common rows.
    fn textbook(left: ArrayView1<'_, f64>, right: ArrayView1<'_, f64>) -> (f64, u32) {
        let common: Vec<(f64, f64)> = left
            .iter()
            .zip(right)
            .filter(|(left, right)| !left.is_nan() && !right.is_nan())
            .map(|(left, right)| (*left, *right))
            .collect();
        let size = common.len() as f64;
        let means = (
            common.iter().map(|pair| pair.0).sum::<f64>() / size,
            common.iter().map(|pair| pair.1).sum::<f64>() / size,
        );
        let moment = |of: &dyn Fn(&(f64, f64)) -> f64| common.iter().map(of).sum::<f64>();
        let covariance = moment(&|pair| (pair.0 - means.0) * (pair.1 - means.1));
        let variances =
            moment(&|pair| (pair.0 - means.0).powi(2)) * moment(&|pair| (pair.1 - means.1).powi(2));
        (covariance / variances.sqrt(), common.len() as u32)
    }

    #[test]
    fn known_coefficients() {
        let correlation = correlate(array![
            [1.0, 2.0, 3.0, 4.0, 5.0],
            [2.0, 4.0, 6.0, 8.0, 10.0],
            [5.0, 4.0, 3.0, 2.0, 1.0],
            [1.0, 3.0, 2.0, 5.0, 4.0],
            [7.0, 7.0, 7.0, 7.0, 7.0],
        ]);
        assert!((correlation.coefficient(0, 1) - 1.0).abs() < 1e-15);
        assert!((correlation.coefficient(0, 2) + 1.0).abs() < 1e-15);
        assert!((correlation.coefficient(0, 3) - 0.8).abs() < 1e-15);
        assert_eq!(correlation.row(4), [0.0; 5]);
        assert!(!correlation.varies(4) && !correlation.is_testable(0, 4));
        assert_eq!(correlation.common_rows(0, 3), 5);
    }

    #[test]
    fn pairs_with_fewer_than_four_common_rows_correlate_zero() {
        let nan = f64::NAN;
        let correlation = correlate(array![
            [1.0, 2.0, 3.0, 4.0, nan, nan],
            [nan, 2.0, 3.0, 9.0, 5.0, 1.0],
            [1.0, 2.0, 3.0, 4.0, 5.0, 1.0],
        ]);
        assert_eq!((correlation.coefficient(0, 1), correlation.common_rows(0, 1)), (0.0, 3));
        assert!(!correlation.is_testable(0, 1) && correlation.is_testable(0, 2));
        assert!((correlation.coefficient(0, 2) - 1.0).abs() < 1e-12);
    }

    #[test]
    fn a_series_that_is_constant_over_the_common_rows_correlates_zero_with_that_one() {
        let nan = f64::NAN;
        let correlation = correlate(array![
            [3.0, 3.0, 3.0, 3.0, 1.0, 8.0],
            [1.0, 5.0, 2.0, 6.0, nan, nan],
            [1.0, 5.0, 2.0, 6.0, 3.0, 1.0],
        ]);
        assert_eq!(correlation.coefficient(0, 1), 0.0);
        assert_ne!(correlation.coefficient(0, 2), 0.0);
    }

    #[test]
    fn a_series_with_one_sample_is_compared_with_none() {
        let nan = f64::NAN;
        let correlation = correlate(array![[nan, 2.0, nan, nan, nan], [1.0, 5.0, 2.0, 6.0, 3.0]]);
        assert!(!correlation.varies(0) && correlation.varies(1) && !correlation.is_testable(0, 1));
        assert_eq!(correlation.coefficient(0, 1), 0.0);
    }

    #[test]
    fn no_series_and_no_row_have_an_empty_answer() {
        assert_eq!(correlate(Array2::zeros((0, 5))).services(), 0);
        assert_eq!(correlate(Array2::zeros((2, 0))).row(1), [0.0, 0.0]);
    }

    proptest! {
        #[test]
        fn pairwise_complete_coefficients_agree_with_the_textbook(
            cells in proptest::collection::vec((-5.0..5.0_f64, 0..4_u8), 90 * 12),
            offset in prop_oneof![Just(0.0), Just(1e6)],
            with_gaps in any::<bool>(),
        ) {
            let values = Array2::from_shape_fn((90, 12), |(row, column)| {
                let (value, gap) = cells[row * 12 + column];
                if with_gaps && gap == 0 { f64::NAN } else { value + offset }
            });
            let correlation = correlate(values.clone());
            for first in 0..90 {
                for second in (0..first).filter(|second| correlation.varies(first) && correlation.varies(*second)) {
                    let (coefficient, count) = textbook(values.row(first), values.row(second));
                    prop_assert_eq!(correlation.common_rows(first, second), count);
                    if count >= MIN_COMMON_ROWS {
                        let found = correlation.coefficient(first, second);
                        prop_assert!((found - coefficient).abs() < 1e-7, "{} {}", found, coefficient);
                        prop_assert_eq!(found, correlation.coefficient(second, first));
                    }
                }
            }
        }
    }
}
