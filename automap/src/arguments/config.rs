//! Where the settings of services come from; flags of `config` and `serve`.

use std::path::PathBuf;

use automap_service_kit::logging::LogFormat;
use clap::{Args, Subcommand, ValueEnum};

use super::{
    AnswerFormat,
    values::{parse_log_format, parse_setting},
};

/// Where the settings of services come from; environment variables stand between the file and the flags.
#[derive(Debug, Default, Args)]
pub struct ConfigArgs {
    /// Configuration, TOML: a table per role.
    #[arg(long, value_name = "FILE", env = "AUTOMAP_CONFIG")]
    pub config: Option<PathBuf>,
    /// Sets a setting, such as walker.server.listen=0.0.0.0:4310; may be given many times.
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = parse_setting)]
    pub settings: Vec<(String, String)>,
}

/// Arguments of `serve`.
#[derive(Debug, Args)]
pub struct ServeArgs {
    /// Which service.
    #[arg(value_enum)]
    pub role: Role,
    /// Where settings come from.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// How log lines look.
    #[arg(long, value_parser = parse_log_format, default_value = "human")]
    pub log_format: LogFormat,
}

/// Subcommands of `config`.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Show every setting with its value and where it was set, after checking them all.
    #[command(after_help = "\
Examples:
  automap config show walker --config automap.toml
  automap config show --output json")]
    Show(ShowArgs),
    /// Show which settings there are, with their types, defaults and meaning; JSON is a JSON schema.
    #[command(after_help = "\
Examples:
  automap config schema
  # for editors that complete and check TOML
  automap config schema --output json > automap.schema.json")]
    Schema(SchemaArgs),
}

/// Arguments of `config show`.
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// Whose settings.
    #[arg(value_enum, default_value = "all")]
    pub role: Role,
    /// Where settings come from.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// How they are printed.
    #[arg(long, value_enum, default_value_t)]
    pub output: AnswerFormat,
}

/// Arguments of `config schema`.
#[derive(Debug, Args)]
pub struct SchemaArgs {
    /// How it is printed.
    #[arg(long, value_enum, default_value_t)]
    pub output: AnswerFormat,
}

/// Services.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Role {
    /// Reads metrics.
    Collector,
    /// Builds behaviour graphs.
    GraphBuilder,
    /// Remembers normal behaviour and incidents.
    Profiler,
    /// Diagnoses.
    Walker,
    /// All four in one process.
    All,
}

impl Role {
    /// The name of one service; `None` for all of them.
    pub const fn name(self) -> Option<&'static str> {
        match self {
            Self::Collector => Some("collector"),
            Self::GraphBuilder => Some("graph-builder"),
            Self::Profiler => Some("profiler"),
            Self::Walker => Some("walker"),
            Self::All => None,
        }
    }
}
