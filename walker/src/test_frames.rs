//! Frames for tests.

use automap_proto::{
    frame::{MetricFrame, SeriesKey},
    metric::MetricKind,
    time::{TimeGrid, UnixMillis},
};
use ndarray::{Array1, Array2};

/// One series of a test's frame.
#[derive(Debug, Clone)]
pub(crate) struct TestSeries {
    pub(crate) service: &'static str,
    pub(crate) metric: MetricKind,
    pub(crate) name: &'static str,
    pub(crate) samples: Array1<f64>,
}

/// A frame of series of equal length, sampled every five seconds from the epoch.
pub(crate) fn frame_of(series: &[TestSeries]) -> MetricFrame {
    let samples = series[0].samples.len();
    let keys = series
        .iter()
        .map(|one| SeriesKey { service: one.service.into(), metric: one.metric, name: one.name.into() })
        .collect();
    let values = Array2::from_shape_fn((series.len(), samples), |(row, column)| series[row].samples[column]);
    MetricFrame::new(TimeGrid::new(UnixMillis(0), 5000, samples).unwrap(), keys, values).unwrap()
}
