//! Configuration that cannot be used.

use std::fmt;

/// Configuration that cannot be used: a sentence per setting that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError(Vec<String>);

impl ConfigError {
    pub(super) fn new(problems: Vec<String>) -> Self {
        Self(problems)
    }
}

impl std::error::Error for ConfigError {}

impl fmt::Display for ConfigError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0.join("\n"))
    }
}
