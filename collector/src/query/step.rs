//! The distance of samples: given, or found from how often services are called and scraped.

use automap_proto::{
    invalid::Invalid,
    time::{TimeGrid, UnixMillis},
};

use crate::error::CollectError;

/// The scrape interval that is assumed where none can be seen; Prometheus' own default is a minute, that of its
/// operator 30 s, and rates over four of these bear both badly, so that assuming is always told.
pub(crate) const ASSUMED_INTERVAL_MS: u64 = 15_000;

const DAY_MS: u64 = 24 * 3_600_000;

/// The scrape interval, milliseconds, from the times at which samples of a few series were taken (unix seconds): the
/// lower median of each series' distances, and of these the largest. Longer ones than a step may be are no intervals.
/// `None` when no series has two samples.
pub(crate) fn scrape_interval(series: &[Vec<f64>]) -> Option<u64> {
    let median = |times: &Vec<f64>| {
        let mut distances: Vec<f64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
        distances.sort_by(f64::total_cmp);
        let middle = distances.len().checked_sub(1)? / 2;
        Some(distances[middle])
    };
    let possible = |seconds: &f64| *seconds * 1000.0 <= TimeGrid::MAX_STEP_MS as f64;
    let largest = series.iter().filter_map(median).filter(possible).max_by(f64::total_cmp)?;
    let milliseconds = (largest * 1000.0).round();
    // Scrapes jitter by milliseconds around whole seconds.
    let whole = (largest.round() * 1000.0).max(1000.0);
    let near = (milliseconds - whole).abs() <= 0.02 * whole;
    let chosen = if near { whole } else { milliseconds };
    (chosen >= 1.0).then_some(chosen as u64)
}

/// The sampling interval of the paper, milliseconds: T = Σ_i (calls_i / Σ calls) · interval_i, with interval_i the mean
/// time between calls of service i. `rates` are mean calls per second, one per service.
///
/// As interval_i = 1 / rate_i, each service that is called adds the same: T = (services called) / (calls per second of
/// all). Never shorter than the scrape interval: between two scrapes there is nothing to see. Rounded up to a multiple of
/// it, so that each sample sees the same number of scrapes.
pub(crate) fn call_weighted_step(rates: &[f64], scrape_ms: u64) -> u64 {
    let called = rates.iter().filter(|rate| **rate > 0.0);
    let (count, total) = called.fold((0_u32, 0.0), |(count, total), rate| (count + 1, total + rate));
    if count == 0 {
        return scrape_ms;
    }
    let seconds = f64::from(count) / total;
    let scrapes = (seconds * 1000.0 / scrape_ms as f64).ceil().clamp(1.0, 1e6);
    (scrapes as u64).saturating_mul(scrape_ms).min(TimeGrid::MAX_STEP_MS)
}

/// Over how long rates look back: four scrapes bear one that failed, and a step longer than that is covered whole (the
/// rule of Grafana's `$__rate_interval`).
pub(crate) fn rate_window(step_ms: u64, scrape_ms: u64) -> u64 {
    scrape_ms.saturating_mul(4).max(step_ms.saturating_add(scrape_ms))
}

/// The grid of a window: points at whole multiples of the step, so that two collections of overlapping windows agree, and
/// so that servers that round times do not move them.
///
/// # Errors
/// No multiple of the step lies in the window, or more than `most` do.
pub(crate) fn aligned_grid(
    start: UnixMillis,
    end: UnixMillis,
    step_ms: u64,
    most: usize,
) -> Result<TimeGrid, CollectError> {
    let step = i64::try_from(step_ms.max(1)).map_err(|_| Invalid::new("step", "is too large"))?;
    let first = start.0.div_euclid(step) * step + if start.0.rem_euclid(step) == 0 { 0 } else { step };
    let last = end.0.div_euclid(step) * step;
    let count = last.checked_sub(first).filter(|span| *span >= 0).map(|span| span / step + 1);
    let samples = count.and_then(|count| usize::try_from(count).ok()).ok_or_else(|| {
        Invalid::new(
            "end",
            format!(
                "leaves a window from {} to {} without a sample at a step of {} s; widen it or set a smaller step",
                start.seconds(),
                end.seconds(),
                step_ms as f64 / 1000.0
            ),
        )
    })?;
    if samples > most {
        let seconds = |milliseconds: u64| milliseconds as f64 / 1000.0;
        let most = most.max(2);
        let problem = format!(
            "makes a window of {:.1} days with {samples} samples of each series at a step of {} s, and a source is asked for \
             at most {most}; ask for a window of at most {:.1} days, or set a step of at least {} s",
            (end.0 - start.0) as f64 / DAY_MS as f64,
            seconds(step_ms),
            (most - 1) as f64 * step_ms as f64 / DAY_MS as f64,
            // In whole seconds: a step is chosen by a person.
            end.0.abs_diff(start.0).div_ceil(most as u64 - 1).div_ceil(1000)
        );
        return Err(Invalid::new("end", problem).into());
    }
    Ok(TimeGrid::new(UnixMillis(first), step_ms, samples)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scrape_interval_is_the_median_distance_of_the_slowest_series() {
        let jitter = vec![0.0, 15.01, 29.99, 45.0, 60.02];
        assert_eq!(scrape_interval(std::slice::from_ref(&jitter)), Some(15_000));
        let with_gap = vec![0.0, 30.0, 60.0, 150.0, 180.0];
        assert_eq!(scrape_interval(&[jitter, with_gap]), Some(30_000));
        assert_eq!(scrape_interval(&[vec![0.0, 0.5, 1.0]]), Some(500));
        assert_eq!(scrape_interval(&[vec![3.0], vec![]]), None);
        let ages = vec![0.0, 1e18, 2e18];
        assert_eq!(scrape_interval(&[ages.clone(), vec![0.0, 0.5, 1.0]]), Some(500));
        assert_eq!(scrape_interval(&[ages, vec![-1e308, 1e308]]), None);
    }

    #[test]
    fn the_step_is_the_call_weighted_interval_in_whole_scrapes() {
        // Two services, 1/100 and 3/100 calls per second: T = .25 · 100 + .75 · 33.3 = 50 s.
        assert_eq!(call_weighted_step(&[0.01, 0.03], 15_000), 60_000);
        assert_eq!(call_weighted_step(&[0.01, 0.03], 50_000), 50_000);
        assert_eq!(call_weighted_step(&[200.0, 0.0, f64::NAN], 5000), 5000);
        assert_eq!(call_weighted_step(&[], 5000), 5000);
    }

    #[test]
    fn rates_cover_four_scrapes_or_the_step() {
        assert_eq!(rate_window(15_000, 15_000), 60_000);
        assert_eq!(rate_window(120_000, 15_000), 135_000);
        assert_eq!(rate_window(u64::MAX, u64::MAX), u64::MAX);
    }

    #[test]
    fn grids_lie_on_multiples_of_the_step_within_the_window() {
        let grid = aligned_grid(UnixMillis(12_001), UnixMillis(31_999), 5000, 4).unwrap();
        assert_eq!((grid.start(), grid.last(), grid.samples()), (UnixMillis(15_000), UnixMillis(30_000), 4));
        let exact = aligned_grid(UnixMillis(10_000), UnixMillis(20_000), 5000, 4).unwrap();
        assert_eq!((exact.start(), exact.samples()), (UnixMillis(10_000), 3));
        let error = aligned_grid(UnixMillis(1), UnixMillis(4999), 5000, 4).unwrap_err().to_string();
        assert!(error.contains("without a sample at a step of 5 s"), "{error}");
    }

    #[test]
    fn a_window_of_too_many_points_is_refused_with_a_length_and_a_step_that_are_taken() {
        let (day, most) = (DAY_MS.cast_signed(), 1_100_000);
        let ten_years = |step| aligned_grid(UnixMillis(0), UnixMillis(3650 * day), step, most);
        let error = ten_years(30_000).unwrap_err().to_string();
        assert!(
            error.starts_with("field `end`: makes a window of 3650.0 days with 10512001 samples"),
            "{error}"
        );
        assert!(error.contains("at most 381.9 days, or set a step of at least 287 s"), "{error}");
        assert!(ten_years(287_000).is_ok() && ten_years(286_000).is_err());
        assert!(aligned_grid(UnixMillis(0), UnixMillis(381 * day), 30_000, most).is_ok());
        let error = ten_years(1).unwrap_err().to_string();
        assert!(error.contains("set a step of at least 287 s"), "{error}");
    }
}
