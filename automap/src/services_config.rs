//! The configuration of all services: a table per role.

use std::{net::SocketAddr, path::Path, sync::Once};

use automap_collector::CollectorConfig;
use automap_graph_builder::GraphBuilderConfig;
use automap_profiler::ProfilerConfig;
use automap_proto::invalid::{Invalid, did_you_mean};
use automap_service_kit::{
    config::{self, Loaded, Sources},
    server::ServerConfig,
};
use automap_walker::WalkerConfig;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    arguments::{ConfigArgs, Role},
    failure::Failure,
    named_source::NamedSource,
    stdout,
};

/// The configuration file: a table per role. A service reads its own and ignores the others, so that one file can
/// serve them all.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct ServicesConfig {
    /// Of the collector.
    pub collector: CollectorConfig,
    /// Of the graph-builder.
    pub graph_builder: GraphBuilderConfig,
    /// Of the profiler.
    pub profiler: ProfilerConfig,
    /// Of the walker.
    pub walker: WalkerConfig,
}

/// Variables that override the file start with this.
const ENVIRONMENT_PREFIX: &str = "AUTOMAP_";

/// Reads the configuration from all its layers and checks what `role` will use of it.
///
/// # Errors
/// A layer cannot be read, or a setting cannot be used; the message says where it was set.
pub fn load(role: Role, args: &ConfigArgs) -> Result<Loaded<ServicesConfig>, Failure> {
    let loaded = read(args.config.as_deref(), &args.settings)?;
    loaded.config.check(role).map_err(|invalid| refuse(&loaded, &invalid))?;
    Ok(loaded)
}

/// The failure of a setting that cannot be used.
pub fn refuse(loaded: &Loaded<ServicesConfig>, invalid: &Invalid) -> Failure {
    Failure::Usage(refusal(loaded, invalid))
}

/// What is wrong with a setting, and where it was set.
pub fn refusal(loaded: &Loaded<ServicesConfig>, invalid: &Invalid) -> String {
    loaded.refuse(invalid).to_string()
}

/// The configuration of the services that run for one command, whose collector may ask `source`: what `file` and the
/// environment say of how things are computed and kept.
///
/// # Errors
/// As of [`load`].
pub fn of_command(file: Option<&Path>, source: Option<&NamedSource>) -> Result<ServicesConfig, Failure> {
    let loaded = read(file, &[])?;
    warn_of_ignored(&loaded);
    let mut config = loaded.config.clone().for_one_command();
    config.check(Role::All).map_err(|invalid| refuse(&loaded, &invalid))?;
    let sources = source.map(|source| (source.name.clone(), source.config.clone()));
    config.collector.sources = sources.into_iter().collect();
    Ok(config)
}

/// Tells the person which variables were likely meant for settings and are none, once in a process that reads its
/// configuration more than once.
pub fn warn_of_ignored(loaded: &Loaded<ServicesConfig>) {
    static TOLD: Once = Once::new();
    TOLD.call_once(|| loaded.ignored().iter().for_each(|sentence| stdout::warning(sentence)));
}

fn read(file: Option<&Path>, flags: &[(String, String)]) -> Result<Loaded<ServicesConfig>, Failure> {
    // A variable that is no text cannot be a setting.
    let environment = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    config::load(&Sources { file, prefix: ENVIRONMENT_PREFIX, environment, flags })
        .map_err(|error| Failure::Usage(error.to_string()))
}

impl ServicesConfig {
    /// # Errors
    /// A setting that `role` uses cannot be used, or two contradict each other.
    pub fn check(&self, role: Role) -> Result<(), Invalid> {
        match role {
            Role::Collector => self.collector.check(),
            Role::GraphBuilder => self.graph_builder.check(),
            Role::Profiler => self.profiler.check(),
            Role::Walker => self.walker.check(),
            Role::All => {
                self.collector.check()?;
                self.graph_builder.check()?;
                self.profiler.check()?;
                self.with_local_peers(|server| scheme(server).to_owned() + "://localhost").walker.check()?;
                self.check_sources()?;
                self.check_ports()
            }
        }
    }

    /// This configuration with a walker that calls the other three in the same process, where `url` says they listen.
    #[must_use]
    pub fn with_local_peers(&self, url: impl Fn(&ServerConfig) -> String) -> Self {
        let mut config = self.clone();
        config.walker.collector = url(&self.collector.server);
        config.walker.graph_builder = url(&self.graph_builder.server);
        config.walker.profiler = url(&self.profiler.server);
        config
    }

    /// What the walker asks the collector for is there: here both are configured.
    fn check_sources(&self) -> Result<(), Invalid> {
        let sources = &self.collector.sources;
        self.walker.source_names().into_iter().try_for_each(|(field, name)| {
            if sources.contains_key(name) {
                return Ok(());
            }
            let way_out = match did_you_mean(name, sources.keys().map(String::as_str)) {
                Some(near) => format!("did you mean {near}?"),
                None => format!("add the table collector.sources.{name}"),
            };
            Err(Invalid::new(
                field,
                format!("{name} is no source of the collector (collector.sources); {way_out}"),
            ))
        })
    }

    /// What services within one command take of it: how things are computed and kept, and how much a call may cost. They
    /// listen on free ports of loopback, speak in clear with each other, let the command do everything, and begin nothing
    /// by themselves but checkpoints: what a server removes, exports or refuses of its own store says nothing of the user's,
    /// where everything stays for as long as the longer of both retentions says.
    #[must_use]
    pub fn for_one_command(self) -> Self {
        let Self { collector, graph_builder, profiler, walker } = self;
        let alone = |server: ServerConfig| ServerConfig {
            drain_seconds: server.drain_seconds,
            max_call_seconds: server.max_call_seconds,
            max_frame_mib: server.max_frame_mib,
            ..ServerConfig::on_port(0)
        };
        let unset = Self::default();
        let mut schedule = unset.profiler.schedule;
        schedule.export_hours = 0;
        Self {
            collector: CollectorConfig {
                server: alone(collector.server),
                recordings_root: None,
                sources: unset.collector.sources,
                ..collector
            },
            graph_builder: GraphBuilderConfig {
                server: alone(graph_builder.server),
                peers: unset.graph_builder.peers,
                client: unset.graph_builder.client,
                ..graph_builder
            },
            profiler: ProfilerConfig {
                server: alone(profiler.server),
                reserve_mib: unset.profiler.reserve_mib,
                retention: profiler.retention.or_longer(unset.profiler.retention),
                schedule,
                ..profiler
            },
            walker: WalkerConfig {
                server: alone(walker.server),
                concurrent_diagnoses: walker.concurrent_diagnoses,
                // Its only caller is this command, which decides itself how much it asks at once.
                waiting_callers: Some(usize::MAX),
                parameters: walker.parameters,
                ..unset.walker
            },
        }
    }

    fn check_ports(&self) -> Result<(), Invalid> {
        let mut places = vec![
            ("walker.server.listen", self.walker.server.listen),
            ("collector.server.listen", self.collector.server.listen),
            ("graph-builder.server.listen", self.graph_builder.server.listen),
            ("profiler.server.listen", self.profiler.server.listen),
        ];
        places.extend(self.walker.http.listen.map(|listen| ("walker.http.listen", listen)));
        for (index, (field, listen)) in places.iter().enumerate() {
            let same = |(_, other): &&(&str, SocketAddr)| other == listen && listen.port() != 0;
            if let Some((taken_by, _)) = places[..index].iter().find(same) {
                return Err(Invalid::new(
                    *field,
                    format!("{listen} is taken by {taken_by}; choose another port"),
                ));
            }
        }
        Ok(())
    }
}

/// How a server is spoken to.
pub const fn scheme(server: &ServerConfig) -> &'static str {
    if server.tls.is_on() { "https" } else { "http" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_fit_every_role() {
        for role in [Role::Collector, Role::GraphBuilder, Role::Profiler, Role::Walker, Role::All] {
            ServicesConfig::default().check(role).unwrap();
        }
    }

    #[test]
    fn contradictions_are_refused_where_they_matter() {
        let mut config = ServicesConfig::default();
        config.profiler.server.listen = config.walker.server.listen;
        assert!(config.check(Role::Profiler).is_ok());
        assert_eq!(config.check(Role::All).unwrap_err().field(), "profiler.server.listen");
        let mut config = ServicesConfig::default();
        config.walker.http.listen = Some(config.collector.server.listen);
        assert_eq!(config.check(Role::All).unwrap_err().field(), "walker.http.listen");

        let mut config = ServicesConfig::default();
        config.collector.server.tls.certificate = Some("c.pem".into());
        assert_eq!(config.check(Role::Collector).unwrap_err().field(), "collector.server.tls.certificate");
        assert!(config.check(Role::Walker).is_ok());

        let mut config = ServicesConfig::default();
        config.walker.client.tls.ca = Some("ca.pem".into());
        let error = config.check(Role::Walker).unwrap_err();
        assert_eq!(error.field(), "walker.client.tls.ca");
        assert!(error.problem().contains("https://"), "{error}");
        config.walker.profiler = "https://profiler:4313".into();
        assert!(config.check(Role::Walker).is_ok());
    }

    #[test]
    fn sources_that_the_walker_asks_for_are_configured_where_both_are() {
        let rule = automap_walker::alerts::config::AlertRule::default();
        let fixed = |name: &str| automap_walker::alerts::config::FromLabel {
            default: Some(name.into()),
            ..Default::default()
        };
        let mut config = ServicesConfig::default();
        config.collector.sources.insert(
            "prod".into(),
            automap_collector::query::config::QuerySourceConfig {
                url: "http://prometheus:9090".into(),
                ..Default::default()
            },
        );
        config.walker.http.listen = Some(([127, 0, 0, 1], 0).into());
        let rule = automap_walker::alerts::config::AlertRule {
            system: fixed("shop"),
            front_end: fixed("web"),
            source: fixed("prodd"),
            ..rule
        };
        config.walker.alerts.rules = vec![rule];
        assert_eq!(config.check(Role::Walker), Ok(()), "the collector is elsewhere");
        let refused = config.check(Role::All).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "field `walker.alerts.rules[0].source.default`: prodd is no source of the collector (collector.sources); did you \
             mean prod?"
        );
        config.walker.alerts.rules[0].source = fixed("prod");
        assert_eq!(config.check(Role::All), Ok(()));
        config.walker.learn.insert(
            "nightly".into(),
            automap_walker::config::LearnJob { source: Some("test".into()), ..Default::default() },
        );
        assert_eq!(config.check(Role::All).unwrap_err().field(), "walker.learn.nightly.source");
    }

    #[test]
    fn one_command_takes_what_is_computed_and_leaves_what_belongs_to_servers() {
        let mut config = ServicesConfig::default();
        config.walker.server.listen = "0.0.0.0:4310".parse().unwrap();
        config.walker.server.tls.certificate = Some("c.pem".into());
        config.walker.http.listen = Some("0.0.0.0:4314".parse().unwrap());
        config.graph_builder.peers = "http://elsewhere:4312".into();
        config.graph_builder.max_tests = 7;
        config.profiler.neighbours = 9;
        config.profiler.reserve_mib = 1 << 30;
        config.profiler.retention.diagnoses = 1;
        config.walker.parameters.evidence.history_rows = 11;
        assert!(config.check(Role::All).is_err());
        let taken = config.for_one_command();
        taken.check(Role::All).unwrap();
        assert!(taken.walker.server.listen.ip().is_loopback() && taken.walker.server.listen.port() == 0);
        assert_eq!((taken.walker.http.listen, taken.graph_builder.peers.as_str()), (None, ""));
        assert_eq!((taken.graph_builder.max_tests, taken.profiler.neighbours), (7, 9));
        assert_eq!(taken.walker.parameters.evidence.history_rows, 11);
        // A store of the user is not kept as one of a server is.
        let (unset, kept) = (ServicesConfig::default().profiler, taken.profiler);
        assert_eq!((kept.reserve_mib, kept.retention), (unset.reserve_mib, unset.retention));
        assert_eq!(kept.schedule.export_hours, 0);
    }

    #[test]
    fn every_setting_is_documented() {
        for setting in config::settings::<ServicesConfig>() {
            assert!(!setting.description.is_empty() && setting.kind != "any", "{setting:?}");
        }
    }
}
