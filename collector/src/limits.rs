//! What of a source is wanted and how much of it is borne.

use automap_proto::{
    invalid::Invalid,
    time::{TimeWindow, UnixMillis},
};

use crate::error::{CollectError, CollectErrorKind};

/// The samples that are wanted: both ends belong to them, an absent end is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SampleBounds {
    start: Option<UnixMillis>,
    end: Option<UnixMillis>,
}

impl SampleBounds {
    /// All there are.
    pub const ALL: Self = Self { start: None, end: None };

    /// # Errors
    /// The end lies before the start.
    pub fn new(start: Option<UnixMillis>, end: Option<UnixMillis>) -> Result<Self, Invalid> {
        if let (Some(first), Some(last)) = (start, end) {
            TimeWindow::new("end", first, last)?;
        }
        Ok(Self { start, end })
    }

    /// Whether samples of `instant` are wanted.
    pub fn contains(&self, instant: UnixMillis) -> bool {
        self.start.is_none_or(|start| start <= instant) && self.end.is_none_or(|end| instant <= end)
    }

    /// The first instant, unless open.
    pub const fn start(&self) -> Option<UnixMillis> {
        self.start
    }

    /// The last instant, unless open.
    pub const fn end(&self) -> Option<UnixMillis> {
        self.end
    }
}

/// What of a metrics file is wanted, and how much memory its samples may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameLimits {
    /// Rows beyond are passed over.
    pub bounds: SampleBounds,
    /// Most bytes of samples, 8 for each. While a file is read, each row counts 16 bytes more, and each column 512. Measured
    /// calls have a limit as large of their own, in which each counts what it takes while it is read.
    pub max_bytes: usize,
}

/// Longest line of a metrics file, bytes: room for 60,000 columns of the longest names.
const MAX_LINE_BYTES: usize = 16 << 20;

/// Of the limit, the part that a line may be long: read into cells, a line of nothing but commas takes 16 times its length.
const LINE_SHARE: usize = 16;

/// What a column takes while its file is read, bytes: its name in the header, in the plan and among those that are compared,
/// and the beginning of its samples.
const COLUMN_BYTES: usize = 512;

impl FrameLimits {
    /// Everything in a file, within `max_bytes`.
    pub const fn all_within(max_bytes: usize) -> Self {
        Self { bounds: SampleBounds::ALL, max_bytes }
    }

    /// Longest line that is read, bytes.
    pub(crate) fn line_bytes(&self) -> usize {
        MAX_LINE_BYTES.min(self.max_bytes / LINE_SHARE)
    }

    /// What helps where a line is longer than that.
    pub(crate) fn way_out_of_line(&self) -> String {
        if self.line_bytes() < MAX_LINE_BYTES {
            format!("raise collector.server.max-frame-mib, of which a line may take one part in {LINE_SHARE}")
        } else {
            "leave columns out".to_owned()
        }
    }

    /// What so many columns take beside their samples, bytes.
    ///
    /// # Errors
    /// That is more than the limit; `file` is named.
    pub(crate) fn column_bytes(&self, file: &str, columns: usize) -> Result<usize, CollectError> {
        let bytes = columns.saturating_mul(COLUMN_BYTES);
        if bytes <= self.max_bytes {
            return Ok(bytes);
        }
        Err(CollectError::new(
            CollectErrorKind::TooLarge,
            format!(
                "{file} line 1: names {columns} columns, and the limit of {} MiB has room for {}; leave columns out, or raise \
                 collector.server.max-frame-mib",
                self.max_bytes >> 20,
                self.max_bytes / COLUMN_BYTES
            ),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_larger_limit_is_advised_only_where_it_helps() {
        let small = FrameLimits::all_within(MAX_LINE_BYTES);
        assert!(small.way_out_of_line().contains("raise collector.server.max-frame-mib"));
        let large = FrameLimits::all_within(MAX_LINE_BYTES * LINE_SHARE);
        assert!(large.way_out_of_line().starts_with("leave columns out"));
    }

    #[test]
    fn both_ends_are_wanted_and_absent_ends_are_open() {
        let bounds = SampleBounds::new(Some(UnixMillis(10)), Some(UnixMillis(20))).unwrap();
        let inside = [9, 10, 20, 21].map(|instant| bounds.contains(UnixMillis(instant)));
        assert_eq!(inside, [false, true, true, false]);
        assert!(SampleBounds::ALL.contains(UnixMillis(i64::MIN)));
        let error = SampleBounds::new(Some(UnixMillis(20)), Some(UnixMillis(10))).unwrap_err();
        assert_eq!(error.field(), "end");
    }
}
