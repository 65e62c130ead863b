//! The records of a CSV file, one at a time, with sentences that name file, line and column.

use std::io::Read;

use automap_proto::time::UnixMillis;
use csv::{ByteRecord, Reader, ReaderBuilder};

use crate::{
    bounded_lines::{BoundedLines, LineTooLong},
    error::{CollectError, CollectErrorKind},
    limits::FrameLimits,
};

/// Bytes asked of the source at once.
const BUFFER_BYTES: usize = 64 << 10;

/// Longest piece of a cell that an error quotes, characters.
const QUOTED_CHARACTERS: usize = 40;

/// The records of a file, one at a time, with the place for messages.
pub(crate) struct Records<'a, R> {
    reader: Reader<BoundedLines<R>>,
    record: ByteRecord,
    file: &'a str,
    limits: FrameLimits,
}

impl<'a, R: Read> Records<'a, R> {
    pub(crate) fn new(source: R, file: &'a str, limits: &FrameLimits) -> Self {
        Self {
            reader: ReaderBuilder::new()
                .has_headers(false)
                // The width is checked here, so that the message can name the line of every kind of file.
                .flexible(true)
                .buffer_capacity(BUFFER_BYTES)
                .from_reader(BoundedLines::new(source, limits.line_bytes())),
            record: ByteRecord::new(),
            file,
            limits: *limits,
        }
    }

    /// Reads the next record; false at the end.
    pub(crate) fn advance(&mut self) -> Result<bool, CollectError> {
        let more =
            self.reader.read_byte_record(&mut self.record).map_err(|error| match error.into_kind() {
                csv::ErrorKind::Io(error) => self.io_error(&error),
                other => CollectError::malformed(format!("{}: {other:?}", self.place())),
            })?;
        self.reader.get_mut().line_taken();
        Ok(more)
    }

    fn io_error(&self, error: &std::io::Error) -> CollectError {
        match error.get_ref().and_then(|inner| inner.downcast_ref::<LineTooLong>()) {
            Some(LineTooLong { limit }) => CollectError::new(
                CollectErrorKind::TooLarge,
                format!(
                    "{} line {}: is longer than {limit} bytes; is this a CSV file, and is every quote closed? Then {}",
                    self.file,
                    self.reader.position().line(),
                    self.limits.way_out_of_line()
                ),
            ),
            None => CollectError::reading(self.file, error),
        }
    }

    /// The line that the current record ends on. [`BoundedLines`] ends every line with one line feed, and the
    /// reader has taken it.
    pub(crate) fn line(&self) -> u64 {
        self.reader.position().line().saturating_sub(1).max(1)
    }

    pub(crate) fn place(&self) -> String {
        format!("{} line {}", self.file, self.line())
    }

    pub(crate) fn header(&mut self) -> Result<Vec<String>, CollectError> {
        if !self.advance()? {
            return Err(CollectError::malformed(format!(
                "{} is empty; its first line must name the columns",
                self.file
            )));
        }
        // Before one of them takes what a column takes.
        self.limits.column_bytes(self.file, self.record.len())?;
        let mut names = Vec::with_capacity(self.record.len());
        for (position, cell) in self.record.iter().enumerate() {
            let name = std::str::from_utf8(cell)
                .map_err(|_| self.not_utf8(&format!("column {}", position + 1)))?
                .trim();
            // The CSV reader misses a byte order mark that arrives in pieces.
            names.push(name.trim_start_matches('\u{feff}').to_owned());
        }
        Ok(names)
    }

    pub(crate) fn check_width(&self, width: usize) -> Result<(), CollectError> {
        let found = self.record.len();
        if found == width {
            return Ok(());
        }
        Err(CollectError::malformed(format!(
            "{}: has {found} cells where the header names {width} columns; was the file cut off?",
            self.place()
        )))
    }

    fn not_utf8(&self, column: &str) -> CollectError {
        CollectError::malformed(format!(
            "{}, {column}: is not UTF-8 text; save the file as UTF-8",
            self.place()
        ))
    }

    pub(crate) fn cell(&self, position: usize, column: &str) -> Result<&str, CollectError> {
        std::str::from_utf8(self.record.get(position).unwrap_or_default())
            .map(str::trim)
            .map_err(|_| self.not_utf8(&format!("column {column}")))
    }

    /// NaN for an empty cell.
    pub(crate) fn number(&self, position: usize, column: &str) -> Result<f64, CollectError> {
        let cell = self.cell(position, column)?;
        if cell.is_empty() {
            return Ok(f64::NAN);
        }
        cell.parse().map_err(|_| {
            CollectError::malformed(format!(
                "{}, column {column}: {} is no number; leave the cell empty for a missing sample",
                self.place(),
                quoted(cell)
            ))
        })
    }

    pub(crate) fn time(&self, position: usize, column: &str) -> Result<UnixMillis, CollectError> {
        let cell = self.cell(position, column)?;
        let seconds = cell.parse::<f64>().ok();
        seconds.and_then(|seconds| UnixMillis::from_seconds(column, seconds).ok()).ok_or_else(|| {
            // The year 9999 in seconds is the year 1978 in milliseconds.
            let hint = match seconds {
                Some(large) if large.is_finite() && large > 0.0 => {
                    "; is it in milliseconds? then divide by 1000"
                }
                _ => "",
            };
            CollectError::malformed(format!(
                "{}, column {column}: {} is no time in unix seconds{hint}",
                self.place(),
                quoted(cell)
            ))
        })
    }
}

fn quoted(cell: &str) -> String {
    if cell.chars().count() <= QUOTED_CHARACTERS {
        return format!("{cell:?}");
    }
    let start: String = cell.chars().take(QUOTED_CHARACTERS).collect();
    format!("{start:?}…")
}
