//! Diagnoses in the store.

use automap_proto::v1;
use prost::Message;
use sled::Batch;

use super::{
    error::StoreError,
    key::{BODY, Entity, SUMMARY},
    listing::{self, Collection, ListQuery, Page},
    sealed,
    sled_store::{OpenStore, damaged},
};
use crate::{diagnosis_record::DiagnosisRecord, record_id::RecordId};

impl OpenStore {
    pub(super) fn put_diagnosis(&self, diagnosis: &DiagnosisRecord) -> Result<(), StoreError> {
        {
            let _turn = self.writing();
            let entity = Entity::Diagnosis(diagnosis.id().clone());
            let mut batch = Batch::default();
            if let Some(wire) = self.read_message::<v1::Diagnosis>(&entity, SUMMARY)? {
                let before = DiagnosisRecord::new(wire).map_err(|error| damaged(&entity, error))?;
                if before.system() != diagnosis.system() {
                    return Err(StoreError::Conflict(format!(
                        "{entity} belongs to system {}; choose another diagnosis_id",
                        before.system()
                    )));
                }
                for key in listing_keys(&before) {
                    batch.remove(key);
                }
            }
            let (summary, graph) = sections(diagnosis);
            self.write(&mut batch, &entity, SUMMARY, Some(&summary))?;
            self.write(&mut batch, &entity, BODY, graph.as_deref())?;
            index(&mut batch, diagnosis);
            self.tree.apply_batch(batch)?;
        }
        self.flush()
    }

    pub(super) fn diagnosis(&self, id: &RecordId) -> Result<Option<DiagnosisRecord>, StoreError> {
        let entity = Entity::Diagnosis(id.clone());
        let Some(mut wire) = self.read_message::<v1::Diagnosis>(&entity, SUMMARY)? else {
            return Ok(None);
        };
        wire.behavior_graph = self.read_message(&entity, BODY)?;
        DiagnosisRecord::new(wire).map(Some).map_err(|error| damaged(&entity, error))
    }

    pub(super) fn list_diagnoses(&self, query: &ListQuery) -> Result<Page<DiagnosisRecord>, StoreError> {
        let page = self.page::<v1::Diagnosis>(Collection::Diagnoses, query, Entity::Diagnosis)?;
        let decode = |(entity, wire): (Entity, v1::Diagnosis)| {
            DiagnosisRecord::new(wire).map_err(|error| damaged(&entity, error))
        };
        Ok(Page {
            records: page.records.into_iter().map(decode).collect::<Result<_, _>>()?,
            next_page_token: page.next_page_token,
        })
    }
}

/// Adds the listings of a diagnosis.
pub(super) fn index(batch: &mut Batch, diagnosis: &DiagnosisRecord) {
    for key in listing_keys(diagnosis) {
        let value = sealed::seal(&key, &[]);
        batch.insert(key, value);
    }
}

/// The diagnosis without its graph, and the graph if there is one, encoded.
fn sections(diagnosis: &DiagnosisRecord) -> (Vec<u8>, Option<Vec<u8>>) {
    let mut summary = diagnosis.wire().clone();
    let graph = summary.behavior_graph.take();
    (summary.encode_to_vec(), graph.map(|explained| explained.encode_to_vec()))
}

fn listing_keys(diagnosis: &DiagnosisRecord) -> [Vec<u8>; 2] {
    listing::keys(Collection::Diagnoses, diagnosis.system(), diagnosis.created_at(), diagnosis.id())
}
