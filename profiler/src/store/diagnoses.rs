//! Diagnoses in the store.

use automap_proto::v1;

use super::{
    change::Change,
    entities::damaged,
    error::StoreError,
    kept::Kept,
    key::Entity,
    listing::{Collection, ListQuery, Page},
    open_store::OpenStore,
};
use crate::{diagnosis_record::DiagnosisRecord, record_id::RecordId};

impl OpenStore {
    pub(super) fn put_diagnosis(&self, diagnosis: &DiagnosisRecord) -> Result<(), StoreError> {
        let number = {
            let mut writer = self.writing()?;
            let entity = Entity::Diagnosis(diagnosis.id().clone());
            let before = self.kept_by(&writer, &entity)?;
            let foreign = |known: &&Kept| known.system() != diagnosis.system() && !is_running(known);
            if let Some(known) = before.as_ref().filter(foreign) {
                return Err(StoreError::Conflict(format!(
                    "{entity} belongs to system {}; choose another diagnosis_id",
                    known.system()
                )));
            }
            let after = Kept::Diagnosis(Box::new(diagnosis.clone()));
            let mut change = Change::default();
            self.replace(&mut change, before.as_ref(), Some(&after))?;
            let told = self.told_by(&writer, diagnosis.wire())?;
            if let Some([before, after]) = &told {
                self.replace(&mut change, Some(before), Some(after))?;
            }
            let number = self.commit(&mut writer, change)?;
            if let Some([_, after]) = &told {
                self.tabulate(after);
            }
            number
        };
        self.settle(number)
    }

    pub(super) fn diagnosis(&self, id: &RecordId) -> Result<Option<DiagnosisRecord>, StoreError> {
        match self.kept(&Entity::Diagnosis(id.clone()))? {
            Some(Kept::Diagnosis(diagnosis)) => Ok(Some(*diagnosis)),
            _ => Ok(None),
        }
    }

    pub(super) fn list_diagnoses(
        &self,
        query: &ListQuery,
        wanted: &dyn Fn(&v1::Diagnosis) -> bool,
    ) -> Result<Page<DiagnosisRecord>, StoreError> {
        let page = self.page::<v1::Diagnosis>(Collection::Diagnoses, query, Entity::Diagnosis, wanted)?;
        let decode = |(entity, wire): (Entity, v1::Diagnosis)| {
            DiagnosisRecord::new(wire).map_err(|error| damaged(&entity, error))
        };
        Ok(Page {
            records: page.records.into_iter().map(decode).collect::<Result<_, _>>()?,
            next_page_token: page.next_page_token,
        })
    }
}

/// Whether it is a diagnosis that runs: its system may be found out as it goes.
fn is_running(kept: &Kept) -> bool {
    matches!(kept, Kept::Diagnosis(known) if known.wire().state() == v1::DiagnosisState::Running)
}
