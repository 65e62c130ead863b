//! What a caller may do.

use std::{fmt, str::FromStr};

use automap_proto::invalid::Invalid;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a caller may do; each includes the former.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// See diagnoses, incidents and explanations.
    Read,
    /// Have incidents diagnosed, and stop diagnoses.
    Diagnose,
    /// Say what caused an incident, and teach normal behaviour: what later diagnoses know.
    Confirm,
    /// Export, import and delete what is remembered.
    Admin,
}

impl Role {
    /// All of them, from least to most.
    pub const ALL: [Self; 4] = [Self::Read, Self::Diagnose, Self::Confirm, Self::Admin];

    /// Its name, as configurations spell it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Diagnose => "diagnose",
            Self::Confirm => "confirm",
            Self::Admin => "admin",
        }
    }
}

impl FromStr for Role {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let found = Self::ALL.into_iter().find(|role| role.name() == text);
        found.ok_or_else(|| {
            Invalid::new("role", format!("{text} is no role; use read, diagnose, confirm or admin"))
        })
    }
}

impl fmt::Display for Role {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}
