//! The upload of a frame to the graph-builder.

use std::sync::Arc;

use automap_proto::{
    frame::MetricFrame,
    frame_stream,
    v1::{self, build_graph_request::Part},
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

/// Chunks that may wait to be sent.
const BACKLOG: usize = 4;

/// The messages of one `BuildGraph` call: the description with the frame's header in it, then the samples, made on a thread
/// of their own at the pace at which they are sent. Must be called within a tokio runtime.
pub fn requests(
    frame: Arc<MetricFrame>,
    mut description: v1::GraphDescription,
) -> ReceiverStream<v1::BuildGraphRequest> {
    description.frame = Some(frame_stream::header(&frame));
    let (sender, receiver) = mpsc::channel(BACKLOG);
    tokio::task::spawn_blocking(move || {
        let chunks = frame_stream::chunks(&frame).map(Part::Chunk);
        for part in std::iter::once(Part::Description(description)).chain(chunks) {
            if sender.blocking_send(v1::BuildGraphRequest { part: Some(part) }).is_err() {
                break;
            }
        }
    });
    ReceiverStream::new(receiver)
}
