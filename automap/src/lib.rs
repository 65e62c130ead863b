//! The command `automap`: everything a person types.
//!
//! | module | what it holds |
//! |---|---|
//! | [`arguments`] | the command line and its help |
//! | [`demo`], [`diagnose`], [`evaluate`], [`graph`], [`services`] | a subcommand each |
//! | [`incident_request`] | what is known of a recorded incident, from its files and from flags |
//! | [`embedded`] | the four services in this process |
//! | [`walker_client`] | upload, progress, answer |
//! | [`answer`] | a diagnosis, checked |
//! | [`output`], [`drawing`] | how answers and graphs look |
//! | [`simulated_incident`], [`recording_writer`] | what the demo replays, and its files |
//! | [`progress`], [`stdout`], [`failure`] | manners of a command |

pub mod answer;
pub mod arguments;
pub mod demo;
pub mod diagnose;
pub mod drawing;
pub mod embedded;
pub mod evaluate;
pub mod failure;
pub mod graph;
pub mod incident_request;
pub mod output;
pub mod progress;
pub mod recording_writer;
pub mod services;
pub mod simulated_incident;
pub mod stdout;
pub mod walker_client;

use arguments::Command;
use automap_service_kit::logging::{self, LogFormat};
use failure::Failure;

/// Runs a subcommand to its end.
///
/// # Errors
/// Why there is no answer; it knows its exit code.
pub async fn run(command: Command) -> Result<(), Failure> {
    if !matches!(command, Command::Serve(_)) {
        logging::init(LogFormat::Human, "error");
    }
    match command {
        Command::Demo(args) => demo::run(args).await,
        Command::Diagnose(args) => diagnose::run(args).await,
        Command::Evaluate(args) => evaluate::run(args).await,
        Command::Graph(args) => graph::run(args).await,
        Command::Serve(args) => services::serve(args).await,
    }
}
