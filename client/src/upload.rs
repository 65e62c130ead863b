//! Files on their way to a walker.

use std::{
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use automap_proto::{frame_stream::CHUNK_BYTES, v1};
use tokio::sync::mpsc;

use crate::Error;

/// Chunks that are read ahead.
const AHEAD: usize = 4;

/// The first message of an upload, and the files whose bytes follow it.
#[derive(Debug, Clone)]
pub struct Upload {
    /// The first message.
    pub incident: v1::RecordedIncident,
    /// Its metrics.
    pub metrics_file: PathBuf,
    /// Its measured calls, where there are any.
    pub edges_file: Option<PathBuf>,
}

/// Why reading broke off, where it did.
#[derive(Debug, Clone, Default)]
pub struct ReadFault(Arc<Mutex<Option<Error>>>);

impl ReadFault {
    /// The fault, once.
    pub fn take(&self) -> Option<Error> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn set(&self, file: &Path, source: io::Error) {
        let fault = Error::File { file: file.to_owned(), source };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(fault);
    }
}

/// Reads a file on a thread of its own, at the pace at which it is sent. `None` stands for a read that failed: sent on as a
/// message without a part, it keeps the server from taking what came so far for the whole file; why it failed is in `fault`.
/// Must be called within a tokio runtime.
///
/// # Errors
/// The file cannot be opened.
pub fn read_in_chunks(path: &Path, fault: &ReadFault) -> Result<mpsc::Receiver<Option<Vec<u8>>>, Error> {
    let mut file = File::open(path).map_err(|source| Error::File { file: path.to_owned(), source })?;
    let (sender, receiver) = mpsc::channel(AHEAD);
    let (path, fault) = (path.to_owned(), fault.clone());
    tokio::task::spawn_blocking(move || {
        loop {
            let mut chunk = Vec::new();
            let read = file.by_ref().take(CHUNK_BYTES as u64).read_to_end(&mut chunk);
            let ended = matches!(read, Ok(0));
            let broken = read.map_err(|source| fault.set(&path, source)).is_err();
            if ended || sender.blocking_send((!broken).then_some(chunk)).is_err() || broken {
                break;
            }
        }
    });
    Ok(receiver)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_file_arrives_whole_and_one_that_cannot_be_read_is_named() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("metrics.csv");
        let bytes: Vec<u8> = (0..CHUNK_BYTES + 7).map(|index| (index % 251) as u8).collect();
        std::fs::write(&file, &bytes).unwrap();
        let fault = ReadFault::default();
        let mut chunks = read_in_chunks(&file, &fault).unwrap();
        let mut found = Vec::new();
        while let Some(chunk) = chunks.recv().await {
            found.extend(chunk.unwrap());
        }
        assert!(found == bytes && fault.take().is_none());
        // A directory can be opened and not read.
        let mut chunks = read_in_chunks(home.path(), &fault).unwrap();
        assert_eq!(chunks.recv().await, Some(None));
        let told = fault.take().unwrap().to_string();
        assert!(told.contains(&home.path().display().to_string()), "{told}");
        let missing = read_in_chunks(&home.path().join("missing"), &fault).unwrap_err();
        assert!(missing.to_string().contains("missing"), "{missing}");
    }
}
