//! The command line: subcommands, flags, and the help that explains them.

mod bench;
mod config;
mod demo;
mod diagnose;
mod evaluate;
mod graph;
mod incident;
mod learn;
mod remote;
mod shell;
mod values;

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};

pub(crate) use self::values::{parse_pair, parse_resamples};
pub use self::{
    bench::{BenchCommand, BenchConcurrentArgs, BenchDiagnoseArgs, BenchGraphArgs, BenchStoreArgs},
    config::{ConfigArgs, ConfigCommand, Role, SchemaArgs, ServeArgs, ShowArgs},
    demo::DemoArgs,
    diagnose::DiagnoseArgs,
    evaluate::EvaluateArgs,
    graph::{GraphArgs, GraphFormat, GraphWindow},
    incident::IncidentArgs,
    learn::LearnArgs,
    remote::{ConnectionArgs, MemoryArgs, RemoteArgs},
    shell::{CompletionsArgs, ManArgs},
};
use crate::{
    access::arguments::AccessCommand,
    experiment::arguments::ExperimentCommand,
    incidents::arguments::IncidentsCommand,
    source_arguments::{CHECK_EXAMPLES, COLLECT_EXAMPLES, CheckArgs, CollectArgs},
    store::arguments::StoreCommand,
};

const EXIT_CODES: &str = "\
Exit codes:
  0  answered
  1  failed: a file, a source or a service
  2  wrong usage: an unknown flag, front end or parameter
  3  too little data to answer
  4  `evaluate --compare` found a method worse than before
  5  a store is damaged, or not all of it could be salvaged";

/// Finds the root cause of a misbehaving microservice application from its metrics alone.
#[derive(Debug, Parser)]
#[command(name = "automap", version, after_help = EXIT_CODES, arg_required_else_help = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// How much is told.
    #[command(flatten)]
    pub verbosity: VerbosityArgs,
}

/// Heading of flags that every command has, apart from its own.
const MESSAGES: &str = "Messages";

/// How much is told on standard error; results go to standard output.
#[derive(Debug, Clone, Copy, Args)]
pub struct VerbosityArgs {
    /// Tell nothing but errors.
    #[arg(short, long, global = true, conflicts_with = "verbose", help_heading = MESSAGES)]
    pub quiet: bool,
    /// Tell what is being done; twice for details. The variable AUTOMAP_LOG sets a finer filter.
    #[arg(short, long, global = true, action = ArgAction::Count, help_heading = MESSAGES)]
    pub verbose: u8,
}

/// Subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Diagnose a bundled incident: no cluster, no network, no arguments.
    #[command(after_help = "\
Examples:
  automap demo
  # a made-up shop in place of what was recorded
  automap demo --incident simulated
  # write the incident as files, to try `automap diagnose incident`
  automap demo --export incident
  # all that were recorded, with their answers, for `automap evaluate`
  automap demo --incident all --export incidents

The recorded incidents are rounds of `automap experiment run` on this project's
own test application.")]
    Demo(DemoArgs),
    /// Diagnose an incident, recorded or live, and rank the services that may have caused it.
    #[command(after_help = diagnose::EXAMPLES)]
    Diagnose(Box<DiagnoseArgs>),
    /// Collect the metrics of a window from Prometheus or VictoriaMetrics into a directory.
    #[command(after_help = COLLECT_EXAMPLES)]
    Collect(Box<CollectArgs>),
    /// Check what a Prometheus or VictoriaMetrics holds for a diagnosis, and what to change.
    #[command(after_help = CHECK_EXAMPLES)]
    Check(Box<CheckArgs>),
    /// Diagnose labelled incidents and report how often the root cause was ranked first.
    #[command(after_help = "\
Examples:
  automap evaluate incidents
  automap evaluate incidents --method evidence --method n-sigma \\
      --method random --output json
  automap evaluate incidents --ablations --report report.html
  # an alert that is late, little normal behaviour
  automap evaluate incidents --delay 0.5 --normal-window 1.5
  # whether it matters when the alert fires
  automap evaluate incidents --delay 0,0.25,0.5,-0.5
  # what confirmed incidents teach
  automap evaluate incidents --method evidence --learn rounds
  # keep, to compare with later:
  automap evaluate incidents --scores scores.json
  automap evaluate incidents --compare scores.json

A folder of incident directories is one dataset; each holds what `automap
diagnose` reads, and label.json: {\"root_cause_services\": [\"cart\"],
\"root_cause_metric\": \"cpu\", \"fault_type\": \"cpu_contention\"}, the last two
optional.

Exit codes: 0 measured, 1 failed, 2 wrong usage, 4 worse than the scores of
--compare")]
    Evaluate(EvaluateArgs),
    /// Harm a demonstration application on purpose and see who finds the root cause.
    #[command(subcommand)]
    Experiment(ExperimentCommand),
    /// Build the behaviour graph of a recorded incident, without a diagnosis.
    #[command(after_help = "\
Examples:
  automap graph incident --output svg > graph.svg
  automap graph incident --window normal --metrics latency,cpu --alpha 0.01 \\
      --output json")]
    Graph(GraphArgs),
    /// Remember the normal behaviour that recordings or a server show, without a diagnosis.
    #[command(after_help = "\
Examples:
  automap learn recordings                       # every recording below
  automap learn day.csv --system shop
  automap learn recordings --server http://walker.automap:4310
  automap learn --source http://prometheus:9090 --preset istio --system shop \\
      --from 2026-03-01T00:00:00Z

Rows of an incident that a recording knows, of the intervals that it excludes,
of incidents that are remembered, and of their aftermath are left out. Of each
service a bounded sample of rows is kept in which newer rows are likelier; the
same row counts once. A diagnosis adds them to its own normal rows where these
are few and evidence.history-rows says so.

Exit codes: 0 learned, 1 failed, 2 wrong usage")]
    Learn(Box<LearnArgs>),
    /// Measure what computations cost on this machine.
    #[command(subcommand)]
    Bench(BenchCommand),
    /// Run one of the services, or all of them in one process.
    #[command(after_help = "\
Examples:
  automap serve all
  automap serve walker --config automap.toml
  automap serve walker --set walker.server.listen=0.0.0.0:4310 \\
      --set walker.server.access.anonymous=diagnose
  AUTOMAP_WALKER__SERVER__LISTEN=0.0.0.0:4310 automap serve walker")]
    Serve(ServeArgs),
    /// Look at past incidents, and say what caused them.
    #[command(subcommand)]
    Incidents(IncidentsCommand),
    /// Verify, export, import, back up, compact or salvage the profiler's memory.
    #[command(subcommand)]
    Store(StoreCommand),
    /// Make tokens for callers, and check the file that lists them.
    #[command(subcommand)]
    Access(AccessCommand),
    /// Show what services are configured with, and what can be configured.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Print the completion script of a shell.
    #[command(after_help = "\
Examples:
  automap completions bash > ~/.local/share/bash-completion/completions/automap
  automap completions zsh > ~/.zfunc/_automap
  automap completions fish > ~/.config/fish/completions/automap.fish")]
    Completions(CompletionsArgs),
    /// Print the manual page.
    #[command(after_help = "\
Examples:
  automap man | man -l -
  # with the pages of the subcommands
  automap man --directory ~/.local/share/man/man1")]
    Man(ManArgs),
}

impl Command {
    /// The subcommand as it is typed.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Demo(_) => "demo",
            Self::Diagnose(_) => "diagnose",
            Self::Collect(_) => "collect",
            Self::Check(_) => "check",
            Self::Evaluate(_) => "evaluate",
            Self::Experiment(command) => command.name(),
            Self::Graph(_) => "graph",
            Self::Learn(_) => "learn",
            Self::Bench(_) => "bench",
            Self::Serve(_) => "serve",
            Self::Incidents(command) => command.name(),
            Self::Store(command) => command.name(),
            Self::Access(command) => command.name(),
            Self::Config(_) => "config",
            Self::Completions(_) => "completions",
            Self::Man(_) => "man",
        }
    }
}

/// How an answer is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum AnswerFormat {
    /// For people.
    #[default]
    Table,
    /// For programs.
    Json,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn flags_and_help_are_consistent() {
        Cli::command().debug_assert();
    }

    /// What stands behind the flags in the help of a command and of those below it.
    fn endings(command: &clap::Command, found: &mut Vec<(String, String)>) {
        let text = command.get_after_help().map(ToString::to_string);
        found.extend(text.map(|text| (command.get_name().to_owned(), text)));
        for below in command.get_subcommands() {
            endings(below, found);
        }
    }

    #[test]
    fn examples_can_be_copied_from_a_terminal_of_eighty_columns() {
        let mut found = Vec::new();
        endings(&Cli::command(), &mut found);
        assert!(found.len() > 20, "{}", found.len());
        for (command, text) in found {
            let lines: Vec<&str> = text.lines().collect();
            for (line, next) in lines.iter().zip(lines[1..].iter().chain([&""])) {
                assert!(line.chars().count() <= 80, "{command}: {line}");
                assert_eq!(line.ends_with(" \\"), next.starts_with("      --"), "{command}: {line}");
            }
        }
    }
}
