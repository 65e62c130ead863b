//! Incidents and their confirmations in the store.

use std::sync::PoisonError;

use automap_proto::v1;
use prost::Message;
use sled::Batch;

use super::{
    SimilarIncident, SimilarityQuery,
    error::StoreError,
    incident_table::{Candidate, IncidentRow, services_fingerprint},
    key::{BODY, Entity, SUMMARY, VECTOR, parse_vector_key, vector_key},
    listing::{self, Collection, ListQuery, Page},
    sealed,
    sled_store::{OpenStore, damaged},
};
use crate::{
    confirmation::Confirmation, past_incident::PastIncident, record_id::RecordId,
    similarity::same_services_similarity,
};

/// Longest history of an incident with all its notes, bytes: the incident must still fit into one message.
const MAX_HISTORY_BYTES: usize = 512 << 10;

impl OpenStore {
    pub(super) fn record_incident(&self, incident: &PastIncident) -> Result<(), StoreError> {
        {
            let _turn = self.writing();
            let entity = Entity::Incident(incident.id.clone());
            let mut kept = incident.clone();
            let mut batch = Batch::default();
            if let Some(before) = self.incident_summary(&entity)? {
                if before.context.system() != incident.context.system() {
                    return Err(StoreError::Conflict(format!(
                        "{entity} belongs to system {}; choose another incident_id",
                        before.context.system()
                    )));
                }
                kept.confirmations = before.confirmations.clone();
                unlist(&mut batch, &before);
            }
            let (summary, body) = sections(&kept);
            self.write(&mut batch, &entity, SUMMARY, Some(&summary))?;
            self.write(&mut batch, &entity, BODY, Some(&body))?;
            self.index_and_apply(batch, &kept)?;
        }
        self.flush()
    }

    pub(super) fn confirm(
        &self,
        id: &RecordId,
        confirmation: Confirmation,
    ) -> Result<PastIncident, StoreError> {
        let incident = {
            let _turn = self.writing();
            let entity = Entity::Incident(id.clone());
            let mut found = self.incident(id)?.ok_or_else(|| {
                StoreError::NotFound(format!("there is no {entity}; ListIncidents names those there are"))
            })?;
            confirmation.check_services(&found.services())?;
            let mut batch = Batch::default();
            unlist(&mut batch, &found);
            found.confirmations.push(confirmation);
            let history: usize =
                found.confirmations.iter().map(|known| v1::Confirmation::from(known).encoded_len()).sum();
            if history > MAX_HISTORY_BYTES {
                return Err(StoreError::Conflict(format!(
                    "the confirmations of {entity} have reached {MAX_HISTORY_BYTES} bytes; no more are kept"
                )));
            }
            let (summary, _) = sections(&found);
            self.write(&mut batch, &entity, SUMMARY, Some(&summary))?;
            self.index_and_apply(batch, &found)?;
            found
        };
        self.flush()?;
        Ok(incident)
    }

    pub(super) fn incident(&self, id: &RecordId) -> Result<Option<PastIncident>, StoreError> {
        let entity = Entity::Incident(id.clone());
        let Some(mut wire) = self.read_message::<v1::Incident>(&entity, SUMMARY)? else {
            return Ok(None);
        };
        let body: v1::Incident =
            self.read_message(&entity, BODY)?.ok_or_else(|| damaged(&entity, "its body is missing"))?;
        (wire.anomaly_graph, wire.profiles, wire.correlations) =
            (body.anomaly_graph, body.profiles, body.correlations);
        PastIncident::try_from(&wire).map(Some).map_err(|error| damaged(&entity, error))
    }

    pub(super) fn list_incidents(&self, query: &ListQuery) -> Result<Page<PastIncident>, StoreError> {
        let collection =
            if query.confirmed_only { Collection::ConfirmedIncidents } else { Collection::Incidents };
        let page = self.page::<v1::Incident>(collection, query, Entity::Incident)?;
        let decode = |(entity, wire): (Entity, v1::Incident)| {
            PastIncident::try_from(&wire).map_err(|error| damaged(&entity, error))
        };
        Ok(Page {
            records: page.records.into_iter().map(decode).collect::<Result<_, _>>()?,
            next_page_token: page.next_page_token,
        })
    }

    pub(super) fn similar_incidents(
        &self,
        query: &SimilarityQuery,
    ) -> Result<Vec<SimilarIncident>, StoreError> {
        let vector = query.profile.similarity_vector();
        let graph = query.profile.graph();
        let fingerprint = services_fingerprint(graph.services());
        let mut candidates = self.incidents.read().unwrap_or_else(PoisonError::into_inner).nearest(
            &query.system,
            &vector,
            query.confirmed_only,
            query.exclude.as_ref(),
        );
        for candidate in candidates.iter_mut().filter(|found| found.services_fingerprint == fingerprint) {
            let past = self.incident(&candidate.id)?;
            if let Some(profile) = past.as_ref().and_then(|found| found.profile.as_ref()) {
                let refined =
                    same_services_similarity(graph, &vector, profile.graph(), &profile.similarity_vector());
                candidate.similarity = refined.unwrap_or(candidate.similarity);
            }
        }
        candidates.sort_by(Candidate::order);
        let similar =
            candidates.into_iter().filter(|found| found.similarity > 0.0).take(query.limit).map(|found| {
                SimilarIncident { id: found.id, similarity: found.similarity, verdict: found.verdict }
            });
        Ok(similar.collect())
    }

    /// Reads the similarity vectors of all incidents into memory. A damaged one is computed again from its incident.
    pub(super) fn load_incidents(&self) -> Result<(), StoreError> {
        let mut table = self.incidents.write().unwrap_or_else(PoisonError::into_inner);
        for entry in self.tree.scan_prefix([VECTOR]) {
            let (key, value) = entry?;
            let id = parse_vector_key(&key).ok_or_else(|| StoreError::Damaged {
                record: "similarity vector".into(),
                problem: "its key is unreadable".into(),
            })?;
            let row = match sealed::unseal(&key, &value).map(IncidentRow::decode) {
                Ok(Some(row)) => row,
                _ => {
                    tracing::warn!(incident = %id, "its similarity vector is damaged; computing it again");
                    let entity = Entity::Incident(id.clone());
                    let incident =
                        self.incident(&id)?.ok_or_else(|| damaged(&entity, "only its vector is left"))?;
                    let row = IncidentRow::new(&incident);
                    self.tree.insert(&key, sealed::seal(&key, &row.encode()))?;
                    row
                }
            };
            table.put(&id, row);
        }
        Ok(())
    }

    fn incident_summary(&self, entity: &Entity) -> Result<Option<PastIncident>, StoreError> {
        let wire: Option<v1::Incident> = self.read_message(entity, SUMMARY)?;
        let decoded = wire.as_ref().map(PastIncident::try_from).transpose();
        decoded.map_err(|error| damaged(entity, error))
    }

    /// Adds what is derived from an incident, applies the batch, and then changes the table in memory.
    fn index_and_apply(&self, mut batch: Batch, incident: &PastIncident) -> Result<(), StoreError> {
        let row = index(&mut batch, incident);
        self.tree.apply_batch(batch)?;
        self.incidents.write().unwrap_or_else(PoisonError::into_inner).put(&incident.id, row);
        Ok(())
    }
}

/// Adds the vector and the listings of an incident.
pub(super) fn index(batch: &mut Batch, incident: &PastIncident) -> IncidentRow {
    let row = IncidentRow::new(incident);
    let key = vector_key(&incident.id);
    let value = sealed::seal(&key, &row.encode());
    batch.insert(key, value);
    for key in listing_keys(incident) {
        let value = sealed::seal(&key, &[]);
        batch.insert(key, value);
    }
    row
}

/// The incident without its bulk, and its bulk alone, encoded.
pub(super) fn sections(incident: &PastIncident) -> (Vec<u8>, Vec<u8>) {
    let mut summary = v1::Incident::from(incident);
    let body = v1::Incident {
        anomaly_graph: summary.anomaly_graph.take(),
        profiles: std::mem::take(&mut summary.profiles),
        correlations: std::mem::take(&mut summary.correlations),
        ..Default::default()
    };
    (summary.encode_to_vec(), body.encode_to_vec())
}

fn unlist(batch: &mut Batch, incident: &PastIncident) {
    for key in listing_keys(incident) {
        batch.remove(key);
    }
}

fn listing_keys(incident: &PastIncident) -> Vec<Vec<u8>> {
    let keys =
        |collection| listing::keys(collection, incident.context.system(), incident.recorded_at, &incident.id);
    let mut all = keys(Collection::Incidents).to_vec();
    if incident.verdict().is_some() {
        all.extend(keys(Collection::ConfirmedIncidents));
    }
    all
}
