//! Of which applications a caller may know.

use std::{collections::BTreeSet, sync::Arc};

use automap_proto::invalid::Invalid;

use crate::error::{ErrorCode, ServiceError};

/// Stands for all applications.
pub const ALL: &str = "*";

/// The applications that a caller may know of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Systems {
    /// All, and what belongs to none.
    All,
    /// These.
    Only(Arc<BTreeSet<String>>),
}

impl Systems {
    /// Those of a list, in which a star stands for all.
    pub fn new(names: &[String]) -> Self {
        if names.iter().any(|name| name == ALL) {
            return Self::All;
        }
        Self::Only(Arc::new(names.iter().cloned().collect()))
    }

    /// Whether `system` is among them.
    pub fn contains(&self, system: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only(names) => names.contains(system),
        }
    }

    /// # Errors
    /// `PermissionDenied`: `system` is not among them; `what` belongs to it.
    pub fn require(&self, system: &str, what: &str) -> Result<(), ServiceError> {
        if self.contains(system) {
            return Ok(());
        }
        let problem = format!("{what} belongs to system {system:?}, of which the caller may know nothing");
        Err(ServiceError::new(ErrorCode::PermissionDenied, problem))
    }

    /// Whether they are all.
    pub const fn are_all(&self) -> bool {
        matches!(self, Self::All)
    }

    /// # Errors
    /// A list names nothing; `field` is where it is.
    pub(crate) fn check(field: &str, names: &[String]) -> Result<(), Invalid> {
        if names.is_empty() || names.iter().any(|name| name.trim().is_empty()) {
            return Err(Invalid::new(field, "must name systems; [\"*\"], or leaving it out, means all"));
        }
        Ok(())
    }
}
