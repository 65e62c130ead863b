//! Named series of many services over one time grid.

use std::ops::Range;

use ndarray::{Array2, ArrayView1};

use crate::{invalid::Invalid, metric::MetricKind, time::TimeGrid};

/// Longest name of a service or series, bytes.
pub const MAX_NAME_BYTES: usize = 253;

/// Checks a name that a person or a program chose.
///
/// # Errors
/// The name is empty, longer than [`MAX_NAME_BYTES`], or holds control characters.
pub fn check_name(field: &str, name: &str) -> Result<(), Invalid> {
    if name.is_empty() {
        return Err(Invalid::new(field, "is empty"));
    }
    if name.len() > MAX_NAME_BYTES {
        return Err(Invalid::new(
            field,
            format!("has {} bytes; at most {MAX_NAME_BYTES} are allowed", name.len()),
        ));
    }
    if name.chars().any(char::is_control) {
        return Err(Invalid::new(field, format!("{name:?} holds control characters")));
    }
    Ok(())
}

/// Identity of a series.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SeriesKey {
    /// The service it speaks of.
    pub service: String,
    /// The metric type it belongs to.
    pub metric: MetricKind,
    /// Its name, unique per service: `latency`, `latency-p99`, `net-rx`.
    pub name: String,
}

impl SeriesKey {
    /// Sort key: by service, type, plain name first, then alphabetically.
    fn order(&self) -> (&str, MetricKind, bool, &str) {
        (&self.service, self.metric, self.name != self.metric.name(), &self.name)
    }
}

/// Named series over one time grid. NaN is a missing sample; every other sample is finite.
///
/// Series are sorted by service, metric type and name (the plain name of the type first), whatever order they
/// came in, so that no result depends on the order of columns.
#[derive(Debug, Clone)]
pub struct MetricFrame {
    grid: TimeGrid,
    series: Vec<SeriesKey>,
    /// series × samples
    values: Array2<f64>,
    services: Vec<String>,
    /// Range of `series` of each service.
    ranges: Vec<Range<usize>>,
}

impl MetricFrame {
    /// Builds a frame from `values`, shape series × samples, one row for each of `series`.
    ///
    /// Infinite samples become missing ones: no quantity here is infinite, only divisions by zero upstream are.
    ///
    /// # Errors
    /// There is no series, the shape does not fit, a name is bad, or two series have the same service and name.
    ///
    /// # Complexity
    /// O(series · (log series + samples)).
    pub fn new(grid: TimeGrid, series: Vec<SeriesKey>, mut values: Array2<f64>) -> Result<Self, Invalid> {
        if series.is_empty() {
            return Err(Invalid::new("frame.series", "is empty; at least one series is needed"));
        }
        if values.dim() != (series.len(), grid.samples()) {
            return Err(Invalid::new(
                "frame.values",
                format!(
                    "is {} x {} where {} series of {} samples were announced",
                    values.nrows(),
                    values.ncols(),
                    series.len(),
                    grid.samples()
                ),
            ));
        }
        for (index, key) in series.iter().enumerate() {
            check_name(&format!("frame.series[{index}].service"), &key.service)?;
            check_name(&format!("frame.series[{index}].name"), &key.name)?;
        }
        values.mapv_inplace(|value| if value.is_finite() { value } else { f64::NAN });
        let mut order: Vec<usize> = (0..series.len()).collect();
        order.sort_by(|&left, &right| series[left].order().cmp(&series[right].order()));
        if !order.is_sorted() {
            values = values.select(ndarray::Axis(0), &order);
        }
        let sorted: Vec<SeriesKey> = order.iter().map(|&index| series[index].clone()).collect();
        let (services, ranges) = index_services(&sorted)?;
        Ok(Self { grid, series: sorted, values, services, ranges })
    }

    /// The time grid.
    pub const fn grid(&self) -> &TimeGrid {
        &self.grid
    }

    /// Keys of all series, in order.
    pub fn series(&self) -> &[SeriesKey] {
        &self.series
    }

    /// All samples, series × samples, in standard layout.
    pub const fn values(&self) -> &Array2<f64> {
        &self.values
    }

    /// Samples of series `index`.
    pub fn samples(&self, index: usize) -> ArrayView1<'_, f64> {
        self.values.row(index)
    }

    /// Names of the services that have a series, sorted.
    pub fn services(&self) -> &[String] {
        &self.services
    }

    /// Position of a service in [`Self::services`].
    pub fn service_index(&self, name: &str) -> Option<usize> {
        self.services.binary_search_by(|service| service.as_str().cmp(name)).ok()
    }

    /// The series of a service, as a range of [`Self::series`].
    pub fn series_of(&self, service: usize) -> Range<usize> {
        self.ranges[service].clone()
    }

    /// The series of one type of a service, in order: the plain name first.
    pub fn series_of_kind(&self, service: usize, kind: MetricKind) -> Range<usize> {
        let range = self.series_of(service);
        let keys = &self.series[range.clone()];
        let start = range.start + keys.partition_point(|key| key.metric < kind);
        let end = range.start + keys.partition_point(|key| key.metric <= kind);
        start..end
    }

    /// For each row whether any series has a sample there. O(series · samples), along memory.
    pub fn rows_with_samples(&self) -> Vec<bool> {
        let mut present = vec![false; self.grid.samples()];
        for series in self.values.rows() {
            for (seen, value) in present.iter_mut().zip(series) {
                *seen |= !value.is_nan();
            }
        }
        present
    }
}

/// Names of the services in sorted series and the range of each; refuses a series that stands twice.
fn index_services(sorted: &[SeriesKey]) -> Result<(Vec<String>, Vec<Range<usize>>), Invalid> {
    let mut services: Vec<String> = Vec::new();
    let mut ranges: Vec<Range<usize>> = Vec::new();
    let mut start = 0;
    for keys in sorted.chunk_by(|left, right| left.service == right.service) {
        let mut names: Vec<&str> = keys.iter().map(|key| key.name.as_str()).collect();
        names.sort_unstable();
        if let Some(twice) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(Invalid::new(
                "frame.series",
                format!("holds {} of service {} twice; name every series once", twice[0], keys[0].service),
            ));
        }
        services.push(keys[0].service.clone());
        ranges.push(start..start + keys.len());
        start += keys.len();
    }
    Ok((services, ranges))
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;
    use crate::time::UnixMillis;

    fn key(service: &str, metric: MetricKind, name: &str) -> SeriesKey {
        SeriesKey { service: service.into(), metric, name: name.into() }
    }

    fn grid(samples: usize) -> TimeGrid {
        TimeGrid::new(UnixMillis(0), 5000, samples).unwrap()
    }

    #[test]
    fn series_are_sorted_with_the_plain_name_first_and_samples_follow() {
        let series = vec![
            key("b", MetricKind::Cpu, "cpu"),
            key("a", MetricKind::Latency, "client-latency"),
            key("a", MetricKind::Latency, "latency"),
        ];
        let frame = MetricFrame::new(grid(2), series, array![[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]).unwrap();
        let names: Vec<&str> = frame.series().iter().map(|key| key.name.as_str()).collect();
        assert_eq!(names, ["latency", "client-latency", "cpu"]);
        assert_eq!(frame.values(), array![[5.0, 6.0], [3.0, 4.0], [1.0, 2.0]]);
        assert_eq!(frame.series_of_kind(0, MetricKind::Latency), 0..2);
        assert_eq!(frame.series_of_kind(0, MetricKind::Cpu), 2..2);
        assert_eq!(frame.series_of_kind(1, MetricKind::Cpu), 2..3);
    }

    #[test]
    fn infinities_become_missing_samples() {
        let series = vec![key("a", MetricKind::Cpu, "cpu")];
        let values = array![[f64::INFINITY, f64::NEG_INFINITY, f64::NAN, 7.0]];
        let frame = MetricFrame::new(grid(4), series, values).unwrap();
        assert_eq!(frame.rows_with_samples(), [false, false, false, true]);
    }

    #[test]
    fn a_series_that_stands_twice_is_named() {
        let series = vec![key("a", MetricKind::Io, "net-rx"), key("a", MetricKind::Cpu, "net-rx")];
        let error = MetricFrame::new(grid(1), series, array![[1.0], [2.0]]).unwrap_err();
        assert!(error.to_string().contains("net-rx of service a twice"), "{error}");
    }

    #[test]
    fn bad_names_and_shapes_are_refused() {
        let one = |name: &str| vec![key(name, MetricKind::Cpu, "cpu")];
        for name in ["", "a\nb", &"x".repeat(254)] {
            let error = MetricFrame::new(grid(1), one(name), array![[1.0]]).unwrap_err();
            assert_eq!(error.field(), "frame.series[0].service");
        }
        assert_eq!(MetricFrame::new(grid(2), one("a"), array![[1.0]]).unwrap_err().field(), "frame.values");
        assert!(MetricFrame::new(grid(2), vec![], Array2::zeros((0, 2))).is_err());
    }
}
