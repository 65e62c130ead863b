//! Which services lack which metric.

use automap_proto::{frame::MetricFrame, metric::MetricKind, v1};

/// Metric types that some services lack, in the order of [`MetricKind`]: a service has one when a series of that type has a
/// sample in `rows`. O(samples).
pub(crate) fn coverage(frame: &MetricFrame, rows: &[usize]) -> Vec<v1::MetricGap> {
    let has = |service: usize, kind: MetricKind| {
        let mut series = frame.series_of_kind(service, kind);
        series.any(|series| rows.iter().any(|&row| !frame.values()[[series, row]].is_nan()))
    };
    let services = frame.services();
    MetricKind::ALL
        .into_iter()
        .filter_map(|kind| {
            let lacking: Vec<String> = (0..services.len())
                .filter(|&service| !has(service, kind))
                .map(|service| services[service].clone())
                .collect();
            let with = services.len() - lacking.len();
            (!lacking.is_empty()).then(|| v1::MetricGap {
                metric: kind.to_wire().into(),
                services: u32::try_from(with).unwrap_or(u32::MAX),
                // That nobody has it says it all.
                lacking: if with == 0 { Vec::new() } else { lacking },
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use automap_proto::{
        frame::SeriesKey,
        time::{TimeGrid, UnixMillis},
    };
    use ndarray::arr2;

    use super::*;

    #[test]
    fn a_metric_without_samples_in_the_rows_is_lacking() {
        let grid = TimeGrid::new(UnixMillis(0), 1000, 3).unwrap();
        let key = |service: &str, metric: MetricKind| SeriesKey {
            service: service.into(),
            metric,
            name: metric.name().into(),
        };
        let series = vec![
            key("cart", MetricKind::Latency),
            key("cart", MetricKind::Cpu),
            key("db", MetricKind::Latency),
            key("db", MetricKind::Cpu),
        ];
        let values = arr2(&[[1.0, 1.0, 1.0], [1.0, 1.0, 1.0], [1.0, 1.0, 1.0], [1.0, f64::NAN, f64::NAN]]);
        let frame = MetricFrame::new(grid, series, values).unwrap();
        let found = coverage(&frame, &[1, 2]);
        assert_eq!(found.len(), 6, "all but latency: {found:?}");
        let cpu = found.iter().find(|one| one.metric() == v1::MetricKind::Cpu).unwrap();
        assert_eq!((cpu.services, cpu.lacking.as_slice()), (1, &["db".to_owned()][..]));
        let memory = found.iter().find(|one| one.metric() == v1::MetricKind::Memory).unwrap();
        assert_eq!((memory.services, memory.lacking.len()), (0, 0));
        assert_eq!(coverage(&frame, &[0]).len(), 5);
    }
}
