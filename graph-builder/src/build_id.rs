//! What decides about verdicts, by name.

use std::sync::LazyLock;

use ndarray::Array2;
use sha2::{Digest as _, Sha256};

use crate::{
    contingency::{CriticalValues, p_value},
    fisher_z::FisherZ,
};

/// Raised with every change after which the same shard may get another verdict, or another number of tests, and with every
/// change of what peers ask each other.
const REVISION: u32 = 3;

/// Series and rows of the product by which processors are told apart: more than a tile of the kernels of a matrix product,
/// and no multiple of it.
const SHAPE: (usize, usize) = (37, 129);
/// Whole numbers whose logarithms are taken.
const LOGARITHMS: u32 = 500;
/// Significance levels of which critical values are taken.
const LEVELS: [f64; 4] = [0.001, 0.01, 0.05, 0.999];
/// Samples, and degrees of freedom, up to which they are.
const MOST: usize = 100;

static ID: LazyLock<String> =
    LazyLock::new(|| format!("{}/{REVISION}/{}", env!("CARGO_PKG_VERSION"), hash(&decisive())));

/// Names the code that decides about verdicts, and the arithmetic of the machine that it runs on: matrix products are made by
/// code that is chosen at run time for the processor, and logarithms, tanh and the rest of what critical values take by the
/// mathematical library of the system. Either may differ in the last bit. Pods of another name are not asked to test.
pub fn build_id() -> String {
    ID.clone()
}

/// Results that decide about verdicts and depend on how the machine rounds: whatever functions they take, theirs is what
/// counts, also those of libraries.
fn decisive() -> Vec<f64> {
    let mut state = 1_u64;
    let series = Array2::from_shape_simple_fn(SHAPE, || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 11) as f64 / (1_u64 << 53) as f64 - 0.5
    });
    let product = series.dot(&series.t());
    let logarithms = (2..LOGARITHMS).map(|number| f64::from(number).ln());
    let of_correlations = LEVELS.iter().flat_map(|&alpha| FisherZ::new(alpha).limits(MOST as u32, 1));
    let of_tables = LEVELS.iter().flat_map(|&alpha| {
        let critical = CriticalValues::new(alpha, MOST);
        (1..=MOST).map(move |freedom| critical.at(freedom))
    });
    // The p-value itself decides near a critical value.
    let p_values = (1..=MOST).map(|freedom| p_value(freedom as f64 * 1.25, freedom));
    product
        .iter()
        .copied()
        .chain(logarithms)
        .chain(of_correlations)
        .chain(of_tables)
        .chain(p_values)
        .collect()
}

/// A hash of numbers, to the last bit.
fn hash(values: &[f64]) -> String {
    let mut digest = Sha256::new();
    for value in values {
        digest.update(value.to_bits().to_le_bytes());
    }
    digest.finalize().iter().take(4).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_has_version_revision_and_arithmetic_and_stays() {
        let parts: Vec<String> = build_id().split('/').map(str::to_owned).collect();
        assert_eq!((parts.len(), parts[0].as_str()), (3, env!("CARGO_PKG_VERSION")));
        assert_eq!(parts[2].len(), 8);
        assert_eq!(build_id(), build_id());
        assert_eq!(parts[2], hash(&decisive()));
    }

    #[test]
    fn the_last_bit_of_any_critical_value_gives_another_name() {
        let values = decisive();
        let known = hash(&values);
        let limit = FisherZ::new(0.05).critical_correlation(50, 1).unwrap();
        let table = CriticalValues::new(0.05, 4).at(4);
        for critical in [limit * limit, table, p_value(5.0, 4), 3.0_f64.ln()] {
            let place = values.iter().position(|value| value.to_bits() == critical.to_bits()).unwrap();
            let mut other = values.clone();
            other[place] = other[place].next_up();
            assert_ne!(hash(&other), known);
        }
    }
}
