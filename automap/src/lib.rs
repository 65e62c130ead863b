//! The command `automap`: everything a person types.
//!
//! | module | what it holds |
//! |---|---|
//! | [`arguments`] | the command line and its help |
//! | [`demo`], [`diagnose`], [`collect`], [`check`], [`evaluate`], [`graph`], [`learn`], [`services`] | a subcommand each |
//! | [`experiment`] | an application harmed on purpose, and who finds the root cause |
//! | [`store`], [`incidents`] | the profiler's memory as a whole, and incident by incident |
//! | [`access`] | tokens of callers |
//! | [`config`], [`services_config`] | a subcommand, and the settings of all services |
//! | [`bench`] | generated loads and what they cost |
//! | [`source_arguments`], [`named_source`], [`queried_incident`] | servers that are queried, and incidents whose metrics are |
//! | [`incident_request`], [`piped_metrics`] | what is known of a recorded incident, from its files and from flags |
//! | [`embedded`], `memory` | the four services in this process, and where they keep what they remember |
//! | [`walker_client`] | a walker to ask, here or elsewhere |
//! | [`profiler_client`], [`store_place`] | a profiler to ask, here or elsewhere |
//! | [`remembered`] | which memory an answer was compared with |
//! | [`walk_file`] | the steps of a diagnosis's walks as a file |
//! | [`output`] | how answers look; what they share with the walker's page is in [`automap_walker::report`] |
//! | [`recorded_incident`], [`simulated_incident`] | what the demo replays |
//! | [`recording_writer`], [`npy_writer`] | metrics in files |
//! | [`shell`] | completions and manual pages |
//! | [`progress`], [`stdout`], [`output_file`], [`output_directory`], [`verbosity`], `named_value`, [`failure`] | manners of a command |

pub mod access;
pub mod arguments;
pub mod bench;
pub mod check;
pub mod collect;
pub mod config;
mod configured_files;
pub mod demo;
pub mod diagnose;
pub mod embedded;
pub mod evaluate;
pub mod experiment;
pub mod failure;
pub mod graph;
pub mod incident_request;
pub mod incidents;
pub mod learn;
mod memory;
pub mod named_source;
mod named_value;
pub mod npy_writer;
pub mod output;
pub mod output_directory;
pub mod output_file;
pub mod piped_metrics;
pub mod profiler_client;
pub mod progress;
pub mod queried_incident;
pub mod recorded_incident;
pub mod recording_writer;
pub mod remembered;
pub mod services;
pub mod services_config;
pub mod shell;
pub mod shell_word;
pub mod simulated_incident;
pub mod source_arguments;
pub mod stdout;
pub mod store;
pub mod store_place;
pub mod verbosity;
pub mod walk_file;
pub mod walker_client;

use std::process::ExitCode;

pub use automap_walker::report::{answer, drawing};

use arguments::{BenchCommand, Cli, Command};
use automap_service_kit::telemetry::{self, Process, Telemetry};
use failure::Failure;
use tracing::Instrument as _;
use verbosity::Verbosity;

/// Runs a command to its end, tells why there is no answer where there is none, and answers the exit code of the
/// process.
pub async fn run(cli: Cli) -> ExitCode {
    let verbosity = Verbosity::from(cli.verbosity);
    verbosity.choose();
    let telemetry = match telemetry::install(&process(&cli.command, verbosity)) {
        Ok(telemetry) => telemetry,
        Err(error) => return tell(&Failure::Usage(error.to_string())),
    };
    let ended = match cli.command {
        Command::Serve(args) => services::serve(args).await,
        command => traced(command).await,
    };
    // The answer is out, and so is the error: nobody waits for the last spans but the process itself.
    let code = ended.map_or_else(|failure| tell(&failure), |()| ExitCode::SUCCESS);
    Telemetry::end(telemetry).await;
    code
}

fn process(command: &Command, verbosity: Verbosity) -> Process {
    let (process, filter) = match command {
        Command::Serve(args) => {
            (Process::service(args.role.name(), args.log_format), verbosity.service_filter())
        }
        _ => (Process::command(), verbosity.command_filter()),
    };
    Process { filter: filter.map(str::to_owned), ..process }
}

/// Runs a command within a span of its own, above those of its calls.
async fn traced(command: Command) -> Result<(), Failure> {
    let span = telemetry::command_span(&format!("automap {}", command.name()));
    let ended = answer(command).instrument(span.clone()).await;
    if let Err(failure) = &ended {
        telemetry::mark_failed(&span, failure);
    }
    ended
}

async fn answer(command: Command) -> Result<(), Failure> {
    match command {
        Command::Demo(args) => demo::run(args).await,
        Command::Diagnose(args) => diagnose::run(*args).await,
        Command::Collect(args) => collect::run(*args).await,
        Command::Check(args) => check::run(*args).await,
        Command::Evaluate(args) => evaluate::run(args).await,
        Command::Experiment(command) => experiment::run(command).await,
        Command::Graph(args) => graph::run(args).await,
        Command::Learn(args) => learn::run(*args).await,
        Command::Bench(BenchCommand::Store(args)) => bench::store::run(&args),
        Command::Bench(BenchCommand::Graph(args)) => bench::graph::run(&args).await,
        Command::Bench(BenchCommand::Coordinator(args)) => bench::coordinator::run(&args),
        Command::Bench(BenchCommand::CallGraph(args)) => bench::call_graph::run(args).await,
        Command::Bench(BenchCommand::Concurrent(args)) => bench::concurrent::run(&args).await,
        Command::Bench(BenchCommand::Diagnose(args)) => bench::diagnose::run(&args),
        Command::Serve(args) => services::serve(args).await,
        Command::Incidents(command) => incidents::run(command).await,
        Command::Store(command) => store::run(command).await,
        Command::Access(command) => access::run(command),
        Command::Config(command) => config::run(command),
        Command::Completions(args) => shell::completions(&args),
        Command::Man(args) => shell::man(&args),
    }
}

fn tell(failure: &Failure) -> ExitCode {
    if !matches!(failure, Failure::OutputClosed) {
        stdout::error(&failure.to_string());
    }
    failure.exit_code()
}
