//! Configuration of the walker.

use automap_service_kit::server::ServerConfig;
use serde::{Deserialize, Serialize};

use crate::parameters::MethodParameters;

/// Configuration of the walker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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
    /// Diagnoses that run at once; 0 means twice the number of cores.
    pub concurrent_diagnoses: usize,
    /// Diagnoses that may wait for their turn; more are refused with a hint when to come back.
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
            concurrent_diagnoses: 0,
            queued_diagnoses: 256,
            parameters: MethodParameters::default(),
        }
    }
}
