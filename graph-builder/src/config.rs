//! Configuration of the graph-builder.

use std::{num::NonZero, thread::available_parallelism, time::Duration};

use automap_proto::invalid::Invalid;
use automap_service_kit::{
    client::{self, ClientConfig},
    server::ServerConfig,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Port of the graph-builder unless configured.
pub const DEFAULT_PORT: u16 = 4312;

/// How often the names of peers are looked up again: what is added has work within 10 s, of which a name server that keeps
/// its answers takes 5.
const RESOLVE_SECONDS: u64 = 3;

/// Configuration of the graph-builder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct GraphBuilderConfig {
    /// How the service listens and what it bears.
    pub server: ServerConfig,
    /// Graphs that are computed at once; 0 means the number of cores.
    pub concurrent_builds: usize,
    /// Calls that may wait or upload beyond these; more are refused with a hint when to come back.
    pub queued_builds: usize,
    /// Threads of each computation; 0 means the number of cores. Those that run at once share the cores alike.
    pub threads: usize,
    /// Most services of a frame. Memory and time grow with the square of their number.
    pub max_services: usize,
    /// Most conditional independence tests of a graph and its resamples, whatever its caller allows; 0 for no limit. Pairs
    /// beyond it keep their edges, and the graph says so. A core makes about 200 million of Fisher's z in a second, or about
    /// one million of tables.
    pub max_tests: u64,
    /// Memory for the inputs that peers leave with `PutInput`, MiB. One takes 84 bytes x services², and 56 x services
    /// x rows; a peer whose input needs more gets no help from here.
    pub input_cache_mib: usize,
    /// Other graph-builders that help with large graphs: their addresses, or names that stand for several, such as that of a
    /// headless service, separated by commas. This pod may be among them.
    pub peers: String,
    /// How these are reached.
    pub client: ClientConfig,
    /// Whether a pod that spreads a graph over peers tests too. When no peer can, it always does.
    pub coordinator_tests: bool,
    /// What leaves this pod, megabits a second: with a slower link, less is spread.
    pub link_mbit: u64,
    /// How long a caller may neither send nor take the next message of a stream, seconds.
    pub patience_seconds: u64,
}

impl GraphBuilderConfig {
    /// Graphs that are computed at once, at least 1.
    pub fn effective_concurrent_builds(&self) -> usize {
        match self.concurrent_builds {
            0 => available_parallelism().map_or(1, NonZero::get),
            builds => builds,
        }
    }

    /// # Errors
    /// A setting cannot be used; `graph-builder` is the table that holds it.
    pub fn check(&self) -> Result<(), Invalid> {
        for (name, zero) in [
            ("graph-builder.max-services", self.max_services == 0),
            ("graph-builder.patience-seconds", self.patience_seconds == 0),
        ] {
            if zero {
                return Err(Invalid::new(name, "is 0, with which no graph can be built; set at least 1"));
            }
        }
        let urls = self.peer_urls();
        for url in &urls {
            client::check_url("graph-builder.peers", url)?;
        }
        self.client.check("graph-builder.client", &urls)?;
        self.server.check("graph-builder.server")
    }

    /// Addresses of other graph-builders.
    pub fn peer_urls(&self) -> Vec<&str> {
        self.peers.split(',').map(str::trim).filter(|url| !url.is_empty()).collect()
    }

    /// Most tests of a graph; `None` for no limit.
    pub fn max_tests(&self) -> Option<u64> {
        (self.max_tests > 0).then_some(self.max_tests)
    }

    /// Memory for the inputs of peers, bytes.
    pub const fn input_cache_bytes(&self) -> usize {
        self.input_cache_mib.saturating_mul(1 << 20)
    }

    /// How long a caller may keep a stream waiting.
    pub const fn patience(&self) -> Duration {
        Duration::from_secs(self.patience_seconds)
    }
}

impl Default for GraphBuilderConfig {
    fn default() -> Self {
        Self {
            server: ServerConfig::on_port(DEFAULT_PORT),
            concurrent_builds: 0,
            queued_builds: 64,
            threads: 0,
            max_services: 5000,
            max_tests: 20_000_000_000,
            input_cache_mib: 1024,
            peers: String::new(),
            client: ClientConfig { resolve_seconds: RESOLVE_SECONDS, ..ClientConfig::default() },
            coordinator_tests: true,
            link_mbit: 1000,
            patience_seconds: 60,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_kebab_case_and_unknown_ones_are_refused() {
        let parse = serde_json::from_str::<GraphBuilderConfig>;
        let config = parse(r#"{"max-services": 7}"#).unwrap();
        assert_eq!(config.max_services, 7);
        assert_eq!(config.server.listen.port(), DEFAULT_PORT);
        assert!(config.effective_concurrent_builds() >= 1);
        assert!(parse(r#"{"max_services": 7}"#).is_err());
    }
}
