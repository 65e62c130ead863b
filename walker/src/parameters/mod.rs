//! Parameters of the methods, typed, with the defaults of the published and measured choices.
//!
//! A configuration file sets them under `[parameters.evidence]`, `[parameters.automap]`, `[parameters.edges]`
//! and `[parameters.paths]`; a
//! request overrides each by its dotted name, such as `automap.alpha`. All names and ranges stand in one table, in
//! `named.rs`.

mod edge_list;
mod named;

use std::{fmt, str::FromStr};

use automap_proto::{
    budget::TestBudget,
    load_removal::LoadRemoval,
    settings::{Bins, CiTest},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::evidence::{callers_view::ClientLatency, deviation::Statistic};

pub use edge_list::{BadEdgeList, EdgeList};

/// Parameters of the method `evidence`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct EvidenceParameters {
    /// Confidence below which no root cause is named, a chance; 0 to 1, 0 always names one.
    pub abstain_below: f64,
    /// ρ, weight of a step back to a caller against one on to a callee; 0 to 1.
    pub backward: f64,
    /// Of whom the latency that a service sees as a client speaks.
    pub client_latency: ClientLatency,
    /// α, the logit of being right of an answer whose evidence is no larger than that of normal times; −100 to 100.
    pub confidence_intercept: f64,
    /// β, what the logit of being right grows for each unit of the contrast, an e-fold of the evidence of normal times;
    /// 0 to 100.
    pub confidence_slope: f64,
    /// κ, what is added to evidence before it is compared with that of normal times, ln(1 + spreads); .001 to 10.
    pub contrast_softening: f64,
    /// Whether what the service's own load explains is taken off cpu, memory and io.
    pub deload: bool,
    /// Spreads by which a series must leave its normal range for its service to have left normal behaviour; 0 to 1,000.
    pub departed_spreads: f64,
    /// Whether latency counts upward and availability downward only.
    pub direction: bool,
    /// What a known call weighs beside the R² of its throughput; 0 to 1.
    pub edge_floor: f64,
    /// p from which a given call graph is not believed; 0 to 1.
    pub fit_level: f64,
    /// Node permutations against which a given call graph is tested; 0 to 10,000.
    pub fit_permutations: u32,
    /// Share of the services that left their normal behaviour at once from which the cause is global; 0 to 1.
    pub global_share: f64,
    /// What is walked along.
    pub graph: EvidenceGraph,
    /// Whether as many rows before the alert as the incident has are not taken for normal.
    pub guard: bool,
    /// Normal rows below which remembered rows of normal times are added, up to so many; 0 to 512, 0 adds none.
    pub history_rows: usize,
    /// Whether weights of evidence count that the confirmed incidents of the system taught.
    pub learn: bool,
    /// Whether calls that are measured one by one are evidence.
    pub measured_calls: bool,
    /// Whether the incident begins where the rows tell, instead of at the alert.
    pub onset: bool,
    /// What moving the start must gain, standardised row scores; 0 to 1,000.
    pub onset_gain: f64,
    /// γ, exponent of a service's own evidence beside the time that the walk spends there; 0 to 4.
    pub own_exponent: f64,
    /// Most normal windows that are diagnosed as if they were the incident; 0 to 100.
    pub placebo_windows: usize,
    /// Probability per step that the walk starts anew at a service drawn by its evidence; .001 to 1.
    pub restart: f64,
    /// λ, weight of staying at a service against being called there; 0 to 1.
    pub self_weight: f64,
    /// By what the values of an incident are represented.
    pub statistic: Statistic,
    /// Normal spreads by which the availability of a service counts as down whose series stop while others are measured; 0 to
    /// 1,000,000, 0 takes that for no evidence.
    pub vanished_spreads: f64,
}

impl Default for EvidenceParameters {
    fn default() -> Self {
        Self {
            abstain_below: 0.35,
            backward: 0.2,
            client_latency: ClientLatency::Callees,
            // α and β: logistic regression of right first answers on the contrast, over the answers of an earlier version to
            // 114 incidents of three systems, each incident counting the same. How true they are now: docs/accuracy.md.
            confidence_intercept: -1.2,
            confidence_slope: 4.4,
            contrast_softening: 0.1,
            deload: true,
            departed_spreads: 3.0,
            direction: true,
            edge_floor: 0.05,
            fit_level: 0.5,
            fit_permutations: 199,
            global_share: 0.8,
            graph: EvidenceGraph::Auto,
            guard: true,
            history_rows: 0,
            learn: true,
            measured_calls: true,
            onset: true,
            onset_gain: 3.0,
            own_exponent: 0.5,
            placebo_windows: 12,
            restart: 0.15,
            self_weight: 0.0,
            statistic: Statistic::Both,
            vanished_spreads: 1000.0,
        }
    }
}

/// Along what the method `evidence` walks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum EvidenceGraph {
    /// The given call graph when it fits the metrics, else the throughput graph.
    #[default]
    Auto,
    /// The given call graph whether it fits or not; without one the throughput graph.
    Calls,
    /// The throughput graph; a call graph is not used at all.
    Throughput,
    /// Nothing: services are ranked by their evidence alone.
    None,
}

impl EvidenceGraph {
    const ALL: [Self; 4] = [Self::Auto, Self::Calls, Self::Throughput, Self::None];

    /// The name used in flags and files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Calls => "calls",
            Self::Throughput => "throughput",
            Self::None => "none",
        }
    }
}

impl fmt::Display for EvidenceGraph {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.name())
    }
}

/// A name that is no graph to walk along.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is no graph; use auto, calls, throughput or none")]
pub struct UnknownEvidenceGraph;

impl FromStr for EvidenceGraph {
    type Err = UnknownEvidenceGraph;

    fn from_str(name: &str) -> Result<Self, UnknownEvidenceGraph> {
        Self::ALL.into_iter().find(|graph| graph.name() == name).ok_or(UnknownEvidenceGraph)
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
    /// The load that services share, removed from every series before it is tested: off, front-end (what follows the
    /// front end's throughput) or factor (what follows the leading common factor of the metric type).
    pub load_removal: LoadRemoval,
    /// How much testing each graph may take: none, a number of tests such as 500M, or a time such as 30s. The service that
    /// builds graphs has a limit of its own.
    pub budget: TestBudget,
    /// Bootstrap resamples from which the confidence of the edges is told; 0 to 1000, 0 for none.
    pub bootstrap: u32,
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
            load_removal: LoadRemoval::Off,
            budget: TestBudget::Unlimited,
            bootstrap: 0,
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

/// What an expert knows of edges.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct EdgeParameters {
    /// Calls that are walked and edges that stand, whatever call graph and metrics say: `web->cart, cart->db`.
    #[schemars(with = "String")]
    pub forced: EdgeList,
    /// Calls that are not walked and edges that do not stand, in the direction in which they are named.
    #[schemars(with = "String")]
    pub forbidden: EdgeList,
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
    /// Edges that are forced or forbidden.
    pub edges: EdgeParameters,
    /// Of the walks that explain.
    pub paths: PathParameters,
}
