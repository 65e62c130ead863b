//! Configuration of the collector.

use std::{collections::BTreeMap, path::PathBuf};

use automap_proto::invalid::Invalid;
use automap_service_kit::server::ServerConfig;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::query::config::QuerySourceConfig;

/// Port of the collector unless configured.
pub const DEFAULT_PORT: u16 = 4311;

/// Configuration of the collector.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct CollectorConfig {
    /// How the service listens and what it bears; `max-frame-mib` bounds the samples and names of a recording as well.
    pub server: ServerConfig,
    /// Directory below which callers may name recorded incidents. Without it they can only upload them.
    pub recordings_root: Option<PathBuf>,
    /// How long an upload may stand still, and how long it may go on more slowly than 4 KiB/s, seconds.
    pub patience_seconds: u64,
    /// Servers that may be queried, by the name that callers use: no caller can have another one queried.
    pub sources: BTreeMap<String, QuerySourceConfig>,
}

impl Default for CollectorConfig {
    fn default() -> Self {
        Self {
            server: ServerConfig::on_port(DEFAULT_PORT),
            recordings_root: None,
            patience_seconds: 60,
            sources: BTreeMap::new(),
        }
    }
}

impl CollectorConfig {
    /// # Errors
    /// A setting cannot be used; `collector` is the table that holds it.
    pub fn check(&self) -> Result<(), Invalid> {
        if self.patience_seconds == 0 {
            return Err(Invalid::new(
                "collector.patience-seconds",
                "is 0, with which no upload is taken; set at least 1",
            ));
        }
        self.server.check("collector.server")?;
        self.sources.iter().try_for_each(|(name, source)| source.check(&format!("collector.sources.{name}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_kebab_case_and_unknown_ones_are_refused() {
        let parse = serde_json::from_str::<CollectorConfig>;
        let config = parse(r#"{"recordings-root": "/var/lib/incidents"}"#).unwrap();
        assert_eq!(config.server.listen.port(), DEFAULT_PORT);
        assert_eq!(config.recordings_root, Some("/var/lib/incidents".into()));
        assert!(parse(r#"{"recordings_root": "/x"}"#).is_err());
    }
}
