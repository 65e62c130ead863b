//! The two copies of a store that no server has open, each read apart and as far as it can be: the engine's files, and
//! checkpoint with journal. Both are read in copies, because an engine that opens its files also changes them.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    io::{ErrorKind, Read as _, Write as _},
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
};

use sled::Tree;

use super::{
    acknowledged::acknowledged,
    change::Change,
    checkpoint,
    digest::{STATE_KEY, State},
    engine_files::{self, Chores, Engine, JOURNAL, TREE},
    entity_rows,
    error::StoreError,
    journal,
    kept::{Kept, Sections, promises},
    key::{Entity, directory_entity, directory_key, directory_prefix},
    rebuild::{self, Rebuilt},
    recovery,
    scratch::Scratch,
    sealed,
    unreadable::{self, Unreadable},
};

const CACHE_BYTES: u64 = 64 << 20;

/// One copy of the store, as far as it can be read.
pub(super) struct Copy {
    /// Held so that the tree can be read.
    engine: Engine,
    pub(super) tree: Tree,
    pub(super) changes: u64,
    /// Changes that it knew before those of the journal were added: all that were acknowledged, unless it is damaged.
    own_changes: u64,
    /// What is wrong with it; nothing makes it an authority.
    pub(super) problems: Vec<String>,
}

/// Opens a copy of the engine's files, or tells what is wrong with them: reading them in place would change them.
///
/// # Errors
/// The copy finds no room, or it is not the store's fault that it cannot be read.
pub(super) fn engine_copy(path: &Path, scratch: &Scratch) -> Result<Result<Copy, String>, StoreError> {
    scratch.judged(shielded(|| {
        let directory = scratch.directory("engine");
        fs::create_dir_all(&directory).map_err(|error| scratch.refused(error))?;
        for file in engine_files::engine_files(path)? {
            let name = file.file_name().unwrap_or_default();
            copy_all(&file, &directory.join(name), scratch)?;
        }
        if !directory.join("db").exists() {
            return Err("the engine's log is not there".into());
        }
        let engine = engine_files::open_engine(&directory, CACHE_BYTES, Chores::Done)?;
        let tree = engine.database.open_tree(TREE)?;
        let mut problems = Vec::new();
        let journal = path.join(JOURNAL);
        let promised = acknowledged(&journal);
        let speaks = journal::replay::<StoreError>(&journal, 0, promised, |_, _| Ok(()));
        let (checkpoint, _) = checkpoint::newest(&journal)?;
        let known = speaks?.newest.max(checkpoint).max(promised.unwrap_or(0));
        let mut state = match tree.get(STATE_KEY)? {
            Some(value) => unreadable::state(path, &value)?,
            None if known > 0 => return Err("it has lost its state".into()),
            None => State::default(),
        };
        let own_changes = state.changes;
        match catch_up(path, &tree, own_changes)? {
            Some(newer) => state = newer,
            None => {
                problems.push(format!("it ends at change {}, and the next cannot be read", state.changes))
            }
        }
        if state.changes < known {
            problems.push(format!("it ends at change {} of {known}", state.changes));
        }
        // A store of version 1 has no digest yet.
        if state != State::default() {
            match recovery::derived(&tree) {
                Ok(derived) if derived.digest == state.digest => {}
                Ok(_) => problems.push("it has lost rows or gives back old ones".to_owned()),
                Err(error) => problems.push(error.to_string()),
            }
        }
        Ok(Copy { engine, tree, changes: state.changes, own_changes, problems })
    }))
}

/// Replays the changes that a crash kept from the engine, as opening does; `None` where some cannot be read.
fn catch_up(path: &Path, tree: &Tree, changes: u64) -> Result<Option<State>, Unreadable> {
    let journal = path.join(JOURNAL);
    let promised = acknowledged(&journal);
    let there = journal::replay::<StoreError>(&journal, changes, promised, |_, _| Ok(()))?;
    if !there.gaps.is_empty() {
        return Ok(None);
    }
    let apply = |_, change: &Change| Ok(tree.apply_batch(change.to_batch())?);
    journal::replay::<StoreError>(&journal, changes, promised, apply)?;
    match tree.get(STATE_KEY)? {
        None => Ok(Some(State::default())),
        Some(value) => unreadable::state(path, &value).map(Some),
    }
}

/// Copies a file or a directory of the store: what cannot be read is the store's damage, what cannot be written is not.
fn copy_all(from: &Path, to: &Path, scratch: &Scratch) -> Result<(), Unreadable> {
    let damaged = |error: std::io::Error| Unreadable::Damaged(format!("{}: {error}", from.display()));
    let refused = |error: std::io::Error| scratch.refused(error);
    if from.is_dir() {
        fs::create_dir_all(to).map_err(refused)?;
        for entry in fs::read_dir(from).map_err(damaged)? {
            let entry = entry.map_err(damaged)?;
            copy_all(&entry.path(), &to.join(entry.file_name()), scratch)?;
        }
        return Ok(());
    }
    let mut source = File::open(from).map_err(damaged)?;
    let mut copy = File::create(to).map_err(refused)?;
    let mut bytes = vec![0; 1 << 20];
    loop {
        match source.read(&mut bytes) {
            Ok(0) => return Ok(()),
            Ok(read) => copy.write_all(&bytes[..read]).map_err(refused)?,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(damaged(error)),
        }
    }
}

/// Rebuilds the other copy from checkpoint and journal, or tells what is wrong with them.
///
/// # Errors
/// As of [`engine_copy`].
pub(super) fn journal_copy(
    path: &Path,
    scratch: &Scratch,
    engine: &Result<Copy, String>,
) -> Result<Result<Copy, String>, StoreError> {
    let (known, seen) = engine.as_ref().map_or((0, 0), |copy| (copy.changes, copy.own_changes));
    let promised = acknowledged(&path.join(JOURNAL)).unwrap_or(0);
    let (known, seen) = (known.max(promised), seen.max(promised));
    scratch.judged(shielded(|| {
        // Nothing of the store is in it yet.
        let engine = engine_files::open_engine(&scratch.directory("journal"), CACHE_BYTES, Chores::Done)
            .map_err(|error| scratch.refused(error))?;
        let tree = engine.database.open_tree(TREE)?;
        let Rebuilt { changes, mut missing, torn_end } = rebuild::rebuild(&path.join(JOURNAL), &tree)?;
        if let Some(value) = tree.get(STATE_KEY)? {
            unreadable::state(path, &value)?;
        }
        if changes < known {
            missing.push(format!("it ends at change {changes} of {known}"));
        } else if torn_end && seen < changes {
            missing.push(format!(
                "what follows change {changes} is unreadable: a change that was never acknowledged, or a lost one"
            ));
        }
        Ok(Copy { engine, tree, changes, own_changes: changes, problems: missing })
    }))
}

fn shielded<T, E: From<&'static str>>(work: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| Err("the engine gave up on it".into()))
}

impl Copy {
    /// Makes sure that nothing which was read of it was wrong because the engine found no more room in `scratch`.
    ///
    /// # Errors
    /// It found none.
    pub(super) fn require_room(&self, scratch: &Scratch) -> Result<(), StoreError> {
        if self.engine.ran_out_of_room() { Err(scratch.refused("no space left on device")) } else { Ok(()) }
    }

    /// All entities that rows or directory speak of.
    pub(super) fn names(&self) -> (BTreeSet<Entity>, Vec<String>) {
        let (mut names, mut problems) = (BTreeSet::new(), Vec::new());
        let walked = shielded(|| {
            for found in entity_rows::raw(&self.tree) {
                match found {
                    Ok((entity, _)) => {
                        names.insert(entity);
                    }
                    Err(error) => problems.push(error.to_string()),
                }
            }
            for key in self.tree.scan_prefix(directory_prefix()).keys() {
                let key = key.map_err(|error| error.to_string())?;
                names.extend(directory_entity(&key));
            }
            Ok(())
        });
        problems.extend(walked.err());
        (names, problems)
    }

    /// An entity with all checks; `None` when this copy does not know it.
    pub(super) fn read(&self, entity: &Entity) -> Result<Option<(Kept, Sections)>, String> {
        shielded(|| {
            let mut found = BTreeMap::<u8, BTreeMap<u16, sled::IVec>>::new();
            for entry in self.tree.scan_prefix(entity.prefix()) {
                let (key, value) = entry.map_err(|error| error.to_string())?;
                if let Some((_, section, part)) = Entity::parse(&key).filter(|(of, ..)| of == entity) {
                    found.entry(section).or_default().insert(part, value);
                }
            }
            let key = directory_key(entity);
            let line = self.tree.get(&key).map_err(|error| error.to_string())?;
            if found.is_empty() {
                return match line {
                    None => Ok(None),
                    Some(_) => Err("only its name is left".into()),
                };
            }
            let sections = entity_rows::join(entity, &found).map_err(|error| error.to_string())?;
            // A store of version 1 has no directory.
            if let Some(line) = line {
                let line = sealed::unseal(&key, &line).map_err(|damage| damage.to_string())?;
                if !promises(line, &sections) {
                    return Err("it is not what was written last".into());
                }
            } else if self.changes > 0 {
                return Err("the directory does not know it".into());
            }
            Ok(Some((Kept::decode(entity, &sections)?, sections)))
        })
    }
}
