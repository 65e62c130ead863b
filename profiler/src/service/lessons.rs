//! What the confirmed incidents of a system teach, read from the store as far as it is not known already.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use automap_proto::{learned_weights::LearnedWeights, time::UnixMillis};
use automap_service_kit::error::ServiceError;

use crate::{
    evidence_learning::{Lesson, MAX_INCIDENTS, learned_weights},
    record_id::RecordId,
    store::{ProfileStore, listing::ListQuery},
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
        let query = ListQuery {
            system: Some(system.to_owned()),
            confirmed_only: true,
            page_size: MAX_INCIDENTS,
            ..ListQuery::default()
        };
        let confirmed = store.list_incidents(&query)?.records;
        let mut systems = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut before = systems.remove(system).unwrap_or_default();
        let mut now = BTreeMap::new();
        for incident in confirmed {
            let Some(root_causes) = incident.confirmations.last().map(|last| last.root_causes.clone()) else {
                continue;
            };
            let known = before.remove(&incident.id).filter(|known| {
                known.recorded_at == incident.recorded_at && known.root_causes == root_causes
            });
            let known = match known {
                Some(known) => known,
                None => {
                    let full = store.incident(&incident.id)?;
                    let lesson = full.and_then(|found| Lesson::new(&found.evidence, &root_causes));
                    Known { recorded_at: incident.recorded_at, root_causes, lesson }
                }
            };
            now.insert(incident.id, known);
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
