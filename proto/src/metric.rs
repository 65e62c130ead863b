//! The seven metric types of the method.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{
    invalid::{Invalid, did_you_mean},
    v1,
};

/// How many metric types there are.
pub const METRIC_COUNT: usize = 7;

/// A metric type, k = 1..7 in the paper's order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MetricKind {
    /// Mean latency of calls to the service, seconds.
    Latency,
    /// Requests per second.
    Throughput,
    /// Throughput / latency, requests/s²; derived.
    Congestion,
    /// CPU usage, fraction or cores.
    Cpu,
    /// I/O operations or bytes per second.
    Io,
    /// Memory usage, bytes or fraction.
    Memory,
    /// Share of successful calls, 0..1.
    Availability,
}

impl MetricKind {
    /// All types in the paper's order.
    pub const ALL: [Self; METRIC_COUNT] = [
        Self::Latency,
        Self::Throughput,
        Self::Congestion,
        Self::Cpu,
        Self::Io,
        Self::Memory,
        Self::Availability,
    ];

    /// The types that are measured: all but congestion, which is derived.
    pub const MEASURED: [Self; METRIC_COUNT - 1] =
        [Self::Latency, Self::Throughput, Self::Cpu, Self::Io, Self::Memory, Self::Availability];

    /// Position in arrays of seven, 0..6.
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The name used in files, flags and JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Latency => "latency",
            Self::Throughput => "throughput",
            Self::Congestion => "congestion",
            Self::Cpu => "cpu",
            Self::Io => "io",
            Self::Memory => "memory",
            Self::Availability => "availability",
        }
    }

    /// Decodes the wire value of `field`.
    ///
    /// # Errors
    /// The value is unspecified or unknown.
    pub fn from_wire(field: &str, value: i32) -> Result<Self, Invalid> {
        usize::try_from(value)
            .ok()
            .and_then(|number| number.checked_sub(1))
            .and_then(|index| Self::ALL.get(index).copied())
            .ok_or_else(|| Invalid::new(field, format!("{value} is no metric kind; send 1 to 7")))
    }

    /// The wire value.
    pub const fn to_wire(self) -> v1::MetricKind {
        match self {
            Self::Latency => v1::MetricKind::Latency,
            Self::Throughput => v1::MetricKind::Throughput,
            Self::Congestion => v1::MetricKind::Congestion,
            Self::Cpu => v1::MetricKind::Cpu,
            Self::Io => v1::MetricKind::Io,
            Self::Memory => v1::MetricKind::Memory,
            Self::Availability => v1::MetricKind::Availability,
        }
    }
}

impl fmt::Display for MetricKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.name())
    }
}

impl FromStr for MetricKind {
    type Err = Invalid;

    fn from_str(name: &str) -> Result<Self, Invalid> {
        Self::ALL.into_iter().find(|kind| kind.name() == name).ok_or_else(|| {
            let names = Self::ALL.map(Self::name);
            let hint = did_you_mean(name, names).map_or_else(
                || format!("; the metric types are {}", names.join(", ")),
                |near| format!("; did you mean {near}?"),
            );
            Invalid::new("metric", format!("{name} is no metric type{hint}"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wire_values_and_names_lead_back_to_the_kind() {
        for kind in MetricKind::ALL {
            assert_eq!(MetricKind::from_wire("metric", kind.to_wire() as i32), Ok(kind));
            assert_eq!(kind.name().parse(), Ok(kind));
            assert_eq!(MetricKind::ALL[kind.index()], kind);
        }
    }

    #[test]
    fn unknown_kinds_are_refused_with_the_way_out() {
        for value in [0, 8, -1, i32::MAX] {
            assert!(MetricKind::from_wire("series[0].metric", value).is_err());
        }
        let error = "latancy".parse::<MetricKind>().unwrap_err();
        assert_eq!(error.to_string(), "field `metric`: latancy is no metric type; did you mean latency?");
    }
}
