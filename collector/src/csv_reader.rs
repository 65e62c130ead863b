//! Reads a metrics file row by row; only times and the samples of the columns that are kept stay in memory.

use std::io::Read;

use automap_proto::time::UnixMillis;

use crate::{
    column_plan::ColumnPlan,
    csv_records::Records,
    error::{CollectError, CollectErrorKind},
    layout::RecordingDescription,
    limits::FrameLimits,
};

/// Bytes of a row beside its samples: its time and its line.
const ROW_BYTES: usize = size_of::<UnixMillis>() + size_of::<u64>();

/// The rows of a metrics file, in its order.
#[derive(Debug)]
pub(crate) struct RecordedRows {
    pub(crate) plan: ColumnPlan,
    /// Never empty.
    pub(crate) times: Vec<UnixMillis>,
    /// The line that each row ends on, counted from 1.
    pub(crate) lines: Vec<u64>,
    /// For each column of the plan one sample per row, NaN where there is none.
    pub(crate) columns: Vec<Vec<f64>>,
    /// Samples that were infinite and count as missing.
    pub(crate) infinite: usize,
}

/// Reads the header line alone.
///
/// # Errors
/// The file is empty, not UTF-8, has too many columns, or cannot be read.
pub(crate) fn read_header(
    source: impl Read,
    file: &str,
    limits: &FrameLimits,
) -> Result<Vec<String>, CollectError> {
    Records::new(source, file, limits).header()
}

/// Reads a metrics file from `source`.
///
/// # Errors
/// The header is unusable, a cell is no number, a row has too few or too many cells, text is not UTF-8, no row is
/// within the bounds, or a limit is reached. The sentence names file, line and column.
///
/// # Complexity
/// O(bytes); memory of 8 bytes per kept sample, 512 per column, one line, and a fixed buffer.
pub(crate) fn read_rows(
    source: impl Read,
    description: &RecordingDescription,
    limits: &FrameLimits,
) -> Result<RecordedRows, CollectError> {
    let file = description.file_name();
    let mut records = Records::new(source, file, limits);
    let plan = ColumnPlan::new(file, description.layout(), &records.header()?)?;
    let of_columns = limits.column_bytes(file, plan.width)?;
    let row_bytes = plan.columns.len() * size_of::<f64>() + ROW_BYTES;
    let mut rows = RecordedRows {
        times: Vec::new(),
        lines: Vec::new(),
        columns: vec![Vec::new(); plan.columns.len()],
        infinite: 0,
        plan,
    };
    let mut covered: Option<(UnixMillis, UnixMillis)> = None;
    while records.advance()? {
        records.check_width(rows.plan.width)?;
        let time = records.time(rows.plan.time, rows.plan.layout.time_column())?;
        covered = Some(covered.map_or((time, time), |(first, last)| (first.min(time), last.max(time))));
        if !limits.bounds.contains(time) {
            continue;
        }
        if (rows.times.len() + 1).saturating_mul(row_bytes).saturating_add(of_columns) > limits.max_bytes {
            return Err(too_large(&records.place(), limits.max_bytes));
        }
        rows.times.push(time);
        rows.lines.push(records.line());
        for (column, samples) in rows.plan.columns.iter().zip(&mut rows.columns) {
            let value = records.number(column.position, &column.name)?;
            rows.infinite += usize::from(value.is_infinite());
            samples.push(if value.is_finite() { value } else { f64::NAN });
        }
    }
    if rows.times.is_empty() {
        return Err(no_rows(file, limits, covered));
    }
    Ok(rows)
}

/// The sentence for more samples than `max_bytes` at `place`.
pub(crate) fn too_large(place: &str, max_bytes: usize) -> CollectError {
    CollectError::new(
        CollectErrorKind::TooLarge,
        format!(
            "{place}: there are more samples than the limit of {} MiB; narrow start and end, widen the step, or raise \
             collector.server.max-frame-mib",
            max_bytes >> 20
        ),
    )
}

fn no_rows(file: &str, limits: &FrameLimits, covered: Option<(UnixMillis, UnixMillis)>) -> CollectError {
    let found = match covered {
        None => "holds a header and no rows".to_owned(),
        Some((first, last)) => {
            let end = |instant: Option<UnixMillis>| {
                instant.map_or("…".to_owned(), |time| time.seconds().to_string())
            };
            format!(
                "holds no row from {} to {}; its rows are from {} to {} (unix seconds)",
                end(limits.bounds.start()),
                end(limits.bounds.end()),
                first.seconds(),
                last.seconds()
            )
        }
    };
    CollectError::new(CollectErrorKind::TooLittleData, format!("{file} {found}"))
}
