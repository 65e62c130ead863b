//! What decides about verdicts, by name.

/// Raised with every change after which the same shard may get another verdict, or another number of tests.
const REVISION: u32 = 1;

/// Names the code that decides about verdicts: pods of another name are not asked to test.
pub fn build_id() -> String {
    format!("{}/{REVISION}", env!("CARGO_PKG_VERSION"))
}
