//! Receiving a description and the frame that it announces.

use std::time::Duration;

use automap_proto::{frame_stream::FrameAssembler, invalid::Invalid, v1};
use automap_service_kit::error::{ErrorCode, ServiceError};
use futures::{Stream, StreamExt as _};
use tonic::Status;

/// A message of an upload.
pub(super) enum Part<D> {
    Description(D),
    Chunk(v1::FrameChunk),
}

/// A request message that is a part of an upload.
pub(super) trait IntoPart {
    type Description;

    /// What it carries; `None` when it is empty.
    fn into_part(self) -> Option<Part<Self::Description>>;
}

impl IntoPart for v1::BuildGraphRequest {
    type Description = v1::GraphDescription;

    fn into_part(self) -> Option<Part<Self::Description>> {
        use v1::build_graph_request::Part as Wire;
        self.part.map(|part| match part {
            Wire::Description(description) => Part::Description(description),
            Wire::Chunk(chunk) => Part::Chunk(chunk),
        })
    }
}

impl IntoPart for v1::PutInputRequest {
    type Description = v1::InputDescription;

    fn into_part(self) -> Option<Part<Self::Description>> {
        use v1::put_input_request::Part as Wire;
        self.part.map(|part| match part {
            Wire::Description(description) => Part::Description(description),
            Wire::Chunk(chunk) => Part::Chunk(chunk),
        })
    }
}

/// An upload under way: [`Self::description`], then [`Self::begin`], then [`Self::samples`].
#[derive(Debug)]
pub(super) struct Upload {
    patience: Duration,
    max_frame_bytes: usize,
    max_services: usize,
    assembler: Option<FrameAssembler>,
}

impl Upload {
    pub(super) const fn new(patience: Duration, max_frame_bytes: usize, max_services: usize) -> Self {
        Self { patience, max_frame_bytes, max_services, assembler: None }
    }

    /// The first message.
    pub(super) async fn description<R: IntoPart>(
        &self,
        requests: &mut (impl Stream<Item = Result<R, Status>> + Unpin),
    ) -> Result<R::Description, ServiceError> {
        match self.next(requests).await? {
            Some(Part::Description(description)) => Ok(description),
            Some(Part::Chunk(_)) => {
                Err(Invalid::new("part", "is a chunk; send the description first").into())
            }
            None => Err(Invalid::missing("description").into()),
        }
    }

    /// Checks the header of the frame before any of its samples are taken.
    pub(super) fn begin(&mut self, header: Option<&v1::MetricFrameHeader>) -> Result<(), Invalid> {
        let header = header.ok_or_else(|| Invalid::missing("description.frame"))?;
        if header.services.len() > self.max_services {
            return Err(Invalid::new(
                "description.frame.services",
                format!(
                    "names {} services, more than the limit of {}; leave services out, or raise max-services of the \
                     graph-builder",
                    header.services.len(),
                    self.max_services
                ),
            ));
        }
        self.assembler = Some(
            FrameAssembler::new(header, self.max_frame_bytes)
                .map_err(|invalid| invalid.within("description"))?,
        );
        Ok(())
    }

    /// All chunks until the caller has sent its last.
    pub(super) async fn samples<R: IntoPart>(
        mut self,
        requests: &mut (impl Stream<Item = Result<R, Status>> + Unpin),
    ) -> Result<FrameAssembler, ServiceError> {
        let mut assembler = self.assembler.take().ok_or_else(|| Invalid::missing("description.frame"))?;
        while let Some(part) = self.next(requests).await? {
            match part {
                Part::Chunk(chunk) => assembler.push(&chunk.data)?,
                Part::Description(_) => {
                    return Err(Invalid::new("part", "is a second description; send one, then chunks").into());
                }
            }
        }
        Ok(assembler)
    }

    async fn next<R: IntoPart>(
        &self,
        requests: &mut (impl Stream<Item = Result<R, Status>> + Unpin),
    ) -> Result<Option<Part<R::Description>>, ServiceError> {
        let message = tokio::time::timeout(self.patience, requests.next())
            .await
            .map_err(|_| {
                ServiceError::new(
                    ErrorCode::DeadlineExceeded,
                    format!(
                        "no message came for {} s; send the frame without pauses, or raise patience-seconds of the \
                         graph-builder",
                        self.patience.as_secs()
                    ),
                )
            })?;
        match message {
            None => Ok(None),
            Some(request) => match request?.into_part() {
                Some(part) => Ok(Some(part)),
                None => Err(Invalid::missing("part").into()),
            },
        }
    }
}
