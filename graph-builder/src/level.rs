//! What the tests of one level took.

/// What the tests of one level took, and whether a budget cut it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Level {
    /// Size of its conditioning sets, from 1 on.
    pub size: usize,
    /// Pairs that were connected when it began.
    pub pairs: usize,
    /// Tests that these would take if no set separated any of them, saturating.
    pub most_tests: u64,
    /// Tests that were expected before it began: the same share of the most as the level before made.
    pub expected_tests: u64,
    /// Tests that were made.
    pub tests: u64,
    /// Pairs that keep their edges because a budget ended their search.
    pub cut_pairs: usize,
    /// Sets that were looked at of each of those, unless time ended the search.
    pub sets_tried: u64,
}

impl Level {
    /// Share of the most tests that were made, 0 to 1.
    pub(crate) fn share_made(&self) -> f64 {
        if self.most_tests == 0 { 1.0 } else { (self.tests as f64 / self.most_tests as f64).min(1.0) }
    }
}
