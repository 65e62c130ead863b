//! Flags of `graph`.

use std::path::PathBuf;

use automap_proto::{
    budget::TestBudget,
    load_removal::LoadRemoval,
    metric::MetricKind,
    settings::{Bins, CiTest},
};
use clap::{Args, ValueEnum};

use super::IncidentArgs;
use crate::named_value::NamedValue;

/// Arguments of `graph`.
#[derive(Debug, Args)]
pub struct GraphArgs {
    /// Directory of a recorded incident, or a lone metrics file; - for one on standard input.
    pub path: PathBuf,
    /// What is known of the incident.
    #[command(flatten)]
    pub incident: IncidentArgs,
    /// Conditional independence test.
    #[arg(
        long,
        value_name = "TEST",
        default_value = "fisher-z",
        value_parser = NamedValue::<CiTest>::of(CiTest::ALL.map(CiTest::name))
    )]
    pub ci_test: CiTest,
    /// Significance level of the tests; without it .05 for fisher-z, .01 for chi2 and g2.
    #[arg(long)]
    pub alpha: Option<f64>,
    /// Bins of equal frequency for chi2 and g2.
    #[arg(
        long,
        value_name = "N",
        default_value_t,
        value_parser = NamedValue::<Bins>::of(Bins::ALL.map(Bins::name))
    )]
    pub bins: Bins,
    /// Largest number of services to condition on.
    #[arg(long, value_name = "N", default_value_t = 3)]
    pub max_condition: usize,
    /// The load that services share, removed before testing: off, front-end (what follows the front end's
    /// throughput) or factor (what follows the leading common factor of the metric type).
    #[arg(
        long,
        value_name = "LOAD",
        default_value = "off",
        value_parser = NamedValue::<LoadRemoval>::of(LoadRemoval::ALL.map(LoadRemoval::name))
    )]
    pub load_removal: LoadRemoval,
    /// How much testing the graph may take: none, a number of tests such as 500M, or a time such as 30s. Pairs beyond it
    /// keep their edges.
    #[arg(long, value_name = "TESTS|TIME", default_value_t)]
    pub budget: TestBudget,
    /// Tell of each edge the share of B bootstrap resamples in which it stands; 0 for none, at most 1000.
    #[arg(long, value_name = "B", default_value_t = 0)]
    pub bootstrap_edges: u32,
    /// Seeds the resamples.
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Rows to build from.
    #[arg(long, value_enum, default_value_t)]
    pub window: GraphWindow,
    /// Metric types to test, separated by commas; without it all seven.
    #[arg(
        long,
        value_delimiter = ',',
        value_name = "METRIC",
        value_parser = NamedValue::<MetricKind>::of(MetricKind::ALL.map(MetricKind::name))
    )]
    pub metrics: Vec<MetricKind>,
    /// How the graph is printed.
    #[arg(long, value_enum, default_value_t)]
    pub output: GraphFormat,
}

/// How a graph is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum GraphFormat {
    /// Nodes and edges for programs.
    #[default]
    Json,
    /// Graphviz.
    Dot,
    /// A drawing.
    Svg,
}

/// Rows of a graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum GraphWindow {
    /// The incident's rows.
    #[default]
    Incident,
    /// The normal rows.
    Normal,
    /// Both.
    All,
}
