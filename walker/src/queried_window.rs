//! Which samples a diagnosis asks of a server that is queried.

use automap_proto::{
    invalid::Invalid,
    time::{TimeWindow, UnixMillis},
    v1,
};

/// Normal behaviour that is collected before an anomaly, milliseconds.
const NORMAL_MS: i64 = 3_600_000;
/// The same in lengths of the anomaly, at least: as many normal windows as a behaviour graph is compared with.
const NORMAL_LENGTHS: i64 = 5;

/// From an hour before the anomaly, or five times its length where that is more, to its end, or `now`.
///
/// # Errors
/// The start is not known, or lies behind the end.
pub(crate) fn queried_window(context: &v1::IncidentContext, now: UnixMillis) -> Result<TimeWindow, Invalid> {
    let start = UnixMillis::from_wire("context.anomaly_start", context.anomaly_start)?;
    let end = match context.anomaly_end {
        Some(end) => UnixMillis::from_wire("context.anomaly_end", Some(end))?,
        None => now,
    };
    TimeWindow::new("context.anomaly_start", start, end)?;
    let before = NORMAL_MS.max(end.0.saturating_sub(start.0).saturating_mul(NORMAL_LENGTHS));
    TimeWindow::new("window", UnixMillis(start.0.saturating_sub(before)), end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(start: i64, end: Option<i64>, now: i64) -> Result<(i64, i64), Invalid> {
        let context = v1::IncidentContext {
            anomaly_start: Some(UnixMillis(start).to_wire()),
            anomaly_end: end.map(|end| UnixMillis(end).to_wire()),
            ..v1::IncidentContext::default()
        };
        queried_window(&context, UnixMillis(now)).map(|window| (window.start().0, window.end().0))
    }

    #[test]
    fn an_hour_or_five_lengths_of_normal_behaviour_come_before_the_anomaly() {
        const HOUR: i64 = NORMAL_MS;
        assert_eq!(
            window(10 * HOUR, Some(10 * HOUR + 60_000), 20 * HOUR),
            Ok((9 * HOUR, 10 * HOUR + 60_000))
        );
        assert_eq!(window(10 * HOUR, None, 11 * HOUR), Ok((5 * HOUR, 11 * HOUR)));
        assert_eq!(window(10 * HOUR, None, 9 * HOUR).unwrap_err().field(), "context.anomaly_start");
        let nothing = v1::IncidentContext::default();
        assert_eq!(queried_window(&nothing, UnixMillis(0)).unwrap_err().field(), "context.anomaly_start");
    }
}
