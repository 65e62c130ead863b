//! Writing everything that can be read of a damaged store into an export, and saying what cannot.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use super::{
    care::require_store,
    error::StoreError,
    export_file::{ExportWriter, read_export},
    kept::Sections,
    key::Entity,
    parts,
    readable_copy::{Copy, engine_copy, journal_copy},
    scratch::Scratch,
    store_lock,
    transfer::{StoredRecord, gather},
};

/// Where the server puts its scheduled exports unless told otherwise.
const EXPORTS: &str = "exports";

/// What a salvage wrote, and what it could not.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Salvage {
    /// Records written, by kind.
    pub records: BTreeMap<String, u64>,
    /// Records, or numbered changes, that cannot be read from anywhere.
    pub missing: Vec<String>,
    /// Records of which an older state may have been written, with where it is from.
    pub doubtful: Vec<String>,
}

/// An entity as one of the sources has it.
enum Found {
    /// Read from engine or journal; `false` where that was only the second choice.
    Copy(Sections, bool),
    Export(Sections, PathBuf),
    Nowhere(Vec<String>),
}

/// Writes everything readable in the store `path` into the export `file`, and changes nothing else. Meanwhile both copies of
/// the store are copied into a directory beside `file`.
///
/// Where checkpoint and journal are whole they say what is kept; else the engine, where that is whole; else what either
/// has. What neither can give comes from `exports`, files or directories of which the newest that can be read counts, and those
/// that the schedule left in the store, the newest first: in the state it had then.
///
/// # Errors
/// The store is in use or there is none, the export cannot be written, or the copies find no room.
pub fn salvage(path: &Path, file: &Path, exports: &[PathBuf]) -> Result<Salvage, StoreError> {
    require_store(path)?;
    let _lock = store_lock::hold(path)?;
    let mut writer = ExportWriter::create(file)?;
    let scratch = Scratch::beside(file)?;
    let engine = engine_copy(path, &scratch)?;
    let journal = journal_copy(path, &scratch, &engine)?;
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
    let mut exported = Exported::default();
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
        exported.read(path, exports);
        names.extend(exported.entities.keys().cloned());
    }
    for entity in names {
        let mut found = find(&entity, order, certain);
        if let Found::Nowhere(_) = &found {
            exported.read(path, exports);
            if let Some((sections, from)) = exported.entities.remove(&entity) {
                found = Found::Export(sections, from);
            }
        }
        let sections = match found {
            Found::Copy(sections, true) => sections,
            Found::Copy(sections, false) => {
                report.doubtful.push(entity.to_string());
                sections
            }
            Found::Export(sections, from) => {
                report.doubtful.push(format!("{entity}: from the export {}", from.display()));
                sections
            }
            Found::Nowhere(problems) => {
                report.missing.push(format!("{entity}: {}", problems.join("; ")));
                continue;
            }
        };
        *report.records.entry(entity.kind().to_owned()).or_default() += 1;
        for (section, payload) in sections {
            for (key, value) in parts::cut(&entity.section(section), &payload)? {
                writer.add(&StoredRecord { key, value })?;
            }
        }
    }
    for copy in order.into_iter().flatten() {
        copy.require_room(&scratch)?;
    }
    writer.finish()?;
    report.doubtful.extend(exported.unreadable);
    Ok(report)
}

fn find(entity: &Entity, order: [&Result<Copy, String>; 2], certain: bool) -> Found {
    let mut problems = Vec::new();
    for (rank, copy) in order.into_iter().flatten().enumerate() {
        match copy.read(entity) {
            Ok(Some((_, sections))) => return Found::Copy(sections, certain && rank == 0),
            Ok(None) => {}
            Err(problem) => problems.push(problem),
        }
    }
    Found::Nowhere(problems)
}

fn newer(left: &Result<Copy, String>, right: &Result<Copy, String>) -> bool {
    match (left, right) {
        (Ok(one), Ok(other)) => one.changes > other.changes,
        (Ok(_), Err(_)) => true,
        (Err(_), _) => false,
    }
}

/// What earlier exports have.
#[derive(Default)]
struct Exported {
    read: bool,
    entities: BTreeMap<Entity, (Sections, PathBuf)>,
    /// Exports that cannot be read, a sentence each.
    unreadable: Vec<String>,
}

impl Exported {
    /// Reads them, once: those that are named first, of a directory the newest that can be read, then those in the store from
    /// the newest on.
    fn read(&mut self, store: &Path, named: &[PathBuf]) {
        if std::mem::replace(&mut self.read, true) {
            return;
        }
        for place in named {
            if place.is_dir() {
                if !exports_in(place).iter().any(|file| self.take(file)) {
                    self.unreadable.push(format!("no export in {} can be read", place.display()));
                }
            } else {
                self.take(place);
            }
        }
        for file in exports_in(&store.join(EXPORTS)) {
            self.take(&file);
        }
    }

    /// Adds what an export has beside those before it, where it can be read.
    fn take(&mut self, file: &Path) -> bool {
        match read_export(file).and_then(gather) {
            Ok(gathered) => {
                for (entity, sections) in gathered.sections {
                    self.entities.entry(entity).or_insert_with(|| (sections, file.to_owned()));
                }
                true
            }
            Err(error) => {
                self.unreadable.push(format!("an export cannot be read: {error}"));
                false
            }
        }
    }
}

/// The exports of a directory, the newest first: their names tell their times.
fn exports_in(directory: &Path) -> Vec<PathBuf> {
    let mut exports: Vec<PathBuf> = fs::read_dir(directory)
        .map(|entries| entries.filter_map(|entry| entry.ok().map(|found| found.path())).collect())
        .unwrap_or_default();
    exports.retain(|file| file.extension().is_some_and(|ending| ending == "export"));
    exports.sort_by(|one, other| other.cmp(one));
    exports
}
