//! Files that are whole or not there: written beside their place under another name, and renamed when done.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use tempfile::NamedTempFile;

use crate::failure::Failure;

/// A file that is to be written at the end of long work; that it can be is found out at the beginning.
#[derive(Debug)]
pub struct OutputFile {
    place: PathBuf,
    written: NamedTempFile,
}

impl OutputFile {
    /// Makes sure that `place` can be written. Nothing is there until [`Self::finish`]; a file that is there stays.
    ///
    /// # Errors
    /// `place` is a directory, or its directory does not exist or cannot be written.
    pub fn prepare(flag: &str, place: &Path) -> Result<Self, Failure> {
        if place.is_dir() {
            return Err(Failure::Usage(format!("{flag} {}: is a directory; name a file", place.display())));
        }
        let directory = match place.parent() {
            Some(parent) if parent != Path::new("") => parent,
            _ => Path::new("."),
        };
        let written = new_file(directory).map_err(|error| {
            Failure::Usage(format!(
                "{flag} {}: cannot write there ({error}); name a directory that exists and may be written",
                place.display()
            ))
        })?;
        Ok(Self { place: place.into(), written })
    }

    /// Puts `text` in place.
    ///
    /// # Errors
    /// The disk is full, or the directory is gone.
    pub fn finish(mut self, text: &str) -> Result<(), Failure> {
        let name = self.place.display().to_string();
        let write = |file: &mut NamedTempFile| {
            file.write_all(text.as_bytes())?;
            file.flush()
        };
        write(&mut self.written).with_context(|| format!("cannot write {name}"))?;
        self.written.persist(&self.place).with_context(|| format!("cannot write {name}"))?;
        Ok(())
    }
}

fn new_file(directory: &Path) -> std::io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".automap-").suffix(".part");
    // A temporary file is private; a report is like any other file that the user writes.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.tempfile_in(directory)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_there_when_it_is_whole_and_an_older_one_stays_until_then() {
        let home = tempfile::tempdir().unwrap();
        let place = home.path().join("report.html");
        std::fs::write(&place, "old").unwrap();
        let file = OutputFile::prepare("--report", &place).unwrap();
        assert_eq!(std::fs::read_to_string(&place).unwrap(), "old");
        file.finish("new").unwrap();
        assert_eq!(std::fs::read_to_string(&place).unwrap(), "new");
        drop(OutputFile::prepare("--report", &place).unwrap());
        let left: Vec<_> = std::fs::read_dir(home.path()).unwrap().collect();
        assert_eq!(left.len(), 1, "a file that was given up leaves nothing");
    }

    #[test]
    fn places_that_cannot_be_written_are_refused_at_once() {
        let home = tempfile::tempdir().unwrap();
        for place in [home.path().to_owned(), home.path().join("no/such/report.html")] {
            let error = OutputFile::prepare("--report", &place).unwrap_err();
            assert!(matches!(&error, Failure::Usage(text) if text.starts_with("--report ")), "{error}");
        }
    }
}
