//! How behaviour graphs are built.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{invalid::Invalid, metric::MetricKind, v1};

/// The conditional independence test of an edge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CiTest {
    /// Fisher's z of the partial correlation.
    #[default]
    FisherZ,
}

impl CiTest {
    /// The name used in flags.
    pub const fn name(self) -> &'static str {
        match self {
            Self::FisherZ => "fisher-z",
        }
    }

    /// Decodes a wire value; unspecified means the default.
    ///
    /// # Errors
    /// The value is unknown.
    pub fn from_wire(field: &str, value: i32) -> Result<Self, Invalid> {
        match v1::CiTest::try_from(value) {
            Ok(v1::CiTest::Unspecified | v1::CiTest::FisherZ) => Ok(Self::FisherZ),
            Err(_) => Err(Invalid::new(field, format!("{value} is no conditional independence test"))),
        }
    }

    /// The wire value.
    pub const fn to_wire(self) -> v1::CiTest {
        match self {
            Self::FisherZ => v1::CiTest::FisherZ,
        }
    }
}

impl fmt::Display for CiTest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.name())
    }
}

impl FromStr for CiTest {
    type Err = Invalid;

    fn from_str(name: &str) -> Result<Self, Invalid> {
        match name {
            "fisher-z" => Ok(Self::FisherZ),
            _ => Err(Invalid::new("ci_test", format!("{name} is no test; use fisher-z"))),
        }
    }
}

/// How behaviour graphs are built: test, significance, depth, metric types.
#[derive(Debug, Clone, PartialEq)]
pub struct GraphSettings {
    ci_test: CiTest,
    alpha: f64,
    max_condition: usize,
    metrics: Vec<MetricKind>,
}

impl GraphSettings {
    /// `alpha` is the significance level, `max_condition` the largest conditioning set; no metric means all seven.
    ///
    /// # Errors
    /// `alpha` is not strictly between 0 and 1.
    pub fn new(
        ci_test: CiTest,
        alpha: f64,
        max_condition: usize,
        mut metrics: Vec<MetricKind>,
    ) -> Result<Self, Invalid> {
        if !(alpha > 0.0 && alpha < 1.0) {
            return Err(Invalid::new("alpha", format!("is {alpha}; must lie strictly between 0 and 1")));
        }
        metrics.sort_unstable();
        metrics.dedup();
        if metrics.is_empty() {
            metrics = MetricKind::ALL.to_vec();
        }
        Ok(Self { ci_test, alpha, max_condition, metrics })
    }

    /// The test.
    pub const fn ci_test(&self) -> CiTest {
        self.ci_test
    }

    /// The significance level: independence is accepted when p >= alpha.
    pub const fn alpha(&self) -> f64 {
        self.alpha
    }

    /// The largest conditioning set.
    pub const fn max_condition(&self) -> usize {
        self.max_condition
    }

    /// The metric types to test, in order; never empty.
    pub fn metrics(&self) -> &[MetricKind] {
        &self.metrics
    }
}

impl Default for GraphSettings {
    /// Fisher's z at 0.05, up to three conditioning services, all metric types: the faithful method's choice.
    fn default() -> Self {
        Self { ci_test: CiTest::FisherZ, alpha: 0.05, max_condition: 3, metrics: MetricKind::ALL.to_vec() }
    }
}

impl TryFrom<&v1::GraphSettings> for GraphSettings {
    type Error = Invalid;

    fn try_from(wire: &v1::GraphSettings) -> Result<Self, Invalid> {
        let metrics = wire
            .metrics
            .iter()
            .enumerate()
            .map(|(index, &metric)| MetricKind::from_wire(&format!("metrics[{index}]"), metric))
            .collect::<Result<_, _>>()?;
        let ci_test = CiTest::from_wire("ci_test", wire.ci_test)?;
        Self::new(ci_test, wire.alpha, wire.max_condition as usize, metrics)
    }
}

impl From<&GraphSettings> for v1::GraphSettings {
    fn from(settings: &GraphSettings) -> Self {
        Self {
            ci_test: settings.ci_test.to_wire().into(),
            alpha: settings.alpha,
            max_condition: u32::try_from(settings.max_condition).unwrap_or(u32::MAX),
            metrics: settings.metrics.iter().map(|kind| kind.to_wire().into()).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_survive_the_wire_and_impossible_levels_are_refused() {
        let settings = GraphSettings::new(
            CiTest::FisherZ,
            0.01,
            9,
            vec![MetricKind::Io, MetricKind::Cpu, MetricKind::Io],
        )
        .unwrap();
        assert_eq!(settings.metrics(), [MetricKind::Cpu, MetricKind::Io]);
        assert_eq!(GraphSettings::try_from(&v1::GraphSettings::from(&settings)), Ok(settings));
        for alpha in [0.0, 1.0, -1.0, f64::NAN] {
            assert_eq!(GraphSettings::new(CiTest::FisherZ, alpha, 3, vec![]).unwrap_err().field(), "alpha");
        }
    }
}
