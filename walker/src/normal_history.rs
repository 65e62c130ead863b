//! Rows of normal times: taken from a frame to be remembered, and put before a frame whose own normal window is short.

use std::collections::{BTreeMap, BTreeSet};

use automap_proto::{
    frame::MetricFrame,
    incident::WindowRows,
    invalid::Invalid,
    metric::MetricKind,
    time::{TimeGrid, UnixMillis},
    v1,
};
use ndarray::Array2;

/// Values of one message; eight bytes each, far below the largest message.
const MESSAGE_VALUES: usize = 256 << 10;

/// The samples of `rows`, service by service. Series without any sample are left out. O(series · rows).
pub fn rows_to_wire(frame: &MetricFrame, rows: &[usize]) -> Vec<v1::ServiceRows> {
    let times_ms: Vec<i64> = rows.iter().map(|&row| frame.grid().time(row).0).collect();
    let of_service = |service: usize| {
        let series: Vec<v1::SeriesRows> = frame
            .series_of(service)
            .map(|index| v1::SeriesRows {
                metric: frame.series()[index].metric.to_wire().into(),
                name: frame.series()[index].name.clone(),
                values: rows.iter().map(|&row| frame.values()[[index, row]]).collect(),
            })
            .filter(|series| series.values.iter().any(|value| !value.is_nan()))
            .collect();
        v1::ServiceRows { service: frame.services()[service].clone(), times_ms: times_ms.clone(), series }
    };
    (0..frame.services().len()).map(of_service).filter(|service| !service.series.is_empty()).collect()
}

/// Cuts services into lists that fit into one message each.
pub fn in_messages(services: Vec<v1::ServiceRows>) -> Vec<Vec<v1::ServiceRows>> {
    let mut messages: Vec<Vec<v1::ServiceRows>> = Vec::new();
    let mut values = usize::MAX;
    for service in services {
        let more = service.times_ms.len() * (1 + service.series.len());
        if values.saturating_add(more) > MESSAGE_VALUES {
            messages.push(Vec::new());
            values = 0;
        }
        values += more;
        if let Some(last) = messages.last_mut() {
            last.push(service);
        }
    }
    messages
}

/// A frame with remembered rows before its own, and its rows divided anew.
#[derive(Debug, Clone)]
pub struct Extended {
    /// The series of the frame alone: what is remembered of others does not matter.
    pub frame: MetricFrame,
    /// The remembered rows are normal.
    pub rows: WindowRows,
    /// How many there are.
    pub remembered: usize,
}

/// Puts the newest `most` remembered rows before those of `frame`, as normal ones. They stand one step apart right
/// before the frame's own, whenever they were taken: the times of the frame's rows stay what they are. `None` where nothing is remembered of any series.
///
/// # Errors
/// A remembered series has not one value per time, or the grid cannot begin so much earlier.
///
/// # Complexity
/// O(series · rows).
pub fn extend(
    frame: &MetricFrame,
    rows: &WindowRows,
    remembered: &[v1::ServiceRows],
    most: usize,
) -> Result<Option<Extended>, Invalid> {
    let times: BTreeSet<i64> = remembered.iter().flat_map(|service| &service.times_ms).copied().collect();
    let times: Vec<i64> = times.iter().copied().skip(times.len().saturating_sub(most)).collect();
    let places: BTreeMap<i64, usize> = times.iter().enumerate().map(|(place, time)| (*time, place)).collect();
    let mut before = Array2::from_elem((frame.series().len(), times.len()), f64::NAN);
    for service in remembered {
        let Some(index) = frame.service_index(&service.service) else {
            continue;
        };
        for series in &service.series {
            if series.values.len() != service.times_ms.len() {
                return Err(Invalid::new("services.series.values", "are not one per time"));
            }
            let kind = MetricKind::from_wire("services.series.metric", series.metric)?;
            let Some(row) =
                frame.series_of_kind(index, kind).find(|&row| frame.series()[row].name == series.name)
            else {
                continue;
            };
            for (time, value) in service.times_ms.iter().zip(&series.values) {
                if let Some(&place) = places.get(time) {
                    before[[row, place]] = *value;
                }
            }
        }
    }
    let filled: Vec<usize> =
        (0..times.len()).filter(|&place| before.column(place).iter().any(|value| !value.is_nan())).collect();
    if filled.is_empty() {
        return Ok(None);
    }
    let added = filled.len();
    let grid = frame.grid();
    let earlier = i64::try_from(grid.step_ms().saturating_mul(added as u64)).unwrap_or(i64::MAX);
    let start = UnixMillis(grid.time(0).0.saturating_sub(earlier));
    let values = Array2::from_shape_fn((frame.series().len(), added + grid.samples()), |(row, column)| {
        match column.checked_sub(added) {
            None => before[[row, filled[column]]],
            Some(own) => frame.values()[[row, own]],
        }
    });
    let shifted = |rows: &[usize]| -> Vec<usize> { rows.iter().map(|row| row + added).collect() };
    Ok(Some(Extended {
        frame: MetricFrame::new(
            TimeGrid::new(start, grid.step_ms(), grid.samples() + added)?,
            frame.series().to_vec(),
            values,
        )?,
        rows: WindowRows {
            normal: (0..added).chain(shifted(&rows.normal)).collect(),
            incident: shifted(&rows.incident),
            exclusions_ignored: rows.exclusions_ignored,
        },
        remembered: added,
    }))
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;
    use crate::test_frames::{TestSeries, frame_of};

    fn frame() -> MetricFrame {
        let series = |service, metric: MetricKind, samples: [f64; 4]| TestSeries {
            service,
            metric,
            name: metric.name(),
            samples: array![samples[0], samples[1], samples[2], samples[3]],
        };
        frame_of(&[
            series("cart", MetricKind::Latency, [2.0, 2.0, 2.0, 4.0]),
            series("cart", MetricKind::Throughput, [8.0, 6.0, f64::NAN, 4.0]),
            series("cart", MetricKind::Congestion, [4.0, 3.0, 3.0, 1.0]),
            series("db", MetricKind::Cpu, [0.1, 0.2, 0.3, 0.9]),
        ])
    }

    fn rows() -> WindowRows {
        WindowRows { normal: vec![0, 1, 2], incident: vec![3], exclusions_ignored: false }
    }

    #[test]
    fn what_is_taken_from_one_frame_stands_before_the_next_in_order_of_time() {
        let taken = rows_to_wire(&frame(), &[0, 1]);
        assert_eq!(taken[0].times_ms, [0, 5_000]);
        assert_eq!(taken[0].series.len(), 3);
        let found = extend(&frame(), &rows(), &taken, 10).unwrap().unwrap();
        assert_eq!(found.rows.normal, [0, 1, 2, 3, 4]);
        assert_eq!(found.rows.incident, [5]);
        let values = found.frame.values();
        assert_eq!(values.row(0).to_vec(), [2.0, 2.0, 2.0, 2.0, 2.0, 4.0]);
        assert_eq!(values[[2, 1]], 3.0);
        assert_eq!(found.frame.grid().time(2), frame().grid().time(0), "own rows keep their times");
    }

    #[test]
    fn the_newest_rows_are_taken_and_those_of_other_series_do_not_count() {
        let mut taken = rows_to_wire(&frame(), &[0, 1, 2]);
        let found = extend(&frame(), &rows(), &taken, 2).unwrap().unwrap();
        assert_eq!(found.remembered, 2);
        assert_eq!(found.frame.values()[[3, 0]], 0.2);
        for service in &mut taken {
            service.service.push_str("-old");
        }
        assert!(extend(&frame(), &rows(), &taken, 2).unwrap().is_none(), "renamed services have no history");
        assert!(extend(&frame(), &rows(), &[], 2).unwrap().is_none());
    }

    #[test]
    fn messages_hold_what_fits_and_nothing_is_lost() {
        let service = |name: &str| v1::ServiceRows {
            service: name.into(),
            times_ms: vec![0; 50_000],
            series: vec![v1::SeriesRows::default(); 2],
        };
        let cut = in_messages(vec![service("a"), service("b"), service("c")]);
        let names: Vec<Vec<&str>> =
            cut.iter().map(|one| one.iter().map(|service| service.service.as_str()).collect()).collect();
        assert_eq!(names, [vec!["a"], vec!["b"], vec!["c"]]);
        assert_eq!(in_messages(rows_to_wire(&frame(), &[0])).len(), 1);
    }
}
