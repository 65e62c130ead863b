//! What the person on call knows about an incident, and which rows of a frame that makes normal or incident.

use std::ops::Range;

use crate::{
    call_graph::CallGraph,
    frame::{MetricFrame, check_name},
    invalid::{Invalid, did_you_mean},
    time::{TimeGrid, TimeWindow, UnixMillis},
    v1,
};

/// What the person on call knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IncidentContext {
    system: String,
    front_end: String,
    anomaly_start: UnixMillis,
    anomaly_end: Option<UnixMillis>,
    excluded: Vec<TimeWindow>,
    call_graph: Option<CallGraph>,
    late_alert: bool,
}

impl IncidentContext {
    /// `system` names the application, `front_end` the service that alerts; without `anomaly_end` the incident
    /// lasts to the end of the data. Rows in `excluded` are not normal behaviour.
    ///
    /// # Errors
    /// A name is bad, or the incident ends before it starts.
    pub fn new(
        system: impl Into<String>,
        front_end: impl Into<String>,
        anomaly_start: UnixMillis,
        anomaly_end: Option<UnixMillis>,
        excluded: Vec<TimeWindow>,
        call_graph: Option<CallGraph>,
    ) -> Result<Self, Invalid> {
        let (system, front_end) = (system.into(), front_end.into());
        check_name("system", &system)?;
        check_name("front_end", &front_end)?;
        if let Some(end) = anomaly_end {
            TimeWindow::new("anomaly_end", anomaly_start, end)?;
        }
        Ok(Self { system, front_end, anomaly_start, anomaly_end, excluded, call_graph, late_alert: false })
    }

    /// The same, where the start is known to be that of an alert which may have come late, or is not.
    #[must_use]
    pub fn with_late_alert(self, late_alert: bool) -> Self {
        Self { late_alert, ..self }
    }

    /// The same with another call graph.
    #[must_use]
    pub fn with_calls(&self, calls: CallGraph) -> Self {
        Self { call_graph: Some(calls), ..self.clone() }
    }

    /// The same incident with a call graph.
    #[must_use]
    pub fn calling(self, call_graph: CallGraph) -> Self {
        Self { call_graph: Some(call_graph), ..self }
    }

    /// The application.
    pub fn system(&self) -> &str {
        &self.system
    }

    /// The service that alerts.
    pub fn front_end(&self) -> &str {
        &self.front_end
    }

    /// Checks that the front end is a service of `frame`.
    ///
    /// # Errors
    /// It is not; the nearest name is suggested.
    pub fn check_front_end(&self, frame: &MetricFrame) -> Result<(), Invalid> {
        let name = &self.front_end;
        if frame.service_index(name).is_some() {
            return Ok(());
        }
        let hint = did_you_mean(name, frame.services().iter().map(String::as_str)).map_or_else(
            || format!("; {} services have, such as {}", frame.services().len(), frame.services()[0]),
            |near| format!("; did you mean {near}?"),
        );
        Err(Invalid::new("front_end", format!("{name} is no service with metrics{hint}")))
    }

    /// When the incident began.
    pub const fn anomaly_start(&self) -> UnixMillis {
        self.anomaly_start
    }

    /// When it ended, if it did.
    pub const fn anomaly_end(&self) -> Option<UnixMillis> {
        self.anomaly_end
    }

    /// Earlier faults and the like.
    pub fn excluded(&self) -> &[TimeWindow] {
        &self.excluded
    }

    /// Who calls whom, where it is known.
    pub const fn call_graph(&self) -> Option<&CallGraph> {
        self.call_graph.as_ref()
    }

    /// Whether the start is that of an alert, so that rows before it may belong to the incident.
    pub const fn late_alert(&self) -> bool {
        self.late_alert
    }

    /// Fewest rows from the start on with which the incident is diagnosed.
    pub const fn min_incident_rows(&self) -> usize {
        if self.late_alert { MIN_ROWS_SINCE_ALERT } else { MIN_INCIDENT_ROWS }
    }
}

impl TryFrom<&v1::IncidentContext> for IncidentContext {
    type Error = Invalid;

    fn try_from(wire: &v1::IncidentContext) -> Result<Self, Invalid> {
        let anomaly_end =
            wire.anomaly_end.map(|end| UnixMillis::from_wire("anomaly_end", Some(end))).transpose()?;
        let excluded = wire
            .excluded
            .iter()
            .enumerate()
            .map(|(index, window)| TimeWindow::from_wire(&format!("excluded[{index}]"), window))
            .collect::<Result<_, _>>()?;
        Self::new(
            &wire.system,
            &wire.front_end,
            UnixMillis::from_wire("anomaly_start", wire.anomaly_start)?,
            anomaly_end,
            excluded,
            wire.call_graph.as_ref().map(CallGraph::try_from).transpose()?,
        )
        .map(|context| context.with_late_alert(wire.late_alert))
    }
}

impl From<&IncidentContext> for v1::IncidentContext {
    fn from(context: &IncidentContext) -> Self {
        Self {
            system: context.system.clone(),
            front_end: context.front_end.clone(),
            anomaly_start: Some(context.anomaly_start.to_wire()),
            anomaly_end: context.anomaly_end.map(UnixMillis::to_wire),
            excluded: context.excluded.iter().map(|window| window.to_wire()).collect(),
            call_graph: context.call_graph.as_ref().map(v1::CallGraph::from),
            late_alert: context.late_alert,
        }
    }
}

/// Fewest normal rows with which anything can be said.
pub const MIN_NORMAL_ROWS: usize = 5;
/// Fewest incident rows with which anything can be said.
pub const MIN_INCIDENT_ROWS: usize = 3;
/// Fewest rows since an alert that may have come late: rows before it may belong to the incident.
pub const MIN_ROWS_SINCE_ALERT: usize = 1;
/// Where exclusions leave fewer normal rows than this, they are ignored.
pub const MIN_ROWS_AFTER_EXCLUSION: usize = 8;

/// There is too little data to diagnose.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "too little data: {normal} normal and {incident} incident rows hold samples, at least {MIN_NORMAL_ROWS} and \
     {needed} are needed; {}",
    self.way_out()
)]
pub struct TooLittleData {
    /// Normal rows found.
    pub normal: usize,
    /// Incident rows found.
    pub incident: usize,
    /// Incident rows needed.
    pub needed: usize,
}

impl TooLittleData {
    const fn way_out(&self) -> &'static str {
        match (self.normal, self.incident) {
            (0, _) => {
                "the anomaly starts with the first sample or before it: bring time before it, or check anomaly_start"
            }
            (_, 0) => "no sample lies in the incident: check anomaly_start and anomaly_end",
            _ => "widen the window, shorten the step, or check anomaly_start",
        }
    }
}

/// The rows of a frame that hold a sample, divided by an incident. Sorted sample indices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WindowRows {
    /// Before the incident and not excluded.
    pub normal: Vec<usize>,
    /// In the incident.
    pub incident: Vec<usize>,
    /// Exclusions would have left too few normal rows and were ignored.
    pub exclusions_ignored: bool,
}

impl WindowRows {
    /// Divides the rows of `frame`.
    ///
    /// # Errors
    /// Fewer than [`MIN_NORMAL_ROWS`] normal or [`IncidentContext::min_incident_rows`] incident rows hold a sample.
    pub fn divide(frame: &MetricFrame, context: &IncidentContext) -> Result<Self, TooLittleData> {
        let present = frame.rows_with_samples();
        let grid = frame.grid();
        let rows = || (0..grid.samples()).filter(|&row| present[row]);
        let before = |row: &usize| grid.time(*row) < context.anomaly_start;
        let excluded = |row: usize| context.excluded.iter().any(|window| window.contains(grid.time(row)));
        let end = context.anomaly_end.unwrap_or(UnixMillis(i64::MAX));

        let incident: Vec<usize> = rows().filter(|row| !before(row) && grid.time(*row) <= end).collect();
        let all_before: Vec<usize> = rows().filter(before).collect();
        let mut normal: Vec<usize> = all_before.iter().copied().filter(|&row| !excluded(row)).collect();
        let exclusions_ignored = normal.len() < MIN_ROWS_AFTER_EXCLUSION && normal.len() < all_before.len();
        if exclusions_ignored {
            normal = all_before;
        }
        let needed = context.min_incident_rows();
        if normal.len() < MIN_NORMAL_ROWS || incident.len() < needed {
            return Err(TooLittleData { normal: normal.len(), incident: incident.len(), needed });
        }
        Ok(Self { normal, incident, exclusions_ignored })
    }

    /// What a person should know about the division.
    pub fn warning(&self) -> Option<String> {
        self.exclusions_ignored.then(|| {
            format!(
                "excluded intervals were ignored: they would have left fewer than {MIN_ROWS_AFTER_EXCLUSION} of {} \
                 normal rows",
                self.normal.len()
            )
        })
    }

    /// Normal and incident rows together, sorted.
    pub fn all(&self) -> Vec<usize> {
        let mut rows: Vec<usize> = self.normal.iter().chain(&self.incident).copied().collect();
        rows.sort_unstable();
        rows
    }
}

/// Sorted rows as half-open ranges.
pub fn row_ranges(rows: &[usize]) -> Vec<Range<usize>> {
    rows.chunk_by(|left, right| left + 1 == *right).map(|run| run[0]..run[run.len() - 1] + 1).collect()
}

/// Half-open ranges as the wire has them.
pub fn ranges_to_wire(ranges: &[Range<usize>]) -> Vec<v1::RowRange> {
    ranges.iter().map(|range| v1::RowRange { first: range.start as u64, end: range.end as u64 }).collect()
}

/// Decodes ranges of rows of `grid` into sorted rows.
///
/// # Errors
/// A range is empty, overlaps the one before it, or leaves the grid.
pub fn rows_from_wire(field: &str, ranges: &[v1::RowRange], grid: &TimeGrid) -> Result<Vec<usize>, Invalid> {
    let mut rows = Vec::new();
    let mut previous_end = 0;
    for (index, range) in ranges.iter().enumerate() {
        if range.first >= range.end || range.first < previous_end || range.end > grid.samples() as u64 {
            return Err(Invalid::new(
                format!("{field}[{index}]"),
                format!(
                    "{}..{} must not be empty, overlap the range before it or pass the last of {} rows",
                    range.first,
                    range.end,
                    grid.samples()
                ),
            ));
        }
        previous_end = range.end;
        rows.extend(range.first as usize..range.end as usize);
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;

    use super::*;
    use crate::{frame::SeriesKey, metric::MetricKind};

    fn frame(samples: usize, missing: &[usize]) -> MetricFrame {
        let grid = TimeGrid::new(UnixMillis(0), 1000, samples).unwrap();
        let key = SeriesKey { service: "a".into(), metric: MetricKind::Cpu, name: "cpu".into() };
        let values =
            Array2::from_shape_fn(
                (1, samples),
                |(_, column)| {
                    if missing.contains(&column) { f64::NAN } else { 1.0 }
                },
            );
        MetricFrame::new(grid, vec![key], values).unwrap()
    }

    fn context(start: i64, end: Option<i64>, excluded: &[(i64, i64)]) -> IncidentContext {
        let windows = excluded
            .iter()
            .map(|&(from, to)| TimeWindow::new("", UnixMillis(from * 1000), UnixMillis(to * 1000)).unwrap())
            .collect();
        let end = end.map(|seconds| UnixMillis(seconds * 1000));
        IncidentContext::new("shop", "a", UnixMillis(start * 1000), end, windows, None).unwrap()
    }

    #[test]
    fn both_ends_of_every_interval_belong_to_it() {
        let rows = WindowRows::divide(&frame(20, &[]), &context(14, Some(17), &[(2, 3)])).unwrap();
        assert_eq!(rows.incident, [14, 15, 16, 17]);
        assert_eq!(rows.normal, [0, 1, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13]);
        assert!(!rows.exclusions_ignored);
    }

    #[test]
    fn a_front_end_that_is_no_service_is_refused_with_the_nearest_name() {
        assert_eq!(context(5, None, &[]).check_front_end(&frame(8, &[])), Ok(()));
        let other = IncidentContext::new("shop", "A", UnixMillis(0), None, vec![], None).unwrap();
        let error = other.check_front_end(&frame(8, &[])).unwrap_err();
        assert!(error.problem().ends_with("did you mean a?"), "{error}");
    }

    #[test]
    fn exclusions_that_leave_fewer_than_eight_normal_rows_are_ignored() {
        let rows = WindowRows::divide(&frame(16, &[]), &context(10, None, &[(0, 2)])).unwrap();
        assert_eq!(rows.normal.len(), 10);
        assert!(rows.exclusions_ignored);
        let rows = WindowRows::divide(&frame(16, &[]), &context(10, None, &[(0, 1)])).unwrap();
        assert_eq!(rows.normal.len(), 8);
        assert!(!rows.exclusions_ignored);
    }

    #[test]
    fn too_few_rows_are_counted_for_the_user_and_rows_without_samples_do_not_count() {
        let error = WindowRows::divide(&frame(8, &[1]), &context(5, None, &[])).unwrap_err();
        assert_eq!(error, TooLittleData { normal: 4, incident: 3, needed: 3 });
        assert!(error.to_string().starts_with("too little data: 4 normal and 3 incident rows"));
        assert!(WindowRows::divide(&frame(8, &[]), &context(6, None, &[])).is_err());
        assert!(WindowRows::divide(&frame(8, &[]), &context(5, None, &[])).is_ok());
    }

    #[test]
    fn an_anomaly_outside_of_the_data_is_told_as_such() {
        let sentence =
            |start| WindowRows::divide(&frame(8, &[]), &context(start, None, &[])).unwrap_err().to_string();
        assert!(sentence(-50).ends_with("bring time before it, or check anomaly_start"), "{}", sentence(-50));
        assert!(sentence(900).contains("no sample lies in the incident"), "{}", sentence(900));
    }

    #[test]
    fn one_row_since_an_alert_that_may_be_late_is_enough() {
        let late = |start| context(start, None, &[]).with_late_alert(true);
        let rows = WindowRows::divide(&frame(8, &[]), &late(7)).unwrap();
        assert_eq!((rows.normal.len(), rows.incident), (7, vec![7]));
        let error = WindowRows::divide(&frame(8, &[]), &late(8)).unwrap_err();
        assert!(error.to_string().contains("0 incident rows hold samples, at least 5 and 1 are needed"));
        assert_eq!(IncidentContext::try_from(&v1::IncidentContext::from(&late(7))), Ok(late(7)));
    }

    #[test]
    fn rows_and_ranges_lead_back_to_each_other() {
        let rows = [0, 1, 2, 7, 9, 10];
        let ranges = row_ranges(&rows);
        assert_eq!(ranges, [0..3, 7..8, 9..11]);
        let grid = TimeGrid::new(UnixMillis(0), 1, 11).unwrap();
        assert_eq!(rows_from_wire("rows", &ranges_to_wire(&ranges), &grid).unwrap(), rows);
        let overlapping = ranges_to_wire(&[0..3, 2..4]);
        assert_eq!(rows_from_wire("rows", &overlapping, &grid).unwrap_err().field(), "rows[1]");
        assert!(rows_from_wire("rows", &ranges_to_wire(&[0..2, 9..12]), &grid).is_err());
    }
}
