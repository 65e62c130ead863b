//! Step 5, deviation: how far each series left its normal range, and what that makes against its service.
//!
//! With m and s the centre and the scale of a series' normal range, departures are measured twice in the incident:
//!
//! ```text
//! z↑, z↓ = (P80 − m)/s, (m − P20)/s        and        ±(median − m)/s
//! F[service, type] = mean over both of  max over series of the type  ln(1 + max(z, 0))        a = Σ_types F
//! ```
//!
//! Latency counts upward only and availability downward only: no fault makes calls faster or more successful. The
//! 80th percentile sees a fault that comes and goes, the median is not fooled by one odd row; neither alone does as well.

use std::{fmt, str::FromStr};

use automap_proto::{
    frame::MetricFrame,
    metric::{METRIC_COUNT, MetricKind},
    ranking::{Direction, Evidence},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::series_values::Compared;
use crate::{
    percentile::{median, percentile},
    service_evidence::ServiceEvidence,
};

/// By what the values of an incident are represented.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Statistic {
    /// The mean of what the two others say.
    #[default]
    Both,
    /// The 80th and the 20th percentile.
    Percentile,
    /// The median.
    Median,
}

impl Statistic {
    const ALL: [Self; 3] = [Self::Both, Self::Percentile, Self::Median];

    /// The name used in flags and files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Both => "both",
            Self::Percentile => "percentile",
            Self::Median => "median",
        }
    }
}

impl fmt::Display for Statistic {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.name())
    }
}

/// A name that is no statistic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is no statistic; use both, percentile or median")]
pub struct UnknownStatistic;

impl FromStr for Statistic {
    type Err = UnknownStatistic;

    fn from_str(name: &str) -> Result<Self, UnknownStatistic> {
        Self::ALL.into_iter().find(|one| one.name() == name).ok_or(UnknownStatistic)
    }
}

/// Which directions of a metric type are evidence: (up, down).
pub(crate) const fn directions(kind: MetricKind, directed: bool) -> (bool, bool) {
    match (kind, directed) {
        (MetricKind::Latency, true) => (true, false),
        (MetricKind::Availability, true) => (false, true),
        _ => (true, true),
    }
}

/// What a window shows of one series, in its unit.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct WindowValues {
    /// P80.
    pub high: f64,
    /// P20.
    pub low: f64,
    /// The median.
    pub middle: f64,
    /// The largest |value|.
    pub largest: f64,
}

impl WindowValues {
    /// Of values that ascend and are at least one. O(1).
    pub fn of_sorted(sorted: &[f64]) -> Self {
        let ends = sorted.first().into_iter().chain(sorted.last());
        Self {
            high: percentile(sorted, 0.8),
            low: percentile(sorted, 0.2),
            middle: median(sorted),
            largest: ends.fold(0.0, |largest: f64, value| largest.max(value.abs())),
        }
    }
}

/// How far one series left its normal range.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Departure {
    /// ln(1 + spreads) by each of the two statistics; finite, >= 0. Both the same where only one is asked for.
    pub strengths: [f64; 2],
    /// Which way.
    pub direction: Direction,
}

impl Departure {
    /// Measures the window of `compared` against its normal range. O(1).
    pub fn new(compared: &Compared, kind: MetricKind, directed: bool, statistic: Statistic) -> Self {
        let Compared { range, window } = compared;
        let scale = range.scale(window.largest);
        let (up, down) = directions(kind, directed);
        let furthest = |high: f64, low: f64| {
            let above = if up { high - range.centre } else { f64::NEG_INFINITY };
            let below = if down { range.centre - low } else { f64::NEG_INFINITY };
            let direction = if above >= below { Direction::Up } else { Direction::Down };
            ((above.max(below).max(0.0) / scale).min(f64::MAX).ln_1p(), direction)
        };
        let by_percentile = furthest(window.high, window.low);
        let by_median = furthest(window.middle, window.middle);
        match statistic {
            Statistic::Both => Self { strengths: [by_percentile.0, by_median.0], direction: by_percentile.1 },
            Statistic::Percentile => Self { strengths: [by_percentile.0; 2], direction: by_percentile.1 },
            Statistic::Median => Self { strengths: [by_median.0; 2], direction: by_median.1 },
        }
    }

    /// The mean of both.
    pub fn strength(&self) -> f64 {
        f64::midpoint(self.strengths[0], self.strengths[1])
    }
}

/// F of one service and metric type.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct TypeEvidence {
    /// The largest strength of any series, by each statistic.
    strengths: [f64; 2],
    /// The series that departed most, by both together, with its strength and direction.
    leading: Option<(usize, f64, Direction)>,
}

impl TypeEvidence {
    /// Takes what series `index` of the frame says; of equals the first stays.
    pub fn take(&mut self, index: usize, departure: &Departure) {
        for (largest, strength) in self.strengths.iter_mut().zip(departure.strengths) {
            *largest = largest.max(strength);
        }
        if departure.strength() > self.leading.map_or(0.0, |(_, strength, _)| strength) {
            self.leading = Some((index, departure.strength(), departure.direction));
        }
    }

    /// F; finite, >= 0.
    pub fn deviation(&self) -> f64 {
        f64::midpoint(self.strengths[0], self.strengths[1])
    }

    /// Which way the leading series went.
    pub fn direction(&self) -> Option<Direction> {
        self.leading.map(|(_, _, direction)| direction)
    }

    /// The leading series, as index into the frame.
    pub fn series(&self) -> Option<usize> {
        self.leading.map(|(series, _, _)| series)
    }
}

/// F of one service, in the order of [`MetricKind::ALL`].
pub type ServiceDeviation = [f64; METRIC_COUNT];

/// Sums a service's evidence: a = Σ F. Summed in falling order, so that services with equal deviations have equal totals
/// whatever the types.
pub fn total(deviation: &ServiceDeviation) -> f64 {
    let mut parts = *deviation;
    parts.sort_unstable_by(|left, right| right.total_cmp(left));
    parts.iter().sum()
}

/// The evidence of one service in words: one entry per metric type that departed, largest first.
pub fn service_evidence(
    frame: &MetricFrame,
    deviation: &ServiceDeviation,
    found: &[TypeEvidence; METRIC_COUNT],
) -> ServiceEvidence {
    let mut evidence: Vec<Evidence> = MetricKind::ALL
        .into_iter()
        .filter_map(|kind| {
            let (index, _, direction) = found[kind.index()].leading?;
            let deviation = deviation[kind.index()];
            let series = frame.series().get(index)?.name.clone();
            (deviation > 0.0).then_some(Evidence { metric: kind, series, deviation, direction })
        })
        .collect();
    evidence.sort_by(|left, right| right.deviation.total_cmp(&left.deviation));
    ServiceEvidence { total: total(deviation), evidence }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::robust_range::RobustRange;

    fn compared(incident: &[f64]) -> Compared {
        Compared {
            range: RobustRange { centre: 10.0, spread: 2.0, values: 9 },
            window: WindowValues::of_sorted(incident),
        }
    }

    fn departure(incident: &[f64], kind: MetricKind, statistic: Statistic) -> Departure {
        Departure::new(&compared(incident), kind, true, statistic)
    }

    #[test]
    fn a_departure_worked_by_hand() {
        // 10 20 30: P80 26, P20 14, median 20.
        let found = departure(&[10.0, 20.0, 30.0], MetricKind::Cpu, Statistic::Both);
        assert!((found.strengths[0] - 9.0_f64.ln()).abs() < 1e-12);
        assert!((found.strengths[1] - 6.0_f64.ln()).abs() < 1e-12);
        assert_eq!(found.direction, Direction::Up);
        let median = departure(&[10.0, 20.0, 30.0], MetricKind::Cpu, Statistic::Median);
        assert_eq!(median.strengths, [found.strengths[1]; 2]);
    }

    #[test]
    fn latency_counts_upward_and_availability_downward_only() {
        let high = [20.0, 20.0];
        let low = [0.0, 0.0];
        for (kind, incident, counts) in [
            (MetricKind::Latency, high, true),
            (MetricKind::Latency, low, false),
            (MetricKind::Availability, low, true),
            (MetricKind::Availability, high, false),
            (MetricKind::Throughput, low, true),
        ] {
            let found = departure(&incident, kind, Statistic::Both).strengths[0];
            assert_eq!(found > 0.0, counts, "{kind} {incident:?}");
        }
        let undirected = Departure::new(&compared(&low), MetricKind::Latency, false, Statistic::Both);
        assert!(undirected.strengths[0] > 0.0 && undirected.direction == Direction::Down);
    }

    #[test]
    fn the_largest_series_of_a_type_counts_by_each_statistic_and_one_leads() {
        let mut found = TypeEvidence::default();
        let of = |strengths| Departure { strengths, direction: Direction::Up };
        found.take(3, &of([2.0, 0.0]));
        found.take(5, &of([1.0, 1.5]));
        assert_eq!(found.deviation(), 1.75);
        assert_eq!(found.series(), Some(5));
        assert_eq!(TypeEvidence::default().deviation(), 0.0);
    }

    #[test]
    fn statistics_are_named_as_they_are_read() {
        for statistic in Statistic::ALL {
            assert_eq!(statistic.to_string().parse(), Ok(statistic));
        }
        assert_eq!("mode".parse::<Statistic>(), Err(UnknownStatistic));
    }
}
