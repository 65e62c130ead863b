//! What a diagnosis leaves in the profiler's memory.

use automap_proto::{frame::MetricFrame, incident::IncidentContext, time::UnixMillis, v1};
use automap_service_kit::error::ServiceError;
use sha2::{Digest as _, Sha256};

use crate::{
    graph_plan::graph_settings, normal_history, parameters::AutomapParameters, peers::Peers,
    ranker::GraphInput,
};

/// Values of one answer with remembered rows; eight bytes each, far below the largest message.
const MESSAGE_VALUES: usize = 256 << 10;
/// Series of a service that has many.
const SERIES_OF_SERVICE: usize = 32;

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
        // Look-back may reach into an earlier incident.
        let request = v1::AddNormalGraphRequest {
            normal_graph: Some(normal_graph),
            only_if_normal: true,
            ..Default::default()
        };
        add_normal_graph(peers, request).await?;
    }
    let incident_id = incident_id(context);
    let by_evidence = diagnosis.method() == v1::Method::Evidence;
    let incident = v1::Incident {
        incident_id: incident_id.clone(),
        context: Some(context.into()),
        settings: Some((&graph_settings(parameters, context.front_end())?).into()),
        anomaly_graph: Some(graph.anomaly.to_wire_without_tests()),
        profiles: graph.profiles.iter().map(v1::ServiceProfile::from).collect(),
        correlations: graph.correlations_to_wire(),
        ranked_services: diagnosis.ranking.iter().map(|ranked| ranked.service.clone()).collect(),
        recorded_at: Some(now().to_wire()),
        confirmations: Vec::new(),
        evidence: diagnosis
            .ranking
            .iter()
            .filter(|ranked| !ranked.evidence.is_empty())
            .map(|ranked| evidence(ranked, by_evidence))
            .collect(),
    };
    let request = v1::RecordIncidentRequest { incident: Some(incident) };
    peers
        .ask_profiler(request, |mut profiler, request| async move { profiler.record_incident(request).await })
        .await?;
    Ok(incident_id)
}

/// Has the graph of a normal window remembered; answers whether it was new.
///
/// # Errors
/// The profiler refused or cannot be reached.
pub(crate) async fn add_normal_graph(
    peers: &Peers,
    request: v1::AddNormalGraphRequest,
) -> Result<bool, ServiceError> {
    let answer = peers
        .ask_profiler(
            request,
            |mut profiler, request| async move { profiler.add_normal_graph(request).await },
        )
        .await?;
    Ok(answer.added)
}

/// Has rows of normal times remembered; answers how many were taken and how many were left out as not normal.
///
/// # Errors
/// The profiler refused or cannot be reached.
pub(crate) async fn add_normal_rows(
    peers: &Peers,
    system: &str,
    services: Vec<v1::ServiceRows>,
    abnormal: &[v1::TimeWindow],
) -> Result<v1::AddNormalRowsResponse, ServiceError> {
    let mut most = v1::AddNormalRowsResponse::default();
    for services in normal_history::in_messages(services) {
        let request =
            v1::AddNormalRowsRequest { system: system.to_owned(), services, abnormal: abnormal.to_vec() };
        let answer = peers
            .ask_profiler(
                request,
                |mut profiler, request| async move { profiler.add_normal_rows(request).await },
            )
            .await?;
        // All services have the same rows.
        most.rows = most.rows.max(answer.rows);
        most.abnormal_rows = most.abnormal_rows.max(answer.abnormal_rows);
    }
    Ok(most)
}

/// Remembered rows of normal times that resemble the time of an incident, of the services of a frame and from before
/// its first row.
///
/// # Errors
/// The profiler refused or cannot be reached.
pub(crate) async fn normal_rows(
    peers: &Peers,
    context: &IncidentContext,
    frame: &MetricFrame,
    rows: usize,
) -> Result<Vec<v1::ServiceRows>, ServiceError> {
    let per_message = (MESSAGE_VALUES / (rows.max(1) * SERIES_OF_SERVICE)).max(1);
    let mut found = Vec::new();
    for services in frame.services().chunks(per_message) {
        let request = v1::GetNormalRowsRequest {
            system: context.system().into(),
            services: services.to_vec(),
            before: Some(frame.grid().time(0).to_wire()),
            at: Some(context.anomaly_start().to_wire()),
            rows: u32::try_from(rows).unwrap_or(u32::MAX),
        };
        let answer = peers
            .ask_profiler(
                request,
                |mut profiler, request| async move { profiler.get_normal_rows(request).await },
            )
            .await?;
        found.extend(answer.services);
    }
    Ok(found)
}

/// What spoke against a service, with its score when that is one by evidence. Nothing learned is in it: weights are learned
/// from it.
fn evidence(ranked: &v1::RankedService, by_evidence: bool) -> v1::ServiceEvidence {
    v1::ServiceEvidence {
        service: ranked.service.clone(),
        evidence: ranked.evidence.clone(),
        score: by_evidence.then(|| ranked.unlearned_score.unwrap_or(ranked.score)),
    }
}

/// The wall clock, for the times at which things were recorded; nothing is computed from it.
pub(crate) fn now() -> UnixMillis {
    let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    UnixMillis(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
}
