//! The number through which all changes were acknowledged, in a small file of its own beside the journal.
//!
//! Where a journal is unreadable, a power failure may have kept half of what was never acknowledged, or something was
//! lost since. The mark tells these apart. It is synced when a store is opened and all that it says is on the disk, and
//! written after each sync from then on without being synced: a power failure may take it back to an earlier number, and it
//! never promises what was not on the disk.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::FileExt as _,
    path::Path,
};

/// Its name in the journal's directory.
const NAME: &str = "acknowledged";

/// The mark of an open store.
#[derive(Debug)]
pub(super) struct Acknowledged(File);

impl Acknowledged {
    /// Opens the mark in `directory`; it says what it said.
    ///
    /// # Errors
    /// The file system refused.
    pub(super) fn open(directory: &Path) -> io::Result<Self> {
        let file = File::options().create(true).write(true).truncate(false).open(directory.join(NAME))?;
        File::open(directory)?.sync_all()?;
        Ok(Self(file))
    }

    /// All changes through this number are on the disk, and so is the mark when this returns.
    ///
    /// # Errors
    /// The file system refused.
    pub(super) fn promise(&self, changes: u64) -> io::Result<()> {
        self.set(changes)?;
        self.0.sync_all()
    }

    /// All changes through this number are on the disk.
    ///
    /// # Errors
    /// The file system refused.
    pub(super) fn set(&self, changes: u64) -> io::Result<()> {
        let number = changes.to_be_bytes();
        let mut bytes = number.to_vec();
        bytes.extend_from_slice(&crc32fast::hash(&number).to_be_bytes());
        self.0.write_all_at(&bytes, 0)
    }
}

/// What the mark in `directory` says; `None` where there is none that can be read.
pub(super) fn acknowledged(directory: &Path) -> Option<u64> {
    let bytes = fs::read(directory.join(NAME)).ok()?;
    let (number, sum) = bytes.split_first_chunk::<8>()?;
    (sum == crc32fast::hash(number).to_be_bytes()).then(|| u64::from_be_bytes(*number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_number_counts_and_a_damaged_mark_says_nothing() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(acknowledged(directory.path()), None);
        let mark = Acknowledged::open(directory.path()).unwrap();
        assert_eq!(acknowledged(directory.path()), None);
        mark.promise(7).unwrap();
        let mark = Acknowledged::open(directory.path()).unwrap();
        assert_eq!(acknowledged(directory.path()), Some(7));
        mark.set(300).unwrap();
        assert_eq!(acknowledged(directory.path()), Some(300));
        let file = directory.path().join(NAME);
        let bytes = fs::read(&file).unwrap();
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            fs::write(&file, flipped).unwrap();
            assert_eq!(acknowledged(directory.path()), None, "bit {bit}");
        }
        fs::write(&file, "").unwrap();
        assert_eq!(acknowledged(directory.path()), None);
    }
}
