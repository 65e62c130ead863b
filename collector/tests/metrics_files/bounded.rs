//! Files that are larger than what may be kept of them.

use std::io::{self, Read};

use automap_collector::{collect::read_frame, error::CollectErrorKind, limits::FrameLimits};

use super::described;

/// Rows of a file that exists nowhere; counts what is read of it.
struct Generated<F> {
    row: F,
    next: u64,
    pending: Vec<u8>,
    read: usize,
}

impl<F: FnMut(u64) -> Option<String>> Generated<F> {
    fn new(row: F) -> Self {
        Self { row, next: 0, pending: Vec::new(), read: 0 }
    }
}

impl<F: FnMut(u64) -> Option<String>> Read for Generated<F> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.pending.len() < buffer.len() {
            let Some(text) = (self.row)(self.next) else { break };
            self.next += 1;
            self.pending.extend_from_slice(text.as_bytes());
        }
        let count = buffer.len().min(self.pending.len());
        buffer[..count].copy_from_slice(&self.pending[..count]);
        self.pending.drain(..count);
        self.read += count;
        Ok(count)
    }
}

#[test]
fn a_file_much_larger_than_the_limit_is_read_when_its_kept_samples_fit() {
    // 20 MB of text, of which two columns stay.
    let padding = ",0.123456789".repeat(80);
    let columns: String = (0..80).map(|index| format!(",junk{index}")).collect();
    let rows = 20_000;
    let mut file = Generated::new(|row| match row {
        0 => Some(format!("timestamp,a_cpu,b_cpu{columns}\n")),
        row if row <= rows => Some(format!("{row},1,2{padding}\n")),
        _ => None,
    });
    let limits = FrameLimits::all_within(1 << 20);
    let frame = read_frame(&mut file, &described(None), &limits).unwrap().frame;
    assert_eq!(frame.values().dim(), (2, rows as usize));
    assert!(file.read > 18 << 20, "{} bytes", file.read);
}

#[test]
fn an_endless_file_is_refused_as_soon_as_its_samples_pass_the_limit() {
    let mut file =
        Generated::new(|row| Some(if row == 0 { "timestamp,a_cpu\n".into() } else { format!("{row},1\n") }));
    let error = read_frame(&mut file, &described(None), &FrameLimits::all_within(1 << 20)).unwrap_err();
    assert_eq!(error.kind(), CollectErrorKind::TooLarge);
    assert!(error.to_string().contains("limit of 1 MiB"), "{error}");
    assert!(file.read < 2 << 20, "{} bytes", file.read);
}

#[test]
fn an_endless_line_is_refused_as_soon_as_it_passes_the_limit() {
    let mut file =
        Generated::new(|row| Some(if row == 0 { "timestamp,a_cpu\n1,\"2".into() } else { "\n".into() }));
    let error = read_frame(&mut file, &described(None), &FrameLimits::all_within(1 << 20)).unwrap_err();
    assert_eq!(error.kind(), CollectErrorKind::TooLarge);
    assert!(error.to_string().contains("is every quote closed?"), "{error}");
    assert!(file.read < 2 << 20, "{} bytes", file.read);
}

#[test]
fn a_grid_larger_than_the_limit_is_refused_before_it_is_made() {
    // 100 rows that fit, spread over 9,901 points.
    let header: String = (0..20).map(|index| format!(",s{index}_cpu")).collect();
    let mut csv = format!("timestamp{header}\n");
    for row in 0..100 {
        csv.push_str(&format!("{}{}\n", row * 100, ",1".repeat(20)));
    }
    let limits = FrameLimits::all_within(1 << 20);
    let error = read_frame(csv.as_bytes(), &described(Some(1000)), &limits).unwrap_err();
    assert_eq!(error.kind(), CollectErrorKind::TooLarge);
    assert!(read_frame(csv.as_bytes(), &described(None), &limits).is_ok());
}

#[test]
fn a_header_of_more_columns_than_the_limit_has_room_for_is_refused_before_a_row_is_read() {
    let header: String = (0..3000).map(|index| format!(",{index}_io")).collect();
    let csv = format!("timestamp{header}\n1{}\n", ",1".repeat(3000));
    let error = read_frame(csv.as_bytes(), &described(None), &FrameLimits::all_within(1 << 20)).unwrap_err();
    assert_eq!(error.kind(), CollectErrorKind::TooLarge);
    assert_eq!(
        error.to_string(),
        "metrics.csv line 1: names 3001 columns, and the limit of 1 MiB has room for 2048; leave columns out, or raise \
         collector.server.max-frame-mib"
    );
    // Columns leave less room for rows.
    let narrow = FrameLimits::all_within(2 << 20);
    let rows = |rows: usize| {
        let row = |time| format!("{time}{}\n", ",1".repeat(3000));
        let csv = format!("timestamp{header}\n{}", (1..=rows).map(row).collect::<String>());
        read_frame(csv.as_bytes(), &described(None), &narrow)
            .map(|collected| collected.frame.grid().samples())
    };
    assert_eq!(rows(23).unwrap(), 23);
    assert_eq!(rows(24).unwrap_err().kind(), CollectErrorKind::TooLarge);
}
