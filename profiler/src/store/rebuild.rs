//! The engine's files built anew from checkpoint and journal, the other copy of what is kept.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use sled::Tree;

use super::{
    acknowledged::acknowledged,
    change::Change,
    checkpoint,
    digest::{STATE_KEY, State},
    engine_files::{JOURNAL, TREE, move_engine_aside, open_database, sync_directory, sync_engine},
    entity_rows,
    error::StoreError,
    journal,
    recovery::derived,
    room,
    store_lock::await_release,
    unreadable::{Unreadable, state},
};

/// Rows are put into a rebuilt tree in batches of about this many.
const REBUILD_ROWS: usize = 2_000;

/// Writes the engine's files anew from checkpoint and journal, which hold `changes` changes.
pub(crate) fn renew_engine(path: &Path, cache_bytes: u64, changes: u64) -> Result<(), StoreError> {
    let scratch = rebuild_beside(path, cache_bytes, changes).map_err(|unreadable| match unreadable {
        Unreadable::Refused(error) => error,
        Unreadable::Damaged(problem) => StoreError::Open { path: path.to_owned(), problem },
    })?;
    let aside = move_engine_aside(path)?;
    put_in_place(path, &scratch)?;
    fs::remove_dir_all(aside)?;
    Ok(())
}

/// Moves the files of a rebuilt engine to where the engine is opened.
pub(crate) fn put_in_place(path: &Path, scratch: &Path) -> io::Result<()> {
    for entry in fs::read_dir(scratch)? {
        let entry = entry?;
        fs::rename(entry.path(), path.join(entry.file_name()))?;
    }
    fs::remove_dir(scratch)?;
    sync_directory(path)
}

/// Builds the engine's files anew from checkpoint and journal in a directory inside `path`.
///
/// # Errors
/// Checkpoint and journal do not give all of the `claimed` changes, or the disk has no room for the files beside the others.
pub(super) fn rebuild_beside(path: &Path, cache_bytes: u64, claimed: u64) -> Result<PathBuf, Unreadable> {
    let scratch = path.join("rebuilding");
    let work = || -> Result<(), Unreadable> {
        if scratch.exists() {
            fs::remove_dir_all(&scratch)?;
        }
        let (_, checkpoint_bytes) = checkpoint::newest(&path.join(JOURNAL))?;
        let bytes = checkpoint_bytes.saturating_add(journal::bytes(&path.join(JOURNAL))?);
        room::require_room(path, 0, bytes)?;
        let database = open_database(&scratch, cache_bytes)?;
        let tree = database.open_tree(TREE)?;
        let rebuilt = rebuild(&path.join(JOURNAL), &tree)?;
        if !rebuilt.missing.is_empty() {
            return Err(rebuilt.missing.join("; ").into());
        }
        if rebuilt.changes < claimed {
            return Err(format!("it ends at change {} of {claimed}", rebuilt.changes).into());
        }
        let kept = tree.get(STATE_KEY)?;
        let kept = kept.map_or(Ok(State::default()), |value| state(path, &value))?;
        if derived(&tree)?.digest != kept.digest {
            return Err("what it holds does not add up".into());
        }
        entity_rows::check(&tree)?;
        database.flush()?;
        drop((tree, database));
        await_release(&scratch)?;
        Ok(sync_engine(&scratch)?)
    };
    let outcome = work();
    if outcome.is_err() {
        fs::remove_dir_all(&scratch).ok();
    }
    outcome.map(|()| scratch)
}

/// What a rebuild brought, and what it could not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Rebuilt {
    /// Number of the last change.
    pub(crate) changes: u64,
    /// What cannot be read, a sentence each.
    pub(crate) missing: Vec<String>,
    /// Whether the journal ends in something unreadable.
    pub(crate) torn_end: bool,
}

/// Fills an empty tree from the newest checkpoint in `journal` and the changes after it.
///
/// # Errors
/// A file cannot be read or the tree cannot be written.
pub(crate) fn rebuild(journal: &Path, tree: &Tree) -> Result<Rebuilt, StoreError> {
    let mut gathered = Change::default();
    let found = checkpoint::read_newest::<StoreError>(journal, |change| {
        for (key, value) in change.iter() {
            if let Some(bytes) = value {
                gathered.insert(key.clone(), bytes.clone());
            }
        }
        if gathered.len() >= REBUILD_ROWS {
            tree.apply_batch(std::mem::take(&mut gathered).to_batch())?;
        }
        Ok(())
    })?;
    tree.apply_batch(gathered.to_batch())?;
    let mut rebuilt = Rebuilt::default();
    let number = found.map_or(0, |read| read.number);
    if found.is_some_and(|read| !read.whole) {
        rebuilt.missing.push(format!("parts of the checkpoint at change {number} are unreadable"));
    }
    if !journal::begins_by(journal, number)? {
        rebuilt.missing.push(format!("the journal does not begin at change {}", number + 1));
    }
    let outcome = journal::replay::<StoreError>(journal, number, acknowledged(journal), |_, change| {
        Ok(tree.apply_batch(change.to_batch())?)
    })?;
    let gaps = outcome.gaps.iter().map(|(first, last)| match first == last {
        true => format!("change {first} is unreadable"),
        false => format!("changes {first} to {last} are unreadable"),
    });
    rebuilt.missing.extend(gaps);
    rebuilt.changes = outcome.last;
    rebuilt.torn_end = outcome.torn_end;
    Ok(rebuilt)
}
