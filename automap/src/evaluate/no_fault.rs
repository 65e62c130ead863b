//! Alerts at which nothing was wrong: the last normal rows of a recording, given as if they were its incident.

use automap_proto::{
    incident::{IncidentContext, MIN_ROWS_AFTER_EXCLUSION},
    invalid::Invalid,
    time::UnixMillis,
};

use super::alert::incident_length;

/// Gap between two rows, in steps, from which they do not follow each other.
const LARGEST_GAP: f64 = 1.5;

/// An alert in normal behaviour.
#[derive(Debug, Clone, PartialEq)]
pub struct NoFault {
    /// What is asked: the window is the incident, and whatever was excluded before it still is.
    pub context: IncidentContext,
    /// Times of the rows that may be seen: normal ones to the end of the window, none of the fault or of excluded intervals.
    pub kept: Vec<UnixMillis>,
}

impl NoFault {
    /// The last rows before the incident that are normal and follow each other, as many as the incident has; the normal rows
    /// before them are its normal behaviour. `None` where there is no such run, or where fewer than eight normal rows
    /// come before it. `times` are those of the recording, ascending.
    /// O(rows · (excluded + rows of the incident)).
    ///
    /// # Errors
    /// The incident has no length.
    pub fn of(context: &IncidentContext, times: &[UnixMillis]) -> Result<Option<Self>, Invalid> {
        let start = context.anomaly_start();
        let end = start.0 + incident_length(context)?;
        let length = times.iter().filter(|time| (start.0..=end).contains(&time.0)).count();
        let excluded = |time: &UnixMillis| context.excluded().iter().any(|window| window.contains(*time));
        let rows: Vec<usize> =
            (0..times.len()).filter(|&row| times[row] < start && !excluded(&times[row])).collect();
        let step =
            times.windows(2).map(|pair| pair[1].0 - pair[0].0).filter(|gap| *gap > 0).min().unwrap_or(0);
        let follow = |pair: &[usize]| {
            pair[1] == pair[0] + 1
                && (times[pair[1]].0 - times[pair[0]].0) as f64 <= LARGEST_GAP * step as f64
        };
        let last = (MIN_ROWS_AFTER_EXCLUSION..=rows.len().saturating_sub(length))
            .rev()
            .find(|&from| length > 0 && rows[from..from + length].windows(2).all(follow));
        let Some(from) = last else {
            return Ok(None);
        };
        let kept: Vec<UnixMillis> = rows[..from + length].iter().map(|&row| times[row]).collect();
        let context = IncidentContext::new(
            context.system(),
            context.front_end(),
            kept[from],
            kept.last().copied(),
            context.excluded().to_vec(),
            context.call_graph().cloned(),
        )?;
        Ok(Some(Self { context, kept }))
    }
}

#[cfg(test)]
mod tests {
    use automap_proto::time::TimeWindow;

    use super::*;

    fn found(excluded: &[(i64, i64)], times: impl Iterator<Item = i64>) -> Option<NoFault> {
        let windows = excluded
            .iter()
            .map(|&(from, to)| TimeWindow::new("", UnixMillis(from), UnixMillis(to)).unwrap())
            .collect();
        let (start, end) = (UnixMillis(300), Some(UnixMillis(320)));
        let context = IncidentContext::new("shop", "web", start, end, windows, None).unwrap();
        NoFault::of(&context, &times.map(UnixMillis).collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn the_window_is_the_last_normal_rows_and_nothing_of_the_fault_is_seen() {
        let none = found(&[], (0..40).map(|row| row * 10)).unwrap();
        assert_eq!((none.context.anomaly_start().0, none.context.anomaly_end().unwrap().0), (270, 290));
        assert_eq!(none.kept.len(), 30);
        assert_eq!(none.kept.last(), Some(&UnixMillis(290)));
    }

    #[test]
    fn excluded_intervals_are_neither_seen_nor_crossed() {
        let none = found(&[(100, 140), (270, 280)], (0..40).map(|row| row * 10)).unwrap();
        assert_eq!((none.context.anomaly_start().0, none.context.anomaly_end().unwrap().0), (240, 260));
        assert!(none.kept.iter().all(|time| !(100..=140).contains(&time.0)));
    }

    #[test]
    fn a_gap_is_not_crossed_and_eight_normal_rows_come_before() {
        // The row at 250 is missing: 220 to 240 lie behind it, 260 to 280 before 290, which is missing too.
        let gappy = (0..40).map(|row| row * 10).filter(|time| ![250, 290].contains(time));
        assert_eq!(found(&[], gappy).unwrap().context.anomaly_start().0, 260);
        assert!(found(&[(0, 180)], (0..40).map(|row| row * 10)).is_some(), "eight rows and three");
        assert!(found(&[(0, 190)], (0..40).map(|row| row * 10)).is_none(), "seven rows and three");
    }
}
