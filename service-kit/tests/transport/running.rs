//! A running server that answers health, and a service of its own that answers when it is told to.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use automap_proto::v1::{
    self,
    collector_service_server::{CollectorService, CollectorServiceServer},
};
use automap_service_kit::{
    access::{Policy, Role},
    client::{Channel, ClientConfig, Dialer},
    deadline,
    error::ServiceError,
    server::{self, ServeError, ServerConfig},
    tls::ClientTlsConfig,
};
use futures::stream::{self, BoxStream, StreamExt as _};
use tokio::{net::TcpListener, sync::Notify, task::JoinHandle};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming, service::Routes};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

/// How long anything may take on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// Answers `ListServices` once it may, with the time that the call has left in milliseconds; streams without an end.
#[derive(Clone, Default)]
pub(crate) struct Gate {
    pub(crate) open: Arc<Notify>,
    /// Told when `ListServices` is asked.
    pub(crate) began: Arc<Notify>,
    pub(crate) dropped: Arc<Notify>,
}

struct TellDropped(Arc<Notify>);

impl Drop for TellDropped {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

#[tonic::async_trait]
impl CollectorService for Gate {
    type CollectFrameStream = BoxStream<'static, Result<v1::CollectFrameResponse, Status>>;
    type CollectRecordingStream = BoxStream<'static, Result<v1::CollectRecordingResponse, Status>>;

    async fn collect_frame(
        &self,
        _: Request<v1::CollectFrameRequest>,
    ) -> Result<Response<Self::CollectFrameStream>, Status> {
        let guard = TellDropped(Arc::clone(&self.dropped));
        let first = stream::iter([Ok(v1::CollectFrameResponse::default())]);
        let never = stream::pending().map(move |answer| {
            let _held = &guard;
            answer
        });
        Ok(Response::new(first.chain(never).boxed()))
    }

    async fn collect_recording(
        &self,
        _: Request<Streaming<v1::CollectRecordingRequest>>,
    ) -> Result<Response<Self::CollectRecordingStream>, Status> {
        Err(Status::unimplemented("not in this test"))
    }

    async fn list_services(
        &self,
        _: Request<v1::ListServicesRequest>,
    ) -> Result<Response<v1::ListServicesResponse>, Status> {
        let _guard = TellDropped(Arc::clone(&self.dropped));
        self.began.notify_one();
        let left = deadline::current().map(|until| until - tokio::time::Instant::now());
        self.open.notified().await;
        let services = left.map(|left| left.as_millis().to_string()).into_iter().collect();
        Ok(Response::new(v1::ListServicesResponse { services }))
    }

    async fn check_source(
        &self,
        _: Request<v1::CheckSourceRequest>,
    ) -> Result<Response<v1::CheckSourceResponse>, Status> {
        Ok(Response::new(v1::CheckSourceResponse::default()))
    }
}

pub(crate) const POLICY: Policy = Policy {
    service: "automap.v1.CollectorService",
    roles: &[
        ("CollectFrame", Role::Diagnose),
        ("CollectRecording", Role::Diagnose),
        ("ListServices", Role::Read),
        ("CheckSource", Role::Confirm),
    ],
    knows_systems: false,
};

/// A server on loopback; stops when dropped.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    pub(crate) gate: Gate,
    pub(crate) stop: CancellationToken,
    pub(crate) ended: JoinHandle<Result<(), ServeError>>,
}

impl Running {
    pub(crate) async fn start(config: ServerConfig) -> Self {
        let listener = server::bind(&config).await.unwrap();
        Self::on(listener, config)
    }

    pub(crate) fn on(listener: TcpListener, config: ServerConfig) -> Self {
        let address = listener.local_addr().unwrap();
        let (gate, stop) = (Gate::default(), CancellationToken::new());
        let routes = Routes::new(CollectorServiceServer::new(gate.clone()));
        let stopped = stop.clone();
        let ended =
            tokio::spawn(async move { server::serve(listener, &config, &POLICY, routes, stopped).await });
        Self { address, gate, stop, ended }
    }

    pub(crate) fn url(&self, scheme: &str) -> String {
        format!("{scheme}://localhost:{}", self.address.port())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// A channel with this TLS.
pub(crate) fn channel(url: &str, tls: ClientTlsConfig) -> Channel {
    let config = ClientConfig { resolve_seconds: 1, tls, ..ClientConfig::default() };
    Dialer::new("client", &config, &[url]).unwrap().channel("url", url).unwrap()
}

/// Asks for the health of the service and answers how that failed.
pub(crate) async fn check(channel: &Channel) -> Result<(), ServiceError> {
    let request = HealthCheckRequest { service: "automap.v1.CollectorService".into() };
    let mut client = HealthClient::new(channel.clone());
    let answer = tokio::time::timeout(PATIENCE, client.check(request));
    answer.await.expect("an answer in time").map(|_| ()).map_err(ServiceError::from)
}
