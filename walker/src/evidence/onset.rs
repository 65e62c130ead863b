//! Step 3, onset: the alert's time is a hint; the rows themselves tell when the incident began.
//!
//! Every row scores r = Σ_series ln(1 + max(z − 1, 0)), z its distance from the normal range, congestion left out.
//! A normal row is measured against the range of the other normal rows: against its own it would lie nearer than any row
//! that had no part in it, and with five normal rows every other row would look like an incident.
//! Standardised on the normal rows, the rows of an incident lie above a bar c, so that
//!
//! ```text
//! τ = argmax_t Σ_{u ≥ t} (r_u − c)
//! ```
//!
//! is where it began: the likelihood-ratio estimate of a change in mean (Page's CUSUM, read backward).

use std::sync::atomic::AtomicBool;

use automap_proto::{frame::MetricFrame, metric::MetricKind};

use super::{
    deviation::directions,
    guard::GuardedRows,
    least_spread::LeastSpread,
    robust_range::{MAD_TO_SIGMA, RobustRange, sigma},
    series_values::{clamped, counts},
    sorted_values::SortedValues,
};
use crate::{
    percentile::median,
    stop::{self, Stopped},
};

/// Most normal values of a series from which each is left out in turn; with more its own part in the range is small.
const LEAVE_ONE_OUT: usize = 40;
/// Fewest rows of an incident that is over.
const MIN_ROWS: usize = 3;
/// Smallest spread by which scores are standardised.
const MIN_SPREAD: f64 = 1e-9;

/// Scores of the normal rows and of those in which the incident may lie, both in order of time.
#[derive(Debug, Clone, PartialEq)]
pub struct RowScores {
    /// One per normal row.
    pub normal: Vec<f64>,
    /// One per row of guard and incident.
    pub span: Vec<f64>,
}

impl RowScores {
    fn zero(rows: &GuardedRows) -> Self {
        Self { normal: vec![0.0; rows.normal.len()], span: vec![0.0; rows.guard.len() + rows.incident.len()] }
    }

    fn add(&mut self, other: &Self) {
        for (sum, more) in self.normal.iter_mut().zip(&other.normal) {
            *sum += more;
        }
        for (sum, more) in self.span.iter_mut().zip(&other.span) {
            *sum += more;
        }
    }

    /// All services together.
    pub fn sum(services: &[Self], rows: &GuardedRows) -> Self {
        let mut sum = Self::zero(rows);
        for service in services {
            sum.add(service);
        }
        sum
    }
}

/// Scores of every service of the frame, in its order.
///
/// A series scores when it counts: three normal values, one in the incident, not all alike.
///
/// # Complexity
/// O(series · rows · log rows); with at most forty normal rows O(series · rows²).
///
/// # Errors
/// [`Stopped`] soon after `stop` was set.
pub fn row_scores(
    frame: &MetricFrame,
    rows: &GuardedRows,
    directed: bool,
    stop: &AtomicBool,
) -> Result<Vec<RowScores>, Stopped> {
    let span = rows.span();
    (0..frame.services().len())
        .map(|service| {
            stop::poll(stop)?;
            let mut scores = RowScores::zero(rows);
            for index in frame.series_of(service) {
                let kind = frame.series()[index].metric;
                if kind != MetricKind::Congestion {
                    add_series(&mut scores, frame, index, rows, &span, directed);
                }
            }
            Ok(scores)
        })
        .collect()
}

fn add_series(
    scores: &mut RowScores,
    frame: &MetricFrame,
    index: usize,
    rows: &GuardedRows,
    span: &[usize],
    directed: bool,
) {
    let samples = frame.samples(index);
    let values = |selected: &[usize]| clamped(selected.iter().map(|&row| samples[row]));
    let (mut normal, incident) = (values(&rows.normal), values(&rows.incident));
    normal.sort_unstable_by(f64::total_cmp);
    if !counts(&SortedValues::all(&normal), &incident) {
        return;
    }
    let largest = incident.iter().fold(0.0, |largest: f64, value| largest.max(value.abs()));
    let (up, down) = directions(frame.series()[index].metric, directed);
    let score = |row: usize, range: &RobustRange, scale: f64| {
        let distance = samples[row] - range.centre;
        let z = (if up { distance } else { 0.0 }).max(if down { -distance } else { 0.0 }) / scale;
        // A missing sample says nothing; comparison with NaN is false.
        if z > 1.0 { (z - 1.0).min(f64::MAX).ln_1p() } else { 0.0 }
    };
    let least = LeastSpread::of_series(frame, index, &rows.normal);
    let range = RobustRange::of_sorted(&normal, least);
    let scale = range.scale(largest);
    let leave_out = normal.len() <= LEAVE_ONE_OUT;
    for (sum, &row) in scores.normal.iter_mut().zip(&rows.normal) {
        if !leave_out {
            *sum += score(row, &range, scale);
        } else if let Some(own) = clamped(std::iter::once(samples[row])).first() {
            let rank = [normal.partition_point(|value| value.total_cmp(own).is_lt()) as u32];
            let others = SortedValues::without(&normal, &rank);
            if counts(&others, &incident) {
                let range = RobustRange::new(&others, sigma(others.iter()), least);
                *sum += score(row, &range, range.scale(largest));
            }
        }
    }
    for (sum, &row) in scores.span.iter_mut().zip(span) {
        *sum += score(row, &range, scale);
    }
}

/// Where in the span the incident began, as position in it, with what that gains over `from`; standardised units.
///
/// Positions up to `latest` are tried; `alerted` rows from the alert on set the bar. `None` without any row. O(rows · log rows).
pub fn change_point(scores: &RowScores, from: usize, latest: usize, alerted: usize) -> Option<(usize, f64)> {
    let mut gains = above_the_bar(scores, alerted);
    let mut sum = 0.0;
    for gain in gains.iter_mut().rev() {
        sum += *gain;
        *gain = sum;
    }
    let at_alert = *gains.get(from)?;
    let mut best = None;
    for (position, gain) in gains.iter().enumerate().take(latest + 1) {
        if best.is_none_or(|(_, most)| *gain > most) {
            best = Some((position, *gain));
        }
    }
    best.map(|(position, gain)| (position, gain - at_alert))
}

/// How many rows of the span there are when an incident is over that began at position `onset`: all, unless an earlier end
/// gains `min_gain` standardised units or more, and as much lies before it. It has at least three rows. The latest of equals.
/// O(rows · log rows).
///
/// It warns and does not cut the incident: rows that are chosen for what they show look unusual in normal times too.
pub fn end_point(scores: &RowScores, onset: usize, alerted: usize, min_gain: f64) -> usize {
    let gains = above_the_bar(scores, alerted);
    let length = gains.len();
    // What leaving out the rows from each position on gains.
    let (mut sum, mut best) = (0.0, (length, 0.0));
    for (position, gain) in gains.iter().enumerate().skip(onset + MIN_ROWS).rev() {
        sum -= gain;
        if sum > best.1 {
            best = (position, sum);
        }
    }
    let kept = gains.get(onset..best.0).unwrap_or_default().iter().sum::<f64>();
    if best.1.min(kept) >= min_gain { best.0 } else { length }
}

/// r − c of every row of the span, standardised.
fn above_the_bar(scores: &RowScores, alerted: usize) -> Vec<f64> {
    let mut normal = scores.normal.clone();
    normal.sort_unstable_by(f64::total_cmp);
    let centre = median(&normal);
    let mut distances: Vec<f64> = normal.iter().map(|score| (score - centre).abs()).collect();
    distances.sort_unstable_by(f64::total_cmp);
    let mean = normal.iter().sum::<f64>() / normal.len().max(1) as f64;
    let variance =
        normal.iter().map(|score| (score - mean).powi(2)).sum::<f64>() / normal.len().max(1) as f64;
    let spread = (MAD_TO_SIGMA * median(&distances)).max(variance.sqrt() / 2.0).max(MIN_SPREAD);

    let standardised: Vec<f64> = scores.span.iter().map(|score| (score - centre) / spread).collect();
    let mut falling = standardised.clone();
    falling.sort_unstable_by(|left, right| right.total_cmp(left));
    falling.truncate((alerted / 2).max(1));
    let bar = (falling.iter().sum::<f64>() / falling.len().max(1) as f64 / 2.0).max(1.0);
    standardised.iter().map(|score| score - bar).collect()
}

/// The rows of the incident: from the estimated onset on, or from the alert on where moving it gains less than
/// `min_gain` standardised units. The onset is looked for from the guard's start to the middle of the incident.
pub fn incident_rows(scores: &RowScores, rows: &GuardedRows, min_gain: f64) -> Vec<usize> {
    let (alert, length) = (rows.guard.len(), rows.incident.len());
    let found = change_point(scores, alert, alert + length / 2, length);
    let onset = found.filter(|(_, gain)| *gain >= min_gain).map_or(alert, |(position, _)| position);
    rows.span().split_off(onset)
}

/// When one service left its normal behaviour, as position in the span: the change that stands out by `min_gain`
/// over none at all. It explains and does not rank: the first to move is often not the guilty one.
pub fn service_onset(scores: &RowScores, rows: &GuardedRows, min_gain: f64) -> Option<usize> {
    let last = scores.span.len().checked_sub(1)?;
    let (position, _) = change_point(scores, last, last, rows.incident.len())?;
    let departed = scores.span[position..].iter().sum::<f64>();
    (departed >= min_gain).then_some(position)
}

#[cfg(test)]
mod tests {
    use ndarray::Array1;
    use proptest::prelude::*;

    use super::*;
    use crate::{
        stop::NEVER,
        test_frames::{TestSeries, frame_of},
    };

    fn rows(normal: usize, guard: usize, incident: usize) -> GuardedRows {
        GuardedRows {
            normal: (0..normal).collect(),
            guard: (normal..normal + guard).collect(),
            incident: (normal + guard..normal + guard + incident).collect(),
        }
    }

    fn scores(normal: &[f64], span: &[f64]) -> RowScores {
        RowScores { normal: normal.to_vec(), span: span.to_vec() }
    }

    #[test]
    fn a_change_point_worked_by_hand() {
        // Normal 0 1 2: centre 1, MAD 1, so the unit is 1.48. The span 1 4.7 4.7 4.7 is 0 2.5 2.5 2.5, its bar
        // max(1, 2.5/2) = 1.25: sums from each row on 2.5 3.75 2.5 1.25. The second row gains 1.25 over the third.
        let found = change_point(&scores(&[0.0, 1.0, 2.0], &[1.0, 4.7, 4.7, 4.7]), 2, 3, 2).unwrap();
        assert_eq!(found.0, 1);
        assert!((found.1 - 1.25).abs() < 1e-12, "{}", found.1);
    }

    #[test]
    fn a_late_alert_is_moved_back_and_an_early_one_forward() {
        let normal = [0.5, 0.0, 1.0, 0.5, 0.7, 0.2];
        let rows = rows(6, 4, 4);
        let late = scores(&normal, &[0.5, 0.2, 9.0, 9.0, 9.0, 9.0, 9.0, 9.0]);
        assert_eq!(incident_rows(&late, &rows, 3.0), [8, 9, 10, 11, 12, 13]);
        let early = scores(&normal, &[0.5, 0.2, 0.4, 0.6, 0.5, 0.5, 9.0, 9.0]);
        assert_eq!(incident_rows(&early, &rows, 3.0), [12, 13]);
        let right = scores(&normal, &[0.5, 0.2, 0.4, 0.6, 9.0, 9.0, 9.0, 9.0]);
        assert_eq!(incident_rows(&right, &rows, 3.0), [10, 11, 12, 13]);
    }

    #[test]
    fn an_incident_that_was_over_long_before_its_window_ends_there_and_keeps_three_rows() {
        let normal = [0.5, 0.0, 1.0, 0.5, 0.7, 0.2];
        let brief = scores(&normal, &[0.5, 0.2, 9.0, 9.0, 9.0, 9.0, 0.4, 0.6, 0.5, 0.5, 0.3, 0.1]);
        assert_eq!(end_point(&brief, 2, 10, 3.0), 6);
        let instant = scores(&normal, &[0.5, 0.2, 9.0, 0.2, 0.4, 0.5, 0.4, 0.6, 0.5, 0.5, 0.3, 0.1]);
        assert_eq!(end_point(&instant, 2, 10, 3.0), 5);
        let lasting = scores(&normal, &[0.5, 0.2, 9.0, 9.0, 9.0, 9.0, 9.0, 9.0, 9.0, 9.0, 9.0, 0.4]);
        assert_eq!(end_point(&lasting, 2, 10, 30.0), 12, "the last row gains too little");
        let quiet = scores(&normal, &[0.5, 0.2, 0.4, 1.1]);
        assert_eq!(end_point(&quiet, 2, 2, 3.0), 4, "fewer than three rows");
    }

    #[test]
    fn a_small_gain_moves_nothing() {
        let quiet = scores(&[0.5, 0.0, 1.0, 0.5, 0.7, 0.2], &[0.5, 1.2, 0.4, 1.0, 0.4, 0.6]);
        assert_eq!(incident_rows(&quiet, &rows(6, 3, 3), 3.0), [9, 10, 11]);
    }

    #[test]
    fn a_service_that_did_not_move_has_no_onset() {
        let rows = rows(4, 2, 2);
        let still = scores(&[0.1, 0.0, 0.2, 0.1], &[0.1, 0.2, 0.0, 0.1]);
        assert_eq!(service_onset(&still, &rows, 1.0), None);
        let moved = scores(&[0.1, 0.0, 0.2, 0.1], &[0.1, 3.0, 3.0, 3.0]);
        assert_eq!(service_onset(&moved, &rows, 1.0), Some(1));
    }

    #[test]
    fn rows_score_by_what_lies_beyond_one_spread_and_congestion_does_not_score() {
        // Normal 9 10 10 11 12, spread 1.48·sqrt(1 + 20/5), then 10 and 10 + that·(1 + e − 1).
        let high = 10.0 + 1.48 * 5.0_f64.sqrt() * std::f64::consts::E;
        let samples = Array1::from(vec![10.0, 12.0, 11.0, 9.0, 10.0, 10.0, high]);
        let series = |metric, name| TestSeries { service: "cart", metric, name, samples: samples.clone() };
        let frame = frame_of(&[
            series(MetricKind::Cpu, "cpu"),
            series(MetricKind::Congestion, "congestion"),
            series(MetricKind::Availability, "availability"),
        ]);
        let found = row_scores(&frame, &rows(5, 1, 1), true, &NEVER).unwrap();
        assert_eq!(found[0].span[0], 0.0);
        assert!((found[0].span[1] - 1.0).abs() < 1e-12, "availability counts downward only: {found:?}");
        // Without the 12: 9 10 10 11, median 10, the largest measure of spread 1.48 · .5 · sqrt(1 + 20/4).
        assert!((found[0].normal[1] - (2.0 / (0.74 * 6.0_f64.sqrt())).ln()).abs() < 1e-12, "{found:?}");
    }

    #[test]
    fn a_normal_row_is_no_part_of_the_range_it_is_measured_against() {
        let samples = Array1::from_iter((0..60).map(|row| f64::from(row % 7).powi(4)));
        let series = TestSeries { service: "cart", metric: MetricKind::Cpu, name: "cpu", samples };
        let frame = frame_of(&[series]);
        let few = row_scores(&frame, &rows(6, 2, 2), true, &NEVER).unwrap();
        let many = row_scores(&frame, &rows(50, 5, 5), true, &NEVER).unwrap();
        // The edge of a range lies further from five others than from fifty of which some lie there too.
        let edge = |scores: &RowScores| scores.normal.iter().copied().fold(0.0, f64::max);
        assert!(edge(&few[0]) > edge(&many[0]), "{few:?}");
    }

    proptest! {
        #[test]
        fn whatever_the_scores_the_incident_keeps_half_its_rows(
            normal in proptest::collection::vec(prop_oneof![0.0..9.0_f64, Just(0.0), Just(1e300)], 1..12),
            span in proptest::collection::vec(prop_oneof![0.0..9.0_f64, Just(0.0), Just(1e300)], 8),
        ) {
            let rows = rows(normal.len(), 4, 4);
            let kept = incident_rows(&scores(&normal, &span), &rows, 3.0);
            prop_assert!((2..=8).contains(&kept.len()));
            prop_assert_eq!(kept.last(), rows.incident.last());
        }
    }
}
