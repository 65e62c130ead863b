//! Opening a store, also after a crash and after damage.
//!
//! The engine's files are one copy of what is kept; the last checkpoint and the journal after it are another. An open
//! store has both, and the digest says whether the engine still has every row. So opening
//!
//! 1. lets the engine recover, with a half-written snapshot moved aside when it refuses,
//! 2. replays changes that reached the journal and not the engine,
//! 3. compares the digest with the rows, and
//! 4. where the engine failed one of these, moves its files aside and rebuilds them from checkpoint and journal, provided
//!    those are whole. Otherwise the store stays as it is and the error says so.
//!
//! Before an opened store takes a change, checkpoint and journal hold everything that the engine holds, synced: what
//! they lack, or a failed sync may have cost, goes into a new checkpoint. So the number of the next change can never
//! leave a gap behind it, whatever a later power failure takes.

use std::{
    fs::{self, File},
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use rustix::fs::FallocateFlags;
use sled::{Db, Tree};

use super::{
    acknowledged::acknowledged,
    change::Change,
    checkpoint,
    counts::Counts,
    digest::{STATE_KEY, State, row_sum},
    error::StoreError,
    journal,
    key::ENTITIES_END,
    migration,
};

/// Name of the one tree.
pub(crate) const TREE: &str = "records";
/// Where damaged files are moved to.
const MOVED_ASIDE: &str = "moved-aside";
/// Where journal and checkpoint lie.
pub(crate) const JOURNAL: &str = "journal";
/// The file whose lock says that a store is in use.
const LOCK: &str = "lock";
/// Files of the engine beside its snapshots.
const ENGINE_FILES: [&str; 3] = ["conf", "db", "blobs"];

/// How long a lock may outlive the store that held it: sled's background threads hold it a little longer.
const LOCK_PATIENCE: Duration = Duration::from_secs(5);

/// Rows are put into a rebuilt tree in batches of about this many.
const REBUILD_ROWS: usize = 2_000;

/// An engine whose rows are all there.
pub(crate) struct Recovered {
    pub(crate) database: Db,
    pub(crate) tree: Tree,
    pub(crate) state: State,
    pub(crate) counts: Counts,
    /// Whether checkpoint and journal can rebuild all of it.
    pub(crate) anchored: bool,
    pub(crate) lock: File,
}

/// Opens the store in `path`, made when it is not there.
///
/// # Errors
/// Another process holds it, the directory holds something else, or engine and journal are both damaged.
pub(crate) fn recover(path: &Path, cache_bytes: u64, chores: Chores) -> Result<Recovered, StoreError> {
    refuse_foreign_directory(path)?;
    let lock = hold(path)?;
    if engine_files(path)?.is_empty() && !path.join(JOURNAL).exists() {
        journal::found(&path.join(JOURNAL))?;
        sync_directory(path)?;
    }
    let (reason, claimed) = match shielded(path, || examine(path, cache_bytes, chores)) {
        Ok(passed) => return Ok(passed.recovered(lock)),
        Err(Examined::Refused(error)) => return Err(error),
        Err(Examined::Damaged { reason, changes }) => (reason, changes),
    };
    await_release(path)?;
    let claimed = claimed.max(acknowledged(&path.join(JOURNAL)).unwrap_or(0));
    let scratch = rebuild_beside(path, cache_bytes, claimed).map_err(|why| StoreError::Open {
        path: path.to_owned(),
        problem: format!(
            "{reason}; its journal cannot rebuild it either: {why}. Nothing was changed: `automap store salvage` \
             writes what is readable into an export and names what is missing, and `automap store import` takes that \
             into a new directory"
        ),
    })?;
    let aside = move_engine_aside(path)?;
    put_in_place(path, &scratch)?;
    tracing::warn!(
        store = %path.display(), %reason, moved_to = %aside.display(),
        "the store was damaged and has been rebuilt from its checkpoint and journal; nothing acknowledged is lost"
    );
    match shielded(path, || examine(path, cache_bytes, chores)) {
        Ok(passed) => Ok(passed.recovered(lock)),
        Err(Examined::Refused(error)) => Err(error),
        Err(Examined::Damaged { reason, .. }) => Err(StoreError::Open {
            path: path.to_owned(),
            problem: format!("{reason}, also after rebuilding: the disk does not keep what it is given"),
        }),
    }
}

/// Writes the engine's files anew from checkpoint and journal, which hold `changes` changes.
pub(crate) fn renew_engine(path: &Path, cache_bytes: u64, changes: u64) -> Result<(), StoreError> {
    let scratch = rebuild_beside(path, cache_bytes, changes)
        .map_err(|problem| StoreError::Open { path: path.to_owned(), problem })?;
    let aside = move_engine_aside(path)?;
    put_in_place(path, &scratch)?;
    fs::remove_dir_all(aside)?;
    Ok(())
}

fn put_in_place(path: &Path, scratch: &Path) -> io::Result<()> {
    for entry in fs::read_dir(scratch)? {
        let entry = entry?;
        fs::rename(entry.path(), path.join(entry.file_name()))?;
    }
    fs::remove_dir(scratch)?;
    sync_directory(path)
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
    database: Db,
    tree: Tree,
    state: State,
    counts: Counts,
    anchored: bool,
}

impl Examination {
    fn recovered(self, lock: File) -> Recovered {
        let Self { database, tree, state, counts, anchored } = self;
        Recovered { database, tree, state, counts, anchored, lock }
    }
}

fn examine(path: &Path, cache_bytes: u64, chores: Chores) -> Result<Examination, Examined> {
    let database = open_engine(path, cache_bytes, chores).map_err(|error| match error {
        StoreError::Open { problem, .. } => Examined::Damaged { reason: problem, changes: 0 },
        other => other.into(),
    })?;
    let tree = database.open_tree(TREE)?;
    let journal = path.join(JOURNAL);
    let (checkpoint, _) = checkpoint::newest(&journal)?;
    let journalled = checkpoint > 0 || journal::holds_anything(&journal)?;
    let mut state = match tree.get(STATE_KEY)? {
        Some(value) => State::unseal(&value).map_err(|damage| Examined::Damaged {
            reason: format!("the state of the store is damaged: {damage}"),
            changes: 0,
        })?,
        None if tree.is_empty() => State::default(),
        None if !journalled => migration::from_version_1(&tree)?,
        None => {
            let reason = "the store lost its state".to_owned();
            return Err(Examined::Damaged { reason, changes: 0 });
        }
    };
    let promised = acknowledged(&journal);
    let outcome = journal::replay::<Examined>(&journal, state.changes, promised, |_, change| {
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
        state = State::unseal(&value).map_err(|damage| Examined::Damaged {
            reason: format!("the replayed state is damaged: {damage}"),
            changes: outcome.last,
        })?;
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
    let anchored = journal::covers(&journal, checkpoint, state.changes, promised)?;
    Ok(Examination { database, tree, state, counts: derived.counts, anchored })
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

/// Builds the engine's files anew from checkpoint and journal in a directory inside `path`.
fn rebuild_beside(path: &Path, cache_bytes: u64, claimed: u64) -> Result<PathBuf, String> {
    let scratch = path.join("rebuilding");
    let work = || -> Result<(), String> {
        if scratch.exists() {
            fs::remove_dir_all(&scratch).map_err(|error| error.to_string())?;
        }
        let database = open_database(&scratch, cache_bytes).map_err(|error| error.to_string())?;
        let tree = database.open_tree(TREE).map_err(|error| error.to_string())?;
        let rebuilt = rebuild(&path.join(JOURNAL), &tree).map_err(|error| error.to_string())?;
        if !rebuilt.missing.is_empty() {
            return Err(rebuilt.missing.join("; "));
        }
        if rebuilt.changes < claimed {
            return Err(format!("it ends at change {} of {claimed}", rebuilt.changes));
        }
        let state = tree.get(STATE_KEY).map_err(|error| error.to_string())?;
        let state = state.as_deref().map_or(Ok(State::default()), State::unseal);
        let state = state.map_err(|damage| format!("its state is damaged: {damage}"))?;
        if derived(&tree).map_err(|error| error.to_string())?.digest != state.digest {
            return Err("what it holds does not add up".into());
        }
        database.flush().map_err(|error| error.to_string())?;
        drop((tree, database));
        await_release(&scratch).map_err(|error| error.to_string())?;
        sync_engine(&scratch).map_err(|error| error.to_string())
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

/// Opens the engine in `path`, made when it is not there.
///
/// sled refuses to open when the newest of its snapshot files is half-written, which a crash can leave behind. A
/// snapshot only shortens the replay of the log, so a damaged one is moved aside and the open is tried once more.
pub(crate) fn open_database(path: &Path, cache_bytes: u64) -> Result<Db, StoreError> {
    open_engine(path, cache_bytes, Chores::Done)
}

/// Whether the engine rewrites its files in the background.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Chores {
    /// It does, and so frees what it has outlived.
    Done,
    /// It does not, as a full disk wants it: an engine that fails to write cannot be read any more either.
    Left,
}

fn open_engine(path: &Path, cache_bytes: u64, chores: Chores) -> Result<Db, StoreError> {
    let mut config = sled::Config::new().path(path).cache_capacity(cache_bytes);
    if chores == Chores::Left {
        config = config.flush_every_ms(None);
    }
    let first = match config.open() {
        Err(error @ sled::Error::Corruption { .. }) => error,
        opened => return opened.map_err(|error| refused(path, &error)),
    };
    let moved = move_damaged_snapshots(path).map_err(|error| StoreError::Open {
        path: path.to_owned(),
        problem: format!("its snapshot is half-written and cannot be moved aside: {error}"),
    })?;
    if moved.is_empty() {
        return Err(refused(path, &first));
    }
    tracing::warn!(store = %path.display(), ?moved, "a half-written snapshot was moved aside; replaying the log");
    config.open().map_err(|error| refused(path, &error))
}

fn refused(path: &Path, error: &sled::Error) -> StoreError {
    let path = path.to_owned();
    match error {
        sled::Error::Io(io) if io.to_string().contains("could not acquire lock") => StoreError::InUse(path),
        sled::Error::Io(io) if io.kind() == io::ErrorKind::StorageFull => {
            StoreError::Full { path, problem: io.to_string() }
        }
        other => StoreError::Open { path, problem: format!("the engine's files are damaged ({other})") },
    }
}

/// Moves all snapshots away when the newest is damaged; the log alone then rebuilds what they held.
fn move_damaged_snapshots(path: &Path) -> io::Result<Vec<PathBuf>> {
    let mut snapshots: Vec<PathBuf> = engine_files(path)?
        .into_iter()
        .filter(|file| file.file_name().is_some_and(|name| name.to_string_lossy().starts_with("snap.")))
        .collect();
    snapshots.sort();
    let damaged = match snapshots.last() {
        Some(newest) => !is_whole(&fs::read(newest)?),
        None => false,
    };
    if !damaged {
        return Ok(Vec::new());
    }
    let aside = path.join(MOVED_ASIDE);
    fs::create_dir_all(&aside)?;
    for snapshot in &snapshots {
        if let Some(name) = snapshot.file_name() {
            fs::rename(snapshot, aside.join(name))?;
        }
    }
    Ok(snapshots)
}

/// sled ends a snapshot with its length (8 bytes) and the CRC32 of what comes before both.
fn is_whole(snapshot: &[u8]) -> bool {
    let Some((rest, sum)) = snapshot.split_last_chunk::<4>() else {
        return false;
    };
    rest.split_last_chunk::<8>()
        .is_some_and(|(body, _)| !body.is_empty() && crc32fast::hash(body) == u32::from_le_bytes(*sum))
}

/// The engine's files in `path`.
pub(crate) fn engine_files(path: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(path)? {
        let file = entry?;
        let name = file.file_name();
        let name = name.to_string_lossy();
        if ENGINE_FILES.contains(&&*name) || name.starts_with("snap.") {
            found.push(file.path());
        }
    }
    Ok(found)
}

/// Moves the engine's files into a new directory below `path` and answers it.
pub(crate) fn move_engine_aside(path: &Path) -> io::Result<PathBuf> {
    let free = (1_u32..).map(|number| path.join(MOVED_ASIDE).join(format!("damaged-{number}")));
    let aside =
        free.into_iter().find(|candidate| !candidate.exists()).unwrap_or_else(|| path.join(MOVED_ASIDE));
    fs::create_dir_all(&aside)?;
    for file in engine_files(path)? {
        if let Some(name) = file.file_name() {
            fs::rename(&file, aside.join(name))?;
        }
    }
    Ok(aside)
}

/// The file that sled locks and appends to.
pub(crate) fn log_file(path: &Path) -> PathBuf {
    path.join("db")
}

/// Makes what the engine wrote so far durable: it leaves that to the system.
pub(crate) fn sync_engine(path: &Path) -> io::Result<()> {
    for file in engine_files(path)? {
        match File::open(file) {
            // The engine drops an old snapshot when it has a new one.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            opened => opened?.sync_all()?,
        }
    }
    sync_directory(path)
}

/// Makes the names of a directory's files as durable as their contents.
pub(crate) fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Kept free whatever the configuration says.
const LEAST_MIB: u64 = 4;

/// Whether the volume of `path` has room for `bytes` beside the reserve.
///
/// # Errors
/// [`StoreError::Full`] when it has not.
pub(crate) fn require_room(path: &Path, reserve_mib: u64, bytes: u64) -> Result<(), StoreError> {
    let free = match rustix::fs::statvfs(path) {
        Ok(volume) => volume.f_bavail.saturating_mul(volume.f_frsize),
        // A file system that does not say is trusted.
        Err(_) => return Ok(()),
    };
    let reserve_mib = reserve_mib.max(LEAST_MIB);
    if free >= reserve_mib.saturating_mul(1 << 20).saturating_add(bytes) {
        return Ok(());
    }
    let (free, needed) = (free >> 20, bytes.div_ceil(1 << 20));
    let problem = format!(
        "{free} MiB are free, {reserve_mib} MiB are kept in reserve (profiler.reserve-mib) and {needed} MiB are needed"
    );
    Err(StoreError::Full { path: path.to_owned(), problem })
}

/// A file that takes room which nobody needs, until the disk is full and the engine must be opened to be read.
const BALLAST: &str = "ballast";
/// Largest ballast; it is never larger than the reserve.
const MOST_BALLAST_MIB: u64 = 8;

/// Lays the ballast where there is room for it. It is a help and no need: what fails is left.
pub(crate) fn lay_ballast(path: &Path, reserve_mib: u64) {
    let (file, bytes) = (path.join(BALLAST), reserve_mib.clamp(LEAST_MIB, MOST_BALLAST_MIB) << 20);
    let laid = fs::metadata(&file).is_ok_and(|found| found.len() == bytes);
    if laid || require_room(path, reserve_mib, bytes).is_err() {
        return;
    }
    let allocated = File::create(&file)
        .and_then(|made| Ok(rustix::fs::fallocate(&made, FallocateFlags::empty(), 0, bytes)?));
    if let Err(error) = allocated {
        tracing::debug!(file = %file.display(), %error, "no ballast for a full disk could be laid");
    }
}

/// Drops the ballast.
pub(crate) fn drop_ballast(path: &Path) {
    // It may have been dropped before.
    fs::remove_file(path.join(BALLAST)).ok();
}

/// Takes the lock of the store in `path`, which is made when it is not there.
pub(crate) fn hold(path: &Path) -> Result<File, StoreError> {
    let failed = |error: io::Error| StoreError::Open { path: path.to_owned(), problem: error.to_string() };
    create_durably(path).map_err(failed)?;
    let lock = File::options().create(true).append(true).open(path.join(LOCK)).map_err(failed)?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(fs::TryLockError::WouldBlock) => Err(StoreError::InUse(path.to_owned())),
        Err(fs::TryLockError::Error(error)) => Err(failed(error)),
    }
}

/// Makes a directory, with those above it, that a power failure does not take away again.
fn create_durably(path: &Path) -> io::Result<()> {
    let missing: Vec<&Path> =
        path.ancestors().take_while(|place| *place != Path::new("") && !place.exists()).collect();
    fs::create_dir_all(path)?;
    for made in missing {
        let parent = made.parent().filter(|parent| *parent != Path::new(""));
        sync_directory(parent.unwrap_or(Path::new(".")))?;
    }
    Ok(())
}

/// Waits until no one holds the lock of the database in `path`.
pub(crate) fn await_release(path: &Path) -> Result<(), StoreError> {
    let failed = |problem: String| StoreError::Failed(format!("{}: {problem}", path.display()));
    let file = match File::open(log_file(path)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        opened => opened.map_err(|error| failed(error.to_string()))?,
    };
    let begun = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return file.unlock().map_err(|error| failed(error.to_string())),
            Err(_) if begun.elapsed() < LOCK_PATIENCE => std::thread::sleep(Duration::from_millis(2)),
            Err(error) => return Err(failed(format!("the lock was not released: {error}"))),
        }
    }
}

/// sled would write its files over whatever lies there under the same names.
///
/// # Errors
/// The directory holds something and was not made by a store.
pub(super) fn refuse_foreign_directory(path: &Path) -> Result<(), StoreError> {
    let Ok(mut entries) = fs::read_dir(path) else { return Ok(()) };
    if entries.next().is_none()
        || path.join("conf").is_file()
        || path.join(JOURNAL).is_dir()
        || path.join(LOCK).is_file()
    {
        return Ok(());
    }
    let problem = "the directory holds other files; name a new or empty one".to_owned();
    Err(StoreError::Open { path: path.to_owned(), problem })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(path: &Path) {
        let database = open_database(path, 1 << 20).unwrap();
        database.insert(b"key", b"value").unwrap();
        database.flush().unwrap();
        drop(database);
        await_release(path).unwrap();
    }

    #[test]
    fn a_half_written_snapshot_is_moved_aside_and_nothing_is_lost() {
        for name in ["snap.FFFFFFFFFFFFFFF0", "snap.FFFFFFFFFFFFFFF0.generating"] {
            let directory = tempfile::tempdir().unwrap();
            filled(directory.path());
            fs::write(directory.path().join(name), [7; 100]).unwrap();
            assert!(sled::open(directory.path()).is_err(), "the crash must be one that sled refuses");
            let database = open_database(directory.path(), 1 << 20).unwrap();
            assert_eq!(database.get(b"key").unwrap().unwrap(), b"value");
            assert!(directory.path().join(MOVED_ASIDE).join(name).exists());
        }
    }

    #[test]
    fn a_whole_snapshot_stays_where_it_is() {
        let directory = tempfile::tempdir().unwrap();
        filled(directory.path());
        drop(open_database(directory.path(), 1 << 20).unwrap());
        assert!(move_damaged_snapshots(directory.path()).unwrap().is_empty());
    }

    #[test]
    fn a_second_opener_is_told_that_the_store_is_in_use() {
        let directory = tempfile::tempdir().unwrap();
        let _held = open_database(directory.path(), 1 << 20).unwrap();
        let error = open_database(directory.path(), 1 << 20).unwrap_err();
        assert_eq!(error, StoreError::InUse(directory.path().to_owned()));
        assert!(error.to_string().contains("in use by another process"));
    }

    #[test]
    fn a_path_that_is_a_file_is_refused_with_its_name() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("store");
        fs::write(&file, "x").unwrap();
        for error in [open_database(&file, 1 << 20).unwrap_err(), hold(&file).unwrap_err()] {
            assert!(error.to_string().contains(&file.display().to_string()), "{error}");
        }
    }
}
