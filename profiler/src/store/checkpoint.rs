//! A checkpoint: all rows of the store in one file, so that the journal before it can go.
//!
//! It is written while the store goes on: a row may be newer than the checkpoint's number, and the journal after that
//! number brings every row to where it belongs.

use std::{
    fs::{self, File},
    io::{self, BufWriter, Read as _, Write as _},
    path::Path,
};

use super::{
    change::Change,
    journal::{encode_frame, frames, numbered},
    temporary::Temporary,
};

const EXTENSION: &str = "checkpoint";
/// What the name of a file ends in that is not yet a checkpoint.
const UNFINISHED: &str = "unfinished";
/// Rows are grouped into frames of about this size.
const FRAME_BYTES: usize = 1 << 20;

/// Writes a checkpoint; it counts once [`WholeCheckpoint::put_in_place`] returned.
#[derive(Debug)]
pub(super) struct CheckpointWriter {
    number: u64,
    temporary: Temporary,
    file: BufWriter<File>,
    pending: Change,
    pending_bytes: usize,
    rows: u64,
}

impl CheckpointWriter {
    /// Of the state after change `number`.
    ///
    /// # Errors
    /// The file system refused.
    pub(super) fn new(directory: &Path, number: u64) -> io::Result<Self> {
        fs::create_dir_all(directory)?;
        for entry in fs::read_dir(directory)? {
            let left_by_a_crash = entry?.path();
            if left_by_a_crash.extension().is_some_and(|ending| ending == UNFINISHED) {
                fs::remove_file(left_by_a_crash)?;
            }
        }
        let temporary = Temporary(directory.join(format!("{number:020}.{EXTENSION}.{UNFINISHED}")));
        let file = BufWriter::new(File::create(&temporary.0)?);
        Ok(Self { number, temporary, file, pending: Change::default(), pending_bytes: 0, rows: 0 })
    }

    /// Adds a row.
    ///
    /// # Errors
    /// The file system refused.
    pub(super) fn add(&mut self, key: &[u8], value: &[u8]) -> io::Result<()> {
        self.pending.insert(key.to_vec(), value.to_vec());
        self.pending_bytes += key.len() + value.len();
        self.rows += 1;
        if self.pending_bytes < FRAME_BYTES { Ok(()) } else { self.write_pending() }
    }

    fn write_pending(&mut self) -> io::Result<()> {
        let change = std::mem::take(&mut self.pending);
        self.pending_bytes = 0;
        if change.is_empty() {
            return Ok(());
        }
        self.file.write_all(&encode_frame(self.number, &change.encode()))
    }

    /// Writes its end and syncs the file.
    ///
    /// # Errors
    /// The file system refused; nothing of it stays.
    pub(super) fn finish(mut self) -> io::Result<WholeCheckpoint> {
        self.write_pending()?;
        // A frame of another number ends the file and counts the rows.
        self.file.write_all(&encode_frame(u64::MAX, &self.rows.to_be_bytes()))?;
        let file = self.file.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.sync_all()?;
        Ok(WholeCheckpoint { number: self.number, temporary: self.temporary })
    }
}

/// A checkpoint that is on the disk and has no name yet.
#[derive(Debug)]
pub(super) struct WholeCheckpoint {
    number: u64,
    temporary: Temporary,
}

impl WholeCheckpoint {
    /// Gives it its name and removes older checkpoints. Answers its size, bytes.
    ///
    /// # Errors
    /// The file system refused.
    pub(super) fn put_in_place(self, directory: &Path) -> io::Result<u64> {
        let path = directory.join(format!("{:020}.{EXTENSION}", self.number));
        fs::rename(&self.temporary.0, &path)?;
        File::open(directory)?.sync_all()?;
        for (number, older) in numbered(directory, EXTENSION)? {
            if number < self.number {
                fs::remove_file(older)?;
            }
        }
        Ok(fs::metadata(path)?.len())
    }
}

/// What reading a checkpoint found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CheckpointRead {
    /// The change whose state it holds.
    pub(crate) number: u64,
    /// Whether all of it was readable.
    pub(crate) whole: bool,
}

/// Hands the rows of the newest checkpoint in `directory` to `apply`; `None` when there is none.
///
/// # Errors
/// The file cannot be read, or `apply` failed.
pub(crate) fn read_newest<E: From<io::Error>>(
    directory: &Path,
    mut apply: impl FnMut(&Change) -> Result<(), E>,
) -> Result<Option<CheckpointRead>, E> {
    let Some((number, path)) = numbered(directory, EXTENSION)?.pop() else {
        return Ok(None);
    };
    let bytes = fs::read(path)?;
    let (found, mut whole) = frames(&bytes);
    let (mut rows, mut promised) = (0, None);
    for frame in found {
        match (frame.number == number, Change::decode(frame.payload)) {
            (true, Some(change)) => {
                rows += change.len() as u64;
                apply(&change)?;
            }
            (false, _) if frame.number == u64::MAX => promised = frame.payload.try_into().ok(),
            _ => whole = false,
        }
    }
    whole &= promised.map(u64::from_be_bytes) == Some(rows);
    Ok(Some(CheckpointRead { number, whole }))
}

/// The first rows of the newest checkpoint, where they are whole.
///
/// # Errors
/// The file cannot be read.
pub(super) fn first_rows(directory: &Path) -> io::Result<Option<Change>> {
    let Some((number, path)) = numbered(directory, EXTENSION)?.pop() else {
        return Ok(None);
    };
    let mut bytes = Vec::new();
    // A frame is longer than this at the beginning by less than a row.
    File::open(path)?.take(2 * FRAME_BYTES as u64).read_to_end(&mut bytes)?;
    let (found, _) = frames(&bytes);
    Ok(found.first().filter(|frame| frame.number == number).and_then(|frame| Change::decode(frame.payload)))
}

/// Number and size in bytes of the newest checkpoint; zeros without one.
pub(super) fn newest(directory: &Path) -> io::Result<(u64, u64)> {
    match numbered(directory, EXTENSION)?.pop() {
        Some((number, path)) => Ok((number, fs::metadata(path)?.len())),
        None => Ok((0, 0)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(directory: &Path, number: u64, rows: u8) {
        let mut writer = CheckpointWriter::new(directory, number).unwrap();
        for row in 0..rows {
            writer.add(&[row], &vec![row; 100_000]).unwrap();
        }
        writer.finish().unwrap().put_in_place(directory).unwrap();
    }

    fn read(directory: &Path) -> (usize, Option<CheckpointRead>) {
        let mut rows = 0;
        let outcome = read_newest::<io::Error>(directory, |change| {
            rows += change.len();
            Ok(())
        });
        (rows, outcome.unwrap())
    }

    #[test]
    fn the_newest_whole_checkpoint_counts_and_replaces_the_older() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(read(directory.path()), (0, None));
        write(directory.path(), 3, 30);
        assert_eq!(read(directory.path()), (30, Some(CheckpointRead { number: 3, whole: true })));
        let first = first_rows(directory.path()).unwrap().unwrap();
        assert_eq!((first.get(&[0]), first.get(&[29])), (Some(&[0; 100_000][..]), None));
        write(directory.path(), 9, 2);
        assert_eq!(read(directory.path()), (2, Some(CheckpointRead { number: 9, whole: true })));
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
        fs::write(directory.path().join("00000000000000000011.checkpoint.unfinished"), "half").unwrap();
        let writer = CheckpointWriter::new(directory.path(), 12).unwrap();
        assert_eq!(read(directory.path()).1.unwrap().number, 9, "an unfinished one does not count");
        drop(writer);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1, "and does not stay");
    }

    #[test]
    fn a_cut_or_flipped_checkpoint_is_not_whole() {
        let directory = tempfile::tempdir().unwrap();
        write(directory.path(), 3, 30);
        let path = directory.path().join(format!("{:020}.checkpoint", 3));
        let bytes = fs::read(&path).unwrap();
        for cut in [1, 10, 1_000_000, bytes.len()] {
            fs::write(&path, &bytes[..bytes.len() - cut]).unwrap();
            assert!(!read(directory.path()).1.unwrap().whole, "{cut} bytes");
        }
        for at in [0, 30, bytes.len() / 2, bytes.len() - 1] {
            let mut flipped = bytes.clone();
            flipped[at] ^= 8;
            fs::write(&path, &flipped).unwrap();
            assert!(!read(directory.path()).1.unwrap().whole, "byte {at}");
        }
    }
}
