//! The series behind the claims about the services ranked first, small enough to be kept with a diagnosis.

use automap_proto::{
    frame::MetricFrame,
    incident::WindowRows,
    ranking::{Evidence, RankedService},
    time::duration_to_wire,
    v1,
};

use crate::{evidence::sorted_values::SortedValues, explain::left_normal};

/// Services whose claims are drawn.
const TOP_SERVICES: usize = 3;
/// Series of one service that are drawn.
const SERIES: usize = 4;
/// Most points of one sketch.
const POINTS: usize = 120;
/// Rows before the incident that are drawn for each row in it, and at least.
const BEFORE: usize = 2;
const LEAST_BEFORE: usize = 20;

/// Sketches of the told evidence of the services ranked first, in the order of ranking and evidence. Evidence that no series of
/// the service itself shows, as what its callers see, has none. O(rows · log rows) for each.
pub(crate) fn sketches(
    frame: &MetricFrame,
    rows: &WindowRows,
    ranking: &[RankedService],
) -> Vec<v1::SeriesSketch> {
    let (Some(&first), Some(&last)) = (rows.incident.first(), rows.incident.last()) else {
        return Vec::new();
    };
    let before = (BEFORE * (last + 1 - first)).max(LEAST_BEFORE);
    let shown = first.saturating_sub(before)..last + 1;
    let told = ranking.iter().take(TOP_SERVICES).flat_map(|ranked| {
        let told = ranked.evidence.iter().filter(|item| left_normal(item)).take(SERIES);
        told.map(move |item| (ranked.service.as_str(), item))
    });
    told.filter_map(|(service, item)| sketch(frame, &rows.normal, shown.clone(), service, item)).collect()
}

fn sketch(
    frame: &MetricFrame,
    normal: &[usize],
    shown: std::ops::Range<usize>,
    service: &str,
    item: &Evidence,
) -> Option<v1::SeriesSketch> {
    let of_kind = frame.series_of_kind(frame.service_index(service)?, item.metric);
    let index = of_kind.into_iter().find(|&index| frame.series()[index].name == item.series)?;
    let samples = frame.samples(index);
    let mut values: Vec<f64> =
        normal.iter().map(|&row| samples[row]).filter(|value| !value.is_nan()).collect();
    values.sort_unstable_by(f64::total_cmp);
    values.first()?;
    let sorted = SortedValues::all(&values);
    let median = sorted.median();
    let grid = frame.grid();
    let stride = shown.len().div_ceil(POINTS);
    let points = shown.clone().step_by(stride).map(|from| {
        let step = from..(from + stride).min(shown.end);
        let present = step.map(|row| samples[row]).filter(|value| !value.is_nan());
        let away = |value: &f64| (value - median).abs();
        present
            .max_by(|left, right| away(left).total_cmp(&away(right)))
            .map_or(f32::NAN, |value| value as f32)
    });
    Some(v1::SeriesSketch {
        service: service.to_owned(),
        metric: item.metric.to_wire().into(),
        series: item.series.clone(),
        start: Some(grid.time(shown.start).to_wire()),
        step: Some(duration_to_wire(grid.step_ms().saturating_mul(stride as u64))),
        points: points.collect(),
        normal_median: median,
        normal_low: sorted.percentile(0.025),
        normal_high: sorted.percentile(0.975),
    })
}

#[cfg(test)]
mod tests {
    use automap_proto::{metric::MetricKind, ranking::Direction};
    use ndarray::Array1;

    use super::*;
    use crate::test_frames::{TestSeries, frame_of};

    fn ranked(rank: u32, service: &str, series: &[(MetricKind, &str)]) -> RankedService {
        let evidence = series.iter().map(|(metric, name)| Evidence {
            metric: *metric,
            series: (*name).into(),
            deviation: 3.0,
            direction: Direction::Up,
        });
        RankedService {
            rank,
            service: service.into(),
            score: 1.0 / f64::from(rank),
            class: None,
            evidence: evidence.collect(),
            path: vec![],
            path_share: 0.0,
            path_hops: vec![],
            onset: None,
            deviation: 3.0,
            unlearned_score: None,
        }
    }

    /// 900 rows of normal behaviour around ten, then 100 of an incident with one peak.
    fn frame() -> (MetricFrame, WindowRows) {
        let mut samples = Array1::from_iter((0..1000).map(|row| 9.0 + f64::from(row % 3)));
        samples[950] = 99.0;
        samples[951] = f64::NAN;
        let series = TestSeries { service: "db", metric: MetricKind::Latency, name: "latency-p99", samples };
        let rows = WindowRows {
            normal: (0..900).collect(),
            incident: (900..1000).collect(),
            exclusions_ignored: false,
        };
        (frame_of(&[series]), rows)
    }

    #[test]
    fn a_sketch_is_short_and_keeps_the_peak_and_the_normal_range() {
        let (frame, rows) = frame();
        let drawn = sketches(&frame, &rows, &[ranked(1, "db", &[(MetricKind::Latency, "latency-p99")])]);
        let [sketch] = drawn.as_slice() else { panic!("one claim, one sketch: {drawn:?}") };
        assert_eq!(sketch.points.len(), 100, "300 rows, three to a point");
        assert_eq!(sketch.points.iter().copied().fold(0.0, f32::max), 99.0);
        assert_eq!(sketch.normal_median, 10.0);
        assert_eq!((sketch.normal_low, sketch.normal_high), (9.0, 11.0), "95 % of normal samples");
        assert_eq!(sketch.start, Some(frame.grid().time(700).to_wire()));
        assert_eq!(sketch.step, Some(duration_to_wire(3 * frame.grid().step_ms())));
    }

    #[test]
    fn what_no_series_of_the_service_shows_and_what_is_not_told_is_not_drawn() {
        let (frame, rows) = frame();
        let mut silent = ranked(1, "db", &[(MetricKind::Latency, "latency-p99")]);
        silent.evidence[0].deviation = 0.1;
        let elsewhere =
            ranked(2, "db", &[(MetricKind::Latency, "of-callers"), (MetricKind::Cpu, "latency-p99")]);
        assert_eq!(sketches(&frame, &rows, &[silent, elsewhere, ranked(3, "gone", &[])]), []);
        let fourth: Vec<_> =
            (1..=4).map(|rank| ranked(rank, "db", &[(MetricKind::Latency, "latency-p99")])).collect();
        assert_eq!(sketches(&frame, &rows, &fourth).len(), TOP_SERVICES);
    }
}
