//! Which times are asked for when normal behaviour is learned.

use automap_proto::time::{TimeWindow, UnixMillis};

/// Longest window that is asked for at once, milliseconds, unless one normal graph takes more.
const PART_MS: u64 = 3_600_000;

/// A window in parts that are learned one after the other. Where normal graphs are learned, of windows of `graph_window_ms` that
/// begin at whole multiples of it, no part ends within one: a graph is learned of a window that is whole. O(parts).
pub fn learning_parts(window: TimeWindow, graph_window_ms: Option<u64>) -> Vec<TimeWindow> {
    let Some(length) = graph_window_ms.filter(|length| *length > 0) else {
        return window.parts(PART_MS).collect();
    };
    let part = if length >= PART_MS { length } else { PART_MS - PART_MS % length };
    let first_end =
        begin_of(window.start(), length).0.saturating_add(i64::try_from(part).unwrap_or(i64::MAX));
    if first_end >= window.end().0 {
        return vec![window];
    }
    let split = |start, end| TimeWindow::new("window", start, end).ok();
    let (first, rest) =
        (split(window.start(), UnixMillis(first_end)), split(UnixMillis(first_end), window.end()));
    first.into_iter().chain(rest.into_iter().flat_map(|rest| rest.parts(part))).collect()
}

/// Where the window of `length_ms` begins that holds `at`.
pub(crate) fn begin_of(at: UnixMillis, length_ms: u64) -> UnixMillis {
    let length = i64::try_from(length_ms.max(1)).unwrap_or(i64::MAX);
    UnixMillis(at.0.saturating_sub(at.0.rem_euclid(length)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = 60_000;

    fn parts(from: i64, to: i64, graph_minutes: Option<i64>) -> Vec<(i64, i64)> {
        let window = TimeWindow::new("window", UnixMillis(from * MINUTE), UnixMillis(to * MINUTE)).unwrap();
        let length = graph_minutes.map(|minutes| u64::try_from(minutes * MINUTE).unwrap());
        let parts = learning_parts(window, length);
        parts.iter().map(|part| (part.start().0 / MINUTE, part.end().0 / MINUTE)).collect()
    }

    #[test]
    fn no_part_ends_within_the_window_of_a_graph() {
        assert_eq!(parts(5, 130, None), [(5, 65), (65, 125), (125, 130)]);
        assert_eq!(parts(5, 130, Some(10)), [(5, 60), (60, 120), (120, 130)]);
        assert_eq!(parts(5, 130, Some(25)), [(5, 50), (50, 100), (100, 130)]);
        assert_eq!(parts(5, 400, Some(180)), [(5, 180), (180, 360), (360, 400)]);
        assert_eq!(parts(70, 100, Some(180)), [(70, 100)]);
        assert_eq!(parts(60, 120, Some(60)), [(60, 120)]);
        assert_eq!(parts(7, 7, Some(5)), [(7, 7)]);
    }
}
