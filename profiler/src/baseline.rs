//! What is normal for a series at a time: median, spread and quantiles, of the same hour of the week where there is
//! enough of it.

use automap_proto::time::UnixMillis;

use crate::{hour_of_week::resembles, normal_rows::ServiceRows};

/// Fewest rows of an hour of the week and its neighbours that speak for it.
const MIN_HOUR_ROWS: usize = 8;
/// Median absolute deviation to standard deviation, for a normal distribution.
const MAD_TO_DEVIATION: f64 = 1.4826;

/// The quantiles that are told.
pub const QUANTILES: [f64; 5] = [0.025, 0.2, 0.5, 0.8, 0.975];

/// What is normal for one series.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Baseline {
    /// Values it was taken from.
    pub values: usize,
    /// 1.48 times the median absolute deviation.
    pub spread: f64,
    /// At [`QUANTILES`]; the third is the median.
    pub quantiles: [f64; 5],
}

impl Baseline {
    /// Of values that are no NaN, in any order; `None` of none. O(values · log values).
    pub fn new(mut values: Vec<f64>) -> Option<Self> {
        if values.is_empty() {
            return None;
        }
        values.sort_unstable_by(f64::total_cmp);
        let median = quantile(&values, 0.5);
        let mut apart: Vec<f64> = values.iter().map(|value| (value - median).abs()).collect();
        apart.sort_unstable_by(f64::total_cmp);
        Some(Self {
            values: values.len(),
            spread: MAD_TO_DEVIATION * quantile(&apart, 0.5),
            quantiles: QUANTILES.map(|share| quantile(&values, share)),
        })
    }
}

/// Linear interpolation between the order statistics of `sorted`, which is not empty.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let position = share * (sorted.len() - 1) as f64;
    let below = position.floor() as usize;
    let above = (below + 1).min(sorted.len() - 1);
    sorted[below] + (position - below as f64) * (sorted[above] - sorted[below])
}

/// The rows that resemble the time `at` most: those within an hour of the same hour of the week, or all where those are
/// fewer than 8. Whether they are of that hour is told too.
pub fn resembling(rows: &ServiceRows, at: UnixMillis) -> (ServiceRows, bool) {
    let near = rows.only(|time| resembles(time, at));
    if near.times().len() >= MIN_HOUR_ROWS { (near, true) } else { (rows.clone(), false) }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use automap_proto::metric::MetricKind;

    use super::*;
    use crate::hour_of_week::WEEK_HOURS;

    const HOUR_MS: i64 = 3_600_000;

    #[test]
    fn a_baseline_worked_by_hand() {
        let found = Baseline::new(vec![4.0, 1.0, 3.0, 2.0, 10.0]).unwrap();
        assert_eq!(found.quantiles[2], 3.0);
        assert!((found.quantiles[1] - 1.8).abs() < 1e-12 && (found.quantiles[4] - 9.4).abs() < 1e-12);
        // |x − 3| sorted: 0 1 1 2 7.
        assert_eq!((found.spread, found.values), (1.4826, 5));
        assert_eq!(Baseline::new(vec![]), None);
    }

    #[test]
    fn the_same_hour_of_the_week_speaks_where_there_is_enough_of_it() {
        let week = WEEK_HOURS * HOUR_MS;
        // Nine mornings and a hundred other hours.
        let mornings = (0..9).map(|number| number * week + 9 * HOUR_MS);
        let others = (0..100).map(|number| number * week + 20 * HOUR_MS);
        let mut times: Vec<UnixMillis> = mornings.chain(others).map(UnixMillis).collect();
        times.sort_unstable();
        let values = times.iter().map(|time| time.0.rem_euclid(week) as f64).collect();
        let series = BTreeMap::from([((MetricKind::Cpu, "cpu".to_owned()), values)]);
        let rows = ServiceRows::new(times, series).unwrap();
        let (near, of_hour) = resembling(&rows, UnixMillis(50 * week + 10 * HOUR_MS + 5));
        assert!(of_hour && near.times().len() == 9);
        let (all, of_hour) = resembling(&rows, UnixMillis(12 * HOUR_MS));
        assert!(!of_hour && all.times().len() == 109);
    }
}
