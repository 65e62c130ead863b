//! Configuration of the walker.

use std::collections::BTreeMap;

use automap_proto::invalid::Invalid;
use automap_service_kit::{
    client::{self, ClientConfig},
    server::ServerConfig,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::parameters::MethodParameters;

/// Configuration of the walker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct WalkerConfig {
    /// Where it listens.
    pub server: ServerConfig,
    /// Address of the collector.
    pub collector: String,
    /// Address of the graph-builder.
    pub graph_builder: String,
    /// Address of the profiler.
    pub profiler: String,
    /// How these are reached.
    pub client: ClientConfig,
    /// Diagnoses that run at once; 0 means the number of cores.
    pub concurrent_diagnoses: usize,
    /// Callers that may wait for a turn; more are refused with a hint when to come back. Unless set, half as many as run at
    /// once.
    pub waiting_callers: Option<usize>,
    /// Diagnoses without a caller (`StartDiagnosis`) that may wait for a turn; more are refused.
    pub queued_diagnoses: usize,
    /// Defaults of the methods' parameters; a request may override each.
    pub parameters: MethodParameters,
}

impl Default for WalkerConfig {
    fn default() -> Self {
        Self {
            server: ServerConfig::on_port(4310),
            collector: "http://127.0.0.1:4311".into(),
            graph_builder: "http://127.0.0.1:4312".into(),
            profiler: "http://127.0.0.1:4313".into(),
            client: ClientConfig::default(),
            concurrent_diagnoses: 0,
            waiting_callers: None,
            queued_diagnoses: 256,
            parameters: MethodParameters::default(),
        }
    }
}

impl WalkerConfig {
    /// # Errors
    /// A setting cannot be used, or two contradict each other; `walker` is the table that holds them.
    pub fn check(&self) -> Result<(), Invalid> {
        self.server.check("walker.server")?;
        let addresses = self.addresses();
        for (field, url) in addresses {
            client::check_url(field, url)?;
        }
        self.client.check("walker.client", &addresses.map(|(_, url)| url))?;
        self.parameters.with_overrides(&BTreeMap::new()).map_err(|invalid| invalid.within("walker"))?;
        Ok(())
    }

    /// The services that are called, by the setting that names them.
    pub(crate) fn addresses(&self) -> [(&'static str, &str); 3] {
        [
            ("walker.collector", &self.collector),
            ("walker.graph-builder", &self.graph_builder),
            ("walker.profiler", &self.profiler),
        ]
    }
}
