//! Units in which sources measure, and what a frame measures in.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The unit of an expression's answer. A frame holds seconds, events per second, bytes, cores and fractions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Unit {
    /// Seconds.
    Seconds,
    /// Thousandths of a second.
    Milliseconds,
    /// Millionths of a second.
    Microseconds,
    /// Billionths of a second.
    Nanoseconds,
    /// Requests, operations or events per second.
    PerSecond,
    /// The same per minute.
    PerMinute,
    /// Busy cores.
    Cores,
    /// Thousandths of a core.
    Millicores,
    /// Bytes.
    Bytes,
    /// 1024 bytes.
    Kibibytes,
    /// 1024² bytes.
    Mebibytes,
    /// Bytes per second.
    BytesPerSecond,
    /// A share, 0 to 1.
    Fraction,
    /// A share, 0 to 100.
    Percent,
}

impl Unit {
    /// What a value of this unit is multiplied with to become one of the frame.
    pub const fn factor(self) -> f64 {
        match self {
            Self::Seconds
            | Self::PerSecond
            | Self::Cores
            | Self::Bytes
            | Self::BytesPerSecond
            | Self::Fraction => 1.0,
            Self::Milliseconds | Self::Millicores => 1e-3,
            Self::Microseconds => 1e-6,
            Self::Nanoseconds => 1e-9,
            Self::PerMinute => 1.0 / 60.0,
            Self::Kibibytes => 1024.0,
            Self::Mebibytes => 1_048_576.0,
            Self::Percent => 0.01,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_become_those_of_the_frame() {
        for (unit, value, expected) in [
            (Unit::Milliseconds, 250.0, 0.25),
            (Unit::PerMinute, 120.0, 2.0),
            (Unit::Mebibytes, 2.0, 2_097_152.0),
            (Unit::Percent, 99.0, 0.99),
            (Unit::Seconds, 0.1, 0.1),
        ] {
            assert!((value * unit.factor() - expected).abs() <= 1e-12 * expected, "{unit:?}");
        }
    }
}
