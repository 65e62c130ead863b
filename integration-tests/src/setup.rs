//! What services of a test are started with.

use std::path::Path;

use crate::{
    hosts::Hosts,
    pki::Pki,
    processes::{FourProcesses, Service},
};

/// Roles of services, those that others need first.
const ROLES: [&str; 4] = ["collector", "graph-builder", "profiler", "walker"];

/// What services are started with, beyond their configuration files.
#[derive(Debug, Clone, Default)]
pub struct Setup<'a> {
    environment: Vec<(&'a str, &'a str)>,
    settings: Vec<String>,
    secure: bool,
    /// Words before each command.
    words: Vec<String>,
}

impl<'a> Setup<'a> {
    /// With these environment variables.
    #[must_use]
    pub fn environment(mut self, variables: &[(&'a str, &'a str)]) -> Self {
        self.environment.extend(variables);
        self
    }

    /// With this setting, such as `walker.concurrent-diagnoses=1`; each service reads those of its role.
    #[must_use]
    pub fn set(mut self, setting: impl Into<String>) -> Self {
        self.settings.push(setting.into());
        self
    }

    /// With this setting of every role, such as `server.max-calls=2`.
    #[must_use]
    pub fn set_all(self, setting: &str) -> Self {
        ROLES.iter().fold(self, |setup, role| setup.set(format!("{role}.{setting}")))
    }

    /// With TLS between all of them, where each must show a certificate; files are looked at every second.
    #[must_use]
    pub fn mutual_tls(self, pki: &Pki) -> Self {
        let files = |table: &str, identity: &crate::pki::Identity| {
            [
                format!("{table}.certificate={}", identity.certificate.display()),
                format!("{table}.key={}", identity.key.display()),
                format!("{table}.reload-seconds=1"),
            ]
        };
        let ca = pki.authority.file.display();
        let server =
            files("server.tls", &pki.server).into_iter().chain([format!("server.tls.client-ca={ca}")]);
        let client =
            files("walker.client.tls", &pki.client).into_iter().chain([format!("walker.client.tls.ca={ca}")]);
        let setup = server.fold(self, |setup, setting| setup.set_all(&setting));
        Self { secure: true, ..client.fold(setup, Self::set) }
    }

    /// On this host.
    #[must_use]
    pub fn on(self, hosts: &Hosts, host: usize) -> Self {
        Self { words: hosts.on(host).into(), ..self }
    }

    /// Starts a service and waits until it listens.
    ///
    /// # Errors
    /// The process ended, or did not listen in time; its log is in the error.
    pub fn service(&self, home: &Path, role: &str, configuration: &str) -> anyhow::Result<Service> {
        let flags: Vec<&str> = self.settings.iter().flat_map(|setting| ["--set", setting.as_str()]).collect();
        let mut service =
            Service::start_behind(&self.words, &flags, &self.environment, home, role, configuration)?;
        if self.secure {
            service.address = service.address.replacen("http://", "https://", 1);
        }
        Ok(service)
    }

    /// Starts four services with their files in `home`; `recordings` is the collector's recordings root.
    ///
    /// # Errors
    /// A service did not listen in time.
    pub fn four(&self, home: &Path, recordings: &Path) -> anyhow::Result<FourProcesses> {
        let listen = |role: &str, more: &str| {
            self.service(home, role, &format!("[{role}]\n{more}[{role}.server]\nlisten = \"127.0.0.1:0\"\n"))
        };
        let collector = listen("collector", &format!("recordings-root = {recordings:?}\n"))?;
        let graph_builder = listen("graph-builder", "")?;
        let profiler = listen("profiler", &format!("path = {:?}\n", home.join("store")))?;
        let peers = [&collector.address, &graph_builder.address, &profiler.address];
        let walker = self.walker(home, peers.map(String::as_str))?;
        Ok(FourProcesses { collector, graph_builder, profiler, walker })
    }

    /// Starts a walker whose collector, graph-builder and profiler are reached at these addresses.
    ///
    /// # Errors
    /// It did not listen in time.
    pub fn walker(&self, home: &Path, peers: [&str; 3]) -> anyhow::Result<Service> {
        self.walker_with(home, peers, "")
    }

    /// The same with `more` at the end of its configuration, in the table `walker.server` unless it begins one of its own.
    ///
    /// # Errors
    /// It did not listen in time.
    pub fn walker_with(&self, home: &Path, peers: [&str; 3], more: &str) -> anyhow::Result<Service> {
        let [collector, graph_builder, profiler] = peers;
        let configuration = format!(
            "[walker]\ncollector = {collector:?}\ngraph-builder = {graph_builder:?}\nprofiler = {profiler:?}\n\
             [walker.server]\nlisten = \"127.0.0.1:0\"\n{more}"
        );
        self.service(home, "walker", &configuration)
    }
}
