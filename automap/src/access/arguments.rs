//! Arguments of `automap access`.

use std::path::PathBuf;

use automap_service_kit::access::Role;
use clap::{Args, Subcommand};

use crate::{arguments::AnswerFormat, named_value::NamedValue};

/// Subcommands of `access`.
#[derive(Debug, Subcommand)]
pub enum AccessCommand {
    /// Make a token, with the entry for the file of tokens of a service (`server.access.tokens`).
    #[command(after_help = "\
Examples:
  automap access new-token --name ada --role confirm
  automap access new-token --name robot --role diagnose --system shop \\
      --expires 2027-01-31T00:00:00Z --out robot.token >> tokens.toml

Standard output holds nothing but the entry, which has the hash of the token
alone. The token itself is told once, on standard error, and kept nowhere; with
--out it goes into a file that only its owner can read. Services take up a
changed file by themselves: to renew a token, add the new entry, give out the
token, then take the old entry out.")]
    NewToken(NewTokenArgs),
    /// Read a file of tokens as a service does, and list who may do what.
    #[command(after_help = "\
Examples:
  automap access check tokens.toml
  automap access check tokens.toml --output json

Exit codes: 0 the file can be used, 1 it cannot be read, 2 an entry cannot be
used")]
    Check(CheckTokensArgs),
}

impl AccessCommand {
    /// The subcommand as it is typed.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::NewToken(_) => "access new-token",
            Self::Check(_) => "access check",
        }
    }
}

/// Arguments of `access new-token`.
#[derive(Debug, Args)]
pub struct NewTokenArgs {
    /// Whose it is: the name under which he is logged and confirms.
    #[arg(long)]
    pub name: String,
    /// What he may do; each role includes the former.
    #[arg(long, value_parser = NamedValue::<Role>::of(Role::ALL.map(Role::name)))]
    pub role: Role,
    /// A system of which he may know; may be given many times. Without it all of them.
    #[arg(long = "system", value_name = "SYSTEM")]
    pub systems: Vec<String>,
    /// Until when it counts, such as 2027-01-31T00:00:00Z; without it until its entry is taken out.
    #[arg(long, value_name = "TIME")]
    pub expires: Option<String>,
    /// Write the token into this new file, for its owner alone, in place of telling it on standard error.
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

/// Arguments of `access check`.
#[derive(Debug, Args)]
pub struct CheckTokensArgs {
    /// The file of tokens.
    pub file: PathBuf,
    /// How they are listed.
    #[arg(long, value_enum, default_value_t)]
    pub output: AnswerFormat,
}
