//! Who calls, and what he may do.
//!
//! | module | what it holds |
//! |---|---|
//! | [`config`] | who is let in, as configured |
//! | [`role`] | what a caller may do |
//! | [`systems`] | of which applications |
//! | [`caller`] | a caller who was let in |
//! | [`policy`] | what each RPC of a service demands |
//! | [`token`] | bearer tokens and their hashes |
//! | [`token_file`] | the file that lists them |
//! | [`certificate`] | the names that a client's certificate proves |
//! | [`quota`] | how much one client may ask |
//! | [`audit`] | who changed what is remembered |
//! | `layer` | every call on its way through all of this |

pub mod audit;
pub mod caller;
pub mod certificate;
pub mod config;
pub(crate) mod layer;
pub mod policy;
pub mod quota;
pub mod role;
pub mod systems;
pub mod token;
pub mod token_file;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use automap_proto::invalid::Invalid;
use jiff::Timestamp;

pub use caller::{Caller, Proof};
pub use config::{AccessConfig, CertificateGrant};
pub use policy::Policy;
pub use role::Role;
pub use systems::Systems;

use crate::{
    error::{ErrorCode, ServiceError},
    server::ServerConfig,
    tls::reload::Reloading,
};
use certificate::CertificateNames;
use quota::Quota;
use token_file::TokenFile;

/// How often the file of tokens is looked at for a change.
const RELOAD: Duration = Duration::from_secs(1);

/// Judges who calls. Clones share the file of tokens and the counts of clients.
#[derive(Debug, Clone)]
pub struct Access {
    /// The role of those who show nothing; `None` when they are refused.
    anonymous: Option<Role>,
    tokens: Option<Arc<Reloading<TokenFile>>>,
    certificates: Arc<[CertificateGrant]>,
    /// The names of the grants, in their order.
    names: Arc<[String]>,
    quota: Quota,
}

impl Access {
    /// Reads the tokens and follows their file; `table` is where the server is configured. Must be called within a tokio
    /// runtime.
    ///
    /// # Errors
    /// Settings contradict each other, or the file cannot be used.
    pub fn start(table: &str, server: &ServerConfig) -> Result<Self, Invalid> {
        let config = &server.access;
        config.check(&format!("{table}.access"), server.tls.client_ca.is_some())?;
        let field = format!("{table}.access.tokens");
        let read = |file: std::path::PathBuf| {
            let build = {
                let file = file.clone();
                move || TokenFile::read(&field, &file)
            };
            Reloading::start("tokens", vec![file], RELOAD, build)
        };
        let (names, grants): (Vec<String>, Vec<CertificateGrant>) = config
            .certificates
            .iter()
            // Those that name whom they mean come before those that mean anybody.
            .filter(|(_, grant)| !grant.is_for_all())
            .chain(config.certificates.iter().filter(|(_, grant)| grant.is_for_all()))
            .map(|(name, grant)| (name.clone(), grant.clone()))
            .unzip();
        Ok(Self {
            anonymous: server.anonymous(),
            tokens: config.tokens.clone().map(read).transpose()?,
            certificates: grants.into(),
            names: names.into(),
            quota: Quota::new(config.calls_at_once, config.calls_per_minute),
        })
    }

    /// How much one client may ask.
    pub const fn quota(&self) -> &Quota {
        &self.quota
    }

    /// Whether callers can prove themselves by a token.
    pub const fn takes_tokens(&self) -> bool {
        self.tokens.is_some()
    }

    /// Who calls. A token that is shown decides, and a wrong one is never made good by anything else; then a certificate;
    /// then what those may do who show nothing. Where no tokens are configured, a header for somebody else, as a mesh may
    /// add, is passed over.
    ///
    /// # Errors
    /// `Unauthenticated` when nothing or something wrong was shown, `PermissionDenied` when a certificate is good and nobody
    /// granted it anything.
    pub fn judge(
        &self,
        authorization: Option<&str>,
        certificate: Option<&CertificateNames>,
        address: Option<SocketAddr>,
    ) -> Result<Caller, ServiceError> {
        let caller = match (&self.tokens, authorization, certificate) {
            (Some(_), Some(_), _) | (_, _, None) => self.judge_bearer(authorization)?,
            (_, _, Some(names)) => self.judge_certificate(names)?,
        };
        Ok(caller.from(address.map(|address| address.ip().to_canonical())))
    }

    /// Who calls, by the value of the header `authorization` alone.
    ///
    /// # Errors
    /// `Unauthenticated`, as [`Self::judge`].
    pub fn judge_bearer(&self, authorization: Option<&str>) -> Result<Caller, ServiceError> {
        let Some(header) = authorization.filter(|_| self.tokens.is_some()) else {
            let role = self.anonymous.ok_or_else(|| self.wants_proof())?;
            return Ok(Caller::anonymous(role));
        };
        let token = header.split_once(' ').filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
        let (_, token) = token.ok_or_else(|| {
            unauthenticated("the header authorization must hold `Bearer` and a token, with a blank between")
        })?;
        self.judge_token(token.trim())
    }

    /// Who has this token.
    ///
    /// # Errors
    /// `Unauthenticated`: it is unknown or has expired, or no tokens are configured.
    pub fn judge_token(&self, token: &str) -> Result<Caller, ServiceError> {
        let tokens = self.tokens.as_ref().ok_or_else(|| unauthenticated("no tokens are known here"))?;
        tokens.current().judge(token, Timestamp::now())
    }

    /// Who has this certificate, which was verified before. While nobody granted anything to any certificate, each one that
    /// the authority of `tls.client-ca` signed may do everything: the authority is what was trusted.
    ///
    /// # Errors
    /// `PermissionDenied`: others were granted something, and this one was not.
    pub fn judge_certificate(&self, names: &CertificateNames) -> Result<Caller, ServiceError> {
        if self.certificates.is_empty() {
            return Ok(Caller::new(names.first(), Proof::Certificate, Role::Admin, Systems::All));
        }
        let found = self.certificates.iter().zip(self.names.iter()).find(|(grant, _)| grant.fits(names));
        let (grant, name) = found.ok_or_else(|| {
            let problem = format!(
                "the certificate of {} is granted nothing; see server.access.certificates",
                names.first()
            );
            ServiceError::new(ErrorCode::PermissionDenied, problem)
        })?;
        let name = if grant.is_for_all() { names.first() } else { name };
        Ok(Caller::new(name, Proof::Certificate, grant.role, Systems::new(&grant.systems)))
    }

    fn wants_proof(&self) -> ServiceError {
        unauthenticated(if self.tokens.is_some() {
            "this service wants to know who calls: send a token in the header authorization: Bearer (`automap` takes \
             --token-file)"
        } else {
            "this service wants to know who calls: show a client certificate (`automap` takes --cert and --key)"
        })
    }
}

fn unauthenticated(problem: &str) -> ServiceError {
    ServiceError::new(ErrorCode::Unauthenticated, problem)
}

#[cfg(test)]
mod tests;
