//! Who is let in, as configured.

use std::{collections::BTreeMap, path::PathBuf};

use automap_proto::invalid::Invalid;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    certificate::CertificateNames,
    role::Role,
    systems::{self, Systems},
};

/// Who may call. Without tokens and without `tls.client-ca` anybody may do everything.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct AccessConfig {
    /// File with hashes of tokens, TOML or JSON, read anew when it changes; `automap access new-token` prints its entries.
    pub tokens: Option<PathBuf>,
    /// What clients with a certificate of `tls.client-ca` may do, by names of your choosing, under which they are logged.
    /// Without any, each of them may do everything.
    pub certificates: BTreeMap<String, CertificateGrant>,
    /// What those may do who prove nothing. Unless set nothing, where tokens or `tls.client-ca` are, and else everything.
    pub anonymous: Option<Role>,
    /// Calls that one client may have under way; a client is a token, a certificate, or the address of who proves nothing.
    pub calls_at_once: Option<usize>,
    /// Calls that one client may begin in a minute.
    pub calls_per_minute: Option<u32>,
}

/// What clients with a certificate may do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct CertificateGrant {
    /// The common name, DNS name or URI (such as a SPIFFE id) of the certificate, or * for every one.
    pub identity: String,
    /// What its owner may do.
    pub role: Role,
    /// Systems of which he may know; * means all.
    pub systems: Vec<String>,
}

impl Default for CertificateGrant {
    fn default() -> Self {
        Self { identity: String::new(), role: Role::Read, systems: vec![systems::ALL.into()] }
    }
}

impl CertificateGrant {
    pub(super) fn is_for_all(&self) -> bool {
        self.identity == systems::ALL
    }

    pub(super) fn fits(&self, names: &CertificateNames) -> bool {
        self.is_for_all() || names.contains(&self.identity)
    }
}

impl AccessConfig {
    /// Whether callers must prove who they are, or it was said what those may do who do not.
    pub(crate) const fn is_decided(&self) -> bool {
        self.tokens.is_some() || self.anonymous.is_some()
    }

    /// # Errors
    /// A setting cannot be used, or certificates are granted something and none is ever shown; `table` is where they are.
    pub fn check(&self, table: &str, takes_certificates: bool) -> Result<(), Invalid> {
        for (name, grant) in &self.certificates {
            let field = format!("{table}.certificates.{name}");
            if grant.identity.trim().is_empty() {
                let problem = "must be the common name, a DNS name or a URI of a certificate, or *";
                return Err(Invalid::new(format!("{field}.identity"), problem));
            }
            Systems::check(&format!("{field}.systems"), &grant.systems)?;
        }
        if !self.certificates.is_empty() && !takes_certificates {
            return Err(Invalid::new(
                format!("{table}.certificates"),
                "is set, and no client shows a certificate: set tls.client-ca of the same server",
            ));
        }
        if self.calls_at_once == Some(0) {
            return Err(Invalid::new(format!("{table}.calls-at-once"), "is 0; it must be at least 1"));
        }
        if self.calls_per_minute == Some(0) {
            return Err(Invalid::new(format!("{table}.calls-per-minute"), "is 0; it must be at least 1"));
        }
        Ok(())
    }
}
