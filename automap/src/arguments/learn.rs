//! Flags of `learn`.

use std::path::PathBuf;

use clap::Args;

use super::{AnswerFormat, RemoteArgs};
use crate::source_arguments::SourceArgs;

/// Arguments of `learn`.
#[derive(Debug, Args)]
pub struct LearnArgs {
    /// Recordings, or directories below which they are found; none with --source.
    #[arg(required_unless_present = "source", conflicts_with = "source", value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// Name of the application; without it the one that each recording names, or `default`.
    #[arg(long)]
    pub system: Option<String>,
    /// The server whose metrics are asked, in place of recordings.
    #[command(flatten)]
    pub source: SourceArgs,
    /// Start of what is learned of a server: unix seconds, or a time such as 2026-03-01T10:20:00Z; without it a day
    /// before its end.
    #[arg(long, value_name = "TIME", requires = "source")]
    pub from: Option<String>,
    /// End of what is learned of a server; without it now.
    #[arg(long, value_name = "TIME", requires = "source")]
    pub to: Option<String>,
    /// Remember also the behaviour graphs of windows of this length, such as 10m: the usual length of incidents.
    #[arg(long, value_name = "DURATION")]
    pub graph_window: Option<String>,
    /// Distance of a server's samples, such as 15s; use that of diagnoses.
    #[arg(long, value_name = "DURATION", requires = "source")]
    pub step: Option<String>,
    /// Directory of the store; without it the user's state directory.
    #[arg(long, value_name = "DIR", env = "AUTOMAP_STORE", conflicts_with = "server")]
    pub store: Option<PathBuf>,
    /// The walker that is asked.
    #[command(flatten)]
    pub remote: RemoteArgs,
    /// How the answer is printed.
    #[arg(long, value_enum, default_value_t)]
    pub output: AnswerFormat,
}
