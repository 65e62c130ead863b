//! What speaks against a service: the series of each metric type that left its normal range furthest.

use automap_proto::{
    frame::MetricFrame,
    incident::WindowRows,
    metric::MetricKind,
    ranking::{Direction, Evidence},
};

use crate::series_windows::SeriesWindows;

/// How far, in spreads of its normal values, one series left its normal range, and which way.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Departure {
    /// In units of the normal spread; finite, >= 0.
    pub(crate) spreads: f64,
    /// Which way.
    pub(crate) direction: Direction,
}

/// The evidence against one service.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ServiceEvidence {
    /// All of it in one number; finite, >= 0. Zero where nothing departed.
    pub total: f64,
    /// One entry per metric type that departed at all, largest first; equals in the order of the types.
    pub evidence: Vec<Evidence>,
}

/// Measures every series of `kinds` that counts and keeps the furthest of each service and metric type; of equals the
/// first in the frame's order. One list per service of the frame, largest first.
///
/// The deviation of an entry is ln(1 + spreads). O(series · rows · log rows).
pub(crate) fn furthest_per_metric(
    frame: &MetricFrame,
    rows: &WindowRows,
    kinds: &[MetricKind],
    measure: impl Fn(&SeriesWindows) -> Departure,
) -> Vec<Vec<Evidence>> {
    let furthest = |service: usize, kind: MetricKind| {
        let mut best: Option<Evidence> = None;
        for index in frame.series_of_kind(service, kind) {
            let Some(windows) = SeriesWindows::new(frame.samples(index), rows) else {
                continue;
            };
            let departure = measure(&windows);
            let deviation = departure.spreads.clamp(0.0, f64::MAX).ln_1p();
            if deviation > best.as_ref().map_or(0.0, |found| found.deviation) {
                best = Some(Evidence {
                    metric: kind,
                    series: frame.series()[index].name.clone(),
                    deviation,
                    direction: departure.direction,
                });
            }
        }
        best
    };
    (0..frame.services().len())
        .map(|service| {
            let mut evidence: Vec<Evidence> =
                kinds.iter().filter_map(|&kind| furthest(service, kind)).collect();
            evidence.sort_by(|left, right| right.deviation.total_cmp(&left.deviation));
            evidence
        })
        .collect()
}
