//! What is done to a store that no server has open: verify, salvage, compact.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
};

use sled::{Db, Tree};

use super::{
    digest::{STATE_KEY, State},
    entity_rows,
    error::StoreError,
    export_file::ExportWriter,
    kept::{Kept, Sections, promised_sum},
    key::{Entity, directory_entity, directory_key, directory_prefix},
    open_store::OpenStore,
    parts,
    recovery::{self, JOURNAL, Rebuilt, TREE},
    sealed,
    sled_store::StoreOptions,
    transfer::StoredRecord,
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

/// What a salvage wrote, and what it could not.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Salvage {
    /// Records written, by kind.
    pub records: BTreeMap<String, u64>,
    /// Records, or numbered changes, that cannot be read from anywhere.
    pub missing: Vec<String>,
    /// Records of which an older state may have been written.
    pub doubtful: Vec<String>,
}

const CACHE_BYTES: u64 = 64 << 20;

/// A directory for copies that goes when it is dropped.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Result<Self, StoreError> {
        let path = std::env::temp_dir().join(format!("automap-store-{}", uuid::Uuid::now_v7()));
        fs::create_dir_all(&path)?;
        Ok(Self(path))
    }

    fn directory(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be removed lies in the directory for temporary files.
        fs::remove_dir_all(&self.0).ok();
    }
}

/// One copy of the store, as far as it can be read.
struct Copy {
    /// Held so that the tree can be read.
    _database: Db,
    tree: Tree,
    changes: u64,
    /// What is wrong with it; nothing makes it an authority.
    problems: Vec<String>,
}

/// Opens a copy of the engine's files: reading them in place would change them.
fn engine_copy(path: &Path, scratch: &Scratch) -> Result<Copy, String> {
    let directory = scratch.directory("engine");
    let copy = |from: &Path, to: &Path| copy_all(from, to).map_err(|error| error.to_string());
    fs::create_dir_all(&directory).map_err(|error| error.to_string())?;
    for file in recovery::engine_files(path).map_err(|error| error.to_string())? {
        let name = file.file_name().unwrap_or_default();
        copy(&file, &directory.join(name))?;
    }
    if !directory.join("db").exists() {
        return Err("the engine's log is not there".into());
    }
    shielded(|| {
        let database = recovery::open_database(&directory, CACHE_BYTES).map_err(|error| error.to_string())?;
        let tree = database.open_tree(TREE).map_err(|error| error.to_string())?;
        let mut problems = Vec::new();
        let state = match tree.get(STATE_KEY).map_err(|error| error.to_string())? {
            Some(value) => {
                State::unseal(&value).map_err(|damage| format!("its state is damaged: {damage}"))?
            }
            None if path.join(JOURNAL).is_dir() => return Err("it has lost its state".into()),
            None => State::default(),
        };
        // A store of version 1 has no digest yet.
        if state != State::default() {
            match recovery::derived_digest(&tree) {
                Ok(digest) if digest == state.digest => {}
                Ok(_) => problems.push("it has lost rows or gives back old ones".to_owned()),
                Err(error) => problems.push(error.to_string()),
            }
        }
        Ok(Copy { _database: database, tree, changes: state.changes, problems })
    })
}

fn copy_all(from: &Path, to: &Path) -> std::io::Result<()> {
    if !from.is_dir() {
        return fs::copy(from, to).map(drop);
    }
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        copy_all(&entry.path(), &to.join(entry.file_name()))?;
    }
    Ok(())
}

/// Rebuilds the other copy from checkpoint and journal.
fn journal_copy(path: &Path, scratch: &Scratch, known: u64) -> Result<Copy, String> {
    shielded(|| {
        let database = recovery::open_database(&scratch.directory("journal"), CACHE_BYTES)
            .map_err(|error| error.to_string())?;
        let tree = database.open_tree(TREE).map_err(|error| error.to_string())?;
        let Rebuilt { changes, mut missing, torn_end } =
            recovery::rebuild(&path.join(JOURNAL), &tree).map_err(|error| error.to_string())?;
        if changes < known {
            missing.push(format!("it ends at change {changes} of {known}"));
        } else if torn_end && known == 0 {
            missing.push(format!(
                "what follows change {changes} is unreadable: a change that was never acknowledged, or a lost one"
            ));
        }
        Ok(Copy { _database: database, tree, changes, problems: missing })
    })
}

fn shielded<T>(work: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| Err("the engine gave up on it".into()))
}

impl Copy {
    /// All entities that rows or directory speak of.
    fn names(&self) -> (BTreeSet<Entity>, Vec<String>) {
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
    fn read(&self, entity: &Entity) -> Result<Option<(Kept, Sections)>, String> {
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
                let fits = |(&section, payload): (&u8, &Vec<u8>)| {
                    promised_sum(line, section) == Some(crc32fast::hash(payload))
                };
                if line.len() / 5 != sections.len() || !sections.iter().all(fits) {
                    return Err("it is not what was written last".into());
                }
            } else if self.changes > 0 {
                return Err("the directory does not know it".into());
            }
            Ok(Some((Kept::decode(entity, &sections)?, sections)))
        })
    }
}

/// Reads every record of the store in `path` from both of its copies, and changes nothing.
///
/// # Errors
/// The store is in use, or there is none.
pub fn verify(path: &Path) -> Result<Verification, StoreError> {
    require_store(path)?;
    let _lock = recovery::hold(path)?;
    let scratch = Scratch::new()?;
    let mut report = Verification::default();
    let engine = engine_copy(path, &scratch);
    let known = engine.as_ref().map_or(0, |copy| copy.changes);
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
    match journal_copy(path, &scratch, known) {
        Err(problem) => report.journal_problems.push(problem),
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

/// Writes everything readable in the store `path` into the export `file`, and changes nothing else.
///
/// Where checkpoint and journal are whole they say what is kept; else the engine, where that is whole; else what either
/// has.
///
/// # Errors
/// The store is in use or there is none, or the export cannot be written.
pub fn salvage(path: &Path, file: &Path) -> Result<Salvage, StoreError> {
    require_store(path)?;
    let _lock = recovery::hold(path)?;
    let scratch = Scratch::new()?;
    let engine = engine_copy(path, &scratch);
    let known = engine.as_ref().map_or(0, |copy| copy.changes);
    let journal = journal_copy(path, &scratch, known);
    let mut report = Salvage::default();
    let whole = |copy: &Result<Copy, String>| copy.as_ref().is_ok_and(|copy| copy.problems.is_empty());
    let (journal_whole, engine_whole) = (whole(&journal), whole(&engine));
    // The second is asked only for what the first has and cannot read.
    let order: [&Result<Copy, String>; 2] = if journal_whole || !engine_whole && newer(&journal, &engine) {
        [&journal, &engine]
    } else {
        [&engine, &journal]
    };
    let mut names = BTreeSet::new();
    let mut certain = false;
    for copy in order.into_iter().flatten() {
        let (found, problems) = copy.names();
        names.extend(found);
        if copy.problems.is_empty() && problems.is_empty() {
            // An authority knows all there is; what only the other has was deleted.
            certain = true;
            break;
        }
    }
    if !certain {
        for (what, copy) in [("the engine", &engine), ("the journal", &journal)] {
            match copy {
                Err(problem) => report.missing.push(format!("{what} cannot be read: {problem}")),
                Ok(found) => {
                    let problems = found.problems.iter().chain(&found.names().1).cloned().collect::<Vec<_>>();
                    report.missing.extend(problems.into_iter().map(|problem| format!("{what}: {problem}")));
                }
            }
        }
    }
    let mut writer = ExportWriter::create(file)?;
    for entity in names {
        let mut problems = Vec::new();
        let mut found = None;
        for (rank, copy) in order.into_iter().flatten().enumerate() {
            match copy.read(&entity) {
                Ok(Some(read)) => {
                    found = Some((rank, read));
                    break;
                }
                Ok(None) => {}
                Err(problem) => problems.push(problem),
            }
        }
        let Some((rank, (_, sections))) = found else {
            report.missing.push(format!("{entity}: {}", problems.join("; ")));
            continue;
        };
        if rank > 0 || !certain {
            report.doubtful.push(entity.to_string());
        }
        *report.records.entry(entity.kind().to_owned()).or_default() += 1;
        for (section, payload) in sections {
            for (key, value) in parts::cut(&entity.section(section), &payload)? {
                writer.add(&StoredRecord { key, value })?;
            }
        }
    }
    writer.finish(file)?;
    Ok(report)
}

fn newer(left: &Result<Copy, String>, right: &Result<Copy, String>) -> bool {
    match (left, right) {
        (Ok(one), Ok(other)) => one.changes > other.changes,
        (Ok(_), Err(_)) => true,
        (Err(_), _) => false,
    }
}

/// Writes the engine's files anew without what they have outlived. Answers their size before and after, bytes.
///
/// # Errors
/// The store is in use, there is none, or it is damaged.
pub fn compact(path: &Path, options: StoreOptions) -> Result<(u64, u64), StoreError> {
    require_store(path)?;
    let store = OpenStore::open(path, options)?;
    let before = store.statistics()?;
    store.checkpoint()?;
    let lock = store.finish()?;
    recovery::await_release(path)?;
    recovery::renew_engine(path, options.cache_mib << 20, before.changes)?;
    drop(lock);
    let store = OpenStore::open(path, options)?;
    let after = store.statistics()?;
    let lock = store.finish()?;
    recovery::await_release(path)?;
    drop(lock);
    Ok((before.engine_bytes, after.engine_bytes))
}

fn require_store(path: &Path) -> Result<(), StoreError> {
    let there = path.join("conf").is_file() || path.join(JOURNAL).is_dir();
    if there {
        return Ok(());
    }
    let problem = "there is no store in it; name the directory of one".to_owned();
    Err(StoreError::Open { path: path.to_owned(), problem })
}
