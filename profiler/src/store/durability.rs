//! How a change of an open store becomes durable: one sync for all writers who wait, and checkpoints.

use std::{fs::File, sync::PoisonError};

use super::{
    checkpoint,
    engine_files::{JOURNAL, sync_directory},
    error::StoreError,
    key::Entity,
    open_store::{OpenStore, locked},
    room, sealed,
};

impl OpenStore {
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
        let outcome = self.heeded(|| {
            self.sync(&journal)?;
            self.acknowledged.set(reached).map_err(|error| self.refused(error))
        });
        let mut progress = locked(&self.progress);
        progress.running = false;
        if outcome.is_ok() {
            progress.synced = progress.synced.max(reached);
        }
        self.synced.notify_all();
        outcome
    }

    /// Has journal or engine synced; every sync of journal and engine goes through this, one after the other. One that
    /// fails is remembered, and none after it counts: the system tells of an error once and may then say of the same file
    /// that it is on the disk, although pages of it were lost.
    ///
    /// Writers may be kept out while this is called, and `sync` must not keep them out.
    pub(super) fn heeded<T>(&self, sync: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
        let _turn = locked(&self.syncing);
        if let Some(error) = &locked(&self.progress).failed {
            return Err(error.clone());
        }
        let outcome = sync();
        if let Err(error) = &outcome {
            locked(&self.progress).failed = Some(error.clone());
        }
        outcome
    }

    /// Waits until everything applied is on disk.
    pub(super) fn sync(&self, journal: &File) -> Result<(), StoreError> {
        journal.sync_data().map_err(|error| self.refused(error))?;
        self.engine.database.flush().map_err(|error| self.refused(error))?;
        self.log.sync_data().map_err(|error| self.refused(error))?;
        sync_directory(&self.path).map_err(|error| self.refused(error))
    }

    pub(super) fn refused(&self, error: impl Into<StoreError>) -> StoreError {
        error.into().at(&self.path)
    }

    /// Writes all rows into a new checkpoint and drops the journal before it. Answers its size, bytes.
    pub(super) fn checkpoint(&self) -> Result<u64, StoreError> {
        let _turn = locked(&self.checkpointing);
        let refused = |error: std::io::Error| self.refused(error);
        let directory = self.path.join(JOURNAL);
        let number = {
            let mut writer = locked(&self.writer);
            let number = writer.state.changes;
            self.heeded(|| writer.journal.turn(number + 1).map_err(refused))?;
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
        self.heeded(|| meanwhile.sync_data().map_err(refused))?;
        let whole = writer.finish().map_err(refused)?;
        if self.is_damaged() {
            let problem =
                "a record was found damaged while a checkpoint was written: the one before it stays";
            return Err(StoreError::Failed(problem.into()));
        }
        let bytes = self.heeded(|| whole.put_in_place(&directory).map_err(refused))?;
        {
            let mut writer = locked(&self.writer);
            self.heeded(|| writer.journal.forget_through(number).map_err(refused))?;
        }
        tracing::debug!(store = %self.path.display(), number, bytes, "checkpoint written");
        Ok(bytes)
    }

    /// Requires room for a checkpoint beside what of the reserve is not for chores that free room.
    ///
    /// # Errors
    /// [`StoreError::Full`] when there is none.
    pub(super) fn require_room_for_checkpoint(&self) -> Result<(), StoreError> {
        let (_, bytes) = checkpoint::newest(&self.path.join(JOURNAL))?;
        let most = bytes.saturating_add(locked(&self.writer).journal.total());
        let enough = |bytes| room::require_room(&self.path, self.chores_reserve_mib(), bytes);
        // Where much was replaced or removed it takes less; the rows are counted only where that matters.
        enough(most).or_else(|_| enough(self.checkpoint_bytes()?))
    }

    /// What a checkpoint would take. O(bytes of the store).
    fn checkpoint_bytes(&self) -> Result<u64, StoreError> {
        /// Lengths before each row, and its share of a frame.
        const OVERHEAD: usize = 16;
        let mut bytes = 0_u64;
        for entry in &self.tree {
            let (key, value) = entry?;
            bytes += (key.len() + value.len() + OVERHEAD) as u64;
        }
        Ok(bytes)
    }

    /// Whether the journal has outgrown the last checkpoint, and another may take the place of both. Not after damage: a
    /// checkpoint has what the engine has, and the records that the engine lost are in those alone.
    pub(super) fn may_checkpoint(&self) -> Result<bool, StoreError> {
        if self.is_damaged() {
            return Ok(false);
        }
        let small = self.options.checkpoint_mib.saturating_mul(1 << 20);
        let (_, bytes) = checkpoint::newest(&self.path.join(JOURNAL))?;
        Ok(locked(&self.writer).journal.total() > bytes.max(small))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        diagnosis_record::DiagnosisRecord,
        store::{acknowledged::Acknowledged, open_store::Trust, sled_store::StoreOptions, tests::diagnosis},
    };

    #[test]
    fn a_mark_that_finds_no_room_is_told_as_a_full_disk_and_so_is_the_next_change() {
        let (directory, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let mut store = OpenStore::open(directory.path(), StoreOptions::default(), Trust::Files).unwrap();
        // Whatever is written into it finds no room.
        std::os::unix::fs::symlink("/dev/full", elsewhere.path().join("acknowledged")).unwrap();
        store.acknowledged = Acknowledged::open(elsewhere.path()).unwrap();
        for name in ["d-1", "d-2"] {
            match store.put_diagnosis(&diagnosis(name, 100, 3)).unwrap_err() {
                StoreError::Full { path, .. } => assert_eq!(path, directory.path(), "{name}"),
                other => panic!("{name}: {other}"),
            }
        }
        assert!(!store.healthy() && store.trust() == Trust::Nothing);
    }

    #[test]
    fn a_sync_that_fails_is_remembered_whoever_asked_for_it() {
        type Work = fn(&OpenStore, &DiagnosisRecord) -> Result<(), StoreError>;
        let works: [(&str, Work); 3] = [
            ("a checkpoint", |store, _| store.checkpoint().map(drop)),
            ("a change", |store, record| store.put_diagnosis(record)),
            ("a change that begins a segment", |store, record| {
                locked(&store.writer).journal.fill();
                store.put_diagnosis(record)
            }),
        ];
        for (name, work) in works {
            let directory = tempfile::tempdir().unwrap();
            let store = OpenStore::open(directory.path(), StoreOptions::default(), Trust::Files).unwrap();
            let record = diagnosis("d-1", 100, 3);
            store.put_diagnosis(&record).unwrap();
            // It takes everything and cannot be synced.
            let null = Arc::new(File::options().write(true).open("/dev/null").unwrap());
            let segment = locked(&store.writer).journal.replace_file(null);
            assert!(work(&store, &record).is_err(), "{name}");
            assert!(!store.healthy() && store.trust() == Trust::Nothing, "{name}");
            // As the system says when it has told of an error.
            locked(&store.writer).journal.replace_file(segment);
            assert!(store.settle(u64::MAX).is_err() && store.checkpoint().is_err(), "{name}");
        }
    }
}
