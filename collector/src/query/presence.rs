//! Services that were not there all the time.

use automap_proto::frame::MetricFrame;

use crate::listing::{count, list};

/// Sentences about services whose samples begin after the frame's start or stop before its end by more than `slack`
/// points, the look-back of a rate and a lost scrape.
///
/// # Complexity
/// O(series · samples).
pub(crate) fn presence_warnings(frame: &MetricFrame, slack: usize) -> Vec<String> {
    let samples = frame.grid().samples();
    let (mut appeared, mut vanished) = (Vec::new(), Vec::new());
    for (index, service) in frame.services().iter().enumerate() {
        let mut bounds: Option<(usize, usize)> = None;
        for series in frame.series_of(index) {
            let row = frame.samples(series);
            let first = row.iter().position(|value| !value.is_nan());
            let last = row.iter().rposition(|value| !value.is_nan());
            if let (Some(first), Some(last)) = (first, last) {
                let (earliest, latest) = bounds.unwrap_or((first, last));
                bounds = Some((earliest.min(first), latest.max(last)));
            }
        }
        let Some((first, last)) = bounds else { continue };
        let at = |row: usize| format!("{service} ({})", frame.grid().time(row).seconds());
        if first > slack {
            appeared.push(at(first));
        }
        if samples - 1 - last > slack {
            vanished.push(at(last));
        }
    }
    let told = |names: Vec<String>, what: &str| {
        (!names.is_empty())
            .then(|| format!("{} {what} (unix seconds): {}", count(names.len(), "service"), list(names)))
    };
    let appeared = told(appeared, "appeared within the window");
    let vanished = told(vanished, "vanished within the window");
    appeared.into_iter().chain(vanished).collect()
}

#[cfg(test)]
mod tests {
    use automap_proto::{
        frame::SeriesKey,
        metric::MetricKind,
        time::{TimeGrid, UnixMillis},
    };
    use ndarray::array;

    use super::*;

    #[test]
    fn services_that_come_or_go_are_told_with_the_time() {
        const GONE: f64 = f64::NAN;
        let key = |service: &str, metric: MetricKind| SeriesKey {
            service: service.into(),
            metric,
            name: metric.name().into(),
        };
        let series = vec![
            key("early", MetricKind::Cpu),
            key("late", MetricKind::Cpu),
            key("late", MetricKind::Memory),
            key("steady", MetricKind::Cpu),
        ];
        let values = array![
            [1.0, 1.0, GONE, GONE, GONE],
            [GONE, GONE, GONE, 1.0, 1.0],
            [GONE, GONE, 1.0, GONE, 1.0],
            [GONE, 1.0, GONE, 1.0, GONE],
        ];
        let grid = TimeGrid::new(UnixMillis(100_000), 10_000, 5).unwrap();
        let frame = MetricFrame::new(grid, series, values).unwrap();
        assert_eq!(
            presence_warnings(&frame, 1),
            [
                "1 service appeared within the window (unix seconds): late (120)",
                "1 service vanished within the window (unix seconds): early (110)",
            ]
        );
        assert!(presence_warnings(&frame, 4).is_empty());
    }
}
