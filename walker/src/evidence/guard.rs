//! Step 2, guard: the rows just before the alert are not taken for normal, because alerts come late.

use automap_proto::incident::{MIN_NORMAL_ROWS, WindowRows};

/// Normal rows, and the rows before the alert that may belong to the incident.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GuardedRows {
    /// Rows that are surely normal, ascending.
    pub normal: Vec<usize>,
    /// The last rows before the alert, ascending; the incident may begin in them.
    pub guard: Vec<usize>,
    /// Rows from the alert on, ascending.
    pub incident: Vec<usize>,
}

impl GuardedRows {
    /// No guard: the alert's time is taken as it is.
    pub fn without_guard(rows: &WindowRows) -> Self {
        Self { normal: rows.normal.clone(), guard: Vec::new(), incident: rows.incident.clone() }
    }

    /// With W incident rows, the last W of the rows `before` the alert leave the normal ones. Where fewer than
    /// max(5, half) of the normal rows would remain, the guard is shortened until they do.
    ///
    /// `before` are all rows with samples before the alert, ascending, excluded ones too: an incident may begin in an
    /// interval that is not normal. O(rows).
    pub fn new(rows: &WindowRows, before: &[usize]) -> Self {
        let keep = MIN_NORMAL_ROWS.max(rows.normal.len().div_ceil(2));
        let longest = rows.incident.len().min(before.len());
        let length = (0..=longest)
            .rev()
            .find(|&length| {
                let from = before.len() - length;
                before.get(from).is_none_or(|&first| normal_before(rows, first) >= keep)
            })
            .unwrap_or(0);
        let guard = before[before.len() - length..].to_vec();
        let remaining = guard.first().map_or(rows.normal.len(), |&first| normal_before(rows, first));
        Self { normal: rows.normal[..remaining].to_vec(), guard, incident: rows.incident.clone() }
    }

    /// Guard and incident rows, ascending: where the incident may lie.
    pub fn span(&self) -> Vec<usize> {
        self.guard.iter().chain(&self.incident).copied().collect()
    }
}

fn normal_before(rows: &WindowRows, row: usize) -> usize {
    rows.normal.partition_point(|&normal| normal < row)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(normal: impl IntoIterator<Item = usize>, incident: std::ops::Range<usize>) -> WindowRows {
        WindowRows {
            normal: normal.into_iter().collect(),
            incident: incident.collect(),
            exclusions_ignored: false,
        }
    }

    #[test]
    fn the_guard_is_as_long_as_the_incident() {
        let guarded = GuardedRows::new(&rows(0..20, 20..24), &(0..20).collect::<Vec<_>>());
        assert_eq!(guarded.guard, [16, 17, 18, 19]);
        assert_eq!(guarded.normal, (0..16).collect::<Vec<_>>());
        assert_eq!(guarded.span(), (16..24).collect::<Vec<_>>());
    }

    #[test]
    fn a_short_normal_window_shortens_the_guard_and_keeps_five_rows() {
        let guarded = GuardedRows::new(&rows(0..7, 7..17), &(0..7).collect::<Vec<_>>());
        assert_eq!(guarded.guard, [5, 6]);
        assert_eq!(guarded.normal.len(), 5);
        let none = GuardedRows::new(&rows(0..5, 5..15), &(0..5).collect::<Vec<_>>());
        assert!(none.guard.is_empty() && none.normal.len() == 5);
    }

    #[test]
    fn half_of_the_normal_rows_always_stay() {
        let guarded = GuardedRows::new(&rows(0..21, 21..61), &(0..21).collect::<Vec<_>>());
        assert_eq!((guarded.normal.len(), guarded.guard.len()), (11, 10));
    }

    #[test]
    fn excluded_rows_fill_the_guard_and_cost_no_normal_ones() {
        let guarded = GuardedRows::new(&rows(0..10, 14..18), &(0..14).collect::<Vec<_>>());
        assert_eq!(guarded.guard, [10, 11, 12, 13]);
        assert_eq!(guarded.normal.len(), 10);
    }
}
