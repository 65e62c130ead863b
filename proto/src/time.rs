//! Instants, the sampling grid and closed windows of time. Everything is milliseconds since the Unix epoch.

use serde::{Deserialize, Serialize};

use crate::{invalid::Invalid, v1};

/// An instant, milliseconds since the Unix epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UnixMillis(pub i64);

impl UnixMillis {
    /// Year 0 to year 9999, what a protobuf timestamp may hold.
    const RANGE_SECONDS: std::ops::RangeInclusive<i64> = -62_135_596_800..=253_402_300_799;

    /// From seconds, rounded to milliseconds.
    ///
    /// # Errors
    /// The number is not finite or beyond the years 1 to 9999.
    pub fn from_seconds(field: &str, seconds: f64) -> Result<Self, Invalid> {
        if !seconds.is_finite() || !Self::RANGE_SECONDS.contains(&(seconds.floor() as i64)) {
            return Err(Invalid::new(field, format!("{seconds} is no time in unix seconds")));
        }
        Ok(Self((seconds * 1000.0).round() as i64))
    }

    /// Seconds since the Unix epoch.
    pub fn seconds(self) -> f64 {
        self.0 as f64 / 1000.0
    }

    /// Decodes the wire value of `field`, rounding down to milliseconds.
    ///
    /// # Errors
    /// The value is absent or out of range.
    pub fn from_wire(field: &str, value: Option<prost_types::Timestamp>) -> Result<Self, Invalid> {
        let timestamp = value.ok_or_else(|| Invalid::missing(field))?;
        if !Self::RANGE_SECONDS.contains(&timestamp.seconds) || !(0..1_000_000_000).contains(&timestamp.nanos)
        {
            return Err(Invalid::new(field, "is beyond the years 1 to 9999"));
        }
        Ok(Self(timestamp.seconds * 1000 + i64::from(timestamp.nanos) / 1_000_000))
    }

    /// The wire value.
    pub fn to_wire(self) -> prost_types::Timestamp {
        prost_types::Timestamp {
            seconds: self.0.div_euclid(1000),
            nanos: nanoseconds(self.0.rem_euclid(1000).unsigned_abs()),
        }
    }
}

/// Less than a second, in nanoseconds.
fn nanoseconds(milliseconds: u64) -> i32 {
    i32::try_from(milliseconds * 1_000_000).unwrap_or(999_999_999)
}

/// Milliseconds as the wire's duration.
pub fn duration_to_wire(milliseconds: u64) -> prost_types::Duration {
    prost_types::Duration {
        seconds: i64::try_from(milliseconds / 1000).unwrap_or(i64::MAX),
        nanos: nanoseconds(milliseconds % 1000),
    }
}

/// A closed interval of time: both ends belong to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimeWindow {
    start: UnixMillis,
    end: UnixMillis,
}

impl TimeWindow {
    /// # Errors
    /// The window ends before it starts.
    pub fn new(field: &str, start: UnixMillis, end: UnixMillis) -> Result<Self, Invalid> {
        if end < start {
            return Err(Invalid::new(
                field,
                format!("ends at {} before it starts at {}", end.seconds(), start.seconds()),
            ));
        }
        Ok(Self { start, end })
    }

    /// The first instant.
    pub const fn start(&self) -> UnixMillis {
        self.start
    }

    /// The last instant.
    pub const fn end(&self) -> UnixMillis {
        self.end
    }

    /// Whether `instant` lies in the window.
    pub fn contains(&self, instant: UnixMillis) -> bool {
        self.start <= instant && instant <= self.end
    }

    /// The window in parts of at most `most_ms`, in order; each begins where the one before ends.
    pub fn parts(self, most_ms: u64) -> impl Iterator<Item = Self> {
        let most = i64::try_from(most_ms.max(1)).unwrap_or(i64::MAX);
        let mut next = Some(self.start);
        std::iter::from_fn(move || {
            let start = next?;
            let end = UnixMillis(start.0.saturating_add(most)).min(self.end);
            next = (end < self.end).then_some(end);
            Some(Self { start, end })
        })
    }

    /// Decodes the wire value of `field`.
    ///
    /// # Errors
    /// An end is missing, or the window ends before it starts.
    pub fn from_wire(field: &str, value: &v1::TimeWindow) -> Result<Self, Invalid> {
        let start = UnixMillis::from_wire(&format!("{field}.start"), value.start)?;
        let end = UnixMillis::from_wire(&format!("{field}.end"), value.end)?;
        Self::new(field, start, end)
    }

    /// The wire value.
    pub fn to_wire(self) -> v1::TimeWindow {
        v1::TimeWindow { start: Some(self.start.to_wire()), end: Some(self.end.to_wire()) }
    }
}

/// A uniform time grid: sample i is taken at `start + i * step`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeGrid {
    start: UnixMillis,
    step_ms: u64,
    samples: usize,
}

impl TimeGrid {
    /// The largest step, 366 days.
    pub const MAX_STEP_MS: u64 = 366 * 24 * 3_600_000;
    /// The most samples of a series; at a step of one second, 194 days.
    pub const MAX_SAMPLES: usize = 1 << 24;

    /// # Errors
    /// The step is zero or too large, or there are no or too many samples.
    pub fn new(start: UnixMillis, step_ms: u64, samples: usize) -> Result<Self, Invalid> {
        if step_ms == 0 || step_ms > Self::MAX_STEP_MS {
            return Err(Invalid::new("grid.step", "must lie between one millisecond and 366 days"));
        }
        if samples == 0 || samples > Self::MAX_SAMPLES {
            return Err(Invalid::new(
                "grid.samples",
                format!("is {samples}; must lie between 1 and {}", Self::MAX_SAMPLES),
            ));
        }
        Ok(Self { start, step_ms, samples })
    }

    /// Time of the first sample.
    pub const fn start(&self) -> UnixMillis {
        self.start
    }

    /// Distance of two samples, milliseconds.
    pub const fn step_ms(&self) -> u64 {
        self.step_ms
    }

    /// Number of samples.
    pub const fn samples(&self) -> usize {
        self.samples
    }

    /// Time of sample `index`.
    pub const fn time(&self, index: usize) -> UnixMillis {
        UnixMillis(self.start.0 + (self.step_ms * index as u64).cast_signed())
    }

    /// Time of the last sample.
    pub const fn last(&self) -> UnixMillis {
        self.time(self.samples - 1)
    }
}

impl TryFrom<&v1::TimeGrid> for TimeGrid {
    type Error = Invalid;

    fn try_from(wire: &v1::TimeGrid) -> Result<Self, Invalid> {
        let start = UnixMillis::from_wire("grid.start", wire.start)?;
        let step = wire.step.ok_or_else(|| Invalid::missing("grid.step"))?;
        let step_ms = u64::try_from(step.seconds)
            .ok()
            .and_then(|seconds| seconds.checked_mul(1000))
            .and_then(|milliseconds| {
                u64::try_from(step.nanos / 1_000_000).ok().and_then(|rest| milliseconds.checked_add(rest))
            })
            .ok_or_else(|| Invalid::new("grid.step", "is negative or too large"))?;
        let samples = usize::try_from(wire.samples)
            .map_err(|_| Invalid::new("grid.samples", "is larger than this machine can count"))?;
        Self::new(start, step_ms, samples)
    }
}

impl From<TimeGrid> for v1::TimeGrid {
    fn from(grid: TimeGrid) -> Self {
        Self {
            start: Some(grid.start.to_wire()),
            step: Some(duration_to_wire(grid.step_ms)),
            samples: grid.samples as u64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grid_survives_the_wire_to_the_millisecond() {
        let grid = TimeGrid::new(UnixMillis(-1_500), 2_500, 9).unwrap();
        assert_eq!(TimeGrid::try_from(&v1::TimeGrid::from(grid)), Ok(grid));
        assert_eq!(grid.last(), UnixMillis(18_500));
    }

    #[test]
    fn impossible_grids_are_refused_by_field() {
        let wire = v1::TimeGrid { start: Some(UnixMillis(0).to_wire()), step: None, samples: 3 };
        assert_eq!(TimeGrid::try_from(&wire).unwrap_err().field(), "grid.step");
        let wire = v1::TimeGrid { step: Some(duration_to_wire(1000)), samples: u64::MAX, ..wire };
        assert_eq!(TimeGrid::try_from(&wire).unwrap_err().field(), "grid.samples");
        let negative = prost_types::Duration { seconds: -1, nanos: 0 };
        let wire = v1::TimeGrid { step: Some(negative), samples: 3, ..wire };
        assert_eq!(TimeGrid::try_from(&wire).unwrap_err().field(), "grid.step");
    }

    #[test]
    fn parts_of_a_window_follow_each_other_to_its_end() {
        let window = |start, end| TimeWindow::new("window", UnixMillis(start), UnixMillis(end)).unwrap();
        let parts: Vec<TimeWindow> = window(5, 25).parts(10).collect();
        assert_eq!(parts, [window(5, 15), window(15, 25)]);
        assert_eq!(window(5, 26).parts(10).last(), Some(window(25, 26)));
        assert_eq!(window(5, 5).parts(10).collect::<Vec<_>>(), [window(5, 5)]);
    }

    #[test]
    fn a_window_that_ends_before_it_starts_is_refused() {
        let error = TimeWindow::new("excluded[2]", UnixMillis(2000), UnixMillis(1000)).unwrap_err();
        assert_eq!(error.to_string(), "field `excluded[2]`: ends at 1 before it starts at 2");
    }
}
