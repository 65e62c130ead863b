//! How a change of an open store becomes durable: one sync for all writers who wait, and checkpoints.

use std::{fs::File, sync::PoisonError};

use super::{
    checkpoint,
    engine_files::{JOURNAL, sync_directory},
    error::StoreError,
    key::Entity,
    open_store::{OpenStore, locked},
    sealed,
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
    pub(super) fn sync(&self, journal: &File) -> Result<(), StoreError> {
        journal.sync_data().map_err(|error| self.refused(error))?;
        self.database.flush().map_err(|error| self.engine_refused(error))?;
        self.log.sync_data().map_err(|error| self.refused(error))?;
        sync_directory(&self.path).map_err(|error| self.refused(error))
    }

    pub(super) fn engine_refused(&self, error: sled::Error) -> StoreError {
        match error {
            sled::Error::Io(error) => self.refused(error),
            other => other.into(),
        }
    }

    pub(super) fn refused(&self, error: std::io::Error) -> StoreError {
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
}
