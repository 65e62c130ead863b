//! A store that is open, and how it takes a change.
//!
//! A change gets a number, goes to the journal, then as one batch to the engine. It is acknowledged when the journal, the
//! engine's log and the directory are synced; writers that come meanwhile share the next sync.

use std::{
    fs::File,
    path::{Path, PathBuf},
    sync::{
        Condvar, Mutex, MutexGuard, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
};

use sled::Tree;

use super::{
    acknowledged::Acknowledged,
    change::Change,
    checkpoint,
    counts::Counts,
    digest::{STATE_KEY, State, row_sum},
    engine_files::{Chores, Engine, JOURNAL, log_file, sync_directory, sync_engine},
    error::StoreError,
    incident_table::IncidentTable,
    journal::{self, Journal},
    key::ENTITIES_END,
    normals::KeptNormals,
    recovery, room,
    sled_store::StoreOptions,
};

/// The parts of a store that is open.
pub(super) struct OpenStore {
    pub(super) path: PathBuf,
    pub(super) options: StoreOptions,
    pub(super) engine: Engine,
    pub(super) tree: Tree,
    /// sled's own file, opened again: its flush hands pages to the disk without waiting for an fsync.
    pub(super) log: File,
    /// Told after every sync.
    pub(super) acknowledged: Acknowledged,
    /// Held from reading a record to writing what follows from it.
    pub(super) writer: Mutex<Writer>,
    pub(super) progress: Mutex<Progress>,
    /// Held while journal or engine are synced.
    pub(super) syncing: Mutex<()>,
    pub(super) synced: Condvar,
    /// Held while a checkpoint is written.
    pub(super) checkpointing: Mutex<()>,
    pub(super) incidents: RwLock<IncidentTable>,
    pub(super) normals: Mutex<KeptNormals>,
    /// Whether a record was found damaged since it was opened.
    damaged: AtomicBool,
    lock: File,
}

/// What only one thread at a time may change.
pub(super) struct Writer {
    pub(super) state: State,
    /// Records by kind.
    counts: Counts,
    pub(super) journal: Journal,
    /// Why the next change begins by opening the store again.
    broken: Option<StoreError>,
}

/// How far the changes are on disk.
#[derive(Default)]
pub(super) struct Progress {
    pub(super) synced: u64,
    pub(super) running: bool,
    pub(super) failed: Option<StoreError>,
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
        Self::opened(path, options, trust).map_err(|error| error.at(path))
    }

    fn opened(path: &Path, options: StoreOptions, trust: Trust) -> Result<Self, StoreError> {
        let full = room::require_room(path, room::chores_reserve_mib(options.reserve_mib), 0).err();
        if full.is_some() {
            room::drop_ballast(path);
        }
        let chores = if full.is_none() { Chores::Done } else { Chores::Left };
        let recovered = recovery::recover(path, options.cache_mib.max(1) << 20, chores)?;
        let anchored = recovered.anchored && trust == Trust::Files;
        let journal_directory = path.join(JOURNAL);
        sync_engine(path)?;
        if anchored {
            journal::sync_all(&journal_directory)?;
        }
        // What a power failure left of changes that were never acknowledged must not meet others of the same number.
        journal::cut_after(&journal_directory, recovered.state.changes)?;
        let log = File::open(log_file(path))?;
        let journal = Journal::begin(&journal_directory, recovered.state.changes + 1)?;
        let changes = recovered.state.changes;
        let acknowledged = Acknowledged::open(&journal_directory)?;
        if anchored {
            acknowledged.promise(changes)?;
        }
        sync_directory(path)?;
        let store = Self {
            path: path.to_owned(),
            options,
            engine: recovered.engine,
            tree: recovered.tree,
            log,
            acknowledged,
            writer: Mutex::new(Writer {
                state: recovered.state,
                counts: recovered.counts,
                journal,
                // The next change opens it again, with its chores.
                broken: full,
            }),
            progress: Mutex::new(Progress { synced: changes, ..Progress::default() }),
            syncing: Mutex::default(),
            synced: Condvar::new(),
            checkpointing: Mutex::default(),
            incidents: RwLock::default(),
            normals: Mutex::default(),
            damaged: AtomicBool::new(false),
            lock: recovered.lock,
        };
        store.load_incidents(recovered.times)?;
        if !anchored {
            store.anchor(store.checkpoint(), changes, trust)?;
        }
        room::lay_ballast(path, options.reserve_mib);
        Ok(store)
    }

    /// What follows from how the checkpoint ended without which nothing of the store is known to be on the disk.
    fn anchor(&self, written: Result<u64, StoreError>, changes: u64, trust: Trust) -> Result<(), StoreError> {
        match written {
            // What was not promised before is on the disk only now.
            Ok(_) => Ok(self.acknowledged.promise(changes)?),
            // It can be read, and the next change begins by opening it again: with no more trust than now.
            Err(full @ StoreError::Full { .. }) => {
                locked(&self.writer).broken = Some(full.clone());
                if trust == Trust::Nothing {
                    locked(&self.progress).failed.get_or_insert(full);
                }
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Writes everything out and lets go of the engine. The lock is answered: it must outlive the engine's threads.
    pub(super) fn finish(self) -> Result<File, StoreError> {
        if self.healthy() && self.may_checkpoint()? && self.require_room_for_checkpoint().is_ok() {
            self.checkpoint()?;
        }
        let file = locked(&self.writer).journal.file();
        self.heeded(|| self.sync(&file))?;
        Ok(self.lock)
    }

    /// Keeps other writers out until the guard goes.
    ///
    /// # Errors
    /// The disk is full, or a change before this one failed and left the engine in a state that is not known.
    pub(super) fn writing(&self) -> Result<MutexGuard<'_, Writer>, StoreError> {
        self.writing_beside(self.options.reserve_mib)
    }

    /// The same for a change that leaves so much free, MiB.
    pub(super) fn writing_beside(&self, reserve_mib: u64) -> Result<MutexGuard<'_, Writer>, StoreError> {
        room::require_room(&self.path, reserve_mib, 0)?;
        let writer = locked(&self.writer);
        match &writer.broken {
            None => Ok(writer),
            Some(full @ StoreError::Full { .. }) => Err(full.clone()),
            Some(_) => {
                let problem = "a change before failed and the store is not opened again yet; try again";
                Err(StoreError::Failed(problem.into()))
            }
        }
    }

    /// Keeps writers out, to read what belongs together.
    pub(super) fn standstill(&self) -> MutexGuard<'_, Writer> {
        locked(&self.writer)
    }

    /// What chores that free room leave free, MiB.
    pub(super) const fn chores_reserve_mib(&self) -> u64 {
        room::chores_reserve_mib(self.options.reserve_mib)
    }

    /// Whether engine and journal agree with what was acknowledged, and take more.
    pub(super) fn healthy(&self) -> bool {
        locked(&self.writer).broken.is_none()
            && locked(&self.progress).failed.is_none()
            && !self.engine.has_failed()
    }

    /// Passes on what was found while writers were kept out. Damage is remembered: from then on the last checkpoint and the
    /// journal after it may be the only whole copy, which no other checkpoint may replace.
    pub(super) fn heed_damage<T>(&self, found: Result<T, StoreError>) -> Result<T, StoreError> {
        if let Err(error @ StoreError::Damaged { .. }) = &found
            && !self.damaged.swap(true, Ordering::Relaxed)
        {
            tracing::error!(
                store = %self.path.display(), %error,
                "a record is damaged: no checkpoint is written before the store is opened again"
            );
        }
        found
    }

    /// Whether a record was found damaged since the store was opened.
    pub(super) fn is_damaged(&self) -> bool {
        self.damaged.load(Ordering::Relaxed)
    }

    /// The engine failed: it must be opened again.
    pub(super) fn give_up(&self, error: StoreError) {
        locked(&self.writer).broken.get_or_insert(error);
    }

    /// Whether a sync failed since it was opened.
    pub(super) fn trust(&self) -> Trust {
        if locked(&self.progress).failed.is_some() { Trust::Nothing } else { Trust::Files }
    }

    /// Applies a change and answers its number, with which [`Self::settle`] waits for the disk.
    pub(super) fn commit(&self, writer: &mut Writer, change: Change) -> Result<u64, StoreError> {
        self.commit_beside(self.options.reserve_mib, writer, change)
    }

    /// The same for a change that leaves so much free, MiB.
    pub(super) fn commit_beside(
        &self,
        reserve_mib: u64,
        writer: &mut Writer,
        mut change: Change,
    ) -> Result<u64, StoreError> {
        /// What a byte of a change takes at most: once in the journal, and in the engine with what it rewrites for it.
        const AMPLIFICATION: u64 = 5;
        let bytes = change.bytes().saturating_mul(AMPLIFICATION);
        room::require_room(&self.path, reserve_mib, bytes)?;
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
        journal::require_frame(change.encoded_bytes())?;
        let journal = &mut writer.journal;
        let turned = match journal.is_full() {
            true => self.heeded(|| journal.turn(state.changes).map_err(|error| self.refused(error))),
            false => Ok(()),
        };
        let written =
            turned.and_then(|()| journal.append(state.changes, &change).map_err(|error| self.refused(error)));
        let apply = |()| self.tree.apply_batch(change.to_batch()).map_err(|error| self.refused(error));
        let applied = written.and_then(apply);
        match &applied {
            Ok(()) => (writer.state, writer.counts) = (state, counts),
            // What the engine now holds is not known; it is opened again before the next write.
            Err(error) => writer.broken = Some(error.clone()),
        }
        applied.map(|()| state.changes)
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
            engine_bytes: self.engine.database.size_on_disk()?,
            journal_bytes,
            checkpoint,
            checkpoint_bytes,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_sync_is_not_forgotten_when_the_disk_has_no_room_for_the_checkpoint_after_it() {
        for trust in [Trust::Files, Trust::Nothing] {
            let directory = tempfile::tempdir().unwrap();
            let store = OpenStore::open(directory.path(), StoreOptions::default(), Trust::Files).unwrap();
            let full =
                StoreError::Full { path: directory.path().to_owned(), problem: "no space left".into() };
            store.anchor(Err(full), 0, trust).unwrap();
            assert!(!store.healthy(), "the next change opens it again");
            assert_eq!(store.trust(), trust);
        }
    }
}
