//! The RPCs of `WalkerService`: each decodes its request, has the work done, and encodes the answer.

mod access;
mod admission;
pub(crate) mod claims;
mod history;
mod incident;
mod internal;
mod learn;
mod learn_graphs;
mod pace;
mod registry;
pub(crate) mod run;

use std::{collections::BTreeMap, pin::Pin, sync::Arc};

use automap_proto::{
    invalid::Invalid,
    time::TimeWindow,
    v1::{
        self, diagnose_recording_request, diagnose_recording_response, diagnose_response,
        walker_service_server,
    },
};
use automap_service_kit::{deadline, error::ServiceError};
use futures::{Stream, StreamExt as _};
use tokio::sync::mpsc;
use tokio_stream::wrappers::{BroadcastStream, ReceiverStream};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tonic::{Request, Response, Status, Streaming};
use tracing::Instrument as _;
use uuid::Uuid;

use crate::{
    config::{LearnJob, WalkerConfig},
    memory::now,
    order::{Input, Order},
    peers::Peers,
    queried_window::queried_window,
};
use admission::Admission;
use registry::Registry;
use run::{Answer, Unclaimed};

/// Chunks of an upload that may wait for the collector.
const UPLOAD_BACKLOG: usize = 4;

type ResponseStream<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// Messages that may wait for a slow caller.
const CALLER_BACKLOG: usize = 64;

/// What a caller who listens is sent: progress, walks where they are wanted, and the diagnosis last.
enum Part {
    Progress(v1::DiagnosisProgress),
    Walk(v1::WalkSteps),
    Diagnosis(Box<v1::Diagnosis>),
}

/// The walker's RPCs.
#[derive(Debug, Clone)]
pub struct WalkerRpc {
    peers: Peers,
    config: Arc<WalkerConfig>,
    /// Names this walker among those that share a profiler.
    name: Arc<str>,
    registry: Registry,
    admission: Arc<Admission>,
    /// Diagnoses that run without a caller.
    pub(crate) started: TaskTracker,
    shutdown: CancellationToken,
}

impl WalkerRpc {
    /// # Errors
    /// A setting cannot be used.
    pub(crate) fn new(config: WalkerConfig, shutdown: CancellationToken) -> Result<Self, Invalid> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        config.check()?;
        Ok(Self {
            peers: Peers::connect(&config)?,
            name: claims::walker_name(),
            registry: Registry::new(),
            admission: Arc::new(Admission::new(&config, cores)),
            started: TaskTracker::new(),
            shutdown,
            config: Arc::new(config),
        })
    }

    /// What is to be learned without being asked.
    pub(crate) fn learn_jobs(&self) -> &BTreeMap<String, LearnJob> {
        &self.config.learn
    }
}

#[tonic::async_trait]
impl walker_service_server::WalkerService for WalkerRpc {
    type DiagnoseStream = ResponseStream<v1::DiagnoseResponse>;
    type DiagnoseRecordingStream = ResponseStream<v1::DiagnoseRecordingResponse>;
    type WatchDiagnosesStream = ResponseStream<v1::WatchDiagnosesResponse>;

    async fn diagnose(
        &self,
        request: Request<v1::DiagnoseRequest>,
    ) -> Result<Response<Self::DiagnoseStream>, Status> {
        use diagnose_response::Part as Wire;
        let caller = access::caller(&request, "Diagnose")?;
        let order = self.order(Uuid::now_v7().to_string(), request.into_inner())?;
        let order = access::ordered_by(&caller, order)?;
        let wrap = |part| v1::DiagnoseResponse {
            part: Some(match part {
                Part::Progress(progress) => Wire::Progress(progress),
                Part::Walk(walk) => Wire::Walk(walk),
                Part::Diagnosis(diagnosis) => Wire::Diagnosis(*diagnosis),
            }),
        };
        Ok(Response::new(self.stream(order, wrap)))
    }

    async fn diagnose_recording(
        &self,
        request: Request<Streaming<v1::DiagnoseRecordingRequest>>,
    ) -> Result<Response<Self::DiagnoseRecordingStream>, Status> {
        use diagnose_recording_response::Part as Wire;
        let caller = access::caller(&request, "DiagnoseRecording")?;
        let order = access::ordered_by(&caller, self.upload_order(request.into_inner()).await?)?;
        let wrap = |part| v1::DiagnoseRecordingResponse {
            part: Some(match part {
                Part::Progress(progress) => Wire::Progress(progress),
                Part::Walk(walk) => Wire::Walk(walk),
                Part::Diagnosis(diagnosis) => Wire::Diagnosis(*diagnosis),
            }),
        };
        Ok(Response::new(self.stream(order, wrap)))
    }

    async fn start_diagnosis(
        &self,
        request: Request<v1::StartDiagnosisRequest>,
    ) -> Result<Response<v1::StartDiagnosisResponse>, Status> {
        let caller = access::caller(&request, "StartDiagnosis")?;
        let v1::StartDiagnosisRequest { request_id, diagnosis } = request.into_inner();
        check_request_id(&request_id)?;
        let diagnosis = diagnosis.ok_or_else(|| ServiceError::from(Invalid::missing("diagnosis")))?;
        let digest = claims::request_digest(&diagnosis);
        let mut order = access::ordered_by(&caller, self.order(request_id.clone(), diagnosis)?)?;
        order.record = true;
        self.start(order, digest, Unclaimed::Begins).await?;
        Ok(Response::new(v1::StartDiagnosisResponse { diagnosis_id: request_id }))
    }

    async fn get_diagnosis(
        &self,
        request: Request<v1::WalkerServiceGetDiagnosisRequest>,
    ) -> Result<Response<v1::WalkerServiceGetDiagnosisResponse>, Status> {
        let caller = access::caller(&request, "GetDiagnosis")?;
        let diagnosis = self.find_for(&caller, &request.into_inner().diagnosis_id).await?;
        Ok(Response::new(v1::WalkerServiceGetDiagnosisResponse { diagnosis: Some(diagnosis) }))
    }

    async fn list_diagnoses(
        &self,
        request: Request<v1::WalkerServiceListDiagnosesRequest>,
    ) -> Result<Response<v1::WalkerServiceListDiagnosesResponse>, Status> {
        let caller = access::caller(&request, "ListDiagnoses")?;
        Ok(Response::new(self.list(&caller, request.into_inner()).await?))
    }

    async fn cancel_diagnosis(
        &self,
        request: Request<v1::CancelDiagnosisRequest>,
    ) -> Result<Response<v1::CancelDiagnosisResponse>, Status> {
        let caller = access::caller(&request, "CancelDiagnosis")?;
        let id = request.into_inner().diagnosis_id;
        self.find_for(&caller, &id).await?;
        if !self.registry.cancel(&id) {
            self.cancel_elsewhere(&id).await?;
        }
        Ok(Response::new(v1::CancelDiagnosisResponse {}))
    }

    async fn watch_diagnoses(
        &self,
        request: Request<v1::WatchDiagnosesRequest>,
    ) -> Result<Response<Self::WatchDiagnosesStream>, Status> {
        let caller = access::caller(&request, "WatchDiagnoses")?;
        let system = request.into_inner().system;
        if !system.is_empty() {
            caller.require_system(&system)?;
        }
        let news = BroadcastStream::new(self.registry.watch()).filter_map(move |item| {
            // A watcher that lags misses states that newer ones have replaced.
            let wanted = item.ok().filter(|news| {
                (system.is_empty() || news.system == system) && caller.systems().contains(&news.system)
            });
            futures::future::ready(wanted.map(Ok))
        });
        Ok(Response::new(Box::pin(news.take_until(self.shutdown.clone().cancelled_owned()))))
    }

    async fn explain_service(
        &self,
        request: Request<v1::ExplainServiceRequest>,
    ) -> Result<Response<v1::ExplainServiceResponse>, Status> {
        let caller = access::caller(&request, "ExplainService")?;
        Ok(Response::new(self.explain(&caller, request.into_inner()).await?))
    }

    async fn learn_recording(
        &self,
        request: Request<Streaming<v1::LearnRecordingRequest>>,
    ) -> Result<Response<v1::LearnRecordingResponse>, Status> {
        access::caller(&request, "LearnRecording")?.require_all_systems("LearnRecording")?;
        let learned = self.learn_upload(request.into_inner()).await?;
        Ok(Response::new(v1::LearnRecordingResponse { learned: Some(learned) }))
    }

    async fn learn_source(
        &self,
        request: Request<v1::LearnSourceRequest>,
    ) -> Result<Response<v1::LearnSourceResponse>, Status> {
        access::caller(&request, "LearnSource")?.require_all_systems("LearnSource")?;
        let learned = self.learn_source_of(request.into_inner()).await?;
        Ok(Response::new(v1::LearnSourceResponse { learned: Some(learned) }))
    }

    async fn confirm_root_cause(
        &self,
        request: Request<v1::WalkerServiceConfirmRootCauseRequest>,
    ) -> Result<Response<v1::WalkerServiceConfirmRootCauseResponse>, Status> {
        let caller = access::caller(&request, "ConfirmRootCause")?;
        Ok(Response::new(self.confirm(&caller, request.into_inner()).await?))
    }
}

impl WalkerRpc {
    fn order(&self, diagnosis_id: String, request: v1::DiagnoseRequest) -> Result<Order, ServiceError> {
        let source = request.source.ok_or_else(|| Invalid::missing("source"))?;
        let (context, settings) = (request.context.as_ref(), request.settings);
        let window = match &request.window {
            Some(window) => Some(TimeWindow::from_wire("window", window)?),
            None if matches!(source.source, Some(v1::metric_source::Source::Query(_))) => {
                context.map(|known| queried_window(known, now())).transpose()?
            }
            None => None,
        };
        Ok(Order::new(
            diagnosis_id,
            Input::Source(source, window),
            context,
            settings,
            &self.config.parameters,
        )?
        .with_alerts(request.alerts)?)
    }

    /// Reads the first message of an upload; the rest is passed on as it comes.
    async fn upload_order(
        &self,
        mut upload: Streaming<v1::DiagnoseRecordingRequest>,
    ) -> Result<Order, ServiceError> {
        use diagnose_recording_request::Part;
        let first = upload.message().await.map_err(ServiceError::from)?;
        let Some(Part::Incident(incident)) = first.and_then(|message| message.part) else {
            return Err(Invalid::new("part", "the first message must hold the incident").into());
        };
        let description = incident.description.ok_or_else(|| Invalid::missing("incident.description"))?;
        let requests = forward(upload, description, |message| match message.part {
            Some(Part::Data(bytes)) => Some(v1::collect_recording_request::Part::Data(bytes)),
            Some(Part::Edges(bytes)) => Some(v1::collect_recording_request::Part::Edges(bytes)),
            _ => None,
        });
        Ok(Order::new(
            Uuid::now_v7().to_string(),
            Input::Upload(requests),
            incident.context.as_ref(),
            incident.settings,
            &self.config.parameters,
        )?)
    }

    /// Runs an order for a caller who listens; when the caller goes, the work stops.
    fn stream<T: Send + 'static>(&self, order: Order, wrap: fn(Part) -> T) -> ResponseStream<T> {
        let (sender, receiver) = mpsc::channel(CALLER_BACKLOG);
        let walker = self.clone();
        let diagnosing = async move {
            // Progress is for people: what a slow reader has no room for is left out, never waited for.
            let tell = |progress| drop(sender.try_send(Ok(wrap(Part::Progress(progress)))));
            let answer = tokio::select! {
                answer = walker.run(order, Some(&tell)) => answer,
                () = sender.closed() => return,
            };
            // The caller may have gone with the answer on its way.
            match answer {
                Ok(Answer { diagnosis, walk }) => {
                    for steps in walk {
                        sender.send(Ok(wrap(Part::Walk(steps)))).await.ok();
                    }
                    sender.send(Ok(wrap(Part::Diagnosis(Box::new(diagnosis))))).await.ok();
                }
                Err(error) => {
                    sender.send(Err(error.into())).await.ok();
                }
            }
        };
        tokio::spawn(deadline::carry(diagnosing.in_current_span()));
        Box::pin(ReceiverStream::new(receiver))
    }
}

/// Passes the rest of an upload on to the collector as it comes.
fn forward<T: Send + 'static>(
    mut upload: Streaming<T>,
    description: v1::RecordingDescription,
    data: fn(T) -> Option<v1::collect_recording_request::Part>,
) -> ReceiverStream<v1::CollectRecordingRequest> {
    let (sender, requests) = mpsc::channel(UPLOAD_BACKLOG);
    tokio::spawn(async move {
        let mut part = Some(v1::collect_recording_request::Part::Description(description));
        loop {
            let broken = part.is_none();
            if sender.send(v1::CollectRecordingRequest { part }).await.is_err() || broken {
                return;
            }
            let message = tokio::select! {
                message = upload.message() => message,
                // Nobody reads on: a caller that sends nothing more would hold this for ever.
                () = sender.closed() => return,
            };
            part = match message {
                Ok(None) => return,
                // A message without a part tells the collector that the upload broke: it must not take what came so
                // far for the whole file.
                Ok(Some(message)) => data(message),
                Err(_) => None,
            };
        }
    });
    ReceiverStream::new(requests)
}

fn check_request_id(id: &str) -> Result<(), ServiceError> {
    let valid = (1..=64).contains(&id.len())
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    if valid {
        return Ok(());
    }
    Err(Invalid::new("request_id", "must be 1 to 64 letters, digits, - and _").into())
}
