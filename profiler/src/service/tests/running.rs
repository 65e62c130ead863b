//! A profiler on a loopback port, and what is asked of it.

use std::path::Path;

use automap_proto::{
    settings::GraphSettings,
    v1::{self, profiler_service_client::ProfilerServiceClient},
};
use automap_service_kit::{
    client::{self, Channel},
    error::{ErrorCode, ServiceError},
    server::{ServeError, ServerConfig},
};
use tempfile::TempDir;
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;
use tonic::Status;

use crate::{ProfilerConfig, open_store, sample, serve};

pub(super) struct Running {
    pub(super) client: ProfilerServiceClient<Channel>,
    pub(super) channel: Channel,
    shutdown: CancellationToken,
    task: JoinHandle<Result<(), ServeError>>,
}

pub(super) fn config(path: &Path) -> ProfilerConfig {
    ProfilerConfig {
        path: path.to_owned(),
        server: ServerConfig::on_port(0),
        max_import_mib: 1,
        ..ProfilerConfig::default()
    }
}

pub(super) async fn start(path: &Path) -> Running {
    let config = config(path);
    let store = open_store(&config).await.unwrap();
    let listener = TcpListener::bind(config.server.listen).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let shutdown = CancellationToken::new();
    let task = tokio::spawn(serve(listener, store, config, shutdown.clone()));
    let channel = client::channel("profiler", &url).unwrap();
    Running { client: ProfilerServiceClient::new(channel.clone()), channel, shutdown, task }
}

impl Running {
    pub(super) async fn stop(self) {
        self.shutdown.cancel();
        self.task.await.unwrap().unwrap();
    }
}

pub(super) fn directory() -> TempDir {
    tempfile::tempdir().unwrap()
}

pub(super) fn field<T: std::fmt::Debug>(answer: Result<T, Status>) -> String {
    let error = ServiceError::from(answer.unwrap_err());
    assert_eq!(error.code(), ErrorCode::InvalidInput, "{error}");
    error.field().unwrap_or_default().to_owned()
}

pub(super) fn code<T: std::fmt::Debug>(answer: Result<T, Status>) -> ErrorCode {
    ServiceError::from(answer.unwrap_err()).code()
}

pub(super) fn selector() -> v1::NormalGraphSelector {
    v1::NormalGraphSelector {
        system: "shop".into(),
        settings: Some((&GraphSettings::default()).into()),
        window_ms: 30_000,
    }
}

/// The sample incident weighed with normal behaviour.
pub(super) fn weigh_request() -> v1::WeighMetricsRequest {
    v1::WeighMetricsRequest {
        system: "shop".into(),
        front_end: "front".into(),
        incident_graph: sample::incident("x", 1, &[]).anomaly_graph,
        normal: Some(selector()),
        ..Default::default()
    }
}

pub(super) fn record(name: &str) -> v1::RecordIncidentRequest {
    v1::RecordIncidentRequest { incident: Some(sample::incident(name, 100, &["cart", "db", "front"])) }
}

pub(super) fn confirm(name: &str, root_causes: &[&str]) -> v1::ConfirmRootCauseRequest {
    v1::ConfirmRootCauseRequest {
        incident_id: name.into(),
        confirmation: Some(v1::Confirmation { confirmed_at: None, ..sample::confirmation(root_causes) }),
    }
}
