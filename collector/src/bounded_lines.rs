//! The text of a file as lines of bounded length, whatever it says about itself.

use std::io::{self, Read};

/// Travels inside an `io::Error`: a line is longer than the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a line is longer than {limit} bytes")]
pub(crate) struct LineTooLong {
    pub(crate) limit: usize,
}

/// Reads from `inner`, drops carriage returns, ends the last line, and fails when more than `limit` bytes came
/// since the last line was taken.
///
/// The CSV reader keeps a whole record in memory, so that a file without line ends, or with a quote that is never
/// closed, would be kept whole. And it counts lines at line feeds: with every line ended by exactly one, the line
/// that it stands at is always the one after the record that it read, in files of either kind of line end.
#[derive(Debug)]
pub(crate) struct BoundedLines<R> {
    inner: R,
    limit: usize,
    since_line: usize,
    ends_with_newline: bool,
}

impl<R: Read> BoundedLines<R> {
    pub(crate) const fn new(inner: R, limit: usize) -> Self {
        Self { inner, limit, since_line: 0, ends_with_newline: true }
    }

    /// Says that a line was taken. What is buffered behind it counts for no line, which makes the limit loose by
    /// the size of one buffer.
    pub(crate) const fn line_taken(&mut self) {
        self.since_line = 0;
    }
}

impl<R: Read> Read for BoundedLines<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            let read = self.inner.read(buffer)?;
            if read == 0 {
                if self.ends_with_newline {
                    return Ok(0);
                }
                self.ends_with_newline = true;
                buffer[0] = b'\n';
                return Ok(1);
            }
            self.since_line = self.since_line.saturating_add(read);
            if self.since_line > self.limit {
                return Err(io::Error::other(LineTooLong { limit: self.limit }));
            }
            let kept = drop_carriage_returns(&mut buffer[..read]);
            if kept > 0 {
                self.ends_with_newline = buffer[kept - 1] == b'\n';
                return Ok(kept);
            }
        }
    }
}

/// Moves all other bytes to the front and answers how many there are.
fn drop_carriage_returns(bytes: &mut [u8]) -> usize {
    let Some(first) = bytes.iter().position(|&byte| byte == b'\r') else {
        return bytes.len();
    };
    let mut kept = first;
    for index in first..bytes.len() {
        if bytes[index] != b'\r' {
            bytes[kept] = bytes[index];
            kept += 1;
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(input: &str, chunk: usize) -> String {
        let mut lines = BoundedLines::new(input.as_bytes(), 100);
        let mut output = Vec::new();
        let mut buffer = vec![0; chunk];
        loop {
            let read = lines.read(&mut buffer).unwrap();
            if read == 0 {
                return String::from_utf8(output).unwrap();
            }
            output.extend_from_slice(&buffer[..read]);
        }
    }

    #[test]
    fn every_line_ends_with_one_line_feed_however_the_bytes_arrive() {
        for chunk in [1, 2, 3, 64] {
            assert_eq!(text("a\r\nb\r\n\r\nc", chunk), "a\nb\n\nc\n");
            assert_eq!(text("a\n", chunk), "a\n");
            assert_eq!(text("", chunk), "");
        }
    }

    #[test]
    fn an_endless_line_is_refused_before_much_of_it_is_read() {
        let mut lines = BoundedLines::new(io::repeat(b'7'), 1000);
        let mut total = 0;
        let error = loop {
            match lines.read(&mut [0; 64]) {
                Ok(read) => total += read,
                Err(error) => break error,
            }
        };
        assert!(total <= 1000);
        assert_eq!(
            error.get_ref().unwrap().downcast_ref::<LineTooLong>(),
            Some(&LineTooLong { limit: 1000 })
        );
        let mut lines = BoundedLines::new(io::repeat(b'7'), 1000);
        for _ in 0..100 {
            lines.line_taken();
            assert_eq!(lines.read(&mut [0; 64]).unwrap(), 64);
        }
    }
}
