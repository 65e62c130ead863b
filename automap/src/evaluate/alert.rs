//! When the alert fires: on time, late or early.

use automap_proto::{
    incident::IncidentContext,
    invalid::Invalid,
    time::{TimeWindow, UnixMillis},
};

/// How long an incident lasts, milliseconds, where its recording says when it ended.
///
/// # Errors
/// It has no end or no length, so that a delay or a normal window has no unit.
pub fn incident_length(context: &IncidentContext) -> Result<i64, Invalid> {
    let length = context.anomaly_end().map(|end| end.0 - context.anomaly_start().0);
    length.filter(|length| *length > 0).ok_or_else(|| {
        Invalid::new(
            "anomaly_end",
            "is missing or not after anomaly_start, so that --delay and --normal-window have no unit",
        )
    })
}

/// The incident as a person would know it whose alert fires `delay` incident lengths after the anomaly began, or
/// before it when negative; `None` when that is after its end.
///
/// Only the alert moves: the window ends when it did, so that a late alert leaves fewer rows of the incident and passes
/// the others off as normal. Excluded intervals stay where they are.
///
/// # Errors
/// The incident has no length.
pub fn delayed(context: &IncidentContext, delay: f64) -> Result<Option<IncidentContext>, Invalid> {
    if delay == 0.0 {
        return Ok(Some(context.clone()));
    }
    let shift = (delay * incident_length(context)? as f64).round() as i64;
    let alert = UnixMillis(context.anomaly_start().0.saturating_add(shift));
    if context.anomaly_end().is_some_and(|end| end < alert) {
        return Ok(None);
    }
    IncidentContext::new(
        context.system(),
        context.front_end(),
        alert,
        context.anomaly_end(),
        context.excluded().to_vec(),
        context.call_graph().cloned(),
    )
    .map(|moved| Some(moved.with_late_alert(delay > 0.0)))
}

/// Which rows of a recording stay when its normal window is cut.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NormalCut {
    alert: UnixMillis,
    earliest: UnixMillis,
    excluded: Vec<TimeWindow>,
}

impl NormalCut {
    /// Keeps the last `window_ms` before the alert of `context`, not counting excluded intervals, which are left out
    /// altogether: earlier faults are no normal behaviour, however short of it the recording is.
    pub fn new(context: &IncidentContext, window_ms: i64) -> Self {
        let mut left = window_ms;
        let alert = context.anomaly_start();
        let mut excluded = context.excluded().to_vec();
        excluded.sort_by_key(|window| std::cmp::Reverse(window.end()));
        let mut earliest = alert;
        for window in &excluded {
            // Between this interval and what was counted already.
            let free = earliest.0 - window.end().0.min(earliest.0);
            if free >= left {
                break;
            }
            left -= free;
            earliest = earliest.min(window.start());
        }
        Self { alert, earliest: UnixMillis(earliest.0.saturating_sub(left)), excluded }
    }

    /// Whether a row at `time` stays.
    pub fn keeps(&self, time: UnixMillis) -> bool {
        time >= self.alert
            || (time >= self.earliest && !self.excluded.iter().any(|window| window.contains(time)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context(start: i64, end: Option<i64>, excluded: &[(i64, i64)]) -> IncidentContext {
        let windows = excluded
            .iter()
            .map(|&(from, to)| TimeWindow::new("", UnixMillis(from), UnixMillis(to)).unwrap())
            .collect();
        IncidentContext::new("shop", "web", UnixMillis(start), end.map(UnixMillis), windows, None).unwrap()
    }

    #[test]
    fn a_delay_moves_the_alert_alone_in_units_of_the_incident() {
        let on_time = context(1000, Some(1400), &[(100, 200)]);
        let late = delayed(&on_time, 0.5).unwrap().unwrap();
        assert_eq!((late.anomaly_start().0, late.anomaly_end().unwrap().0), (1200, 1400));
        assert!(late.late_alert());
        let early = delayed(&on_time, -0.25).unwrap().unwrap();
        assert_eq!((early.anomaly_start().0, early.anomaly_end().unwrap().0), (900, 1400));
        assert!(!early.late_alert());
        assert_eq!(early.excluded(), on_time.excluded());
        assert_eq!(delayed(&on_time, 0.0).unwrap(), Some(on_time.clone()));
        assert_eq!(delayed(&on_time, 1.01).unwrap(), None, "after its end");
        let error = delayed(&context(1000, None, &[]), 0.5).unwrap_err();
        assert_eq!(error.field(), "anomaly_end");
    }

    #[test]
    fn a_cut_counts_back_over_time_that_is_not_excluded() {
        // Of 600, 100 back to 900, over the fault to 700, and 500 more to 200.
        let cut = NormalCut::new(&context(1000, Some(1400), &[(700, 900)]), 600);
        let kept: Vec<i64> = [100, 199, 200, 699, 700, 900, 901, 999, 1000, 2000]
            .into_iter()
            .filter(|&time| cut.keeps(UnixMillis(time)))
            .collect();
        assert_eq!(kept, [200, 699, 901, 999, 1000, 2000]);
    }

    #[test]
    fn excluded_intervals_that_overlap_or_reach_the_alert_count_once() {
        let overlapping = context(1000, Some(1100), &[(600, 1050), (500, 700), (0, 100)]);
        let cut = NormalCut::new(&overlapping, 200);
        assert_eq!(cut.earliest, UnixMillis(300));
        assert!(!cut.keeps(UnixMillis(999)) && cut.keeps(UnixMillis(1000)));
    }
}
