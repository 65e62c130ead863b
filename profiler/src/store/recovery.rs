//! Opening a store, also after a crash and after damage.
//!
//! The engine's files are one copy of what is kept; the last checkpoint and the journal after it are another. An open
//! store has both, and the digest says whether the engine still has every row. So opening
//!
//! 1. lets the engine recover, with a half-written snapshot moved aside when it refuses,
//! 2. replays changes that reached the journal and not the engine,
//! 3. compares the digest with the derived rows, and each record with the checksums that its line of the directory, one
//!    of these, has of it, and
//! 4. where the engine failed one of these, moves its files aside and rebuilds them from checkpoint and journal, provided
//!    those are whole; of files moved aside the newest three stay. Otherwise the store stays as it is and the error says so.
//!
//! What a newer build wrote is no damage: it is refused, and nothing replayed or rebuilt.
//!
//! Before an opened store takes a change, checkpoint and journal hold everything that the engine holds, synced: what
//! they lack, or a failed sync may have cost, goes into a new checkpoint. So the number of the next change can never
//! leave a gap behind it, whatever a later power failure takes.

use std::{
    fs::File,
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
};

use sled::Tree;

use super::{
    acknowledged::acknowledged,
    checkpoint,
    counts::Counts,
    digest::{STATE_KEY, State, row_sum},
    engine_files::{
        Chores, Engine, JOURNAL, TREE, engine_files, forget_damaged, move_engine_aside, open_engine,
        sync_directory,
    },
    entity_rows,
    error::StoreError,
    incidents::times_of,
    journal,
    kept::Sections,
    key::{ENTITIES_END, Entity},
    migration,
    rebuild::{put_in_place, rebuild_beside},
    store_lock::{await_release, hold, refuse_foreign_directory},
    unreadable::{self, Unreadable},
};
use crate::{abnormal::Intervals, record_id::RecordId};

/// An engine whose rows are all there.
pub(crate) struct Recovered {
    pub(crate) engine: Engine,
    pub(crate) tree: Tree,
    pub(crate) state: State,
    pub(crate) counts: Counts,
    /// When each incident made its system abnormal, by rising id.
    pub(crate) times: Vec<(RecordId, Intervals)>,
    /// Whether checkpoint and journal can rebuild all of it.
    pub(crate) anchored: bool,
    pub(crate) lock: File,
}

/// Opens the store in `path`, made when it is not there.
///
/// # Errors
/// Another process holds it, the directory holds something else, a newer build wrote it, engine and journal are both damaged,
/// or the disk has no room to rebuild the one from the other.
pub(crate) fn recover(path: &Path, cache_bytes: u64, chores: Chores) -> Result<Recovered, StoreError> {
    refuse_foreign_directory(path)?;
    let lock = hold(path)?;
    if engine_files(path)?.is_empty() && !path.join(JOURNAL).exists() {
        journal::found(&path.join(JOURNAL))?;
        sync_directory(path)?;
    }
    refuse_newer(path)?;
    let (reason, claimed) = match shielded(path, || examine(path, cache_bytes, chores)) {
        Ok(passed) => return Ok(passed.recovered(lock)),
        Err(Examined::Refused(error)) => return Err(error),
        Err(Examined::Damaged { reason, changes }) => (reason, changes),
    };
    await_release(path)?;
    let claimed = claimed.max(acknowledged(&path.join(JOURNAL)).unwrap_or(0));
    let scratch = rebuild_beside(path, cache_bytes, claimed).map_err(|why| {
        let path = path.to_owned();
        match why {
            Unreadable::Refused(StoreError::Full { problem, .. }) => StoreError::Full {
                path,
                problem: format!("{reason}; its journal is to rebuild it and finds no room: {problem}"),
            },
            Unreadable::Refused(error) => error,
            Unreadable::Damaged(why) => StoreError::Open {
                path,
                problem: format!(
                    "{reason}; its journal cannot rebuild it either: {why}. Nothing was changed: `automap store \
                     salvage` writes what is readable into an export and names what is missing, and `automap store \
                     import` takes that into a new directory"
                ),
            },
        }
    })?;
    let aside = move_engine_aside(path)?;
    put_in_place(path, &scratch)?;
    tracing::warn!(
        store = %path.display(), %reason, moved_to = %aside.display(),
        "the store was damaged and has been rebuilt from its checkpoint and journal; nothing acknowledged is lost"
    );
    match shielded(path, || examine(path, cache_bytes, chores)) {
        Ok(passed) => {
            if let Err(error) = forget_damaged(path) {
                tracing::warn!(store = %path.display(), %error, "older damaged files cannot be removed");
            }
            Ok(passed.recovered(lock))
        }
        Err(Examined::Refused(error)) => Err(error),
        Err(Examined::Damaged { reason, .. }) => Err(StoreError::Open {
            path: path.to_owned(),
            problem: format!("{reason}, also after rebuilding: the disk does not keep what it is given"),
        }),
    }
}

/// Looks at what a newer build would have written before the engine opens its files, which changes them.
fn refuse_newer(path: &Path) -> Result<(), StoreError> {
    let journal = path.join(JOURNAL);
    for rows in [journal::last_change(&journal)?, checkpoint::first_rows(&journal)?].iter().flatten() {
        if let Some(Err(Unreadable::Refused(newer))) =
            rows.get(STATE_KEY).map(|value| unreadable::state(path, value))
        {
            return Err(newer);
        }
    }
    Ok(())
}

/// Why a store is not opened as it is.
enum Examined {
    /// It is in use, or the file system refused.
    Refused(StoreError),
    /// The engine lost something; with the changes that it knows of.
    Damaged { reason: String, changes: u64 },
}

impl From<StoreError> for Examined {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Damaged { .. } => Self::Damaged { reason: error.to_string(), changes: 0 },
            other => Self::Refused(other),
        }
    }
}

impl From<sled::Error> for Examined {
    fn from(error: sled::Error) -> Self {
        StoreError::from(error).into()
    }
}

impl From<io::Error> for Examined {
    fn from(error: io::Error) -> Self {
        Self::Refused(StoreError::from(error))
    }
}

/// The engine panics on some damage; that is damage too.
fn shielded<T>(path: &Path, work: impl FnOnce() -> Result<T, Examined>) -> Result<T, Examined> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
        let reason = format!("the engine gave up on the files in {}", path.display());
        Err(Examined::Damaged { reason, changes: 0 })
    })
}

/// An engine that passed.
struct Examination {
    engine: Engine,
    tree: Tree,
    state: State,
    counts: Counts,
    times: Vec<(RecordId, Intervals)>,
    anchored: bool,
}

impl Examination {
    fn recovered(self, lock: File) -> Recovered {
        let Self { engine, tree, state, counts, times, anchored } = self;
        Recovered { engine, tree, state, counts, times, anchored, lock }
    }
}

fn examine(path: &Path, cache_bytes: u64, chores: Chores) -> Result<Examination, Examined> {
    let engine = open_engine(path, cache_bytes, chores).map_err(|error| match error {
        StoreError::Open { problem, .. } => Examined::Damaged { reason: problem, changes: 0 },
        other => other.into(),
    })?;
    let tree = engine.database.open_tree(TREE)?;
    let journal = path.join(JOURNAL);
    let (checkpoint, _) = checkpoint::newest(&journal)?;
    let journalled = checkpoint > 0 || journal::holds_anything(&journal)?;
    let mut state = match tree.get(STATE_KEY)? {
        Some(value) => state_of(path, &value, 0)?,
        None if tree.is_empty() => State::default(),
        None if !journalled => migration::from_version_1(&tree)?,
        None => {
            let reason = "the store lost its state".to_owned();
            return Err(Examined::Damaged { reason, changes: 0 });
        }
    };
    let promised = acknowledged(&journal);
    let outcome = journal::replay::<Examined>(&journal, state.changes, promised, |number, change| {
        if let Some(value) = change.get(STATE_KEY) {
            state_of(path, value, number)?;
        }
        Ok(tree.apply_batch(change.to_batch())?)
    })?;
    let changes = state.changes;
    let behind = |first: u64, last: u64| {
        let reason =
            format!("the engine has {changes} changes, and {first} to {last} are not in the journal");
        Err(Examined::Damaged { reason, changes: last })
    };
    if let Some(&(first, last)) = outcome.gaps.first() {
        return behind(first, last);
    }
    if outcome.last > changes {
        tracing::info!(
            store = %path.display(), changes = outcome.last - changes,
            "changes that a crash kept from the engine were replayed"
        );
        let value = tree.get(STATE_KEY)?.unwrap_or_default();
        state = state_of(path, &value, outcome.last)?;
    }
    // An engine that lost its log opens as an empty one.
    let known = outcome.newest.max(checkpoint).max(promised.unwrap_or(0));
    if known > state.changes {
        return behind(state.changes + 1, known);
    }
    let derived = derived(&tree)?;
    if derived.digest != state.digest {
        let reason = "the engine has lost rows or gives back old ones".to_owned();
        return Err(Examined::Damaged { reason, changes: state.changes });
    }
    let mut times = Vec::new();
    let passed = |entity: &Entity, sections: &Sections| times.extend(times_of(entity, sections));
    entity_rows::check_each(&tree, passed).map_err(|error| match error {
        StoreError::Damaged { record, problem } => {
            Examined::Damaged { reason: format!("{record}: {problem}"), changes: state.changes }
        }
        other => other.into(),
    })?;
    let anchored = journal::covers(&journal, checkpoint, state.changes, promised)?;
    Ok(Examination { engine, tree, state, counts: derived.counts, times, anchored })
}

/// A state as the engine or a change of the journal has it, who know of so many changes.
fn state_of(path: &Path, value: &[u8], changes: u64) -> Result<State, Examined> {
    unreadable::state(path, value).map_err(|unreadable| match unreadable {
        Unreadable::Refused(error) => Examined::Refused(error),
        Unreadable::Damaged(reason) => Examined::Damaged { reason, changes },
    })
}

/// What the derived rows that are there add up to.
#[derive(Debug, Default)]
pub(crate) struct Derived {
    pub(crate) digest: u64,
    pub(crate) counts: Counts,
}

/// Reads all derived rows.
pub(crate) fn derived(tree: &Tree) -> Result<Derived, sled::Error> {
    let mut derived = Derived::default();
    for entry in tree.range(ENTITIES_END..) {
        let (key, value) = entry?;
        derived.digest = derived.digest.wrapping_add(row_sum(&key, &value));
        derived.counts.change(&key, false, true);
    }
    Ok(derived)
}
