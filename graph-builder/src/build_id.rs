//! What decides about verdicts, by name.

use std::sync::LazyLock;

use ndarray::Array2;
use sha2::{Digest as _, Sha256};

/// Raised with every change after which the same shard may get another verdict, or another number of tests, and with every
/// change of what peers ask each other.
const REVISION: u32 = 2;

/// Series and rows of the product by which processors are told apart: more than a tile of the kernels of a matrix product,
/// and no multiple of it.
const SHAPE: (usize, usize) = (37, 129);
/// Whole numbers whose logarithms are taken.
const LOGARITHMS: u32 = 500;

static ID: LazyLock<String> =
    LazyLock::new(|| format!("{}/{REVISION}/{}", env!("CARGO_PKG_VERSION"), arithmetic()));

/// Names the code that decides about verdicts, and the arithmetic of the processor that it runs on: matrix products and
/// logarithms are made by code that is chosen at run time for the processor, and may differ in the last bit. Pods of another
/// name are not asked to test.
pub fn build_id() -> String {
    ID.clone()
}

/// A hash of results that depend on how the processor rounds.
fn arithmetic() -> String {
    let mut state = 1_u64;
    let series = Array2::from_shape_simple_fn(SHAPE, || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 11) as f64 / (1_u64 << 53) as f64 - 0.5
    });
    let product = series.dot(&series.t());
    let logarithms = (2..LOGARITHMS).map(|number| f64::from(number).ln());
    let mut digest = Sha256::new();
    for value in product.iter().copied().chain(logarithms) {
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
        assert_eq!(parts[2], arithmetic());
    }
}
