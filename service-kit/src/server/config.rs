//! How a service listens and what it bears.

use std::{net::SocketAddr, time::Duration};

use automap_proto::invalid::Invalid;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    access::{AccessConfig, Role},
    tls::ServerTlsConfig,
};

/// How a service listens and what it bears.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct ServerConfig {
    /// Address and port; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Where `/metrics`, `/healthz` and `/readyz` are answered over HTTP; nowhere unless set.
    pub admin_listen: Option<SocketAddr>,
    /// How long running calls may go on after SIGTERM, seconds.
    pub drain_seconds: u64,
    /// Calls that one connection may have under way.
    pub concurrent_streams: u32,
    /// Calls that all connections together may have under way; more are refused with a hint when to come back.
    pub max_calls: usize,
    /// How long a call may take, seconds, whatever its caller allows.
    pub max_call_seconds: u64,
    /// Connections at once; more are closed as they come.
    pub max_connections: usize,
    /// How long a new connection may take to say what it wants, seconds: TLS and the opening of HTTP/2.
    pub handshake_seconds: u64,
    /// Largest frame that is taken, MiB of samples.
    pub max_frame_mib: usize,
    /// Certificates.
    pub tls: ServerTlsConfig,
    /// Who may call.
    pub access: AccessConfig,
}

/// Most calls and connections that a limit may allow: what a semaphore counts.
const MOST: usize = tokio::sync::Semaphore::MAX_PERMITS;

impl ServerConfig {
    /// Defaults, listening on `port` of the loopback interface.
    pub fn on_port(port: u16) -> Self {
        Self { listen: SocketAddr::from(([127, 0, 0, 1], port)), ..Self::default() }
    }

    /// Largest frame, bytes.
    pub const fn max_frame_bytes(&self) -> usize {
        self.max_frame_mib.saturating_mul(1 << 20)
    }

    /// How long a call may take.
    pub const fn max_call(&self) -> Duration {
        Duration::from_secs(self.max_call_seconds)
    }

    /// # Errors
    /// A limit refuses everything, or settings contradict each other; `table` is where they are.
    pub fn check(&self, table: &str) -> Result<(), Invalid> {
        let limits = [
            ("concurrent-streams", self.concurrent_streams as usize),
            ("max-calls", self.max_calls),
            ("max-call-seconds", usize::try_from(self.max_call_seconds).unwrap_or(MOST)),
            ("max-connections", self.max_connections),
            ("handshake-seconds", usize::try_from(self.handshake_seconds).unwrap_or(MOST)),
            ("max-frame-mib", self.max_frame_mib),
        ];
        for (name, limit) in limits {
            if limit == 0 || limit > MOST {
                return Err(Invalid::new(
                    format!("{table}.{name}"),
                    format!("is {limit}; it must be from 1 to {MOST}"),
                ));
            }
        }
        self.tls.check(&format!("{table}.tls"))?;
        self.access.check(&format!("{table}.access"), self.tls.client_ca.is_some())
    }

    /// What callers may do who prove nothing; `None` where they must.
    pub fn anonymous(&self) -> Option<Role> {
        let proof_is_taken = self.access.tokens.is_some() || self.tls.client_ca.is_some();
        self.access.anonymous.or_else(|| (!proof_is_taken).then_some(Role::Admin))
    }

    /// Whether a server at `listen`, which `field` sets, is open to strangers without anybody having said so. `table` is
    /// where `access` and `tls` are.
    ///
    /// # Errors
    /// It listens beyond this machine, and callers need not prove who they are.
    pub fn check_exposure(&self, field: &str, listen: SocketAddr, table: &str) -> Result<(), Invalid> {
        let decided = self.access.is_decided() || self.tls.client_ca.is_some();
        if decided || listen.ip().to_canonical().is_loopback() {
            return Ok(());
        }
        Err(Invalid::new(
            field,
            format!(
                "{listen} can be reached from other machines, and callers would not have to prove who they are: set \
                 {table}.access.tokens to a file of tokens (`automap access new-token` makes one), or \
                 {table}.tls.client-ca for mutual TLS, or say by {table}.access.anonymous = \"read\", \"diagnose\", \
                 \"confirm\" or \"admin\" what anybody may do"
            ),
        ))
    }
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            admin_listen: None,
            drain_seconds: 20,
            concurrent_streams: 256,
            max_calls: 512,
            max_call_seconds: 1800,
            max_connections: 16_384,
            handshake_seconds: 10,
            max_frame_mib: 1024,
            tls: ServerTlsConfig::default(),
            access: AccessConfig::default(),
        }
    }
}
