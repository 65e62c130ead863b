//! The store in sled: one tree, one batch for each change, acknowledged when it is on disk.

use std::{
    collections::BTreeMap,
    fs::File,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError, RwLock},
};

use prost::Message;
use sled::{Batch, Tree};

use super::{
    AddedWindow, ProfileStore, SimilarIncident, SimilarityQuery,
    error::StoreError,
    incident_table::IncidentTable,
    key::{Entity, SUMMARY},
    listing::{self, Collection, ListQuery, MAX_PAGE_BYTES, Page},
    normals::KeptNormals,
    parts, recovery,
    transfer::{ExportChunk, StoredRecord},
};
use crate::{
    confirmation::Confirmation,
    diagnosis_record::DiagnosisRecord,
    normal_window::{NormalSelector, NormalSum, NormalWindow},
    past_incident::PastIncident,
    record_id::RecordId,
};

const TREE: &str = "records";

/// A [`ProfileStore`] in a directory. One process at a time may open it.
#[derive(Debug)]
pub struct SledStore {
    path: PathBuf,
    open: RwLock<Option<OpenStore>>,
}

/// The parts of a store that is open.
pub(super) struct OpenStore {
    database: sled::Db,
    pub(super) tree: Tree,
    /// sled's own file, opened again: its flush hands pages to the disk without waiting for an fsync.
    log: File,
    /// Held from reading a record to writing what follows from it.
    writer: Mutex<()>,
    pub(super) incidents: RwLock<IncidentTable>,
    pub(super) normals: Mutex<KeptNormals>,
}

impl std::fmt::Debug for OpenStore {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("OpenStore").finish_non_exhaustive()
    }
}

impl SledStore {
    /// Opens the store in the directory `path`, made when it is not there, with a page cache of `cache_mib` MiB, and
    /// reads the similarity vectors of all incidents.
    ///
    /// # Errors
    /// Another process holds it, its log is damaged, or an incident is.
    pub fn open(path: &Path, cache_mib: u64) -> Result<Self, StoreError> {
        recovery::refuse_foreign_directory(path)?;
        let database = recovery::open_database(path, cache_mib.max(1) << 20)?;
        let tree = database.open_tree(TREE)?;
        let log = File::open(recovery::log_file(path))
            .map_err(|error| StoreError::Open { path: path.to_owned(), problem: error.to_string() })?;
        let store = OpenStore {
            database,
            tree,
            log,
            writer: Mutex::default(),
            incidents: RwLock::default(),
            normals: Mutex::default(),
        };
        store.load_incidents()?;
        Ok(Self { path: path.to_owned(), open: RwLock::new(Some(store)) })
    }

    fn with<T>(&self, work: impl FnOnce(&OpenStore) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let open = self.open.read().unwrap_or_else(PoisonError::into_inner);
        work(open.as_ref().ok_or(StoreError::Closed)?)
    }
}

impl ProfileStore for SledStore {
    fn add_normal_window(&self, window: &NormalWindow) -> Result<AddedWindow, StoreError> {
        self.with(|open| open.add_normal_window(window))
    }

    fn normal_sum(
        &self,
        selector: &NormalSelector,
        beside: &[NormalWindow],
    ) -> Result<NormalSum, StoreError> {
        self.with(|open| open.normal_sum(selector, beside))
    }

    fn record_incident(&self, incident: &PastIncident) -> Result<(), StoreError> {
        self.with(|open| open.record_incident(incident))
    }

    fn confirm(&self, id: &RecordId, confirmation: Confirmation) -> Result<PastIncident, StoreError> {
        self.with(|open| open.confirm(id, confirmation))
    }

    fn incident(&self, id: &RecordId) -> Result<Option<PastIncident>, StoreError> {
        self.with(|open| open.incident(id))
    }

    fn list_incidents(&self, query: &ListQuery) -> Result<Page<PastIncident>, StoreError> {
        self.with(|open| open.list_incidents(query))
    }

    fn similar_incidents(&self, query: &SimilarityQuery) -> Result<Vec<SimilarIncident>, StoreError> {
        self.with(|open| open.similar_incidents(query))
    }

    fn put_diagnosis(&self, diagnosis: &DiagnosisRecord) -> Result<(), StoreError> {
        self.with(|open| open.put_diagnosis(diagnosis))
    }

    fn diagnosis(&self, id: &RecordId) -> Result<Option<DiagnosisRecord>, StoreError> {
        self.with(|open| open.diagnosis(id))
    }

    fn list_diagnoses(&self, query: &ListQuery) -> Result<Page<DiagnosisRecord>, StoreError> {
        self.with(|open| open.list_diagnoses(query))
    }

    fn export(&self, after: Option<&[u8]>) -> Result<ExportChunk, StoreError> {
        self.with(|open| open.export(after))
    }

    fn import(&self, records: Vec<StoredRecord>) -> Result<u64, StoreError> {
        self.with(|open| open.import(records))
    }

    fn close(&self) -> Result<(), StoreError> {
        // Waits for calls under way; those that come later find nothing.
        let taken = self.open.write().unwrap_or_else(PoisonError::into_inner).take();
        let Some(open) = taken else {
            return Ok(());
        };
        open.flush()?;
        drop(open);
        recovery::await_release(&self.path)
    }
}

impl OpenStore {
    /// Keeps other writers out until the guard goes.
    pub(super) fn writing(&self) -> MutexGuard<'_, ()> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until everything applied is on disk.
    pub(super) fn flush(&self) -> Result<(), StoreError> {
        self.database.flush()?;
        self.log.sync_data().map_err(|error| StoreError::Failed(error.to_string()))
    }

    /// The payload of a section, if there is one.
    pub(super) fn read(&self, entity: &Entity, section: u8) -> Result<Option<Vec<u8>>, StoreError> {
        let prefix = entity.section(section);
        let mut found = BTreeMap::new();
        for entry in self.tree.scan_prefix(&prefix) {
            let (key, value) = entry?;
            let (_, _, part) = Entity::parse(&key).ok_or_else(|| damaged(entity, "a key is unreadable"))?;
            found.insert(part, value);
        }
        if found.is_empty() {
            return Ok(None);
        }
        parts::join(&entity.to_string(), &prefix, &found).map(Some)
    }

    /// A section decoded, if there is one.
    pub(super) fn read_message<M: Message + Default>(
        &self,
        entity: &Entity,
        section: u8,
    ) -> Result<Option<M>, StoreError> {
        let payload = self.read(entity, section)?;
        let decoded = payload.map(|bytes| M::decode(bytes.as_slice())).transpose();
        decoded.map_err(|error| damaged(entity, error))
    }

    /// Replaces a section in `batch`: a payload of `None` removes it.
    pub(super) fn write(
        &self,
        batch: &mut Batch,
        entity: &Entity,
        section: u8,
        payload: Option<&[u8]>,
    ) -> Result<(), StoreError> {
        let prefix = entity.section(section);
        let cut = match payload {
            Some(bytes) => parts::cut(&prefix, bytes)?,
            None => Vec::new(),
        };
        for key in self.tree.scan_prefix(&prefix).keys() {
            let old = key?;
            if !cut.iter().any(|(new, _)| new.as_slice() == &old[..]) {
                batch.remove(old);
            }
        }
        for (key, value) in cut {
            batch.insert(key, value);
        }
        Ok(())
    }

    /// One page of a listing: the entities, in order, with their decoded summaries.
    pub(super) fn page<M: Message + Default>(
        &self,
        collection: Collection,
        query: &ListQuery,
        entity_of: impl Fn(RecordId) -> Entity,
    ) -> Result<Page<(Entity, M)>, StoreError> {
        let size = query.size()?;
        let prefix = listing::prefix(collection, query.system.as_deref());
        let mut position = query.position(&prefix)?;
        let mut page = Page { records: Vec::new(), next_page_token: String::new() };
        let mut bytes = 0;
        loop {
            let next = match &position {
                Some(key) => self.tree.get_gt(key)?,
                None => self.tree.get_gt(&prefix)?,
            };
            let Some((key, _)) = next.filter(|(key, _)| key.starts_with(&prefix)) else {
                return Ok(page);
            };
            let id = listing::parse_id(&prefix, &key).ok_or_else(|| StoreError::Damaged {
                record: "listing".into(),
                problem: "a key is unreadable".into(),
            })?;
            let entity = entity_of(id);
            let payload =
                self.read(&entity, SUMMARY)?.ok_or_else(|| damaged(&entity, "it is listed and not there"))?;
            bytes += payload.len();
            if page.records.len() == size || (bytes > MAX_PAGE_BYTES && !page.records.is_empty()) {
                page.next_page_token =
                    position.map_or_else(String::new, |last| listing::token(&prefix, &last));
                return Ok(page);
            }
            let summary = M::decode(payload.as_slice()).map_err(|error| damaged(&entity, error))?;
            page.records.push((entity, summary));
            position = Some(key.to_vec());
        }
    }
}

/// The error of an entity that is not what was written.
pub(super) fn damaged(entity: &Entity, problem: impl ToString) -> StoreError {
    StoreError::Damaged { record: entity.to_string(), problem: problem.to_string() }
}
