//! Part of the sets that a pair is tested with, in their order.

use std::ops::Range;

/// Which of a pair's sets are looked at: after so many of them, so many at most. A search with a budget goes over them in
/// parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SetRange {
    /// Sets that were looked at before.
    pub skip: u64,
    /// Sets to look at.
    pub most: u64,
}

impl SetRange {
    /// All sets.
    pub const ALL: Self = Self { skip: 0, most: u64::MAX };
}

/// How far the search of one pair has come.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SetCursor {
    skip: u64,
    left: u64,
    is_cut: bool,
}

impl Default for SetCursor {
    fn default() -> Self {
        Self::start(SetRange::ALL)
    }
}

impl SetCursor {
    #[inline]
    pub(crate) const fn start(range: SetRange) -> Self {
        Self { skip: range.skip, left: range.most, is_cut: false }
    }

    /// Passes over `count` sets when none of them is to be looked at because they all were before.
    #[inline]
    pub(crate) fn skips(&mut self, count: usize) -> bool {
        let count = count as u64;
        let skips = self.skip >= count;
        if skips {
            self.skip -= count;
        }
        skips
    }

    /// The part of the next `count` sets that is to be looked at.
    #[inline]
    pub(crate) fn take(&mut self, count: usize) -> Range<usize> {
        // Both are at most `count`.
        let skipped = self.skip.min(count as u64);
        let taken = self.left.min(count as u64 - skipped);
        self.is_cut |= skipped + taken < count as u64;
        self.skip -= skipped;
        self.left -= taken;
        skipped as usize..(skipped + taken) as usize
    }

    /// Whether no set may be looked at any more; the search that asks had a further one.
    #[inline]
    pub(crate) fn ends(&mut self) -> bool {
        self.is_cut |= self.left == 0;
        self.left == 0
    }

    /// Whether there may be sets beyond the part that was looked at.
    #[inline]
    pub(crate) const fn is_cut(&self) -> bool {
        self.is_cut
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_follow_each_other_without_a_gap() {
        let mut cursor = SetCursor::start(SetRange { skip: 5, most: 4 });
        assert!(cursor.skips(3));
        assert!(!cursor.skips(3));
        assert_eq!(cursor.take(3), 2..3);
        assert!(!cursor.ends() && !cursor.is_cut());
        assert_eq!(cursor.take(4), 0..3);
        assert!(cursor.ends() && cursor.is_cut());
    }

    #[test]
    fn a_whole_search_is_never_cut() {
        let mut cursor = SetCursor::default();
        assert_eq!((cursor.take(7), cursor.take(0)), (0..7, 0..0));
        assert!(!cursor.ends() && !cursor.is_cut());
    }
}
