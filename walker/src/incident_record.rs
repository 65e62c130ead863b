//! What a diagnosis leaves in the profiler's memory: the incident, and the normal graphs before it.

use automap_proto::{incident::IncidentContext, v1};
use automap_service_kit::error::{ErrorCode, ServiceError};
use sha2::{Digest as _, Sha256};

use crate::{
    graph_plan::graph_settings,
    memory::{add_normal_graph, now},
    parameters::AutomapParameters,
    peers::{Peers, is_missing},
    ranker::GraphInput,
    time_share::within_share,
};

/// Share of the time left that recording may take where nothing was asked of the profiler before.
const MEMORY_SHARE: f64 = 0.5;
/// What is told of an incident that was recorded without a behaviour graph.
const WITHOUT_GRAPH: &str = "the incident is recorded without a behaviour graph: it can be confirmed and teaches weights of evidence, \
                             but is compared with no other";

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

/// What a diagnosis knows of the behaviour graph of its incident.
pub(crate) struct OfGraph<'a> {
    pub(crate) found: &'a GraphInput,
    pub(crate) parameters: &'a AutomapParameters,
    pub(crate) normal_graphs: Vec<v1::NormalGraph>,
}

/// An incident that was recorded.
struct Recorded {
    incident_id: String,
    with_graph: bool,
}

/// Keeps the incident of a diagnosis and tells in the diagnosis what became of that; answers whether the profiler answers, as far
/// as it was not known before. `graph` is none where no graph was built.
pub(crate) async fn keep_incident(
    peers: &Peers,
    context: &IncidentContext,
    diagnosis: &mut v1::Diagnosis,
    graph: Option<OfGraph<'_>>,
) -> bool {
    let compared = graph.is_some();
    let recording = record(peers, context, diagnosis, graph);
    let recorded = if compared {
        recording.await
    } else {
        // Nothing was asked of the profiler so far: one that hangs must leave time for the answer.
        within_share("profiler", MEMORY_SHARE, recording).await
    };
    match recorded {
        Ok(kept) => {
            diagnosis.incident_id = kept.incident_id;
            diagnosis.warnings.extend((!kept.with_graph).then(|| WITHOUT_GRAPH.to_owned()));
            true
        }
        Err(error) => {
            diagnosis.warnings.push(format!("the incident was not recorded: {error}"));
            compared || !is_missing(&error)
        }
    }
}

/// Keeps the normal graphs and the incident. Where no graph was built the incident keeps the one of an earlier record, if there
/// is one.
///
/// # Errors
/// The profiler refused or cannot be reached.
async fn record(
    peers: &Peers,
    context: &IncidentContext,
    diagnosis: &v1::Diagnosis,
    graph: Option<OfGraph<'_>>,
) -> Result<Recorded, ServiceError> {
    let incident_id = incident_id(context);
    let of_graph = match graph {
        Some(known) => {
            let parts = graph_parts(context, &known)?;
            for normal_graph in known.normal_graphs {
                // Look-back may reach into an earlier incident.
                let request = v1::AddNormalGraphRequest {
                    normal_graph: Some(normal_graph),
                    only_if_normal: true,
                    ..Default::default()
                };
                add_normal_graph(peers, request).await?;
            }
            parts
        }
        None => recorded_before(peers, &incident_id).await?.unwrap_or_default(),
    };
    let incident = incident(context, diagnosis, of_graph);
    let with_graph = incident.anomaly_graph.is_some();
    let request = v1::RecordIncidentRequest { incident: Some(incident) };
    peers
        .ask_profiler(request, |mut profiler, request| async move { profiler.record_incident(request).await })
        .await?;
    Ok(Recorded { incident_id, with_graph })
}

/// The parts of a record that tell of the behaviour graph; the others are empty.
fn graph_parts(context: &IncidentContext, known: &OfGraph<'_>) -> Result<v1::Incident, ServiceError> {
    Ok(v1::Incident {
        settings: Some((&graph_settings(known.parameters, context.front_end())?).into()),
        anomaly_graph: Some(known.found.anomaly.to_wire_without_tests()),
        profiles: known.found.profiles.iter().map(v1::ServiceProfile::from).collect(),
        correlations: known.found.correlations_to_wire(),
        ..v1::Incident::default()
    })
}

/// The record of an incident, if there is one.
async fn recorded_before(peers: &Peers, incident_id: &str) -> Result<Option<v1::Incident>, ServiceError> {
    let request = v1::GetIncidentRequest { incident_id: incident_id.to_owned() };
    let found = peers
        .ask_profiler(request, |mut profiler, request| async move { profiler.get_incident(request).await })
        .await;
    match found {
        Ok(answer) => Ok(answer.incident),
        Err(error) if error.code() == ErrorCode::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// The record of an incident as it was diagnosed, with the graph of `of_graph`, of which nothing else is taken.
fn incident(context: &IncidentContext, diagnosis: &v1::Diagnosis, of_graph: v1::Incident) -> v1::Incident {
    let by_evidence = diagnosis.method() == v1::Method::Evidence;
    v1::Incident {
        incident_id: incident_id(context),
        context: Some(context.into()),
        settings: of_graph.settings,
        anomaly_graph: of_graph.anomaly_graph,
        profiles: of_graph.profiles,
        correlations: of_graph.correlations,
        ranked_services: diagnosis.ranking.iter().map(|ranked| ranked.service.clone()).collect(),
        recorded_at: Some(now().to_wire()),
        confirmations: Vec::new(),
        evidence: diagnosis
            .ranking
            .iter()
            .filter(|ranked| !ranked.evidence.is_empty())
            .map(|ranked| evidence(ranked, by_evidence))
            .collect(),
    }
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
