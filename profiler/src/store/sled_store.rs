//! The store in sled: one tree, one batch for each change, acknowledged when it is on disk.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard},
};

use automap_proto::v1;

use super::{
    AddedWindow, Housekeeping, ProfileStore, SimilarIncident, SimilarityQuery, StoreStatistics,
    error::StoreError,
    listing::{ListQuery, Page},
    open_store::{OpenStore, Trust},
    retention::Retention,
    room, store_lock,
    transfer::{ExportChunk, ImportMode, StoredRecord},
};
use crate::{
    abnormal::{AbnormalTimes, Intervals},
    confirmation::Confirmation,
    diagnosis_record::DiagnosisRecord,
    normal_rows::{Decay, ServiceRows},
    normal_window::{NormalSelector, NormalSum, NormalWindow},
    past_incident::PastIncident,
    record_id::RecordId,
    similarity::SimilarityVector,
};

/// How a store is opened.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StoreOptions {
    /// Page cache, MiB.
    pub cache_mib: u64,
    /// Writes are refused while less than this is free on the disk, MiB: the engine must never run into its end. At
    /// least 4 are.
    pub reserve_mib: u64,
    /// A checkpoint is due when the journal is larger than this and than the last checkpoint, MiB.
    pub checkpoint_mib: u64,
    /// How fast older rows of normal times give way.
    pub decay: Decay,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self { cache_mib: 64, reserve_mib: 64, checkpoint_mib: 32, decay: Decay::default() }
    }
}

/// A [`ProfileStore`] in a directory. One process at a time may open it.
#[derive(Debug)]
pub struct SledStore {
    path: PathBuf,
    options: StoreOptions,
    slot: RwLock<Slot>,
}

#[derive(Debug)]
enum Slot {
    Open(Box<OpenStore>),
    /// It failed and could not be opened again yet.
    Failed(Trust),
    Closed,
}

impl SledStore {
    /// Opens the store in the directory `path`, made when it is not there, and reads the similarity vectors of all
    /// incidents. After a crash it recovers, see the module `recovery`.
    ///
    /// # Errors
    /// Another process holds it, or it is damaged and cannot be rebuilt.
    pub fn open(path: &Path, options: StoreOptions) -> Result<Self, StoreError> {
        let open = OpenStore::open(path, options, Trust::Files)?;
        Ok(Self { path: path.to_owned(), options, slot: RwLock::new(Slot::Open(Box::new(open))) })
    }

    /// The largest dot product of a vector with those of a system's incidents: the bare cost of reading them all, beside
    /// which a benchmark puts that of finding similar ones.
    ///
    /// # Errors
    /// The store is closed.
    pub fn scan_vectors(&self, system: &str, vector: &SimilarityVector) -> Result<f32, StoreError> {
        self.with(|open| {
            Ok(open.incidents.read().unwrap_or_else(PoisonError::into_inner).scan(system, vector))
        })
    }

    fn slot(&self) -> RwLockReadGuard<'_, Slot> {
        self.slot.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads go on as long as there is something to read from. An engine that failed answers nothing more and is opened
    /// again.
    fn with<T>(&self, work: impl Fn(&OpenStore) -> Result<T, StoreError>) -> Result<T, StoreError> {
        match &*self.slot() {
            Slot::Open(open) => match work(open) {
                // So does one that its disk is full for.
                Err(error @ (StoreError::Failed(_) | StoreError::Full { .. })) => {
                    open.give_up(error.at(&self.path));
                }
                outcome => return outcome,
            },
            Slot::Closed => return Err(StoreError::Closed),
            Slot::Failed(_) => {}
        }
        self.reopen()?;
        self.ask(work)
    }

    /// What whoever has the store open answers.
    fn ask<T>(&self, work: impl FnOnce(&OpenStore) -> Result<T, StoreError>) -> Result<T, StoreError> {
        match &*self.slot() {
            Slot::Open(open) => work(open).map_err(|error| error.at(&self.path)),
            Slot::Closed => Err(StoreError::Closed),
            Slot::Failed(_) => Err(self.unavailable()),
        }
    }

    /// A write after a failed one begins by opening the store again: what the engine has in memory may differ from what
    /// is on disk.
    fn changing<T>(&self, work: impl FnOnce(&OpenStore) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let healthy = match &*self.slot() {
            Slot::Open(open) => open.healthy(),
            Slot::Closed => return Err(StoreError::Closed),
            Slot::Failed(_) => false,
        };
        if !healthy {
            // Until there is room to open it again, what is open can at least be read.
            room::require_room(&self.path, room::chores_reserve_mib(self.options.reserve_mib), 0)?;
            self.reopen()?;
        }
        self.ask(work)
    }

    fn reopen(&self) -> Result<(), StoreError> {
        let mut slot = self.slot.write().unwrap_or_else(PoisonError::into_inner);
        let trust = match &*slot {
            Slot::Closed => return Err(StoreError::Closed),
            Slot::Open(open) if open.healthy() => return Ok(()),
            Slot::Open(open) => open.trust(),
            Slot::Failed(trust) => *trust,
        };
        tracing::warn!(store = %self.path.display(), "the store failed before and is opened again");
        *slot = Slot::Failed(trust);
        store_lock::await_release(&self.path)?;
        let opened = OpenStore::open(&self.path, self.options, trust);
        if let Err(StoreError::Failed(_) | StoreError::Full { .. }) = opened {
            // It may have been a sync.
            *slot = Slot::Failed(Trust::Nothing);
        }
        *slot = Slot::Open(Box::new(opened?));
        Ok(())
    }

    fn unavailable(&self) -> StoreError {
        StoreError::Failed(format!("{} cannot be opened again after a failure", self.path.display()))
    }
}

impl ProfileStore for SledStore {
    fn add_normal_window(&self, window: &NormalWindow) -> Result<AddedWindow, StoreError> {
        self.changing(|open| open.add_normal_window(window))
    }

    fn normal_sum(
        &self,
        selector: &NormalSelector,
        beside: &[NormalWindow],
        abnormal: &AbnormalTimes,
    ) -> Result<NormalSum, StoreError> {
        self.with(|open| open.normal_sum(selector, beside, abnormal))
    }

    fn add_normal_rows(
        &self,
        system: &str,
        services: &BTreeMap<String, ServiceRows>,
    ) -> Result<(), StoreError> {
        self.changing(|open| open.add_normal_rows(system, services))
    }

    fn normal_rows(
        &self,
        system: &str,
        services: &[String],
    ) -> Result<BTreeMap<String, ServiceRows>, StoreError> {
        self.with(|open| open.normal_rows(system, services))
    }

    fn record_incident(&self, incident: &PastIncident) -> Result<(), StoreError> {
        self.changing(|open| open.record_incident(incident))
    }

    fn confirm(&self, id: &RecordId, confirmation: Confirmation) -> Result<PastIncident, StoreError> {
        self.changing(|open| open.confirm(id, confirmation))
    }

    fn delete_incident(&self, id: &RecordId) -> Result<(), StoreError> {
        self.changing(|open| open.delete_incident(id))
    }

    fn unknown_incident(&self, id: &RecordId) -> StoreError {
        self.with(|open| Ok(open.unknown_incident(id))).unwrap_or_else(|error| error)
    }

    fn incident(&self, id: &RecordId) -> Result<Option<PastIncident>, StoreError> {
        self.with(|open| open.incident(id))
    }

    fn abnormal_times(&self, system: &str) -> Result<Arc<Intervals>, StoreError> {
        self.with(|open| Ok(open.abnormal_times(system)))
    }

    fn list_incidents(&self, query: &ListQuery) -> Result<Page<PastIncident>, StoreError> {
        self.with(|open| open.list_incidents(query))
    }

    fn similar_incidents(&self, query: &SimilarityQuery) -> Result<Vec<SimilarIncident>, StoreError> {
        self.with(|open| open.similar_incidents(query))
    }

    fn put_diagnosis(&self, diagnosis: &DiagnosisRecord) -> Result<(), StoreError> {
        self.changing(|open| open.put_diagnosis(diagnosis))
    }

    fn diagnosis(&self, id: &RecordId) -> Result<Option<DiagnosisRecord>, StoreError> {
        self.with(|open| open.diagnosis(id))
    }

    fn list_diagnoses(
        &self,
        query: &ListQuery,
        wanted: &dyn Fn(&v1::Diagnosis) -> bool,
    ) -> Result<Page<DiagnosisRecord>, StoreError> {
        self.with(|open| open.list_diagnoses(query, wanted))
    }

    fn export(&self, after: Option<&[u8]>) -> Result<ExportChunk, StoreError> {
        self.with(|open| open.export(after))
    }

    fn import(&self, records: Vec<StoredRecord>, mode: ImportMode) -> Result<u64, StoreError> {
        self.changing(|open| open.import(records, mode))
    }

    fn housekeep(
        &self,
        retention: &Retention,
        now: automap_proto::time::UnixMillis,
    ) -> Result<Housekeeping, StoreError> {
        self.changing(|open| open.housekeep(retention, now))
    }

    fn statistics(&self) -> Result<StoreStatistics, StoreError> {
        self.with(|open| open.statistics())
    }

    fn close(&self) -> Result<(), StoreError> {
        // Waits for calls under way; those that come later find nothing.
        let taken =
            std::mem::replace(&mut *self.slot.write().unwrap_or_else(PoisonError::into_inner), Slot::Closed);
        let Slot::Open(open) = taken else {
            return Ok(());
        };
        let lock = open.finish().map_err(|error| error.at(&self.path))?;
        store_lock::await_release(&self.path)?;
        drop(lock);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
