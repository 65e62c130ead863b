//! A frame on its way to a caller.

use automap_proto::{
    edge_frame::EdgeFrame, frame::MetricFrame, frame_stream, incident::IncidentContext, invalid::Invalid, v1,
};
use automap_service_kit::{error::ServiceError, server::MAX_MESSAGE_BYTES, telemetry::sizes};
use prost::Message as _;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use crate::source::SourceFrame;

/// Largest header: room stays for the messages around it.
const MAX_HEADER_BYTES: usize = MAX_MESSAGE_BYTES - 1024;
/// Parts that wait for the caller; a slow one holds this many chunks of 1 MiB beside the frame.
const WAITING_PARTS: usize = 4;

/// Streams a frame as header, chunks, measured calls where there are any, and summary, each wrapped into a response. A caller that goes away ends it.
///
/// # Errors
/// A header alone is larger than a message may be.
pub(crate) fn stream<Response: Send + 'static>(
    collected: SourceFrame,
    wrap: fn(v1::FramePart) -> Response,
) -> Result<ReceiverStream<Result<Response, Status>>, ServiceError> {
    sizes::record_frame(&collected.frame);
    let header = header_within_limit(&collected.frame)?;
    let edge_header = collected.edges.as_ref().map(edge_header_within_limit).transpose()?;
    let summary = v1::FrameSummary {
        warnings: collected.warnings,
        left_out: collected.left_out,
        call_graph: collected.call_graph.as_ref().map(Into::into),
        context: collected.context.as_ref().map(|context: &IncidentContext| context.into()),
    };
    let (sender, receiver) = mpsc::channel(WAITING_PARTS);
    tokio::spawn(async move {
        use v1::frame_part::Part;
        let chunks = frame_stream::chunks(&collected.frame).map(Part::Chunk);
        let edge_chunks = collected.edges.iter().flat_map(frame_stream::edge_chunks).map(Part::EdgeChunk);
        let parts = [Part::Header(header)]
            .into_iter()
            .chain(chunks)
            .chain(edge_header.map(Part::EdgeHeader))
            .chain(edge_chunks)
            .chain([Part::Summary(summary)]);
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
    if header.encoded_len() > MAX_HEADER_BYTES {
        return Err(Invalid::new(
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

fn edge_header_within_limit(edges: &EdgeFrame) -> Result<v1::EdgeFrameHeader, ServiceError> {
    let header = edges.header();
    if header.encoded_len() > MAX_HEADER_BYTES {
        let problem = format!(
            "has {} edges, whose names alone take more than the {} MiB of a message; leave some out",
            edges.edges().len(),
            MAX_MESSAGE_BYTES >> 20
        );
        return Err(Invalid::new("edges", problem).into());
    }
    Ok(header)
}
