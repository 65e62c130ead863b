//! Where metrics come from: one trait, whatever keeps them.

use std::future::Future;

use automap_proto::{
    call_graph::CallGraph, edge_frame::EdgeFrame, frame::MetricFrame, incident::IncidentContext,
};
use automap_service_kit::error::ServiceError;

use crate::limits::SampleBounds;

/// The frame of a source, with what the source knows besides.
#[derive(Debug, Clone)]
pub struct SourceFrame {
    /// All series, aligned, congestion derived.
    pub frame: MetricFrame,
    /// What callers measured of their calls, where the source has it.
    pub edges: Option<EdgeFrame>,
    /// What a person should know about the data.
    pub warnings: Vec<String>,
    /// Those of them that tell of metrics which the source has and the frame has not.
    pub left_out: Vec<String>,
    /// The incident that the source describes, when it describes all of it.
    pub context: Option<IncidentContext>,
    /// Who calls whom, where the source measures it.
    pub call_graph: Option<CallGraph>,
}

impl SourceFrame {
    /// A frame of a source that knows nothing of calls.
    pub const fn new(frame: MetricFrame, warnings: Vec<String>, context: Option<IncidentContext>) -> Self {
        Self { frame, edges: None, warnings, left_out: Vec::new(), context, call_graph: None }
    }
}

/// A source of metrics. Dropping a returned future stops its work.
pub trait MetricSource: Send + Sync {
    /// The frame of all services, of the samples within `bounds`.
    ///
    /// # Errors
    /// The source cannot be read, or holds too little or too much.
    fn frame(&self, bounds: SampleBounds) -> impl Future<Output = Result<SourceFrame, ServiceError>> + Send;

    /// Names of the services that the source knows, sorted.
    ///
    /// # Errors
    /// The source cannot be read.
    fn services(&self) -> impl Future<Output = Result<Vec<String>, ServiceError>> + Send;
}
