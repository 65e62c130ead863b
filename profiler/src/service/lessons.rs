//! What the confirmed incidents of a system teach, read from the store as far as it is not known already.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use automap_proto::{learned_weights::LearnedWeights, time::UnixMillis};
use automap_service_kit::error::ServiceError;

use super::newest::newest_incidents;
use crate::{
    evidence_learning::{Lesson, MAX_INCIDENTS, learned_weights},
    record_id::RecordId,
    store::ProfileStore,
};

/// A lesson as it was read; `None` of an incident that teaches nothing.
#[derive(Debug)]
struct Known {
    recorded_at: UnixMillis,
    root_causes: Vec<String>,
    lesson: Option<Lesson>,
}

/// Lessons of the newest confirmed incidents by system. They are derived: whatever is missing is read again.
#[derive(Debug, Default)]
pub(super) struct Lessons(Mutex<BTreeMap<String, BTreeMap<RecordId, Known>>>);

impl Lessons {
    /// Forgets all, because records were replaced.
    pub(super) fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Forgets what one incident taught, because it was recorded again.
    pub(super) fn forget(&self, incident: &str) {
        let mut systems = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for lessons in systems.values_mut() {
            lessons.retain(|id, _| id.as_str() != incident);
        }
    }

    /// Weights from the [`MAX_INCIDENTS`] newest confirmed incidents of `system`, that of `exclude` left out. `None`
    /// where they teach nothing.
    ///
    /// # Errors
    /// A record is damaged.
    pub(super) fn weights(
        &self,
        store: &dyn ProfileStore,
        system: &str,
        exclude: Option<&RecordId>,
    ) -> Result<Option<LearnedWeights>, ServiceError> {
        let mut confirmed = Vec::new();
        newest_incidents(store, system, true, MAX_INCIDENTS, |incident| {
            let root_causes = incident.confirmations.last().map(|last| last.root_causes.clone());
            confirmed.extend(root_causes.map(|causes| (incident.id, incident.recorded_at, causes)));
        })?;
        let mut systems = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut before = systems.remove(system).unwrap_or_default();
        let mut now = BTreeMap::new();
        for (id, recorded_at, root_causes) in confirmed {
            let known = before
                .remove(&id)
                .filter(|known| known.recorded_at == recorded_at && known.root_causes == root_causes);
            let known = match known {
                Some(known) => known,
                None => {
                    let full = store.incident(&id)?;
                    let lesson = full.and_then(|found| Lesson::new(&found.evidence, &root_causes));
                    Known { recorded_at, root_causes, lesson }
                }
            };
            now.insert(id, known);
        }
        let lessons: Vec<&Lesson> = now
            .iter()
            .filter(|(id, _)| exclude != Some(*id))
            .filter_map(|(_, known)| known.lesson.as_ref())
            .collect();
        let learned = learned_weights(&lessons);
        if !now.is_empty() {
            systems.insert(system.to_owned(), now);
        }
        Ok(learned?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        confirmation::Confirmation,
        past_incident::PastIncident,
        sample,
        store::sled_store::{SledStore, StoreOptions},
    };

    #[test]
    fn an_incident_that_is_recorded_again_is_learned_anew_and_no_other() {
        let directory = tempfile::tempdir().unwrap();
        let store = SledStore::open(directory.path(), StoreOptions::default()).unwrap();
        for (name, system) in [("inc-1", "shop"), ("inc-2", "shop"), ("inc-3", "bank")] {
            let mut wire = sample::incident(name, 100, &["cart", "db"]);
            wire.context.as_mut().unwrap().system = system.into();
            store.record_incident(&PastIncident::try_from(&wire).unwrap()).unwrap();
            let confirmation = Confirmation::try_from(&sample::confirmation(&["db"])).unwrap();
            store.confirm(&RecordId::new("id", name).unwrap(), confirmation).unwrap();
        }
        let lessons = Lessons::default();
        let known = || -> Vec<String> {
            let systems = lessons.0.lock().unwrap();
            systems.values().flat_map(BTreeMap::keys).map(ToString::to_string).collect()
        };
        for system in ["shop", "bank"] {
            lessons.weights(&store, system, None).unwrap();
        }
        assert_eq!(known(), ["inc-3", "inc-1", "inc-2"]);
        lessons.forget("inc-1");
        assert_eq!(known(), ["inc-3", "inc-2"]);
        lessons.weights(&store, "shop", None).unwrap();
        assert_eq!(known(), ["inc-3", "inc-1", "inc-2"]);
    }
}
