//! Frames for tests.

use automap_proto::{
    frame::{MetricFrame, SeriesKey},
    metric::MetricKind,
    time::{TimeGrid, UnixMillis},
};
use ndarray::Array2;

pub(crate) fn key(service: &str, metric: MetricKind, name: &str) -> SeriesKey {
    SeriesKey { service: service.into(), metric, name: name.into() }
}

pub(crate) fn frame_of(series: Vec<SeriesKey>, values: Array2<f64>) -> MetricFrame {
    let grid = TimeGrid::new(UnixMillis(0), 5000, values.ncols()).unwrap();
    MetricFrame::new(grid, series, values).unwrap()
}
