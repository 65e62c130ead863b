//! Times that are not normal: incidents that are known, and their aftermath.

use std::{cmp::Reverse, sync::Arc};

use automap_proto::{
    incident::IncidentContext,
    time::{TimeWindow, UnixMillis},
};

use crate::told_times::ToldTimes;

/// How long an incident lasts whose end nobody told, milliseconds: a day. Most outages are over by then, and rows that are
/// left out for longer than their fault cost less than a fault that is learned as normal. Nor is an onset believed that lies
/// further before the start.
const UNTOLD_LENGTH_MS: i64 = 24 * 3_600_000;
/// Intervals that are remembered of one incident: of more, those with the shortest times between them are joined.
const MAX_INTERVALS: usize = 64;

/// From the first instant to the last.
type Interval = (UnixMillis, UnixMillis);

/// Intervals in order that have no instant in common.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Intervals(Box<[Interval]>);

impl Intervals {
    /// What overlaps is one interval. O(n log n).
    pub fn new(mut all: Vec<Interval>) -> Self {
        all.sort_unstable();
        // The later one goes where it begins within the earlier one.
        all.dedup_by(|later, earlier| {
            let overlap = later.0 <= earlier.1;
            if overlap {
                earlier.1 = earlier.1.max(later.1);
            }
            overlap
        });
        Self(all.into())
    }

    /// The incident, and the earlier faults that were known with it. It begins at the onset that was found where its start is
    /// that of a late alert, and ends as its context or the last of its alerts does, whichever is later; where neither tells,
    /// after a day.
    pub fn of_incident(context: &IncidentContext, told: ToldTimes) -> Self {
        let alert = context.anomaly_start();
        let earliest = UnixMillis(alert.0.saturating_sub(UNTOLD_LENGTH_MS));
        let onset = told.onset().filter(|_| context.late_alert());
        let start = onset.map_or(alert, |onset| onset.clamp(earliest, alert));
        let longest = UnixMillis(alert.0.saturating_add(UNTOLD_LENGTH_MS));
        let end = context.anomaly_end().max(told.end()).unwrap_or(longest).max(alert);
        let earlier = context.excluded().iter().map(|window| (window.start(), window.end()));
        Self::new(std::iter::once((start, end)).chain(earlier).collect()).at_most(MAX_INTERVALS)
    }

    /// The same in at most `most` intervals, at least one: those with the shortest times between them are joined, of equally
    /// short ones the earliest. O(n log n).
    fn at_most(self, most: usize) -> Self {
        if self.0.len() <= most {
            return self;
        }
        let gap = |index: usize| self.0[index].0.0.saturating_sub(self.0[index - 1].1.0);
        let mut begins: Vec<usize> = (1..self.0.len()).collect();
        begins.sort_by_key(|&index| Reverse((gap(index), index)));
        begins.truncate(most.saturating_sub(1));
        begins.push(0);
        begins.sort_unstable();
        let ends = begins.iter().skip(1).copied().chain([self.0.len()]);
        let joined = begins.iter().zip(ends).map(|(&first, end)| (self.0[first].0, self.0[end - 1].1));
        Self(joined.collect())
    }

    /// In order.
    pub fn iter(&self) -> impl Iterator<Item = Interval> {
        self.0.iter().copied()
    }

    /// Whether a window has an instant in common with an interval that lasts `longer_ms` more than it says. O(log n).
    fn meet(&self, start: UnixMillis, end: UnixMillis, longer_ms: i64) -> bool {
        let begun = self.0.partition_point(|(first, _)| *first <= end);
        let last = begun.checked_sub(1).map(|index| self.0[index].1);
        last.is_some_and(|last| start.0 <= last.0.saturating_add(longer_ms))
    }
}

/// Times of a system that are not normal.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct AbnormalTimes {
    known: Arc<Intervals>,
    told: Intervals,
    aftermath_ms: i64,
}

impl AbnormalTimes {
    /// Times of known incidents; each lasts `aftermath_seconds` longer than it says.
    pub fn new(known: Arc<Intervals>, aftermath_seconds: u64) -> Self {
        let aftermath_ms = i64::try_from(aftermath_seconds.saturating_mul(1000)).unwrap_or(i64::MAX);
        Self { known, told: Intervals::default(), aftermath_ms }
    }

    /// The same with faults that are told beside them.
    #[must_use]
    pub fn with_told(self, faults: &[TimeWindow]) -> Self {
        let told = Intervals::new(faults.iter().map(|window| (window.start(), window.end())).collect());
        Self { told, ..self }
    }

    /// Whether any time of a window is not normal. O(log intervals).
    pub fn meet(&self, window: TimeWindow) -> bool {
        self.meet_any(window.start(), window.end())
    }

    /// Whether a time is not normal. O(log intervals).
    pub fn contain(&self, time: UnixMillis) -> bool {
        self.meet_any(time, time)
    }

    /// Whether any time from `start` to `end` is not normal. O(log intervals).
    pub(crate) fn meet_any(&self, start: UnixMillis, end: UnixMillis) -> bool {
        [&*self.known, &self.told].into_iter().any(|some| some.meet(start, end, self.aftermath_ms))
    }
}

#[cfg(test)]
mod tests {
    use automap_proto::v1;

    use super::*;

    fn at(seconds: i64) -> UnixMillis {
        UnixMillis(seconds * 1000)
    }

    fn window(start: i64, end: i64) -> TimeWindow {
        TimeWindow::new("window", at(start), at(end)).unwrap()
    }

    fn context(start: i64, end: Option<i64>, excluded: Vec<TimeWindow>) -> IncidentContext {
        IncidentContext::new("shop", "web", at(start), end.map(at), excluded, None).unwrap()
    }

    fn intervals(seconds: &[(i64, i64)]) -> Intervals {
        Intervals::new(seconds.iter().map(|&(start, end)| (at(start), at(end))).collect())
    }

    #[test]
    fn incidents_earlier_faults_and_their_aftermath_are_not_normal() {
        let known = Intervals::of_incident(
            &context(1_000, Some(1_100), vec![window(500, 600)]),
            ToldTimes::default(),
        );
        let abnormal = AbnormalTimes::new(Arc::new(known), 60).with_told(&[window(10, 20)]);
        for (seconds, expected) in [
            (9, false),
            (10, true),
            (80, true),
            (81, false),
            (660, true),
            (661, false),
            (999, false),
            (1_160, true),
            (1_161, false),
        ] {
            assert_eq!(abnormal.contain(at(seconds)), expected, "{seconds}");
        }
        for (start, end, expected) in
            [(0, 9, false), (0, 10, true), (80, 81, true), (81, 499, false), (0, 2_000, true)]
        {
            assert_eq!(abnormal.meet(window(start, end)), expected, "{start} to {end}");
        }
        let endless = Intervals::of_incident(&context(0, None, vec![]), ToldTimes::default());
        let lasting = AbnormalTimes::new(Arc::new(endless), 0);
        assert!(lasting.contain(at(86_400)) && !lasting.contain(at(86_401)));
    }

    #[test]
    fn an_incident_lasts_from_its_onset_to_the_end_of_its_alerts() {
        let day = 86_400;
        let of = |end, late_alert, onset: Option<i64>, last: Option<i64>| {
            let wire = |seconds| at(seconds).to_wire();
            let context = context(2 * day, end, vec![]).with_late_alert(late_alert);
            let assessment =
                onset.map(|onset| v1::Assessment { onset: Some(wire(onset)), ..Default::default() });
            let alert = v1::Alert { ends_at: last.map(wire), ..Default::default() };
            let alerts = Some(v1::AlertList { alerts: vec![alert], left_out: 0 });
            let diagnosis = v1::Diagnosis { assessment, alerts, ..Default::default() };
            Intervals::of_incident(&context, ToldTimes::default().after(&diagnosis, &context))
        };
        let hours = |first: i64, last: i64| intervals(&[(2 * day + first * 3_600, 2 * day + last * 3_600)]);
        let hour = |hour: i64| Some(2 * day + hour * 3_600);
        assert_eq!(of(None, true, None, None), hours(0, 24));
        assert_eq!(of(None, true, None, hour(5)), hours(0, 5));
        assert_eq!(of(None, true, None, hour(30)), hours(0, 30));
        assert_eq!(of(None, true, None, hour(-1)), hours(0, 0), "no incident ends before it begins");
        assert_eq!(of(None, true, hour(-1), hour(5)), hours(-1, 5));
        assert_eq!(of(None, true, hour(1), hour(5)), hours(0, 5), "it had begun when the alert came");
        assert_eq!(of(None, true, Some(0), hour(5)), hours(-24, 5));
        assert_eq!(of(None, false, hour(-1), hour(5)), hours(0, 5));
        assert_eq!(of(hour(2), true, None, hour(5)), hours(0, 5), "an alert came to it that lasts longer");
        assert_eq!(of(hour(2), true, None, hour(1)), hours(0, 2));
        assert_eq!(of(hour(2), true, None, None), hours(0, 2));
    }

    #[test]
    fn intervals_that_overlap_are_one_however_they_come() {
        let one = intervals(&[(50, 60), (0, 100), (100, 110), (111, 120), (-5, -1)]);
        assert_eq!(one, intervals(&[(-5, -1), (0, 110), (111, 120)]));
        assert_eq!(one.iter().count(), 3);
        assert!(!AbnormalTimes::default().contain(at(0)));
    }

    #[test]
    fn of_too_many_intervals_the_nearest_are_joined_and_no_time_is_lost() {
        let many = intervals(&[(0, 1), (3, 4), (10, 11), (12, 13), (30, 31)]);
        assert_eq!(many.clone().at_most(5), many);
        assert_eq!(many.clone().at_most(4), intervals(&[(0, 1), (3, 4), (10, 13), (30, 31)]));
        assert_eq!(many.clone().at_most(2), intervals(&[(0, 13), (30, 31)]));
        assert_eq!(many.at_most(1), intervals(&[(0, 31)]));
        let excluded = (0..200).map(|fault| window(fault * 100, fault * 100 + 1)).collect();
        let kept = Intervals::of_incident(&context(100_000, Some(100_001), excluded), ToldTimes::default());
        assert_eq!(kept.iter().count(), MAX_INTERVALS);
        let abnormal = AbnormalTimes::new(Arc::new(kept), 0);
        assert!((0..200).all(|fault| abnormal.contain(at(fault * 100))) && !abnormal.contain(at(50_000)));
    }
}
