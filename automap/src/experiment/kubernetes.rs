//! The application in a cluster, harmed by Chaos Mesh.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use automap_pymicro::fault::Fault;

use super::{
    driver::Driver,
    kubectl::Kubectl,
    manifest::{KINDS, LABEL, manifest},
};
use crate::named_source::NamedSource;

/// How long Chaos Mesh may take to inject or remove a fault, and a service to come back.
const PATIENCE: Duration = Duration::from_secs(180);

/// A cluster that kubectl reaches.
#[derive(Debug)]
pub struct Kubernetes {
    kubectl: Kubectl,
    source: NamedSource,
    services: Vec<String>,
    fault_length: Duration,
}

impl Kubernetes {
    /// The application's `services` in the namespace of `kubectl`, whose metrics `source` has. A fault lasts `fault_length`.
    pub const fn new(
        kubectl: Kubectl,
        source: NamedSource,
        services: Vec<String>,
        fault_length: Duration,
    ) -> Self {
        Self { kubectl, source, services, fault_length }
    }

    async fn call(&self, arguments: &[&str]) -> anyhow::Result<String> {
        self.kubectl.run(arguments, None, PATIENCE).await
    }
}

fn selector() -> String {
    format!("{}={}", LABEL.0, LABEL.1)
}

fn patience() -> String {
    format!("--timeout={}s", PATIENCE.as_secs())
}

impl Driver for Kubernetes {
    async fn prepare(&mut self) -> anyhow::Result<()> {
        let mut arguments = vec!["get", "deployments", "--output=name"];
        arguments.extend(self.services.iter().map(String::as_str));
        let namespace = &self.kubectl.namespace;
        self.call(&arguments).await.with_context(|| {
            format!("the application is not in namespace {namespace}; apply deploy/pymicro, or name another with --namespace")
        })?;
        self.heal().await?;
        self.verify_healed(None).await
    }

    fn source(&self) -> Option<&NamedSource> {
        Some(&self.source)
    }

    async fn inject(&mut self, round: usize, service: &str, fault: &Fault) -> anyhow::Result<()> {
        let name = format!("automap-round-{round:03}");
        let object = manifest(fault, &name, &self.kubectl.namespace, service, self.fault_length)?;
        let kind = object["kind"].as_str().context("a manifest without kind")?.to_lowercase();
        let text = serde_json::to_vec(&object)?;
        self.kubectl.run(&["create", "--filename=-"], Some(&text), PATIENCE).await?;
        let named = format!("{kind}/{name}");
        self.call(&["wait", "--for=condition=AllInjected", &named, &patience()]).await.with_context(|| {
            format!("Chaos Mesh did not inject {named}; `kubectl describe {named}` tells why, most often the socket of the container runtime")
        })?;
        Ok(())
    }

    async fn heal(&mut self) -> anyhow::Result<()> {
        // Waits for the finalizers of Chaos Mesh, which go when a fault is undone.
        let removed =
            self.call(&["delete", KINDS, "--selector", &selector(), "--ignore-not-found", &patience()]).await;
        removed.with_context(|| {
            format!(
                "a fault could not be removed: look at `kubectl --namespace {} get {KINDS}`",
                self.kubectl.namespace
            )
        })?;
        Ok(())
    }

    async fn verify_healed(&mut self, service: Option<&str>) -> anyhow::Result<()> {
        let left = self.call(&["get", KINDS, "--selector", &selector(), "--output=name"]).await?;
        ensure!(
            left.trim().is_empty(),
            "faults are left: {}",
            left.split_whitespace().collect::<Vec<_>>().join(", ")
        );
        let services =
            self.services.iter().map(String::as_str).filter(|name| service.is_none_or(|one| one == *name));
        let deployments: Vec<String> = services.map(|name| format!("deployment/{name}")).collect();
        let bound = patience();
        let mut arguments = vec!["wait", "--for=condition=Available", bound.as_str()];
        arguments.extend(deployments.iter().map(String::as_str));
        self.call(&arguments).await.context("the application does not serve again")?;
        Ok(())
    }

    async fn stop(&mut self) -> anyhow::Result<()> {
        Ok(())
    }
}
