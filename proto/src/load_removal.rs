//! What is removed from every series before it is tested.

use std::{fmt, str::FromStr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{invalid::Invalid, v1};

/// The load that services share, removed from every series before it is tested. Where all services follow the same
/// traffic, conditioning on one of them explains little, and tests grow a thousandfold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LoadRemoval {
    /// Nothing is removed.
    #[default]
    Off,
    /// What follows the front end's throughput.
    FrontEnd,
    /// What follows the leading common factor of the metric type.
    Factor,
}

impl LoadRemoval {
    /// All, the default first.
    pub const ALL: [Self; 3] = [Self::Off, Self::FrontEnd, Self::Factor];

    /// The name used in flags.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::FrontEnd => "front-end",
            Self::Factor => "factor",
        }
    }

    /// Decodes a wire value; unspecified means that nothing is removed.
    ///
    /// # Errors
    /// The value is unknown.
    pub fn from_wire(field: &str, value: i32) -> Result<Self, Invalid> {
        match v1::LoadRemoval::try_from(value) {
            Ok(v1::LoadRemoval::Unspecified | v1::LoadRemoval::Off) => Ok(Self::Off),
            Ok(v1::LoadRemoval::FrontEnd) => Ok(Self::FrontEnd),
            Ok(v1::LoadRemoval::Factor) => Ok(Self::Factor),
            Err(_) => Err(Invalid::new(field, format!("{value} is no removal of load"))),
        }
    }

    /// The wire value. Settings that remove nothing look as they did before anything could be removed.
    pub const fn to_wire(self) -> v1::LoadRemoval {
        match self {
            Self::Off => v1::LoadRemoval::Unspecified,
            Self::FrontEnd => v1::LoadRemoval::FrontEnd,
            Self::Factor => v1::LoadRemoval::Factor,
        }
    }
}

impl fmt::Display for LoadRemoval {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.name())
    }
}

impl FromStr for LoadRemoval {
    type Err = Invalid;

    fn from_str(name: &str) -> Result<Self, Invalid> {
        Self::ALL.into_iter().find(|removal| removal.name() == name).ok_or_else(|| {
            Invalid::new(
                "load_removal",
                format!("{name} is no removal of load; use off, front-end or factor"),
            )
        })
    }
}
