//! The journal: every change in order, in files that only grow. It is written and synced before a write is
//! acknowledged, and together with the last checkpoint it rebuilds the store when the engine's files are damaged.
//!
//! A segment is named for the number of its first change and holds frames:
//!
//! | bytes | what |
//! |---|---|
//! | 4 | the letters `AMJ1` |
//! | 4 | length of the payload |
//! | 4 | CRC32 of number and payload |
//! | 8 | number of the change |
//! | | the change |
//!
//! Numbers are big-endian. After a damaged frame reading goes on at the next whole one, so that damage costs what it
//! hits and is known by its number.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use automap_proto::invalid::Invalid;

use super::change::Change;

#[cfg(test)]
mod tests;

const MAGIC: [u8; 4] = *b"AMJ1";
const HEADER_BYTES: usize = 20;
const EXTENSION: &str = "journal";
/// A segment that reached this size is followed by another.
const SEGMENT_BYTES: u64 = 32 << 20;

/// One numbered payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Frame<'bytes> {
    pub(super) number: u64,
    pub(super) payload: &'bytes [u8],
    /// Where it ends in the file.
    end: usize,
}

/// Makes sure that a payload of so many bytes fits into a frame, which tells its length in 32 bits.
///
/// # Errors
/// It does not.
pub(super) fn require_frame(bytes: u64) -> Result<(), Invalid> {
    if bytes <= u64::from(u32::MAX) {
        return Ok(());
    }
    let problem =
        format!("takes {bytes} bytes at once, and the journal at most {}: nothing of it is kept", u32::MAX);
    Err(Invalid::new("change", problem))
}

/// The bytes of a frame, whose payload [`require_frame`] found short enough.
pub(super) fn encode_frame(number: u64, payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(HEADER_BYTES + payload.len());
    frame.extend_from_slice(&MAGIC);
    frame.extend_from_slice(&(payload.len() as u32).to_be_bytes());
    frame.extend_from_slice(&checksum(number, payload).to_be_bytes());
    frame.extend_from_slice(&number.to_be_bytes());
    frame.extend_from_slice(payload);
    frame
}

fn checksum(number: u64, payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&number.to_be_bytes());
    hasher.update(payload);
    hasher.finalize()
}

/// Number and payload of the frame at the beginning of `bytes`, and what follows it; `None` when there is no whole one.
fn first_frame(bytes: &[u8]) -> Option<(u64, &[u8], &[u8])> {
    let rest = bytes.strip_prefix(&MAGIC)?;
    let (length, rest) = rest.split_first_chunk::<4>()?;
    let (sum, rest) = rest.split_first_chunk::<4>()?;
    let (number, rest) = rest.split_first_chunk::<8>()?;
    let number = u64::from_be_bytes(*number);
    let (payload, rest) = rest.split_at_checked(u32::from_be_bytes(*length) as usize)?;
    (checksum(number, payload) == u32::from_be_bytes(*sum)).then_some((number, payload, rest))
}

/// All whole frames of `bytes` in order, and whether every byte belonged to one.
pub(super) fn frames(bytes: &[u8]) -> (Vec<Frame<'_>>, bool) {
    let (mut found, mut whole, mut rest) = (Vec::new(), true, bytes);
    while !rest.is_empty() {
        if let Some((number, payload, after)) = first_frame(rest) {
            found.push(Frame { number, payload, end: bytes.len() - after.len() });
            rest = after;
        } else {
            whole = false;
            let next = rest.get(1..).and_then(|tail| tail.windows(MAGIC.len()).position(|at| at == MAGIC));
            rest = next.map_or(&[][..], |position| &rest[1 + position..]);
        }
    }
    (found, whole)
}

/// A file of the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Segment {
    first: u64,
    path: PathBuf,
}

/// The numbers at the beginning of the names of all files in `directory` with this extension, rising.
pub(super) fn numbered(directory: &Path, extension: &str) -> io::Result<Vec<(u64, PathBuf)>> {
    let mut found = Vec::new();
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(found),
        listed => listed?,
    };
    for entry in entries {
        let path = entry?.path();
        let stem = path.file_stem().and_then(|name| name.to_str());
        let number = stem.and_then(|name| name.parse().ok());
        if let (Some(number), true) = (number, path.extension().is_some_and(|known| known == extension)) {
            found.push((number, path));
        }
    }
    found.sort();
    Ok(found)
}

fn segments(directory: &Path) -> io::Result<Vec<Segment>> {
    let listed = numbered(directory, EXTENSION)?;
    Ok(listed.into_iter().map(|(first, path)| Segment { first, path }).collect())
}

/// What reading a journal found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Replayed {
    /// Number of the last whole change, or the one that was asked for as the beginning.
    pub(crate) last: u64,
    /// Number of the newest change that the files speak of, by a whole change or by the name of a segment.
    pub(crate) newest: u64,
    /// Changes that are unreadable or not there: first and last number.
    pub(crate) gaps: Vec<(u64, u64)>,
    /// Whether the newest segment ends in something that is no change: a write that a crash cut short, or damage.
    pub(crate) torn_end: bool,
}

/// Hands every change with a number above `after` to `apply`, in order.
///
/// Changes behind a gap in the last segment that begins above `promised`, the number through which changes were
/// acknowledged, were not acknowledged either: what is synced is synced with all before it. They are left out.
///
/// # Errors
/// A file cannot be read, or `apply` failed.
pub(crate) fn replay<E: From<io::Error>>(
    directory: &Path,
    after: u64,
    promised: Option<u64>,
    mut apply: impl FnMut(u64, &Change) -> Result<(), E>,
) -> Result<Replayed, E> {
    let mut outcome = Replayed { last: after, ..Replayed::default() };
    let all = segments(directory)?;
    for (index, segment) in all.iter().enumerate() {
        // All changes of a segment are older than the first of the next.
        if all.get(index + 1).is_some_and(|next| next.first <= after + 1) {
            continue;
        }
        let bytes = fs::read(&segment.path)?;
        let (found, whole) = frames(&bytes);
        outcome.torn_end = !whole;
        outcome.newest = outcome.newest.max(segment.first.saturating_sub(1));
        let is_last = index + 1 == all.len();
        for frame in found {
            if frame.number <= outcome.last {
                outcome.newest = outcome.newest.max(frame.number);
                continue;
            }
            if frame.number > outcome.last + 1
                && is_last
                && promised.is_some_and(|known| known <= outcome.last)
            {
                outcome.torn_end = true;
                break;
            }
            outcome.newest = outcome.newest.max(frame.number);
            let Some(change) = Change::decode(frame.payload) else {
                outcome.torn_end = true;
                continue;
            };
            if frame.number > outcome.last + 1 {
                outcome.gaps.push((outcome.last + 1, frame.number - 1));
            }
            apply(frame.number, &change)?;
            outcome.last = frame.number;
        }
    }
    Ok(outcome)
}

/// Whether the files begin early enough to rebuild what the checkpoint `number` (0 for none) does not hold.
///
/// # Errors
/// The directory cannot be listed.
pub(super) fn begins_by(directory: &Path, number: u64) -> io::Result<bool> {
    Ok(segments(directory)?.first().is_some_and(|oldest| oldest.first <= number + 1))
}

/// Whether the files hold every change from `after + 1` to `through`, whole. A segment's name is no proof: it tells what
/// had been written before, and not where.
///
/// # Errors
/// A file cannot be read.
pub(super) fn covers(directory: &Path, after: u64, through: u64, promised: Option<u64>) -> io::Result<bool> {
    let outcome = replay::<io::Error>(directory, after, promised, |_, _| Ok(()))?;
    Ok(outcome.gaps.is_empty() && outcome.last >= through && begins_by(directory, after)?)
}

/// The last whole change of the files.
///
/// # Errors
/// A file cannot be read.
pub(super) fn last_change(directory: &Path) -> io::Result<Option<Change>> {
    for segment in segments(directory)?.iter().rev() {
        let bytes = fs::read(&segment.path)?;
        if let Some(last) = frames(&bytes).0.last() {
            return Ok(Change::decode(last.payload));
        }
    }
    Ok(None)
}

/// Whether any segment holds anything.
///
/// # Errors
/// The directory cannot be listed.
pub(super) fn holds_anything(directory: &Path) -> io::Result<bool> {
    for segment in segments(directory)? {
        if fs::metadata(&segment.path)?.len() > 0 {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Bytes of all segments.
///
/// # Errors
/// The directory cannot be listed.
pub(super) fn bytes(directory: &Path) -> io::Result<u64> {
    segments(directory)?.iter().map(|segment| Ok(fs::metadata(&segment.path)?.len())).sum()
}

/// Makes what the files hold durable. A process that was killed left its last changes with the system, which shows them
/// and loses them with the power.
///
/// # Errors
/// The file system refused.
pub(super) fn sync_all(directory: &Path) -> io::Result<()> {
    for segment in segments(directory)? {
        File::open(&segment.path)?.sync_all()?;
    }
    File::open(directory)?.sync_all()
}

/// Removes all changes with a number above `number` from the end of the files, and what is no change at their end.
///
/// # Errors
/// The file system refused.
pub(super) fn cut_after(directory: &Path, number: u64) -> io::Result<()> {
    for segment in segments(directory)?.into_iter().rev() {
        let bytes = fs::read(&segment.path)?;
        let (found, _) = frames(&bytes);
        let kept = found.iter().rev().find(|frame| frame.number <= number).map_or(0, |frame| frame.end);
        if kept < bytes.len() {
            let file = File::options().write(true).open(&segment.path)?;
            file.set_len(kept as u64)?;
            file.sync_all()?;
        }
        if kept > 0 {
            break;
        }
    }
    Ok(())
}

/// Makes the first segment of a new store, so that its journal is older than its engine.
///
/// # Errors
/// The file system refused.
pub(super) fn found(directory: &Path) -> io::Result<()> {
    fs::create_dir_all(directory)?;
    create(directory, 1).map(drop)
}

/// The journal of an open store.
#[derive(Debug)]
pub(super) struct Journal {
    directory: PathBuf,
    file: Arc<File>,
    length: u64,
    /// Bytes of all segments since the last checkpoint.
    total: u64,
}

impl Journal {
    /// Begins a segment whose first change has the number `next`, in `directory`, made when it is not there.
    ///
    /// # Errors
    /// The file system refused.
    pub(super) fn begin(directory: &Path, next: u64) -> io::Result<Self> {
        fs::create_dir_all(directory)?;
        let total = bytes(directory)?;
        let file = Arc::new(create(directory, next)?);
        Ok(Self { directory: directory.to_owned(), file, length: 0, total })
    }

    /// Writes a change; it is on disk once [`Self::file`] is synced. What a failed write left is cut off again.
    ///
    /// # Errors
    /// The file system refused.
    pub(super) fn append(&mut self, number: u64, change: &Change) -> io::Result<()> {
        let frame = encode_frame(number, &change.encode());
        if let Err(error) = (&*self.file).write_all(&frame) {
            self.file.set_len(self.length).ok();
            return Err(error);
        }
        self.length += frame.len() as u64;
        self.total += frame.len() as u64;
        Ok(())
    }

    /// Whether the segment should be followed by another: see [`Self::turn`].
    pub(super) const fn is_full(&self) -> bool {
        self.length >= SEGMENT_BYTES
    }

    /// Puts another file in the place of the segment's.
    #[cfg(test)]
    pub(super) fn replace_file(&mut self, file: Arc<File>) -> Arc<File> {
        std::mem::replace(&mut self.file, file)
    }

    /// Lets the segment seem full.
    #[cfg(test)]
    pub(super) const fn fill(&mut self) {
        self.length = SEGMENT_BYTES;
    }

    /// Ends the segment and begins one at `next`; everything written so far is synced.
    ///
    /// # Errors
    /// The file system refused.
    pub(super) fn turn(&mut self, next: u64) -> io::Result<()> {
        self.file.sync_data()?;
        self.file = Arc::new(create(&self.directory, next)?);
        self.length = 0;
        Ok(())
    }

    /// The file that must be synced.
    pub(super) fn file(&self) -> Arc<File> {
        Arc::clone(&self.file)
    }

    /// Bytes of all segments.
    pub(super) const fn total(&self) -> u64 {
        self.total
    }

    /// Removes the segments that hold no change after `number`: a checkpoint has them.
    ///
    /// # Errors
    /// The file system refused.
    pub(super) fn forget_through(&mut self, number: u64) -> io::Result<()> {
        let all = segments(&self.directory)?;
        self.total = 0;
        for (index, segment) in all.iter().enumerate() {
            if all.get(index + 1).is_some_and(|next| next.first <= number + 1) {
                fs::remove_file(&segment.path)?;
            } else {
                self.total += fs::metadata(&segment.path)?.len();
            }
        }
        File::open(&self.directory)?.sync_all()
    }
}

/// A segment of that name can only hold what was never acknowledged.
fn create(directory: &Path, first: u64) -> io::Result<File> {
    let path = directory.join(format!("{first:020}.{EXTENSION}"));
    let file = File::options().create(true).write(true).truncate(true).open(path)?;
    file.sync_all()?;
    File::open(directory)?.sync_all()?;
    Ok(file)
}
