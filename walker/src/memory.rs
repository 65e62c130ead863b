//! What a diagnosis leaves in the profiler's memory.

use automap_proto::{incident::IncidentContext, time::UnixMillis, v1};
use automap_service_kit::error::ServiceError;
use sha2::{Digest as _, Sha256};

use crate::{graph_plan::graph_settings, parameters::AutomapParameters, peers::Peers, ranker::GraphInput};

/// The id of an incident: the same whenever the same front end of the same system alerts at the same time.
pub(crate) fn incident_id(context: &IncidentContext) -> String {
    let mut hash = Sha256::new();
    for part in [context.system(), context.front_end()] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.update(context.anomaly_start().0.to_be_bytes());
    let digest = hash.finalize();
    let mut id = String::from("inc-");
    for byte in &digest[..8] {
        id.push_str(&format!("{byte:02x}"));
    }
    id
}

/// Keeps the normal graphs and the incident.
///
/// # Errors
/// The profiler refused or cannot be reached.
pub(crate) async fn record_incident(
    peers: &Peers,
    context: &IncidentContext,
    diagnosis: &v1::Diagnosis,
    graph: &GraphInput,
    parameters: &AutomapParameters,
    normal_graphs: Vec<v1::NormalGraph>,
) -> Result<String, ServiceError> {
    for normal_graph in normal_graphs {
        let request = v1::AddNormalGraphRequest { normal_graph: Some(normal_graph) };
        peers
            .ask_profiler(
                request,
                |mut profiler, request| async move { profiler.add_normal_graph(request).await },
            )
            .await?;
    }
    let incident_id = incident_id(context);
    let incident = v1::Incident {
        incident_id: incident_id.clone(),
        context: Some(context.into()),
        settings: Some((&graph_settings(parameters, context.front_end())?).into()),
        anomaly_graph: Some((&graph.anomaly).into()),
        profiles: graph.profiles.iter().map(v1::ServiceProfile::from).collect(),
        correlations: graph.correlations_to_wire(),
        ranked_services: diagnosis.ranking.iter().map(|ranked| ranked.service.clone()).collect(),
        recorded_at: Some(now().to_wire()),
        confirmations: Vec::new(),
        evidence: diagnosis
            .ranking
            .iter()
            .filter(|ranked| !ranked.evidence.is_empty())
            .map(evidence)
            .collect(),
    };
    let request = v1::RecordIncidentRequest { incident: Some(incident) };
    peers
        .ask_profiler(request, |mut profiler, request| async move { profiler.record_incident(request).await })
        .await?;
    Ok(incident_id)
}

/// What spoke against a service. No weight is in it, learned or not: weights are learned from it.
fn evidence(ranked: &v1::RankedService) -> v1::ServiceEvidence {
    v1::ServiceEvidence { service: ranked.service.clone(), evidence: ranked.evidence.clone() }
}

/// The wall clock, for the times at which things were recorded; nothing is computed from it.
pub(crate) fn now() -> UnixMillis {
    let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    UnixMillis(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
}
