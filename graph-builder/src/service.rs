//! From RPC to algorithm.

mod admission;
mod answer;
mod description;
mod input_cache;
mod shard;
mod upload;
mod workers;

use std::{sync::Arc, time::Duration};

use automap_proto::{
    incident::rows_from_wire,
    v1::{self, graph_builder_service_server::GraphBuilderService as Rpc},
};
use automap_service_kit::{error::ServiceError, telemetry::sizes, work};
use futures::{StreamExt as _, future::ready, stream, stream::BoxStream};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};
use tracing::Instrument as _;

use self::{
    admission::Admission, answer::Answer, description::GraphTask, input_cache::InputCache, shard::Shard,
    upload::Upload, workers::Workers,
};
use crate::{config::GraphBuilderConfig, peer_input::PeerInput};

/// Messages of an answer that wait for a caller to take them.
const ANSWER_MESSAGES: usize = 64;

type AnswerStream = BoxStream<'static, Result<v1::BuildGraphResponse, Status>>;

/// The service `automap.v1.GraphBuilderService`.
#[derive(Debug)]
pub struct GraphBuilderService {
    /// Most bytes of samples of a frame.
    max_frame_bytes: usize,
    max_services: usize,
    patience: Duration,
    admission: Admission,
    workers: Workers,
    inputs: Arc<InputCache>,
}

impl GraphBuilderService {
    /// Starts the threads that compute.
    pub fn new(config: &GraphBuilderConfig) -> Self {
        Self {
            max_frame_bytes: config.server.max_frame_bytes(),
            max_services: config.max_services,
            patience: config.patience(),
            admission: Admission::new(config.effective_concurrent_builds(), config.queued_builds),
            workers: Workers::new(config.threads),
            inputs: Arc::new(InputCache::new(config.input_cache_bytes())),
        }
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
        let answer =
            Answer { task: Arc::new(task), workers: self.workers.clone(), patience: self.patience, sender };
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
        let place = self.admission.enter()?;
        let input = self.inputs.get(&request.input_hash)?;
        let turn = place.turn().await?;
        let workers = self.workers.clone();
        work::run(move |stop| {
            let _turn = turn;
            let shard = Shard::new(&request, input.services())?;
            shard.test(&input, &workers, stop)
        })
        .await
    }
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
}
