//! Subcommands and flags of `bench`.

use std::path::PathBuf;

use automap_proto::{
    budget::TestBudget,
    load_removal::LoadRemoval,
    settings::{Bins, CiTest},
};
use clap::{Args, Subcommand};

use super::{
    AnswerFormat,
    values::{parse_count, parse_metric_count},
};
use crate::{
    bench::{call_graph::CallGraphArgs, coordinator::CoordinatorArgs},
    named_value::NamedValue,
};

/// Subcommands of `bench`.
#[derive(Debug, Subcommand)]
pub enum BenchCommand {
    /// Build behaviour graphs of a generated load, beside the bare matrix products of the same size.
    #[command(after_help = "\
Examples:
  automap bench graph --services 1000
  automap bench graph --services 300 --shared-load --output json")]
    Graph(BenchGraphArgs),
    /// Compare the edges of behaviour graphs with known call graphs, with and without the load that services share.
    #[command(after_help = "\
Example:
  automap bench call-graph recordings/ --max-condition 1")]
    CallGraph(CallGraphArgs),
    /// Let the coordinator that spreads tests over peers meet faults, in simulated clusters.
    Coordinator(CoordinatorArgs),
    /// Fill a store with generated incidents, and measure opening it, finding similar ones, and memory.
    #[command(after_help = "\
Examples:
  automap bench store
  automap bench store --incidents 10000 --output json")]
    Store(BenchStoreArgs),
    /// Read a generated incident, beside everything that a diagnosis does with it but building its graph.
    #[command(after_help = "\
Examples:
  automap bench diagnose
  automap bench diagnose --services 500 --output json")]
    Diagnose(BenchDiagnoseArgs),
    /// Have one generated incident diagnosed by many callers at once, beside one caller who is alone.
    #[command(after_help = "\
Examples:
  automap bench concurrent
  automap bench concurrent --calls 50 --output json")]
    Concurrent(BenchConcurrentArgs),
}

/// Arguments of `bench graph`.
#[derive(Debug, Args)]
pub struct BenchGraphArgs {
    /// Services.
    #[arg(long, value_name = "N", default_value_t = 300, value_parser = parse_count)]
    pub services: usize,
    /// Samples of each series.
    #[arg(long, value_name = "T", default_value_t = 720, value_parser = parse_count)]
    pub samples: usize,
    /// Metric types, 1 to 7.
    #[arg(long, value_name = "M", default_value_t = 7, value_parser = parse_metric_count)]
    pub metrics: usize,
    /// Let all series follow one load, as where all requests come in through one front end.
    #[arg(long)]
    pub shared_load: bool,
    /// Conditional independence test.
    #[arg(
        long,
        value_name = "TEST",
        default_value = "fisher-z",
        value_parser = NamedValue::<CiTest>::of(CiTest::ALL.map(CiTest::name))
    )]
    pub ci_test: CiTest,
    /// Significance level of the tests; without it .01, whichever the test.
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
    /// The load that services share, removed before testing: off, front-end (what follows the throughput of the
    /// first service) or factor (what follows the leading common factor of the metric type).
    #[arg(
        long,
        value_name = "LOAD",
        default_value = "off",
        value_parser = NamedValue::<LoadRemoval>::of(LoadRemoval::ALL.map(LoadRemoval::name))
    )]
    pub load_removal: LoadRemoval,
    /// How much testing a build may take: none, a number of tests such as 500M, or a time such as 30s.
    #[arg(long, value_name = "TESTS|TIME", default_value_t)]
    pub budget: TestBudget,
    /// Also tell of each edge the share of B bootstrap resamples in which it stands; at most 1000.
    #[arg(long, value_name = "B", default_value_t = 0, value_parser = clap::value_parser!(u32).range(..=1000))]
    pub bootstrap_edges: u32,
    /// Also build with the tests of each edge told (p-values, rows), in turn with builds without.
    #[arg(long)]
    pub edge_tests: bool,
    /// Threads that build.
    #[arg(long, value_name = "K", default_value_t = 1, value_parser = parse_count)]
    pub threads: usize,
    /// Also build with so many worker processes of one thread each.
    #[arg(long, value_name = "W", default_value_t = 0)]
    pub workers: usize,
    /// Seeds the load and the resamples.
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// How the figures are printed.
    #[arg(long, value_enum, default_value_t)]
    pub output: AnswerFormat,
}

/// Arguments of `bench store`.
#[derive(Debug, Args)]
pub struct BenchStoreArgs {
    /// Incidents.
    #[arg(long, value_name = "N", default_value_t = 100_000, value_parser = parse_count)]
    pub incidents: usize,
    /// Keep the store in this directory, and measure the one that is there already; without it a scratch one.
    #[arg(long, value_name = "DIR")]
    pub store: Option<PathBuf>,
    /// Seeds the incidents.
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Measure a filled store in this process.
    #[arg(long, hide = true, value_name = "DIR")]
    pub measure: Option<PathBuf>,
    /// How the figures are printed.
    #[arg(long, value_enum, default_value_t)]
    pub output: AnswerFormat,
}

/// Arguments of `bench diagnose`.
#[derive(Debug, Args)]
pub struct BenchDiagnoseArgs {
    /// Services, of seven metric types each.
    #[arg(long, value_name = "N", default_value_t = 2000, value_parser = parse_count)]
    pub services: usize,
    /// Samples of each series, of which one in twelve belongs to the incident.
    #[arg(long, value_name = "T", default_value_t = 720, value_parser = parse_count)]
    pub samples: usize,
    /// Seeds the load.
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// How the figures are printed.
    #[arg(long, value_enum, default_value_t)]
    pub output: AnswerFormat,
}

/// Arguments of `bench concurrent`.
#[derive(Debug, Args)]
pub struct BenchConcurrentArgs {
    /// Callers at once.
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = parse_count)]
    pub calls: usize,
    /// How often they come, with diagnoses alone before and after each time.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = parse_count)]
    pub bursts: usize,
    /// Services, of seven metric types each.
    #[arg(long, value_name = "N", default_value_t = 44, value_parser = parse_count)]
    pub services: usize,
    /// Samples of each series, of which one in twelve belongs to the incident.
    #[arg(long, value_name = "T", default_value_t = 720, value_parser = parse_count)]
    pub samples: usize,
    /// Seeds the load.
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// How the figures are printed.
    #[arg(long, value_enum, default_value_t)]
    pub output: AnswerFormat,
}
