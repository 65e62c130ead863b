//! How behaviour graphs are built.

use std::{fmt, str::FromStr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{frame::check_name, invalid::Invalid, load_removal::LoadRemoval, metric::MetricKind, v1};

/// The conditional independence test of an edge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CiTest {
    /// Fisher's z of the partial correlation.
    #[default]
    FisherZ,
    /// Pearson's χ² of series in bins, within every cell of the conditioning set.
    Chi2,
    /// The likelihood ratio G² of the same tables.
    G2,
}

impl CiTest {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::FisherZ, Self::Chi2, Self::G2];

    /// The name used in flags.
    pub const fn name(self) -> &'static str {
        match self {
            Self::FisherZ => "fisher-z",
            Self::Chi2 => "chi2",
            Self::G2 => "g2",
        }
    }

    /// The significance level unless another is asked for.
    pub const fn default_alpha(self) -> f64 {
        match self {
            Self::FisherZ => 0.05,
            Self::Chi2 | Self::G2 => 0.01,
        }
    }

    /// Decodes a wire value; unspecified means the default.
    ///
    /// # Errors
    /// The value is unknown.
    pub fn from_wire(field: &str, value: i32) -> Result<Self, Invalid> {
        match v1::CiTest::try_from(value) {
            Ok(v1::CiTest::Unspecified | v1::CiTest::FisherZ) => Ok(Self::FisherZ),
            Ok(v1::CiTest::Chi2) => Ok(Self::Chi2),
            Ok(v1::CiTest::G2) => Ok(Self::G2),
            Err(_) => Err(Invalid::new(field, format!("{value} is no conditional independence test"))),
        }
    }

    /// The wire value.
    pub const fn to_wire(self) -> v1::CiTest {
        match self {
            Self::FisherZ => v1::CiTest::FisherZ,
            Self::Chi2 => v1::CiTest::Chi2,
            Self::G2 => v1::CiTest::G2,
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
        Self::ALL
            .into_iter()
            .find(|test| test.name() == name)
            .ok_or_else(|| Invalid::new("ci_test", format!("{name} is no test; use fisher-z, chi2 or g2")))
    }
}

/// How many bins of equal frequency a series is put into for χ² and G².
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize, JsonSchema,
)]
#[serde(try_from = "usize", into = "usize")]
pub enum Bins {
    /// Below and above the median: the fewest samples needed.
    Two,
    /// Low, middle, high.
    #[default]
    Three,
    /// The finest: needs the most samples.
    Five,
}

impl Bins {
    /// All, ascending.
    pub const ALL: [Self; 3] = [Self::Two, Self::Three, Self::Five];

    /// The number as it is written in flags.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Two => "2",
            Self::Three => "3",
            Self::Five => "5",
        }
    }

    /// The number of bins.
    pub const fn count(self) -> usize {
        match self {
            Self::Two => 2,
            Self::Three => 3,
            Self::Five => 5,
        }
    }

    /// Position in [`Self::ALL`].
    pub const fn index(self) -> usize {
        self as usize
    }

    /// Decodes a wire value; 0 means the default.
    ///
    /// # Errors
    /// There are no such bins.
    pub fn from_wire(field: &str, value: u32) -> Result<Self, Invalid> {
        match value {
            0 => Ok(Self::default()),
            _ => Self::try_from(value as usize).map_err(|invalid| Invalid::new(field, invalid.problem())),
        }
    }
}

impl TryFrom<usize> for Bins {
    type Error = Invalid;

    fn try_from(count: usize) -> Result<Self, Invalid> {
        Self::ALL
            .into_iter()
            .find(|bins| bins.count() == count)
            .ok_or_else(|| Invalid::new("bins", format!("are {count}; use 2, 3 or 5")))
    }
}

impl From<Bins> for usize {
    fn from(bins: Bins) -> Self {
        bins.count()
    }
}

impl fmt::Display for Bins {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.count(), formatter)
    }
}

impl FromStr for Bins {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        match text.parse::<usize>() {
            Ok(count) => Self::try_from(count),
            Err(_) => Err(Invalid::new("bins", format!("are {text}; use 2, 3 or 5"))),
        }
    }
}

/// How behaviour graphs are built: test, significance, depth, metric types, what is removed before.
#[derive(Debug, Clone, PartialEq)]
pub struct GraphSettings {
    ci_test: CiTest,
    alpha: f64,
    max_condition: usize,
    metrics: Vec<MetricKind>,
    bins: Bins,
    load_removal: LoadRemoval,
    /// Empty unless its throughput is removed.
    load_service: String,
}

impl GraphSettings {
    /// `alpha` is the significance level, `max_condition` the largest conditioning set; no metric means all seven.
    /// Bins are the default and no load is removed; see [`Self::with_bins`] and [`Self::with_load_removal`].
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
        Ok(Self { ci_test, alpha, max_condition, metrics, ..Self::default() })
    }

    /// The same with a load removed before testing; `front_end` names the service whose throughput that is, where it
    /// is that of the front end.
    ///
    /// # Errors
    /// The load is that of the front end, and its name is none.
    pub fn with_load_removal(mut self, removal: LoadRemoval, front_end: &str) -> Result<Self, Invalid> {
        self.load_removal = removal;
        self.load_service = String::new();
        if removal == LoadRemoval::FrontEnd {
            check_name("load_service", front_end)?;
            front_end.clone_into(&mut self.load_service);
        }
        Ok(self)
    }

    /// The same with other bins for χ² and G²; Fisher's z has none.
    #[must_use]
    pub fn with_bins(mut self, bins: Bins) -> Self {
        if self.ci_test != CiTest::FisherZ {
            self.bins = bins;
        }
        self
    }

    /// The same settings with another largest conditioning set.
    #[must_use]
    pub fn with_max_condition(&self, max_condition: usize) -> Self {
        Self { max_condition, ..self.clone() }
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

    /// Bins of the series for χ² and G².
    pub const fn bins(&self) -> Bins {
        self.bins
    }

    /// The load that is removed before testing.
    pub const fn load_removal(&self) -> LoadRemoval {
        self.load_removal
    }

    /// The service whose throughput is removed; empty unless that is the load.
    pub fn load_service(&self) -> &str {
        &self.load_service
    }

    /// The metric types to test, in order; never empty.
    pub fn metrics(&self) -> &[MetricKind] {
        &self.metrics
    }
}

impl Default for GraphSettings {
    /// Fisher's z at 0.05, up to three conditioning services, all metric types: the faithful method's choice.
    fn default() -> Self {
        Self {
            ci_test: CiTest::FisherZ,
            alpha: CiTest::FisherZ.default_alpha(),
            max_condition: 3,
            metrics: MetricKind::ALL.to_vec(),
            bins: Bins::default(),
            load_removal: LoadRemoval::Off,
            load_service: String::new(),
        }
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
        let bins = Bins::from_wire("bins", wire.bins)?;
        let removal = LoadRemoval::from_wire("load_removal", wire.load_removal)?;
        Self::new(ci_test, wire.alpha, wire.max_condition as usize, metrics)?
            .with_bins(bins)
            .with_load_removal(removal, &wire.load_service)
    }
}

impl From<&GraphSettings> for v1::GraphSettings {
    fn from(settings: &GraphSettings) -> Self {
        Self {
            ci_test: settings.ci_test.to_wire().into(),
            alpha: settings.alpha,
            max_condition: u32::try_from(settings.max_condition).unwrap_or(u32::MAX),
            metrics: settings.metrics.iter().map(|kind| kind.to_wire().into()).collect(),
            // Settings without bins look as they did before there were any.
            bins: if settings.ci_test == CiTest::FisherZ { 0 } else { settings.bins.count() as u32 },
            load_removal: settings.load_removal.to_wire().into(),
            load_service: settings.load_service.clone(),
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
        for bins in Bins::ALL {
            let settings = GraphSettings::new(CiTest::G2, 0.01, 1, vec![]).unwrap().with_bins(bins);
            assert_eq!(GraphSettings::try_from(&v1::GraphSettings::from(&settings)), Ok(settings));
            assert_eq!(bins.to_string().parse::<Bins>(), Ok(bins));
            assert_eq!(Bins::ALL[bins.index()], bins);
        }
        for removal in LoadRemoval::ALL {
            let settings = GraphSettings::default().with_load_removal(removal, "web").unwrap();
            assert_eq!(settings.load_service(), if removal == LoadRemoval::FrontEnd { "web" } else { "" });
            assert_eq!(GraphSettings::try_from(&v1::GraphSettings::from(&settings)), Ok(settings));
            assert_eq!(removal.to_string().parse::<LoadRemoval>(), Ok(removal));
        }
        let nameless = GraphSettings::default().with_load_removal(LoadRemoval::FrontEnd, "");
        assert_eq!(nameless.unwrap_err().field(), "load_service");
        let wire = v1::GraphSettings { alpha: 0.01, bins: 4, ..v1::GraphSettings::default() };
        assert_eq!(GraphSettings::try_from(&wire).unwrap_err().field(), "bins");
        for alpha in [0.0, 1.0, -1.0, f64::NAN] {
            assert_eq!(GraphSettings::new(CiTest::FisherZ, alpha, 3, vec![]).unwrap_err().field(), "alpha");
        }
    }
}
