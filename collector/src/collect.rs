//! From the bytes of a metrics file to a frame.

use std::{collections::BTreeMap, io::Read};

use automap_proto::{
    frame::{MetricFrame, SeriesKey},
    metric::MetricKind,
    time::TimeGrid,
};
use ndarray::Array2;

use crate::{
    align::Alignment,
    availability::availability,
    column::ColumnMeaning,
    congestion::congestion,
    csv_reader::{RecordedRows, read_rows, too_large},
    error::CollectError,
    layout::RecordingDescription,
    limits::FrameLimits,
    listing::count,
    row_order::order_rows,
};

/// Series that stand for the mean latency of a service, best first. RCAEval has quantiles only; its median is the
/// nearest to a mean that is not drawn by the tail.
const MEAN_LATENCY: [&str; 2] = ["latency", "latency-50"];

/// A frame, and what a person should know about the data it came from.
#[derive(Debug, Clone)]
pub struct CollectedFrame {
    /// All series that were kept or derived.
    pub frame: MetricFrame,
    /// Sentences: columns left out, rows out of order, rows merged. None depends on the order of columns.
    pub warnings: Vec<String>,
    /// Those of them that tell of series which the file has and the frame has not.
    pub left_out: Vec<String>,
}

/// Reads a metrics file, aligns it to a uniform grid and derives congestion (and, of RCAEval's files,
/// availability).
///
/// The frame depends on neither the order of columns nor that of rows, bit for bit.
///
/// # Errors
/// The file is not what it must be, holds no row within the bounds, or more than the limits allow; the sentence
/// names file, line and column.
///
/// # Complexity
/// O(bytes + series · points). Memory: the samples, at most twice while columns become a frame, and one line of
/// text.
pub fn read_frame(
    source: impl Read,
    description: &RecordingDescription,
    limits: &FrameLimits,
) -> Result<CollectedFrame, CollectError> {
    let file = description.file_name();
    let mut rows = read_rows(source, description, limits)?;
    let order = order_rows(file, &rows.times, &rows.lines)?;
    let alignment = Alignment::new(file, &rows.times, &order.rows, description.step_ms())?;
    let mut warnings = std::mem::take(&mut rows.plan.warnings);
    let left_out = std::mem::take(&mut rows.plan.left_out);
    if rows.infinite > 0 {
        warnings.push(format!("{file}: {} infinite and count as missing", were(rows.infinite, "sample")));
    }
    if order.out_of_order > 0 {
        warnings.push(format!(
            "{file}: {} out of order and were sorted by time",
            were(order.out_of_order, "row")
        ));
    }
    if alignment.merged() > 0 {
        warnings.push(format!(
            "{file}: {} left out because another row is nearer to the same point of the grid of {} s; a smaller \
             step_seconds keeps them",
            were(alignment.merged(), "row"),
            alignment.grid().step_ms() as f64 / 1000.0
        ));
    }
    let frame = build_frame(file, rows, &alignment, limits.max_bytes)?;
    Ok(CollectedFrame { frame, warnings, left_out })
}

/// `1 row was`, `2 rows were`.
fn were(number: usize, noun: &str) -> String {
    format!("{} {}", count(number, noun), if number == 1 { "was" } else { "were" })
}

pub(crate) type Series = (SeriesKey, Vec<f64>);

fn build_frame(
    file: &str,
    rows: RecordedRows,
    alignment: &Alignment,
    max_bytes: usize,
) -> Result<MetricFrame, CollectError> {
    let points = alignment.grid().samples();
    let fits = |series: usize| {
        series.checked_mul(points).is_some_and(|samples| samples <= max_bytes / size_of::<f64>())
    };
    // Derived series never outnumber the columns that they are derived from.
    if !fits(rows.columns.len()) {
        return Err(too_large(file, max_bytes));
    }
    let mut series: Vec<Series> = Vec::with_capacity(rows.columns.len());
    let mut failures: Vec<(String, Vec<f64>)> = Vec::new();
    for (column, samples) in rows.plan.columns.into_iter().zip(rows.columns) {
        let placed = alignment.place(samples);
        match column.meaning {
            ColumnMeaning::Series(key) => series.push((key, placed)),
            ColumnMeaning::FailedRequests { service } => failures.push((service, placed)),
        }
    }
    let derived = derive(&series, &failures);
    drop(failures);
    series.extend(derived);
    if !fits(series.len()) {
        return Err(too_large(file, max_bytes));
    }
    stack(alignment.grid(), series)
}

/// A frame of series over `grid` with congestion derived; `source` is named in errors.
///
/// # Errors
/// The series hold more than `max_bytes`, or there is none.
#[cfg(feature = "serve")]
pub(crate) fn frame_of(
    source: &str,
    grid: TimeGrid,
    mut series: Vec<Series>,
    max_bytes: usize,
) -> Result<MetricFrame, CollectError> {
    series.extend(derive(&series, &[]));
    if series.len().saturating_mul(grid.samples()) > max_bytes / size_of::<f64>() {
        return Err(too_large(source, max_bytes));
    }
    stack(grid, series)
}

/// Availability of every service with failures, congestion of every service with throughput and latency; under
/// their plain names.
fn derive(series: &[Series], failures: &[(String, Vec<f64>)]) -> Vec<Series> {
    let named: BTreeMap<(&str, &str), &[f64]> = series
        .iter()
        .map(|(key, samples)| ((key.service.as_str(), key.name.as_str()), samples.as_slice()))
        .collect();
    let plain = |service: &str, metric: MetricKind, samples: Vec<f64>| {
        let key = SeriesKey { service: service.into(), metric, name: metric.name().into() };
        (key, samples)
    };
    let throughput_name = MetricKind::Throughput.name();
    let mut derived: Vec<Series> = failures
        .iter()
        .filter_map(|(service, failed)| {
            let throughput = named.get(&(service.as_str(), throughput_name))?;
            let samples = availability(failed, throughput);
            Some(plain(service, MetricKind::Availability, samples))
        })
        .collect();
    for (&(service, _), throughput) in named.iter().filter(|((_, name), _)| *name == throughput_name) {
        let latency = MEAN_LATENCY.iter().find_map(|&name| named.get(&(service, name)));
        if let Some(samples) = latency.and_then(|latency| congestion(throughput, latency)) {
            derived.push(plain(service, MetricKind::Congestion, samples));
        }
    }
    derived
}

/// Stacks series into a frame. They are sorted as a frame sorts them, so that it need not copy its samples, and
/// each is freed as soon as it is copied.
fn stack(grid: TimeGrid, mut series: Vec<Series>) -> Result<MetricFrame, CollectError> {
    series.sort_by(|(left, _), (right, _)| frame_order(left).cmp(&frame_order(right)));
    let shape = (series.len(), grid.samples());
    let mut keys = Vec::with_capacity(series.len());
    let mut values = Vec::with_capacity(shape.0 * shape.1);
    for (key, samples) in series {
        keys.push(key);
        values.extend_from_slice(&samples);
    }
    let values = Array2::from_shape_vec(shape, values)
        .map_err(|error| CollectError::malformed(format!("the series do not fit their grid: {error}")))?;
    Ok(MetricFrame::new(grid, keys, values)?)
}

fn frame_order(key: &SeriesKey) -> (&str, MetricKind, bool, &str) {
    (&key.service, key.metric, key.name != key.metric.name(), &key.name)
}
