//! From RPC to algorithm.

mod admission;
mod answer;
mod clock;
mod description;
mod exchange;
mod input_cache;
mod job;
mod level_job;
mod metrics;
mod pair_code;
mod peers;
mod resample_job;
mod resample_shard;
mod shard;
mod spread;
mod upload;
mod workers;

use std::{
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use automap_proto::{
    incident::rows_from_wire,
    invalid::Invalid,
    v1::{self, graph_builder_service_server::GraphBuilderService as Rpc},
};
use automap_service_kit::{
    error::{ErrorCode, ServiceError},
    telemetry::sizes,
    work,
};
use futures::{StreamExt as _, future::ready, stream, stream::BoxStream};
use prometheus_client::registry::Registry;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};
use tracing::Instrument as _;
use uuid::Uuid;

use self::{
    admission::Admission,
    answer::Answer,
    description::GraphTask,
    input_cache::InputCache,
    metrics::BuildMetrics,
    peers::Peers,
    resample_shard::AskedResamples,
    shard::Shard,
    upload::Upload,
    workers::{Team, Workers},
};
use crate::{build_id::build_id, checksum::checksum, config::GraphBuilderConfig, peer_input::PeerInput};

/// Messages of an answer that wait for a caller to take them.
const ANSWER_MESSAGES: usize = 64;

type AnswerStream = BoxStream<'static, Result<v1::BuildGraphResponse, Status>>;

/// The service `automap.v1.GraphBuilderService`.
#[derive(Debug)]
pub struct GraphBuilderService {
    /// Most bytes of samples of a frame.
    max_frame_bytes: usize,
    max_services: usize,
    /// Most tests of a graph.
    max_tests: Option<u64>,
    patience: Duration,
    admission: Admission,
    workers: Workers,
    inputs: Arc<InputCache>,
    /// Names this process among its peers.
    instance: String,
    peers: Option<Arc<Peers>>,
    metrics: BuildMetrics,
}

impl GraphBuilderService {
    /// Starts the threads that compute, and looks for peers. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// The address of a peer, or a certificate for it, cannot be used.
    pub fn new(config: &GraphBuilderConfig) -> Result<Self, Invalid> {
        let instance = Uuid::now_v7().to_string();
        Ok(Self {
            max_frame_bytes: config.server.max_frame_bytes(),
            max_services: config.max_services,
            max_tests: config.max_tests(),
            patience: config.patience(),
            admission: Admission::new(config.effective_concurrent_builds(), config.queued_builds),
            workers: Workers::new(config.threads),
            inputs: Arc::new(InputCache::new(config.input_cache_bytes())),
            peers: Peers::new(config, &instance)?.map(Arc::new),
            instance,
            metrics: BuildMetrics::default(),
        })
    }

    /// Registers what it counts.
    pub fn register(&self, registry: &mut Registry) {
        self.metrics.register(self.peers.clone(), registry);
    }

    async fn build(
        &self,
        mut requests: Streaming<v1::BuildGraphRequest>,
    ) -> Result<AnswerStream, ServiceError> {
        let place = self.admission.enter()?;
        let mut upload = Upload::new(self.patience, self.max_frame_bytes, self.max_services);
        let description = upload.description(&mut requests).await?;
        let outline = description::Outline::new(&description)?;
        upload.begin(description.frame.as_ref())?;
        let assembler = upload.samples(&mut requests).await?;
        let task =
            work::run(move |_| Ok(GraphTask::new(outline, &description, assembler.finish()?)?)).await?;

        sizes::record_frame(&task.frame);
        let (sender, receiver) = mpsc::channel(ANSWER_MESSAGES);
        let answer = Answer {
            task: Arc::new(task),
            workers: self.workers.clone(),
            patience: self.patience,
            max_tests: self.max_tests,
            peers: self.peers.clone(),
            metrics: self.metrics.clone(),
            sender,
        };
        let running = tokio::spawn(answer.run(place).in_current_span());
        // An answer that breaks off ends with its error: a stream that just ends looks complete.
        let ending = stream::once(running).filter_map(|outcome| {
            ready(match outcome {
                Ok(Ok(())) => None,
                Ok(Err(error)) => {
                    tracing::info!(%error, "an answer of BuildGraph broke off");
                    Some(Err(error.into()))
                }
                Err(error) => {
                    tracing::error!(%error, "an answer of BuildGraph panicked");
                    Some(Err(ServiceError::internal(
                        "sending the answer failed; the log of this service says where",
                    )
                    .into()))
                }
            })
        });
        Ok(ReceiverStream::new(receiver).map(Ok).chain(ending).boxed())
    }

    async fn put(&self, mut requests: Streaming<v1::PutInputRequest>) -> Result<String, ServiceError> {
        let _place = self.admission.enter()?;
        let mut upload = Upload::new(self.patience, self.max_frame_bytes, self.max_services);
        let description: v1::InputDescription = upload.description(&mut requests).await?;
        upload.begin(description.frame.as_ref())?;
        self.inputs.check(announced_bytes(&description))?;
        let assembler = upload.samples(&mut requests).await?;
        let inputs = Arc::clone(&self.inputs);
        work::run(move |_| {
            let frame = assembler.finish()?;
            let rows = rows_from_wire("description.rows", &description.rows, frame.grid())?;
            let input = PeerInput::new(&frame, &rows);
            let hash = input.hash().to_owned();
            inputs.insert(input)?;
            Ok(hash)
        })
        .await
    }

    async fn test(&self, request: v1::TestEdgesRequest) -> Result<v1::TestEdgesResponse, ServiceError> {
        self.help(request.build.clone(), request.input_hash.clone(), move |input, team, stop| {
            let mut answer = Shard::new(&request, input.services())?.test(input, team, stop)?;
            answer.checksum = checksum(&request, &answer);
            Ok(answer)
        })
        .await
    }

    async fn resample(
        &self,
        request: v1::TestResamplesRequest,
    ) -> Result<v1::TestResamplesResponse, ServiceError> {
        self.help(request.build.clone(), request.input_hash.clone(), move |input, team, stop| {
            let mut answer = AskedResamples::new(&request, input.services())?.test(input, team, stop)?;
            answer.checksum = checksum(&request, &answer);
            Ok(answer)
        })
        .await
    }

    /// Computes on an input that a peer left here.
    async fn help<T: Send + 'static>(
        &self,
        build: String,
        input_hash: String,
        compute: impl FnOnce(&PeerInput, &Team, &AtomicBool) -> Result<T, ServiceError> + Send + 'static,
    ) -> Result<T, ServiceError> {
        let place = self.admission.enter()?;
        if !build.is_empty() && build != build_id() {
            return Err(ServiceError::new(
                ErrorCode::Conflict,
                format!(
                    "this pod runs build {} and its caller {build}: verdicts may differ; run one build everywhere",
                    build_id(),
                ),
            ));
        }
        let input = self.inputs.get(&input_hash)?;
        let turn = place.turn().await?;
        let team = self.workers.team();
        work::run(move |stop| {
            let _turn = turn;
            compute(&input, &team, stop)
        })
        .await
    }

    fn check(&self, request: &v1::CheckPeerRequest) -> v1::CheckPeerResponse {
        v1::CheckPeerResponse {
            instance: self.instance.clone(),
            build: build_id(),
            threads: u32::try_from(self.workers.threads()).unwrap_or(u32::MAX),
            has_input: self.inputs.get(&request.input_hash).is_ok(),
        }
    }
}

/// Memory that an input will take.
fn announced_bytes(description: &v1::InputDescription) -> usize {
    let services = description.frame.as_ref().map_or(0, |header| header.services.len());
    let rows = description
        .rows
        .iter()
        .fold(0_u64, |sum, range| sum.saturating_add(range.end.saturating_sub(range.first)));
    PeerInput::bytes_for(services, usize::try_from(rows).unwrap_or(usize::MAX))
}

#[tonic::async_trait]
impl Rpc for GraphBuilderService {
    type BuildGraphStream = AnswerStream;

    async fn build_graph(
        &self,
        request: Request<Streaming<v1::BuildGraphRequest>>,
    ) -> Result<Response<Self::BuildGraphStream>, Status> {
        Ok(Response::new(self.build(request.into_inner()).await?))
    }

    async fn put_input(
        &self,
        request: Request<Streaming<v1::PutInputRequest>>,
    ) -> Result<Response<v1::PutInputResponse>, Status> {
        let input_hash = self.put(request.into_inner()).await?;
        Ok(Response::new(v1::PutInputResponse { input_hash }))
    }

    async fn test_edges(
        &self,
        request: Request<v1::TestEdgesRequest>,
    ) -> Result<Response<v1::TestEdgesResponse>, Status> {
        Ok(Response::new(self.test(request.into_inner()).await?))
    }

    async fn test_resamples(
        &self,
        request: Request<v1::TestResamplesRequest>,
    ) -> Result<Response<v1::TestResamplesResponse>, Status> {
        Ok(Response::new(self.resample(request.into_inner()).await?))
    }

    async fn check_peer(
        &self,
        request: Request<v1::CheckPeerRequest>,
    ) -> Result<Response<v1::CheckPeerResponse>, Status> {
        Ok(Response::new(self.check(request.get_ref())))
    }
}
