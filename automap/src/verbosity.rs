//! How much a command tells on standard error.

use std::sync::OnceLock;

use crate::arguments::VerbosityArgs;

/// How much is told. Errors always are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verbosity {
    /// Errors alone.
    Quiet,
    /// Hints, warnings, and progress where a person watches.
    Normal,
    /// Log lines; progress would garble them.
    Verbose(u8),
}

/// One for the process, as its standard error is.
static CHOSEN: OnceLock<Verbosity> = OnceLock::new();

impl From<VerbosityArgs> for Verbosity {
    fn from(args: VerbosityArgs) -> Self {
        match args {
            VerbosityArgs { quiet: true, .. } => Self::Quiet,
            VerbosityArgs { verbose: 0, .. } => Self::Normal,
            VerbosityArgs { verbose, .. } => Self::Verbose(verbose),
        }
    }
}

impl Verbosity {
    /// What was chosen for this process.
    pub fn chosen() -> Self {
        CHOSEN.get().copied().unwrap_or(Self::Normal)
    }

    /// Chooses for this process; the first choice stays.
    pub fn choose(self) {
        CHOSEN.get_or_init(|| self);
    }

    /// The filter of log lines that a command was asked for by its flags.
    pub const fn command_filter(self) -> Option<&'static str> {
        match self {
            Self::Quiet => Some("error"),
            Self::Normal => None,
            Self::Verbose(1) => Some("warn,automap=info"),
            Self::Verbose(2) => Some("info,automap=debug"),
            Self::Verbose(_) => Some("trace"),
        }
    }

    /// The filter of log lines that a service was asked for by its flags: it tells more by itself.
    pub const fn service_filter(self) -> Option<&'static str> {
        match self {
            Self::Quiet => Some("warn"),
            Self::Normal => None,
            Self::Verbose(1) => Some("info,automap=debug"),
            Self::Verbose(_) => Some("trace"),
        }
    }
}
