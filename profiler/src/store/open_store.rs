//! A store that is open: how it reads, and how a change becomes durable.
//!
//! A change gets a number, goes to the journal, then as one batch to the engine. It is acknowledged when the journal, the
//! engine's log and the directory are synced; writers that come meanwhile share the next sync.

use std::{
    collections::BTreeMap,
    fs::File,
    path::{Path, PathBuf},
    sync::{Condvar, Mutex, MutexGuard, PoisonError, RwLock},
};

use prost::Message;
use sled::Tree;

use super::{
    acknowledged::Acknowledged,
    change::Change,
    checkpoint,
    counts::Counts,
    digest::{STATE_KEY, State, row_sum},
    error::StoreError,
    incident_table::IncidentTable,
    journal::{self, Journal},
    kept::{Kept, promised_sum},
    key::{BODY, ENTITIES_END, Entity, SUMMARY, directory_key},
    listing::{self, Collection, ListQuery, MAX_PAGE_BYTES, Page},
    normals::KeptNormals,
    parts,
    recovery::{self, Chores, JOURNAL},
    sealed,
    sled_store::StoreOptions,
};
use crate::record_id::RecordId;

/// The parts of a store that is open.
pub(super) struct OpenStore {
    pub(super) path: PathBuf,
    options: StoreOptions,
    database: sled::Db,
    pub(super) tree: Tree,
    /// sled's own file, opened again: its flush hands pages to the disk without waiting for an fsync.
    log: File,
    /// Told after every sync.
    acknowledged: Acknowledged,
    /// Held from reading a record to writing what follows from it.
    writer: Mutex<Writer>,
    progress: Mutex<Progress>,
    synced: Condvar,
    /// Held while a checkpoint is written.
    pub(super) checkpointing: Mutex<()>,
    pub(super) incidents: RwLock<IncidentTable>,
    pub(super) normals: Mutex<KeptNormals>,
    lock: File,
}

/// What only one thread at a time may change.
pub(super) struct Writer {
    pub(super) state: State,
    /// Records by kind.
    counts: Counts,
    pub(super) journal: Journal,
    broken: bool,
}

/// How far the changes are on disk.
#[derive(Default)]
struct Progress {
    synced: u64,
    running: bool,
    failed: Option<StoreError>,
}

impl std::fmt::Debug for OpenStore {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("OpenStore").field("path", &self.path).finish_non_exhaustive()
    }
}

pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether what is read from the journal's files is also on the disk, once it is synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trust {
    /// Nothing is known to the contrary.
    Files,
    /// A sync failed: the system may show what it dropped, and say of a second sync that it succeeded.
    Nothing,
}

impl OpenStore {
    pub(super) fn open(path: &Path, options: StoreOptions, trust: Trust) -> Result<Self, StoreError> {
        let room = recovery::require_room(path, options.reserve_mib, 0).is_ok();
        if !room {
            recovery::drop_ballast(path);
        }
        let chores = if room { Chores::Done } else { Chores::Left };
        let recovered = recovery::recover(path, options.cache_mib.max(1) << 20, chores)?;
        let anchored = recovered.anchored && trust == Trust::Files;
        let journal_directory = path.join(JOURNAL);
        recovery::sync_engine(path)?;
        if anchored {
            journal::sync_all(&journal_directory)?;
        }
        // What a power failure left of changes that were never acknowledged must not meet others of the same number.
        journal::cut_after(&journal_directory, recovered.state.changes)?;
        let log = File::open(recovery::log_file(path))?;
        let journal = Journal::begin(&journal_directory, recovered.state.changes + 1)?;
        let acknowledged = Acknowledged::open(&journal_directory, recovered.state.changes)?;
        recovery::sync_directory(path)?;
        let changes = recovered.state.changes;
        let store = Self {
            path: path.to_owned(),
            options,
            database: recovered.database,
            tree: recovered.tree,
            log,
            acknowledged,
            writer: Mutex::new(Writer {
                state: recovered.state,
                counts: recovered.counts,
                journal,
                // The next change opens it again, with its chores.
                broken: chores == Chores::Left,
            }),
            progress: Mutex::new(Progress { synced: changes, ..Progress::default() }),
            synced: Condvar::new(),
            checkpointing: Mutex::default(),
            incidents: RwLock::default(),
            normals: Mutex::default(),
            lock: recovered.lock,
        };
        store.load_incidents()?;
        if !anchored {
            match store.checkpoint() {
                Ok(_) => {}
                // It can be read, and the next change begins by opening it again.
                Err(StoreError::Full { .. }) => locked(&store.writer).broken = true,
                Err(error) => return Err(error),
            }
        }
        recovery::lay_ballast(path, options.reserve_mib);
        Ok(store)
    }

    /// Writes everything out and lets go of the engine. The lock is answered: it must outlive the engine's threads.
    pub(super) fn finish(self) -> Result<File, StoreError> {
        if self.healthy() && self.checkpoint_due()? && self.has_room().is_ok() {
            self.checkpoint()?;
        }
        let file = locked(&self.writer).journal.file();
        self.sync(&file)?;
        Ok(self.lock)
    }

    /// Keeps other writers out until the guard goes.
    ///
    /// # Errors
    /// The disk is full, or a change before this one failed and left the engine in a state that is not known.
    pub(super) fn writing(&self) -> Result<MutexGuard<'_, Writer>, StoreError> {
        self.has_room()?;
        let writer = locked(&self.writer);
        if writer.broken {
            let problem = "a change before failed and the store is not opened again yet; try again";
            return Err(StoreError::Failed(problem.into()));
        }
        Ok(writer)
    }

    /// Keeps writers out, to read what belongs together.
    pub(super) fn standstill(&self) -> MutexGuard<'_, Writer> {
        locked(&self.writer)
    }

    /// Whether there is room for changes.
    pub(super) fn has_room(&self) -> Result<(), StoreError> {
        recovery::require_room(&self.path, self.options.reserve_mib, 0)
    }

    /// Whether engine and journal agree with what was acknowledged.
    pub(super) fn healthy(&self) -> bool {
        !locked(&self.writer).broken && locked(&self.progress).failed.is_none()
    }

    /// The engine failed: it must be opened again.
    pub(super) fn give_up(&self) {
        locked(&self.writer).broken = true;
    }

    /// Whether a sync failed since it was opened.
    pub(super) fn trust(&self) -> Trust {
        if locked(&self.progress).failed.is_some() { Trust::Nothing } else { Trust::Files }
    }

    /// Applies a change and answers its number, with which [`Self::settle`] waits for the disk.
    pub(super) fn commit(&self, writer: &mut Writer, mut change: Change) -> Result<u64, StoreError> {
        /// What a byte of a change takes at most: once in the journal, and in the engine with what it rewrites for it.
        const AMPLIFICATION: u64 = 5;
        let bytes = change.bytes() * AMPLIFICATION;
        recovery::require_room(&self.path, self.options.reserve_mib, bytes)?;
        let mut state = State { changes: writer.state.changes + 1, digest: writer.state.digest };
        let mut counts = writer.counts.clone();
        for (key, value) in change.iter().filter(|(key, _)| key.as_slice() >= ENTITIES_END) {
            let old = self.tree.get(key)?;
            counts.change(key, old.is_some(), value.is_some());
            if let Some(old) = old {
                state.digest = state.digest.wrapping_sub(row_sum(key, &old));
            }
            if let Some(new) = value {
                state.digest = state.digest.wrapping_add(row_sum(key, new));
            }
        }
        change.insert(STATE_KEY.to_vec(), state.seal());
        let written = writer.journal.append(state.changes, &change).map_err(|error| self.refused(error));
        let apply = |()| self.tree.apply_batch(change.to_batch()).map_err(|error| self.engine_refused(error));
        let applied = written.and_then(apply);
        match applied {
            Ok(()) => (writer.state, writer.counts) = (state, counts),
            // What the engine now holds is not known; it is opened again before the next write.
            Err(_) => writer.broken = true,
        }
        applied.map(|()| state.changes)
    }

    /// Waits until the change with this number, and all before it, are on disk.
    pub(super) fn settle(&self, change: u64) -> Result<(), StoreError> {
        let mut progress = locked(&self.progress);
        loop {
            if progress.synced >= change {
                return Ok(());
            }
            if let Some(error) = &progress.failed {
                return Err(error.clone());
            }
            if !progress.running {
                break;
            }
            progress = self.synced.wait(progress).unwrap_or_else(PoisonError::into_inner);
        }
        progress.running = true;
        drop(progress);
        let (reached, journal) = {
            let writer = locked(&self.writer);
            (writer.state.changes, writer.journal.file())
        };
        let outcome = self.sync(&journal).and_then(|()| Ok(self.acknowledged.set(reached)?));
        let mut progress = locked(&self.progress);
        progress.running = false;
        match &outcome {
            Ok(()) => progress.synced = progress.synced.max(reached),
            Err(error) => progress.failed = Some(error.clone()),
        }
        self.synced.notify_all();
        outcome
    }

    /// Waits until everything applied is on disk.
    fn sync(&self, journal: &File) -> Result<(), StoreError> {
        journal.sync_data().map_err(|error| self.refused(error))?;
        self.database.flush().map_err(|error| self.engine_refused(error))?;
        self.log.sync_data().map_err(|error| self.refused(error))?;
        recovery::sync_directory(&self.path).map_err(|error| self.refused(error))
    }

    fn engine_refused(&self, error: sled::Error) -> StoreError {
        match error {
            sled::Error::Io(error) => self.refused(error),
            other => other.into(),
        }
    }

    fn refused(&self, error: std::io::Error) -> StoreError {
        match error.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
                StoreError::Full { path: self.path.clone(), problem: error.to_string() }
            }
            _ => error.into(),
        }
    }

    /// Writes all rows into a new checkpoint and drops the journal before it. Answers its size, bytes.
    pub(super) fn checkpoint(&self) -> Result<u64, StoreError> {
        let _turn = locked(&self.checkpointing);
        let refused = |error| self.refused(error);
        let directory = self.path.join(JOURNAL);
        let number = {
            let mut writer = locked(&self.writer);
            let number = writer.state.changes;
            writer.journal.turn(number + 1).map_err(refused)?;
            number
        };
        let mut writer = checkpoint::CheckpointWriter::new(&directory, number).map_err(refused)?;
        for entry in &self.tree {
            let (key, value) = entry?;
            sealed::unseal(&key, &value).map_err(|damage| StoreError::Damaged {
                record: Entity::parse(&key).map_or_else(|| "index".into(), |(entity, ..)| entity.to_string()),
                problem: damage.to_string(),
            })?;
            writer.add(&key, &value).map_err(refused)?;
        }
        // Rows of changes made meanwhile are in it: without those changes it would be torn.
        let meanwhile = locked(&self.writer).journal.file();
        meanwhile.sync_data().map_err(refused)?;
        let bytes = writer.finish(&directory).map_err(refused)?;
        locked(&self.writer).journal.forget_through(number)?;
        tracing::debug!(store = %self.path.display(), number, bytes, "checkpoint written");
        Ok(bytes)
    }

    /// Whether the journal has outgrown the last checkpoint.
    pub(super) fn checkpoint_due(&self) -> Result<bool, StoreError> {
        let small = self.options.checkpoint_mib.saturating_mul(1 << 20);
        let (_, bytes) = checkpoint::newest(&self.path.join(JOURNAL))?;
        Ok(locked(&self.writer).journal.total() > bytes.max(small))
    }

    /// The payload of a section, if there is one.
    ///
    /// # Errors
    /// It is not what was written last.
    pub(super) fn read(&self, entity: &Entity, section: u8) -> Result<Option<Vec<u8>>, StoreError> {
        let prefix = entity.section(section);
        let mut found = BTreeMap::new();
        for entry in self.tree.scan_prefix(&prefix) {
            let (key, value) = entry?;
            let (_, _, part) = Entity::parse(&key).ok_or_else(|| damaged(entity, "a key is unreadable"))?;
            found.insert(part, value);
        }
        let key = directory_key(entity);
        let promised = match self.tree.get(&key)? {
            None => None,
            Some(line) => {
                let line = sealed::unseal(&key, &line).map_err(|damage| damaged(entity, damage))?;
                promised_sum(line, section)
            }
        };
        match (found.is_empty(), promised) {
            (true, None) => Ok(None),
            (true, Some(_)) => Err(damaged(entity, "a part of it is missing")),
            (false, promised) => {
                let payload = parts::join(&entity.to_string(), &prefix, &found)?;
                if promised == Some(crc32fast::hash(&payload)) {
                    Ok(Some(payload))
                } else {
                    Err(damaged(entity, "it is not what was written last"))
                }
            }
        }
    }

    /// All of an entity, if it is kept.
    pub(super) fn kept(&self, entity: &Entity) -> Result<Option<Kept>, StoreError> {
        let mut sections = BTreeMap::new();
        for section in [SUMMARY, BODY] {
            if let Some(payload) = self.read(entity, section)? {
                sections.insert(section, payload);
            }
        }
        if sections.is_empty() {
            return Ok(None);
        }
        Kept::decode(entity, &sections).map(Some).map_err(|problem| damaged(entity, problem))
    }

    /// Adds to `change` what replaces an entity, or removes it when `after` is `None`.
    pub(super) fn replace(
        &self,
        change: &mut Change,
        before: Option<&Kept>,
        after: Option<&Kept>,
    ) -> Result<(), StoreError> {
        let Some(entity) = after.or(before).map(Kept::entity) else {
            return Ok(());
        };
        if let Some(old) = before {
            for (key, _) in old.derived(&old.sections()) {
                change.remove(key);
            }
        }
        let sections = after.map(Kept::sections).unwrap_or_default();
        for section in [SUMMARY, BODY] {
            self.write(change, &entity, section, sections.get(&section).map(Vec::as_slice))?;
        }
        if let Some(new) = after {
            for (key, value) in new.derived(&sections) {
                change.insert(key, value);
            }
        }
        Ok(())
    }

    /// Replaces a section in `change`: a payload of `None` removes it. What is there already is not written again.
    fn write(
        &self,
        change: &mut Change,
        entity: &Entity,
        section: u8,
        payload: Option<&[u8]>,
    ) -> Result<(), StoreError> {
        let prefix = entity.section(section);
        let cut = match payload {
            Some(bytes) => parts::cut(&prefix, bytes)?,
            None => Vec::new(),
        };
        let mut cut: BTreeMap<Vec<u8>, Vec<u8>> = cut.into_iter().collect();
        for entry in self.tree.scan_prefix(&prefix) {
            let (key, old) = entry?;
            match cut.get(&key[..]) {
                None => change.remove(key.to_vec()),
                Some(new) if old == new.as_slice() => {
                    cut.remove(&key[..]);
                }
                Some(_) => {}
            }
        }
        for (key, value) in cut {
            change.insert(key, value);
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
            let Some(payload) = self.read(&entity, SUMMARY)? else {
                // Removed since the listing was read.
                if self.tree.contains_key(&key)? {
                    return Err(damaged(&entity, "it is listed and not there"));
                }
                position = Some(key.to_vec());
                continue;
            };
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

    /// Everything that is kept, counted. O(1).
    pub(super) fn statistics(&self) -> Result<super::StoreStatistics, StoreError> {
        let (records, changes, journal_bytes) = {
            let writer = locked(&self.writer);
            (writer.counts.by_kind(), writer.state.changes, writer.journal.total())
        };
        let (checkpoint, checkpoint_bytes) = checkpoint::newest(&self.path.join(JOURNAL))?;
        Ok(super::StoreStatistics {
            records,
            changes,
            engine_bytes: self.database.size_on_disk()?,
            journal_bytes,
            checkpoint,
            checkpoint_bytes,
        })
    }
}

/// The error of an entity that is not what was written.
pub(super) fn damaged(entity: &Entity, problem: impl ToString) -> StoreError {
    StoreError::Damaged { record: entity.to_string(), problem: problem.to_string() }
}
