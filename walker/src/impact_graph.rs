//! The impact graph of the baseline `cloud-ranger`.

use std::sync::Arc;

use automap_proto::{
    frame::MetricFrame,
    incident::{IncidentContext, WindowRows},
    metric::METRIC_COUNT,
};
use automap_service_kit::error::ServiceError;

use crate::{
    graph_findings::GraphFindings,
    graph_plan::{INCIDENT_GRAPH, impact_settings},
    listener::Listener,
    parameters::AutomapParameters,
    peers::{GraphOrder, Peers},
    ranker::GraphInput,
    stages::Stages,
};

/// Has the PC graph of latency built over normal and incident rows together. Nothing is subtracted, compared or kept.
///
/// # Errors
/// The graph-builder failed.
pub(crate) async fn impact_graph(
    peers: &Peers,
    frame: &Arc<MetricFrame>,
    context: &IncidentContext,
    rows: &WindowRows,
    parameters: &AutomapParameters,
    listener: &dyn Listener,
    stages: &mut Stages,
) -> Result<GraphFindings, ServiceError> {
    let order = GraphOrder {
        settings: impact_settings(parameters, context.front_end())?,
        front_end: context.front_end(),
        selections: vec![(INCIDENT_GRAPH.to_owned(), rows.all())],
        tested: INCIDENT_GRAPH,
        budget: parameters.budget,
        ..GraphOrder::default()
    };
    let (mut graphs, _) = peers.build_graphs(Arc::clone(frame), order, listener).await?;
    let built = graphs
        .remove(INCIDENT_GRAPH)
        .ok_or_else(|| ServiceError::internal("the graph-builder left out the impact graph"))?;
    stages.end("graph");
    Ok(GraphFindings {
        input: GraphInput {
            anomaly: built.graph,
            profiles: Vec::new(),
            correlations: built.correlations,
            weights: [1.0 / METRIC_COUNT as f64; METRIC_COUNT],
            throughput: None,
            shares: None,
        },
        tests: built.tests,
        normal_windows: 0,
        normal_graphs: Vec::new(),
        similar: Vec::new(),
        learned: None,
        compared: false,
        memory_answers: true,
        warnings: built.warnings,
    })
}
