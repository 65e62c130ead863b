//! A caller who was let in.

use std::{net::IpAddr, sync::Arc};

use http::Extensions;

use super::{Role, Systems};
use crate::error::{ErrorCode, ServiceError};

/// How a caller proved who he is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// By a bearer token.
    Token,
    /// By a client certificate.
    Certificate,
    /// Not at all, where that is allowed.
    Nothing,
}

impl Proof {
    /// Its name, as logs spell it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Certificate => "certificate",
            Self::Nothing => "nothing",
        }
    }
}

/// A caller who was let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    name: Arc<str>,
    proof: Proof,
    role: Role,
    systems: Systems,
    address: Option<IpAddr>,
}

/// The name of those who showed nothing.
pub(super) const ANONYMOUS: &str = "anonymous";

impl Caller {
    /// A caller of this name, who may do so much.
    pub fn new(name: &str, proof: Proof, role: Role, systems: Systems) -> Self {
        Self { name: name.into(), proof, role, systems, address: None }
    }

    /// One who showed nothing.
    pub fn anonymous(role: Role) -> Self {
        Self::new(ANONYMOUS, Proof::Nothing, role, Systems::All)
    }

    /// The same, calling from an address.
    #[must_use]
    pub fn from(self, address: Option<IpAddr>) -> Self {
        Self { address, ..self }
    }

    /// The caller of a request, whom the server put there.
    ///
    /// # Errors
    /// There is none: the request did not pass [`super::Access`], and nobody may do anything.
    pub fn of(extensions: &Extensions) -> Result<Self, ServiceError> {
        let found = extensions.get::<Self>().cloned();
        found.ok_or_else(|| ServiceError::internal("a request did not pass the check of who calls"))
    }

    /// The name of his token or certificate, or `anonymous`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// His name, where he proved it.
    pub fn proved_name(&self) -> Option<&str> {
        (self.proof != Proof::Nothing).then_some(&self.name)
    }

    /// How he proved who he is.
    pub const fn proof(&self) -> Proof {
        self.proof
    }

    /// What he may do.
    pub const fn role(&self) -> Role {
        self.role
    }

    /// Of which applications he may know.
    pub const fn systems(&self) -> &Systems {
        &self.systems
    }

    /// From where he calls, where that is known.
    pub const fn address(&self) -> Option<IpAddr> {
        self.address
    }

    /// By what his calls are counted: his name where he proved it, else his address.
    pub fn client(&self) -> String {
        match (self.proof, self.address) {
            (Proof::Nothing, Some(address)) => address.to_string(),
            (proof, _) => format!("{} {}", proof.name(), self.name),
        }
    }

    /// # Errors
    /// `PermissionDenied`: `what` needs more than his role.
    pub fn require_role(&self, role: Role, what: &str) -> Result<(), ServiceError> {
        if self.role >= role {
            return Ok(());
        }
        let way_out = match self.proof {
            Proof::Nothing => "; prove who you are by a token or a certificate",
            Proof::Token | Proof::Certificate => "",
        };
        Err(denied(format!("{} has the role {}, and {what} needs {role}{way_out}", self.name, self.role)))
    }

    /// # Errors
    /// `PermissionDenied`: he may know nothing of this application.
    pub fn require_system(&self, system: &str) -> Result<(), ServiceError> {
        if self.systems.contains(system) {
            return Ok(());
        }
        Err(denied(format!("{} may know nothing of system {system:?}", self.name)))
    }

    /// # Errors
    /// `PermissionDenied`: he may know of some systems only, and `what` concerns all.
    pub fn require_all_systems(&self, what: &str) -> Result<(), ServiceError> {
        if self.systems.are_all() {
            return Ok(());
        }
        Err(denied(format!(
            "{} may know of some systems only, and {what} is for those who may of all",
            self.name
        )))
    }

    /// The refusal of a service that does not tell systems apart and could not keep from him what he may not know.
    pub(super) fn denied_by_blind_service(&self) -> ServiceError {
        denied(format!(
            "{} may know of some systems only, and this service does not tell them apart",
            self.name
        ))
    }

    /// # Errors
    /// `PermissionDenied`: his role does not suffice, or he may know nothing of this application.
    pub fn require(&self, role: Role, system: &str) -> Result<(), ServiceError> {
        self.require_role(role, "this")?;
        self.require_system(system)
    }
}

fn denied(problem: String) -> ServiceError {
    ServiceError::new(ErrorCode::PermissionDenied, problem)
}
