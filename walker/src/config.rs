//! Configuration of the walker.

use std::collections::BTreeMap;

use automap_proto::invalid::Invalid;
use automap_service_kit::{
    client::{self, ClientConfig},
    http::HttpConfig,
    server::ServerConfig,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{alerts::config::AlertsConfig, parameters::MethodParameters, sinks::config::SinkConfig};

/// Configuration of the walker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct WalkerConfig {
    /// Where it listens.
    pub server: ServerConfig,
    /// Where people look at diagnoses, and alerts come in.
    pub http: HttpConfig,
    /// Which alerts begin a diagnosis; they come in at the HTTP port.
    pub alerts: AlertsConfig,
    /// Where finished diagnoses are sent, by names of your choosing.
    pub sinks: BTreeMap<String, SinkConfig>,
    /// Systems whose newest diagnosis /metrics of the admin port tells, for dashboards: the services ranked first, evidence and
    /// weights. Names of systems and services are labels there; 0 for none.
    pub newest_diagnoses: usize,
    /// Address of the collector.
    pub collector: String,
    /// Address of the graph-builder.
    pub graph_builder: String,
    /// Address of the profiler.
    pub profiler: String,
    /// How these are reached.
    pub client: ClientConfig,
    /// Diagnoses that run at once; 0 means twice the number of cores.
    pub concurrent_diagnoses: usize,
    /// Callers that may wait for a turn; more are refused with a hint when to come back. Unless set, half as many as run at
    /// once.
    pub waiting_callers: Option<usize>,
    /// Diagnoses without a caller (`StartDiagnosis`) that may wait for a turn; more are refused.
    pub queued_diagnoses: usize,
    /// How long a diagnosis stays with this walker when the profiler does not hear of it, seconds, 1 to 3600: after that it
    /// counts as failed, and another walker may take it over.
    pub lease_seconds: u64,
    /// What is learned of normal behaviour without being asked, by names of your choosing.
    pub learn: BTreeMap<String, LearnJob>,
    /// Defaults of the methods' parameters; a request may override each.
    pub parameters: MethodParameters,
}

/// Metrics whose normal times are learned again and again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct LearnJob {
    /// Name of a server that the collector asks (collector.sources.NAME).
    pub source: Option<String>,
    /// Preset of expressions; without it the one that the collector is configured with.
    pub preset: Option<String>,
    /// Name of a recording below the collector's root, in place of a server.
    pub recording: Option<String>,
    /// Name of the application; without it the one that a recording names, or that of the source.
    pub system: Option<String>,
    /// Minutes from one time to the next; the first is at the start.
    pub every_minutes: u64,
    /// Length of the normal windows whose behaviour graphs are remembered, too, minutes; without it none are built. Use the
    /// usual length of incidents.
    pub graph_window_minutes: Option<u64>,
}

impl Default for LearnJob {
    fn default() -> Self {
        Self {
            source: None,
            preset: None,
            recording: None,
            system: None,
            every_minutes: 60,
            graph_window_minutes: None,
        }
    }
}

impl LearnJob {
    /// Most minutes between two times: a week.
    pub(crate) const MAX_MINUTES: u64 = 7 * 24 * 60;

    fn check(&self, field: &str) -> Result<(), Invalid> {
        if self.source.is_some() == self.recording.is_some() {
            return Err(Invalid::new(
                format!("{field}.source"),
                "must be given, or a recording in its place, and not both",
            ));
        }
        if self.preset.is_some() && self.source.is_none() {
            return Err(Invalid::new(format!("{field}.preset"), "is of use with a source only"));
        }
        if !(1..=Self::MAX_MINUTES).contains(&self.every_minutes) {
            return Err(Invalid::new(
                format!("{field}.every-minutes"),
                format!("is {}; it must be 1 to {}", self.every_minutes, Self::MAX_MINUTES),
            ));
        }
        if self.graph_window_minutes.is_some_and(|minutes| !(1..=Self::MAX_MINUTES).contains(&minutes)) {
            return Err(Invalid::new(
                format!("{field}.graph-window-minutes"),
                format!("must be 1 to {}", Self::MAX_MINUTES),
            ));
        }
        Ok(())
    }
}

impl Default for WalkerConfig {
    fn default() -> Self {
        Self {
            server: ServerConfig::on_port(4310),
            http: HttpConfig::default(),
            alerts: AlertsConfig::default(),
            sinks: BTreeMap::new(),
            newest_diagnoses: 0,
            collector: "http://127.0.0.1:4311".into(),
            graph_builder: "http://127.0.0.1:4312".into(),
            profiler: "http://127.0.0.1:4313".into(),
            client: ClientConfig::default(),
            concurrent_diagnoses: 0,
            waiting_callers: None,
            queued_diagnoses: 256,
            lease_seconds: 30,
            learn: BTreeMap::new(),
            parameters: MethodParameters::default(),
        }
    }
}

impl WalkerConfig {
    /// # Errors
    /// A setting cannot be used, or two contradict each other; `walker` is the table that holds them.
    pub fn check(&self) -> Result<(), Invalid> {
        self.server.check("walker.server")?;
        self.http.check("walker.http")?;
        self.server.check_exposure("walker.server.listen", self.server.listen, "walker.server")?;
        if let Some(listen) = self.http.listen {
            self.server.check_exposure("walker.http.listen", listen, "walker.server")?;
        }
        self.alerts.check("walker.alerts")?;
        if !self.alerts.rules.is_empty() && self.http.listen.is_none() {
            return Err(Invalid::new("walker.alerts.rules", "need walker.http.listen, where alerts come in"));
        }
        for (name, sink) in &self.sinks {
            sink.check(&format!("walker.sinks.{name}"))?;
        }
        let addresses = self.addresses();
        for (field, url) in addresses {
            client::check_url(field, url)?;
        }
        self.client.check("walker.client", &addresses.map(|(_, url)| url))?;
        for (name, job) in &self.learn {
            job.check(&format!("walker.learn.{name}"))?;
        }
        if !(1..=3600).contains(&self.lease_seconds) {
            return Err(Invalid::new(
                "walker.lease-seconds",
                format!("is {}; it must be from 1 to 3600", self.lease_seconds),
            ));
        }
        self.parameters.with_overrides(&BTreeMap::new()).map_err(|invalid| invalid.within("walker"))?;
        Ok(())
    }

    /// The sources of the collector that are asked for by name, each with the setting that names it.
    pub fn source_names(&self) -> Vec<(String, &str)> {
        let rules = self.alerts.rules.iter().enumerate().filter_map(|(index, rule)| {
            let field = format!("walker.alerts.rules[{index}].source.default");
            Some((field, rule.source.default.as_deref()?))
        });
        let jobs = self
            .learn
            .iter()
            .filter_map(|(name, job)| Some((format!("walker.learn.{name}.source"), job.source.as_deref()?)));
        rules.chain(jobs).collect()
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
