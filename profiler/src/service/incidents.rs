//! RPCs about past incidents.

use automap_proto::{frame::check_name, invalid::Invalid, time::UnixMillis, v1};
use automap_service_kit::error::ServiceError;

use super::{list_query, told_or_now};
use crate::{
    anomaly_profile::AnomalyProfile,
    confirmation::Confirmation,
    past_incident::PastIncident,
    record_id::RecordId,
    similarity::RERANKED,
    store::{ProfileStore, SimilarIncident, SimilarityQuery},
};

/// Answers of FindSimilarIncidents unless the request says so.
const DEFAULT_LIMIT: usize = 10;

pub(super) fn find_similar(
    store: &dyn ProfileStore,
    request: &v1::FindSimilarIncidentsRequest,
) -> Result<v1::FindSimilarIncidentsResponse, ServiceError> {
    check_name("system", &request.system)?;
    let graph = request.anomaly_graph.as_ref().ok_or_else(|| Invalid::missing("anomaly_graph"))?;
    let limit = match request.limit as usize {
        0 => DEFAULT_LIMIT,
        limit if limit <= RERANKED => limit,
        limit => return Err(Invalid::new("limit", format!("is {limit}; at most {RERANKED}")).into()),
    };
    let query = SimilarityQuery {
        system: request.system.clone(),
        profile: AnomalyProfile::from_wire(graph, &request.profiles)?,
        limit,
        confirmed_only: request.confirmed_only,
        exclude: excluded_incident(&request.exclude_incident_id)?,
    };
    let similar = store.similar_incidents(&query)?;
    let similar = similar.iter().map(|found| similar_to_wire(store, found)).collect::<Result<_, _>>()?;
    Ok(v1::FindSimilarIncidentsResponse { similar })
}

pub(super) fn record(
    store: &dyn ProfileStore,
    request: v1::RecordIncidentRequest,
    now: UnixMillis,
) -> Result<v1::RecordIncidentResponse, ServiceError> {
    let mut wire = request.incident.ok_or_else(|| Invalid::missing("incident"))?;
    if !wire.confirmations.is_empty() {
        let way_out = "must be empty; ConfirmRootCause adds confirmations";
        return Err(Invalid::new("incident.confirmations", way_out).into());
    }
    if wire.incident_id.is_empty() {
        wire.incident_id = uuid::Uuid::now_v7().to_string();
    }
    wire.recorded_at = told_or_now(wire.recorded_at, now);
    store.record_incident(&PastIncident::try_from(&wire)?)?;
    Ok(v1::RecordIncidentResponse { incident_id: wire.incident_id })
}

pub(super) fn confirm(
    store: &dyn ProfileStore,
    request: v1::ConfirmRootCauseRequest,
    now: UnixMillis,
) -> Result<v1::ConfirmRootCauseResponse, ServiceError> {
    let id = RecordId::new("incident_id", &request.incident_id)?;
    let mut wire = request.confirmation.ok_or_else(|| Invalid::missing("confirmation"))?;
    wire.confirmed_at = wire.confirmed_at.or_else(|| Some(now.to_wire()));
    let incident = store.confirm(&id, Confirmation::try_from(&wire)?)?;
    Ok(v1::ConfirmRootCauseResponse { incident: Some((&incident).into()) })
}

pub(super) fn get(
    store: &dyn ProfileStore,
    request: &v1::GetIncidentRequest,
) -> Result<v1::GetIncidentResponse, ServiceError> {
    let id = RecordId::new("incident_id", &request.incident_id)?;
    let incident = store.incident(&id)?.ok_or_else(|| store.unknown_incident(&id))?;
    Ok(v1::GetIncidentResponse { incident: Some((&incident).into()) })
}

pub(super) fn delete(
    store: &dyn ProfileStore,
    request: &v1::DeleteIncidentRequest,
) -> Result<v1::DeleteIncidentResponse, ServiceError> {
    store.delete_incident(&RecordId::new("incident_id", &request.incident_id)?)?;
    Ok(v1::DeleteIncidentResponse {})
}

pub(super) fn list(
    store: &dyn ProfileStore,
    request: v1::ListIncidentsRequest,
) -> Result<v1::ListIncidentsResponse, ServiceError> {
    let query = list_query(request.system, request.confirmed_only, request.page_size, request.page_token)?;
    let page = store.list_incidents(&query)?;
    Ok(v1::ListIncidentsResponse {
        incidents: page.records.iter().map(v1::Incident::from).collect(),
        next_page_token: page.next_page_token,
    })
}

/// Decodes `exclude_incident_id`; empty excludes none.
pub(super) fn excluded_incident(id: &str) -> Result<Option<RecordId>, Invalid> {
    if id.is_empty() {
        return Ok(None);
    }
    RecordId::new("exclude_incident_id", id).map(Some)
}

/// With the metric that was confirmed, which only the record itself knows.
pub(super) fn similar_to_wire(
    store: &dyn ProfileStore,
    found: &SimilarIncident,
) -> Result<v1::SimilarIncident, ServiceError> {
    let verdict = found.verdict.as_ref();
    let metric = match verdict {
        None => None,
        Some(_) => store.incident(&found.id)?.and_then(|past| past.confirmations.last()?.metric),
    };
    Ok(v1::SimilarIncident {
        incident_id: found.id.as_str().to_owned(),
        similarity: found.similarity,
        root_causes: verdict.map(|known| known.root_causes.clone()).unwrap_or_default(),
        precision: verdict.map_or(0.0, |known| known.precision),
        metric: metric.map_or(0, |metric| metric.to_wire().into()),
    })
}
