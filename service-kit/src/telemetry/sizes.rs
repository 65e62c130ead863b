//! The sizes that matter, on the span of the call that is under way: they stand in its trace and in its log lines.

use automap_proto::frame::MetricFrame;
use tracing::Span;

/// The frame that a call is about.
pub fn record_frame(frame: &MetricFrame) {
    let span = Span::current();
    span.record("automap.services", frame.services().len());
    span.record("automap.series", frame.series().len());
    span.record("automap.rows", frame.grid().samples());
    span.record("automap.frame_bytes", size_of_val(frame.values().as_slice().unwrap_or_default()));
}

/// The graphs that a call built: how many, with how many edges, by how many tests of independence.
pub fn record_graphs(graphs: usize, edges: usize, tests: u64) {
    let span = Span::current();
    span.record("automap.graphs", graphs);
    span.record("automap.edges", edges);
    span.record("automap.tests", tests);
}
