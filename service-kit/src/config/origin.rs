//! Where a setting came from.

use std::{fmt, path::PathBuf};

use serde::Serialize;

/// The layer that set a value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "layer")]
pub enum Origin {
    /// Nobody set it.
    Default,
    /// The configuration file.
    File {
        /// Its path.
        file: PathBuf,
        /// The line of the key, counted from 1.
        line: usize,
    },
    /// A variable.
    Environment {
        /// Its name.
        variable: String,
    },
    /// A flag of the command.
    Flag,
}

impl fmt::Display for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => formatter.write_str("default"),
            Self::File { file, line } => write!(formatter, "{}:{line}", file.display()),
            Self::Environment { variable } => write!(formatter, "variable {variable}"),
            Self::Flag => formatter.write_str("flag --set"),
        }
    }
}
