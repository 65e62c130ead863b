//! Arguments of `experiment`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::state::DriverKind;
use crate::{arguments::AnswerFormat, source_arguments::SourceArgs};

/// Subcommands of `experiment`.
#[derive(Debug, Subcommand)]
pub enum ExperimentCommand {
    /// Print the default plan with its documentation, or what a plan will do.
    #[command(after_help = "\
Examples:
  automap experiment plan > plan.toml
  automap experiment plan --plan plan.toml --schedule")]
    Plan(PlanArgs),
    /// Harm the demonstration application round by round, record each incident, and diagnose it.
    #[command(after_help = RUN_EXAMPLES)]
    Run(Box<RunArgs>),
    /// Report how often each method found the root cause.
    #[command(after_help = "\
Examples:
  automap experiment report run
  automap experiment report run --html report.html
  automap experiment report run --output json

The same incidents can be diagnosed anew, with other methods or parameters:
automap evaluate run")]
    Report(ReportArgs),
}

impl ExperimentCommand {
    /// The subcommand as it is typed.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Plan(_) => "experiment plan",
            Self::Run(_) => "experiment run",
            Self::Report(_) => "experiment report",
        }
    }
}

const RUN_EXAMPLES: &str = "\
Examples:
  automap experiment run --out run   # the default plan, on this machine
  automap experiment run --plan plan.toml --out run
  automap experiment run --plan plan.toml --out run --driver kubernetes \\
      --source http://127.0.0.1:9090

The directory holds an incident per round, with label.json, as `automap
evaluate` reads it; the answers of every method; and the memories of those that
learn. An experiment that was interrupted goes on by the same command. Its
faults are removed however it ends; what a kill leaves behind is removed when it
goes on. deploy/EXPERIMENT.md tells all of it.

Exit codes: 0 done, 1 failed or interrupted, 2 wrong usage";

/// Arguments of `experiment plan`.
#[derive(Debug, Args)]
pub struct PlanArgs {
    /// A plan, TOML; without it the default one.
    #[arg(long, value_name = "FILE", requires = "schedule")]
    pub plan: Option<PathBuf>,
    /// Print the rounds in place of the plan.
    #[arg(long)]
    pub schedule: bool,
}

/// Arguments of `experiment run`.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// The plan, TOML; without it the default one, which `automap experiment plan` prints.
    #[arg(long, value_name = "FILE")]
    pub plan: Option<PathBuf>,
    /// Directory of the experiment: a new one, or one that goes on.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Where the application runs.
    #[arg(long, value_enum, default_value_t)]
    pub driver: DriverKind,
    /// The server that has the application's metrics; of a cluster.
    #[command(flatten)]
    pub source: SourceArgs,
    /// The cluster.
    #[command(flatten)]
    pub cluster: ClusterArgs,
}

/// A cluster that bears the experiment.
#[derive(Debug, Args)]
pub struct ClusterArgs {
    /// kubectl.
    #[arg(long, value_name = "FILE", default_value = "kubectl")]
    pub kubectl: PathBuf,
    /// Context of kubectl's configuration; without it the current one.
    #[arg(long, value_name = "NAME")]
    pub context: Option<String>,
    /// Namespace of the application.
    #[arg(long, value_name = "NAME", default_value = "pymicro")]
    pub namespace: String,
}

/// Arguments of `experiment report`.
#[derive(Debug, Args)]
pub struct ReportArgs {
    /// Directory of the experiment.
    pub directory: PathBuf,
    /// Write a report for people as one HTML file.
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// Resamples of the incidents from which the 95 % intervals are taken.
    #[arg(long, value_name = "N", default_value_t = 2000, value_parser = crate::arguments::parse_resamples)]
    pub bootstrap: usize,
    /// How the report is printed.
    #[arg(long, value_enum, default_value_t)]
    pub output: AnswerFormat,
}
