//! Flags of `demo`.

use std::path::PathBuf;

use clap::Args;

use super::AnswerFormat;

/// Arguments of `demo`.
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Which incident: round-01 and so on as they were recorded, simulated, or all (only to export them).
    #[arg(long, value_name = "NAME", default_value = crate::demo::DEFAULT_INCIDENT)]
    pub incident: String,
    /// Write the incident as files into this new directory, in place of diagnosing it.
    #[arg(long, value_name = "DIR")]
    pub export: Option<PathBuf>,
    /// Where the drawing of the behaviour graph goes.
    #[arg(long, value_name = "FILE", default_value = "automap-demo.svg")]
    pub graph: PathBuf,
    /// How the answer is printed.
    #[arg(long, value_enum, default_value_t)]
    pub output: AnswerFormat,
}
