//! Hours of the week, in UTC.

use automap_proto::time::UnixMillis;

const HOUR_MS: i64 = 3_600_000;

/// How many there are.
pub const WEEK_HOURS: i64 = 7 * 24;

/// The hour of the week of a time, 0 to 167, counted from the Unix epoch.
pub const fn hour_of_week(time: UnixMillis) -> usize {
    time.0.div_euclid(HOUR_MS).rem_euclid(WEEK_HOURS) as usize
}

/// Whether two times lie within an hour of the same hour of the week.
pub fn resembles(time: UnixMillis, at: UnixMillis) -> bool {
    let apart = (time.0.div_euclid(HOUR_MS) - at.0.div_euclid(HOUR_MS)).rem_euclid(WEEK_HOURS);
    apart.min(WEEK_HOURS - apart) <= 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_week_ends_where_the_next_begins() {
        let week = WEEK_HOURS * HOUR_MS;
        assert_eq!((hour_of_week(UnixMillis(0)), hour_of_week(UnixMillis(week - 1))), (0, 167));
        assert_eq!(hour_of_week(UnixMillis(-1)), 167);
        assert!(resembles(UnixMillis(0), UnixMillis(week - 1)));
        assert!(resembles(UnixMillis(10 * HOUR_MS), UnixMillis(11 * HOUR_MS + week)));
        assert!(!resembles(UnixMillis(10 * HOUR_MS), UnixMillis(12 * HOUR_MS)));
    }
}
