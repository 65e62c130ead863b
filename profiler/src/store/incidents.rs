//! Incidents and their confirmations in the store.

use std::sync::{Arc, PoisonError};

use automap_proto::{incident::IncidentContext, v1};
use prost::Message;

use super::{
    SimilarIncident, SimilarityQuery,
    change::Change,
    entities::damaged,
    error::StoreError,
    incident_table::{Candidate, IncidentRow, IncidentTable, services_fingerprint},
    kept::{Kept, Sections},
    key::{Entity, SUMMARY, VECTOR, parse_vector_key},
    listing::{Collection, ListQuery, Page},
    open_store::{OpenStore, Writer},
    sealed,
};
use crate::{
    abnormal::Intervals, confirmation::Confirmation, past_incident::PastIncident, record_id::RecordId,
    similarity::same_services_similarity, told_times::ToldTimes,
};

/// Longest history of an incident with all its notes, bytes: the incident must still fit into one message.
const MAX_HISTORY_BYTES: usize = 512 << 10;

impl OpenStore {
    pub(super) fn record_incident(&self, incident: &PastIncident) -> Result<(), StoreError> {
        let number = {
            let mut writer = self.writing()?;
            let entity = Entity::Incident(incident.id.clone());
            let before = self.kept_by(&writer, &entity)?;
            let mut recorded = incident.clone();
            if let Some(Kept::Incident(known)) = &before {
                if known.context.system() != incident.context.system() {
                    return Err(StoreError::Conflict(format!(
                        "{entity} belongs to system {}; choose another incident_id",
                        known.context.system()
                    )));
                }
                recorded.confirmations.clone_from(&known.confirmations);
                if known.context.anomaly_start() == recorded.context.anomaly_start() {
                    recorded.told = known.told;
                }
            }
            let after = Kept::Incident(Box::new(recorded));
            let mut change = Change::default();
            self.replace(&mut change, before.as_ref(), Some(&after))?;
            let number = self.commit(&mut writer, change)?;
            self.tabulate(&after);
            number
        };
        self.settle(number)
    }

    pub(super) fn confirm(
        &self,
        id: &RecordId,
        confirmation: Confirmation,
    ) -> Result<PastIncident, StoreError> {
        let (incident, number) = {
            let mut writer = self.writing()?;
            let mut found = self.known_incident(&writer, id)?;
            confirmation.check_services(&found.services())?;
            let before = Kept::Incident(Box::new(found.clone()));
            found.confirmations.push(confirmation);
            let history: usize =
                found.confirmations.iter().map(|known| v1::Confirmation::from(known).encoded_len()).sum();
            if history > MAX_HISTORY_BYTES {
                return Err(StoreError::Conflict(format!(
                    "the confirmations of incident {id} have reached {MAX_HISTORY_BYTES} bytes; no more are kept"
                )));
            }
            let after = Kept::Incident(Box::new(found.clone()));
            let mut change = Change::default();
            self.replace(&mut change, Some(&before), Some(&after))?;
            let number = self.commit(&mut writer, change)?;
            self.tabulate(&after);
            (found, number)
        };
        self.settle(number)?;
        Ok(incident)
    }

    pub(super) fn delete_incident(&self, id: &RecordId) -> Result<(), StoreError> {
        let number = {
            let mut writer = self.writing()?;
            let found = self.known_incident(&writer, id)?;
            let system = found.context.system().to_owned();
            let mut change = Change::default();
            self.replace(&mut change, Some(&Kept::Incident(Box::new(found))), None)?;
            let number = self.commit(&mut writer, change)?;
            self.incidents.write().unwrap_or_else(PoisonError::into_inner).remove(&system, id);
            number
        };
        self.settle(number)
    }

    /// The incident of a diagnosis before and after what that tells of its times; `None` where it tells nothing new.
    pub(super) fn told_by(
        &self,
        writer: &Writer,
        diagnosis: &v1::Diagnosis,
    ) -> Result<Option<[Kept; 2]>, StoreError> {
        let Ok(id) = RecordId::new("incident_id", &diagnosis.incident_id) else { return Ok(None) };
        let known = match self.kept_by(writer, &Entity::Incident(id)) {
            Ok(Some(Kept::Incident(known))) if known.context.system() == diagnosis.system => known,
            // The diagnosis is kept all the same.
            Ok(_) | Err(StoreError::Damaged { .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        let told = known.told.after(diagnosis, &known.context);
        let after = (told != known.told).then(|| PastIncident { told, ..known.as_ref().clone() });
        Ok(after.map(|after| [Kept::Incident(known), Kept::Incident(Box::new(after))]))
    }

    fn known_incident(&self, writer: &Writer, id: &RecordId) -> Result<PastIncident, StoreError> {
        match self.kept_by(writer, &Entity::Incident(id.clone()))? {
            Some(Kept::Incident(incident)) => Ok(*incident),
            _ => Err(self.unknown_incident(id)),
        }
    }

    /// The error of an id that is none, with the one that was most likely meant.
    pub(super) fn unknown_incident(&self, id: &RecordId) -> StoreError {
        let table = self.incidents.read().unwrap_or_else(PoisonError::into_inner);
        StoreError::NotFound(match table.nearest_id(id.as_str()) {
            Some(near) => format!("there is no incident {id}; did you mean {near}?"),
            None => format!("there is no incident {id}; ListIncidents names those there are"),
        })
    }

    pub(super) fn incident(&self, id: &RecordId) -> Result<Option<PastIncident>, StoreError> {
        match self.kept(&Entity::Incident(id.clone()))? {
            Some(Kept::Incident(incident)) => Ok(Some(*incident)),
            _ => Ok(None),
        }
    }

    pub(super) fn list_incidents(&self, query: &ListQuery) -> Result<Page<PastIncident>, StoreError> {
        let collection =
            if query.confirmed_only { Collection::ConfirmedIncidents } else { Collection::Incidents };
        let page = self.page::<v1::Incident>(collection, query, Entity::Incident, |_| true)?;
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

    /// When a system was not normal, as its incidents tell.
    pub(super) fn abnormal_times(&self, system: &str) -> Arc<Intervals> {
        self.incidents.read().unwrap_or_else(PoisonError::into_inner).times(system)
    }

    /// Reads the similarity vectors of all incidents into memory, beside the times that are known, by rising id.
    pub(super) fn load_incidents(&self, times: Vec<(RecordId, Intervals)>) -> Result<(), StoreError> {
        let mut times = times.into_iter().peekable();
        let mut table = IncidentTable::default();
        let unreadable =
            |problem: String| StoreError::Damaged { record: "similarity vector".into(), problem };
        for entry in self.tree.scan_prefix([VECTOR]) {
            let (key, value) = entry?;
            let id = parse_vector_key(&key).ok_or_else(|| unreadable("its key is unreadable".into()))?;
            let payload = sealed::unseal(&key, &value).map_err(|damage| unreadable(damage.to_string()))?;
            let row = IncidentRow::decode(payload)
                .ok_or_else(|| unreadable(format!("that of incident {id} is none")))?;
            while times.next_if(|(other, _)| *other < id).is_some() {}
            let known = times.next_if(|(other, _)| *other == id);
            table.put(&id, row, known.map(|(_, times)| times).unwrap_or_default());
        }
        table.shrink();
        *self.incidents.write().unwrap_or_else(PoisonError::into_inner) = table;
        Ok(())
    }

    /// The same after a replacement, which may have moved an incident to another system.
    pub(super) fn retabulate(&self, before: Option<&Kept>, after: &Kept) {
        if let Some(Kept::Incident(old)) = before {
            let mut table = self.incidents.write().unwrap_or_else(PoisonError::into_inner);
            table.remove(old.context.system(), &old.id);
        }
        self.tabulate(after);
    }

    /// Brings the table in memory to where the store is.
    pub(super) fn tabulate(&self, kept: &Kept) {
        if let Kept::Incident(incident) = kept {
            let mut table = self.incidents.write().unwrap_or_else(PoisonError::into_inner);
            let times = Intervals::of_incident(&incident.context, incident.told);
            table.put(&incident.id, IncidentRow::new(incident), times);
        }
    }
}

/// When an incident made its system abnormal; `None` for what is no incident, and for one that cannot be read: it keeps nobody
/// from the others.
pub(super) fn times_of(entity: &Entity, sections: &Sections) -> Option<(RecordId, Intervals)> {
    let Entity::Incident(id) = entity else { return None };
    let summary = sections.get(&SUMMARY)?.as_slice();
    let read = || -> Result<Intervals, StoreError> {
        let wire = v1::Incident::decode(summary).map_err(|error| damaged(entity, error))?;
        let context = IncidentContext::try_from(&wire.context.unwrap_or_default());
        let told = ToldTimes::decode(summary).map_err(|error| damaged(entity, error))?;
        Ok(Intervals::of_incident(&context.map_err(|error| damaged(entity, error))?, told))
    };
    let times =
        read().inspect_err(|error| tracing::error!(%error, "the times of an incident count as normal"));
    Some((id.clone(), times.ok()?))
}
