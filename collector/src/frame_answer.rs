//! A frame on its way to a caller.

use automap_proto::{frame::MetricFrame, frame_stream, incident::IncidentContext, v1};
use automap_service_kit::{error::ServiceError, server::MAX_MESSAGE_BYTES, telemetry::sizes};
use prost::Message as _;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use crate::source::SourceFrame;

/// Parts that wait for the caller; a slow one holds this many chunks of 1 MiB beside the frame.
const WAITING_PARTS: usize = 4;

/// Streams a frame as header, chunks and summary, each wrapped into a response. A caller that goes away ends it.
///
/// # Errors
/// The header alone is larger than a message may be.
pub(crate) fn stream<Response: Send + 'static>(
    collected: SourceFrame,
    wrap: fn(v1::FramePart) -> Response,
) -> Result<ReceiverStream<Result<Response, Status>>, ServiceError> {
    sizes::record_frame(&collected.frame);
    let header = header_within_limit(&collected.frame)?;
    let summary = v1::FrameSummary {
        warnings: collected.warnings,
        context: collected.context.as_ref().map(|context: &IncidentContext| context.into()),
    };
    let (sender, receiver) = mpsc::channel(WAITING_PARTS);
    tokio::spawn(async move {
        use v1::frame_part::Part;
        let chunks = frame_stream::chunks(&collected.frame).map(Part::Chunk);
        let parts = [Part::Header(header)].into_iter().chain(chunks).chain([Part::Summary(summary)]);
        for part in parts {
            let response = wrap(v1::FramePart { part: Some(part) });
            if sender.send(Ok(response)).await.is_err() {
                tracing::debug!("the caller left before the end of its frame");
                return;
            }
        }
    });
    Ok(ReceiverStream::new(receiver))
}

fn header_within_limit(frame: &MetricFrame) -> Result<v1::MetricFrameHeader, ServiceError> {
    let header = frame_stream::header(frame);
    // Room for the messages around it.
    let limit = MAX_MESSAGE_BYTES - 1024;
    if header.encoded_len() > limit {
        return Err(automap_proto::invalid::Invalid::new(
            "frame.series",
            format!(
                "has {} series, whose names alone take more than the {} MiB of a message; leave columns out or shorten \
                 their names",
                frame.series().len(),
                MAX_MESSAGE_BYTES >> 20
            ),
        )
        .into());
    }
    Ok(header)
}
