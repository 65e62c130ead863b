//! Times that are not normal: incidents that are known, and their aftermath.

use automap_proto::{
    incident::IncidentContext,
    time::{TimeWindow, UnixMillis},
};

/// How long an incident lasts whose end nobody told, milliseconds.
const UNTOLD_LENGTH_MS: i64 = 3_600_000;

/// Intervals that are not normal.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct AbnormalTimes {
    intervals: Vec<(UnixMillis, UnixMillis)>,
    aftermath_ms: i64,
}

impl AbnormalTimes {
    /// None yet; what is added lasts `aftermath_seconds` longer than it says.
    pub fn new(aftermath_seconds: u64) -> Self {
        let aftermath_ms = i64::try_from(aftermath_seconds.saturating_mul(1000)).unwrap_or(i64::MAX);
        Self { intervals: Vec::new(), aftermath_ms }
    }

    /// A fault from its first instant to its last.
    pub fn add(&mut self, window: TimeWindow) {
        self.intervals.push((window.start(), UnixMillis(window.end().0.saturating_add(self.aftermath_ms))));
    }

    /// An incident, and the earlier faults that were known with it. One without an end lasts an hour.
    pub fn add_incident(&mut self, context: &IncidentContext) {
        let start = context.anomaly_start();
        let end = context.anomaly_end().unwrap_or(UnixMillis(start.0.saturating_add(UNTOLD_LENGTH_MS)));
        self.intervals.push((start, UnixMillis(end.0.saturating_add(self.aftermath_ms))));
        for window in context.excluded() {
            self.add(*window);
        }
    }

    /// Whether any time of a window is not normal. O(intervals).
    pub fn meet(&self, window: TimeWindow) -> bool {
        self.intervals.iter().any(|(start, end)| *start <= window.end() && window.start() <= *end)
    }

    /// Whether a time is not normal. O(intervals).
    pub fn contain(&self, time: UnixMillis) -> bool {
        self.intervals.iter().any(|(start, end)| *start <= time && time <= *end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn incidents_earlier_faults_and_their_aftermath_are_not_normal() {
        let at = |seconds: i64| UnixMillis(seconds * 1000);
        let window = |start, end| TimeWindow::new("window", at(start), at(end)).unwrap();
        let context =
            IncidentContext::new("shop", "web", at(1_000), Some(at(1_100)), vec![window(500, 600)], None)
                .unwrap();
        let mut abnormal = AbnormalTimes::new(60);
        abnormal.add_incident(&context);
        abnormal.add(window(10, 20));
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
        let endless = IncidentContext::new("shop", "web", at(0), None, vec![], None).unwrap();
        let mut lasting = AbnormalTimes::new(0);
        lasting.add_incident(&endless);
        assert!(lasting.contain(at(3_600)) && !lasting.contain(at(3_601)));
    }
}
