//! The work of a request: a digest, some memory, and a little to write and read.

use std::{
    fs::{File, OpenOptions},
    hint::black_box,
    io,
    os::unix::fs::FileExt as _,
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
};

use sha2::{Digest as _, Sha256};

/// The file is written round and round.
const FILE_BYTES: u64 = 8 << 20;

/// The work of one service.
#[derive(Debug)]
pub(super) struct Work {
    file: File,
    /// Requests so far.
    turn: AtomicU64,
    memory_bytes: usize,
    disk_bytes: usize,
}

impl Work {
    /// Work in `directory`, which is made where it is missing. Databases have more to write, the others more to compute.
    pub(super) fn open(directory: &Path, service: &str) -> io::Result<Self> {
        std::fs::create_dir_all(directory)?;
        let path = directory.join(format!("{service}.data"));
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(path)?;
        let is_database = service.starts_with("db");
        Ok(Self {
            file,
            turn: AtomicU64::new(0),
            memory_bytes: if is_database { 64 << 10 } else { 128 << 10 },
            disk_bytes: if is_database { 16 << 10 } else { 4 << 10 },
        })
    }

    /// Fills memory and computes its digest.
    pub(super) fn compute(&self) {
        let letter = (self.turn.load(Ordering::Relaxed) % 256) as u8;
        let memory = vec![letter | 1; self.memory_bytes];
        black_box(Sha256::digest(&memory));
    }

    /// Writes a piece; its place.
    pub(super) fn write(&self) -> io::Result<u64> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let size = self.disk_bytes as u64;
        let place = turn % (FILE_BYTES / size) * size;
        self.file.write_all_at(&vec![1; self.disk_bytes], place)?;
        Ok(place)
    }

    /// Reads the piece at `place`.
    pub(super) fn read(&self, place: u64) -> io::Result<()> {
        let mut piece = vec![0; self.disk_bytes];
        self.file.read_exact_at(&mut piece, place)?;
        black_box(piece);
        Ok(())
    }
}
