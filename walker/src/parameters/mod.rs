//! Parameters of the methods, typed, with the defaults of the published and measured choices.
//!
//! A configuration file sets them under `[parameters.evidence]`, `[parameters.automap]` and `[parameters.paths]`; a
//! request overrides each by its dotted name, such as `automap.alpha`. All names and ranges stand in one table, in
//! `named.rs`.

mod named;

use std::{fmt, str::FromStr};

use automap_proto::settings::{Bins, CiTest};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Parameters of the method `evidence`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct EvidenceParameters {
    /// Probability per step that the walk starts anew at a service drawn by its evidence; .001 to 1.
    pub restart: f64,
    /// ρ, weight of a step back to a caller against one on to a callee; 0 to 1.
    pub backward: f64,
    /// λ, weight of staying at a service against being called there; 0 to 1.
    pub self_weight: f64,
}

impl Default for EvidenceParameters {
    fn default() -> Self {
        Self { restart: 0.7, backward: 0.1, self_weight: 0.5 }
    }
}

/// How the visits of the published walk are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Solver {
    /// The stationary distribution.
    #[default]
    Exact,
    /// A simulated walk.
    MonteCarlo,
}

impl Solver {
    /// The name used in flags and files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::MonteCarlo => "monte-carlo",
        }
    }
}

impl fmt::Display for Solver {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.name())
    }
}

/// A name that is no solver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is no solver; use exact or monte-carlo")]
pub struct UnknownSolver;

impl FromStr for Solver {
    type Err = UnknownSolver;

    fn from_str(name: &str) -> Result<Self, UnknownSolver> {
        [Self::Exact, Self::MonteCarlo].into_iter().find(|solver| solver.name() == name).ok_or(UnknownSolver)
    }
}

/// Parameters of the method `automap`, and of the behaviour graph whichever method asks for it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct AutomapParameters {
    /// The conditional independence test of an edge.
    pub ci_test: CiTest,
    /// Its significance level, strictly between 0 and 1: independence is accepted when p >= alpha. `None` for that
    /// of the test: .05 for fisher-z, .01 for chi2 and g2.
    pub alpha: Option<f64>,
    /// Bins of equal frequency for chi2 and g2; 2, 3 or 5.
    pub bins: Bins,
    /// The largest conditioning set, services; 0 or more.
    pub max_condition: usize,
    /// Whether subtraction of normal behaviour keeps only edges of both graphs, as the paper prints it.
    pub literal_subtraction: bool,
    /// K, similar past incidents from which metric weights are learned; 1 to 1000.
    pub neighbours: usize,
    /// ρ, weight of a move against an edge; 0 to 1.
    pub backward: f64,
    /// r, probability per step that the walk jumps back to the front end; .001 to 1.
    pub restart: f64,
    /// How visits are found.
    pub solver: Solver,
    /// Steps of the simulated walk; 1 to 1,000,000.
    pub steps: usize,
}

impl Default for AutomapParameters {
    fn default() -> Self {
        Self {
            ci_test: CiTest::FisherZ,
            alpha: None,
            bins: Bins::default(),
            max_condition: 3,
            literal_subtraction: false,
            neighbours: 3,
            backward: 0.2,
            restart: 0.01,
            solver: Solver::Exact,
            steps: 10_000,
        }
    }
}

impl AutomapParameters {
    /// The significance level in force.
    pub fn significance(&self) -> f64 {
        self.alpha.unwrap_or(self.ci_test.default_alpha())
    }
}

/// Parameters of the simulated walks that explain a ranking.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct PathParameters {
    /// Walks from the front end; 1 to 10,000.
    pub walks: usize,
    /// Steps after which a walk ends; 1 to 200.
    pub max_steps: usize,
}

impl Default for PathParameters {
    fn default() -> Self {
        Self { walks: 1000, max_steps: 64 }
    }
}

/// Parameters of all methods.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct MethodParameters {
    /// Of the method `evidence`.
    pub evidence: EvidenceParameters,
    /// Of the method `automap` and of behaviour graphs.
    pub automap: AutomapParameters,
    /// Of the walks that explain.
    pub paths: PathParameters,
}
