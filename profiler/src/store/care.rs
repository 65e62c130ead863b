//! What is done to a store that no server has open: verify and compact. Salvage is in [`super::salvage`].

use std::{collections::BTreeMap, path::Path};

use sled::Tree;

use super::{
    engine_files::JOURNAL,
    error::StoreError,
    kept::{Kept, Sections},
    open_store::{OpenStore, Trust},
    readable_copy::{engine_copy, journal_copy},
    rebuild,
    scratch::Scratch,
    sled_store::StoreOptions,
    store_lock,
};

/// What a check of a store found.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Verification {
    /// Records that are whole, by kind.
    pub records: BTreeMap<String, u64>,
    /// What is wrong with the engine's copy; nothing for a sound store.
    pub engine_problems: Vec<String>,
    /// What is wrong with the other copy, checkpoint and journal.
    pub journal_problems: Vec<String>,
}

impl Verification {
    /// Whether both copies are whole.
    pub const fn is_sound(&self) -> bool {
        self.engine_problems.is_empty() && self.journal_problems.is_empty()
    }
}

/// Reads every record of the store in `path` from both of its copies, and changes nothing. Both are copied into the directory
/// for temporary files: an engine that opens its files also changes them.
///
/// # Errors
/// The store is in use, there is none, or the copies find no room.
pub fn verify(path: &Path) -> Result<Verification, StoreError> {
    require_store(path)?;
    let _lock = store_lock::hold(path)?;
    let scratch = Scratch::temporary()?;
    let mut report = Verification::default();
    let engine = engine_copy(path, &scratch)?;
    match &engine {
        Err(problem) => report.engine_problems.push(problem.clone()),
        Ok(copy) => {
            report.engine_problems.clone_from(&copy.problems);
            let (names, problems) = copy.names();
            report.engine_problems.extend(problems);
            for entity in names {
                match copy.read(&entity) {
                    Ok(Some((kept, sections))) => {
                        *report.records.entry(entity.kind().to_owned()).or_default() += 1;
                        report.engine_problems.extend(misplaced(&copy.tree, &kept, &sections));
                    }
                    Ok(None) => {}
                    Err(problem) => report.engine_problems.push(format!("{entity}: {problem}")),
                }
            }
        }
    }
    let journal = journal_copy(path, &scratch, &engine)?;
    match &journal {
        Err(problem) => report.journal_problems.push(problem.clone()),
        Ok(copy) => {
            report.journal_problems.clone_from(&copy.problems);
            // A journal behind the engine is no copy at all; one that is ahead is what a crash leaves.
            if let (Ok(engine), true) = (&engine, copy.problems.is_empty())
                && copy.changes == engine.changes
                && !same_rows(&copy.tree, &engine.tree)
            {
                report.journal_problems.push("it does not say what the engine says".into());
            }
        }
    }
    for copy in [&engine, &journal].into_iter().flatten() {
        copy.require_room(&scratch)?;
    }
    Ok(report)
}

/// Derived rows of an entity that are missing or different.
fn misplaced(tree: &Tree, kept: &Kept, sections: &Sections) -> Option<String> {
    let wrong = kept
        .derived(sections)
        .into_iter()
        .filter(|(key, value)| !matches!(tree.get(key), Ok(Some(found)) if found == value.as_slice()))
        .count();
    (wrong > 0).then(|| format!("{}: {wrong} of its index rows are missing or wrong", kept.entity()))
}

fn same_rows(left: &Tree, right: &Tree) -> bool {
    let equal =
        |(one, other): (sled::Result<_>, sled::Result<_>)| matches!((one, other), (Ok(a), Ok(b)) if a == b);
    left.len() == right.len() && left.iter().zip(right.iter()).all(equal)
}

/// Writes the engine's files anew without what they have outlived. Answers their size before and after, bytes.
///
/// # Errors
/// The store is in use, there is none, or it is damaged.
pub fn compact(path: &Path, options: StoreOptions) -> Result<(u64, u64), StoreError> {
    require_store(path)?;
    let store = OpenStore::open(path, options, Trust::Files)?;
    let before = store.statistics()?;
    store.checkpoint()?;
    let lock = store.finish()?;
    store_lock::await_release(path)?;
    rebuild::renew_engine(path, options.cache_mib << 20, before.changes).map_err(|error| error.at(path))?;
    drop(lock);
    let store = OpenStore::open(path, options, Trust::Files)?;
    let after = store.statistics()?;
    let lock = store.finish()?;
    store_lock::await_release(path)?;
    drop(lock);
    Ok((before.engine_bytes, after.engine_bytes))
}

/// Whether there is a store in `path`.
///
/// # Errors
/// There is none.
pub fn require_store(path: &Path) -> Result<(), StoreError> {
    let there = path.join("conf").is_file() || path.join(JOURNAL).is_dir();
    if there {
        return Ok(());
    }
    let problem = "there is no store in it; name the directory of one".to_owned();
    Err(StoreError::Open { path: path.to_owned(), problem })
}
