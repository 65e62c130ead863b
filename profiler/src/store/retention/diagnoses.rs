//! Which diagnoses have outlived their time: each system has its own, and those of confirmed incidents live as long as these.

use std::sync::PoisonError;

use automap_proto::{time::UnixMillis, v1};
use prost::Message as _;

use super::{Outlived, Retention, Swept};
use crate::{
    record_id::RecordId,
    store::{
        entities::damaged,
        error::StoreError,
        key::Entity,
        listing::{self, Collection},
        open_store::OpenStore,
    },
};

impl OpenStore {
    /// The diagnoses that go. All are listed, system by system and newest first; read are those that are too old or too many.
    /// O(diagnoses).
    pub(super) fn outlived_diagnoses(
        &self,
        rules: &Retention,
        now: UnixMillis,
        swept: &mut Swept,
    ) -> Result<Vec<Outlived>, StoreError> {
        let mut gone = Vec::new();
        let (mut system, mut newer): (Vec<u8>, usize) = (Vec::new(), 0);
        for key in self.tree.range(listing::of_systems(Collection::Diagnoses)).keys() {
            let key = key?;
            let Some(prefix) = listing::prefix_of(&key) else { continue };
            if system != prefix {
                (system, newer) = (prefix.to_vec(), 0);
            }
            let (Some(at), Some(id)) = (listing::parse_time(prefix, &key), listing::parse_id(prefix, &key))
            else {
                continue;
            };
            newer += 1;
            if newer <= rules.diagnoses && !rules.outlives(at, false, now) {
                continue;
            }
            let entity = Entity::Diagnosis(id);
            let summary = self.summary(&entity, &key).and_then(|found| {
                let decode = |bytes: Vec<u8>| v1::Diagnosis::decode(bytes.as_slice());
                found.map(decode).transpose().map_err(|error| damaged(&entity, error))
            });
            let confirmed = match summary {
                Ok(Some(diagnosis)) => self.of_confirmed(&diagnosis),
                Ok(None) => continue,
                Err(error) => {
                    swept.pass_by(error)?;
                    continue;
                }
            };
            if !confirmed || rules.outlives(at, true, now) {
                gone.push(Outlived { entity, at, confirmed });
            }
        }
        Ok(gone)
    }

    /// Whether the incident of a diagnosis is confirmed.
    pub(super) fn of_confirmed(&self, diagnosis: &v1::Diagnosis) -> bool {
        let Ok(id) = RecordId::new("incident_id", &diagnosis.incident_id) else { return false };
        let table = self.incidents.read().unwrap_or_else(PoisonError::into_inner);
        table.is_confirmed(&diagnosis.system, &id)
    }
}
