//! Ranking methods.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{
    invalid::{Invalid, did_you_mean},
    v1,
};

/// How services are ranked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// How far each service left its own normal behaviour, walked along the call graph where it is known.
    #[default]
    Evidence,
    /// AutoMAP as published.
    Automap,
    /// Baseline: the largest distance from the normal mean in standard deviations.
    NSigma,
    /// Baseline: the largest distance from the normal median in interquartile ranges.
    Baro,
    /// Baseline: a walk over the call graph towards correlation with the front end.
    MonitorRank,
    /// Baseline: a walk of second order over the PC graph of latency.
    CloudRanger,
    /// Baseline: a two-sample test of every series.
    EpsilonDiagnosis,
    /// Baseline: a walk over pairs of services whose histograms look dependent.
    Naive,
    /// Baseline: every service alike.
    Random,
}

impl Method {
    /// All methods: the default, the published one, then baselines.
    pub const ALL: [Self; 9] = [
        Self::Evidence,
        Self::Automap,
        Self::NSigma,
        Self::Baro,
        Self::MonitorRank,
        Self::CloudRanger,
        Self::EpsilonDiagnosis,
        Self::Naive,
        Self::Random,
    ];

    /// The name used in flags and JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Evidence => "evidence",
            Self::Automap => "automap",
            Self::NSigma => "n-sigma",
            Self::Baro => "baro",
            Self::MonitorRank => "monitor-rank",
            Self::CloudRanger => "cloud-ranger",
            Self::EpsilonDiagnosis => "epsilon-diagnosis",
            Self::Naive => "naive",
            Self::Random => "random",
        }
    }

    /// Decodes a wire value; unspecified means the default.
    ///
    /// # Errors
    /// The value is unknown.
    pub fn from_wire(field: &str, value: i32) -> Result<Self, Invalid> {
        match v1::Method::try_from(value) {
            Ok(v1::Method::Unspecified | v1::Method::Evidence) => Ok(Self::Evidence),
            Ok(v1::Method::Automap) => Ok(Self::Automap),
            Ok(v1::Method::NSigma) => Ok(Self::NSigma),
            Ok(v1::Method::Random) => Ok(Self::Random),
            Ok(v1::Method::Baro) => Ok(Self::Baro),
            Ok(v1::Method::MonitorRank) => Ok(Self::MonitorRank),
            Ok(v1::Method::CloudRanger) => Ok(Self::CloudRanger),
            Ok(v1::Method::EpsilonDiagnosis) => Ok(Self::EpsilonDiagnosis),
            Ok(v1::Method::Naive) => Ok(Self::Naive),
            Err(_) => Err(Invalid::new(field, format!("{value} is no method; send 0 to 9"))),
        }
    }

    /// The wire value.
    pub const fn to_wire(self) -> v1::Method {
        match self {
            Self::Evidence => v1::Method::Evidence,
            Self::Automap => v1::Method::Automap,
            Self::NSigma => v1::Method::NSigma,
            Self::Baro => v1::Method::Baro,
            Self::MonitorRank => v1::Method::MonitorRank,
            Self::CloudRanger => v1::Method::CloudRanger,
            Self::EpsilonDiagnosis => v1::Method::EpsilonDiagnosis,
            Self::Naive => v1::Method::Naive,
            Self::Random => v1::Method::Random,
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.name())
    }
}

impl FromStr for Method {
    type Err = Invalid;

    fn from_str(name: &str) -> Result<Self, Invalid> {
        Self::ALL.into_iter().find(|method| method.name() == name).ok_or_else(|| {
            let names = Self::ALL.map(Self::name);
            let hint = did_you_mean(name, names).map_or_else(
                || format!("; the methods are {}", names.join(", ")),
                |near| format!("; did you mean {near}?"),
            );
            Invalid::new("method", format!("{name} is no method{hint}"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wire_values_and_names_lead_back_to_the_method() {
        for method in Method::ALL {
            assert_eq!(Method::from_wire("method", method.to_wire().into()), Ok(method));
            assert_eq!(method.name().parse(), Ok(method));
        }
        assert_eq!(Method::from_wire("method", 0), Ok(Method::default()));
        assert!(Method::from_wire("method", 99).is_err());
        assert!("nsigma".parse::<Method>().unwrap_err().to_string().contains("did you mean n-sigma?"));
    }
}
