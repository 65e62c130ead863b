//! Metrics that come through a pipe: they are read more than once, so that they are saved in a file first.

use std::{
    fs::{self, File},
    io::{self, IsTerminal as _, Read},
    path::Path,
};

use anyhow::Context as _;
use tempfile::NamedTempFile;

use crate::{failure::Failure, stdout};

/// The name of standard input where a file is named.
const STANDARD_INPUT: &str = "-";

/// Most bytes that are saved.
const MAX_BYTES: u64 = 4 << 30;

/// A metrics file that is gone with this value.
#[derive(Debug)]
pub struct PipedMetrics {
    shown: String,
    file: NamedTempFile,
}

impl PipedMetrics {
    /// Saves all that comes through `path`: standard input for `-`, else a pipe or a device. `None` for files and directories,
    /// and for what is not there.
    ///
    /// # Errors
    /// It cannot be read, does not end within 4 GiB, or there is no room for it.
    pub fn through(path: &Path) -> Result<Option<Self>, Failure> {
        if path == Path::new(STANDARD_INPUT) {
            let input = io::stdin().lock();
            if input.is_terminal() {
                stdout::note("reading metrics from standard input, to its end (Ctrl-D)");
            }
            return Self::save("standard input", input, MAX_BYTES).map(Some);
        }
        // What is not there, or may not be looked at, is told by who reads it.
        let Ok(found) = fs::metadata(path) else { return Ok(None) };
        if found.is_file() || found.is_dir() {
            return Ok(None);
        }
        let shown = path.display().to_string();
        let pipe = File::open(path).with_context(|| format!("cannot read {shown}"))?;
        Self::save(&shown, pipe, MAX_BYTES).map(Some)
    }

    fn save(shown: &str, from: impl Read, most: u64) -> Result<Self, Failure> {
        let place = std::env::temp_dir();
        let saving = || {
            let place = place.display();
            format!("cannot save {shown} in {place}; free space there, or name another directory with TMPDIR")
        };
        let mut file = NamedTempFile::with_prefix_in("automap-", &place).with_context(saving)?;
        let read = io::copy(&mut from.take(most.saturating_add(1)), &mut file).with_context(saving)?;
        if read > most {
            return Err(Failure::Usage(format!(
                "{shown}: does not end within {} MiB; save what is needed of it in a file and name that",
                most >> 20
            )));
        }
        Ok(Self { shown: shown.into(), file })
    }

    /// Where it is saved.
    pub fn path(&self) -> &Path {
        self.file.path()
    }

    /// What messages call it.
    pub fn shown(&self) -> &str {
        &self.shown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_end_is_not_saved_without_one() {
        let error = PipedMetrics::save("/dev/zero", io::repeat(b'0'), 3 << 20).unwrap_err();
        assert!(matches!(&error, Failure::Usage(text) if text.contains("within 3 MiB")), "{error}");
        let saved = PipedMetrics::save("x", io::repeat(b'0').take(3 << 20), 3 << 20).unwrap();
        let place = saved.path().to_owned();
        assert_eq!((saved.shown(), fs::metadata(&place).unwrap().len()), ("x", 3 << 20));
        drop(saved);
        assert!(!place.exists());
    }

    #[test]
    fn files_directories_and_what_is_not_there_are_no_pipes() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("-");
        fs::write(&file, "timestamp").unwrap();
        for path in [home.path(), &file, &home.path().join("none")] {
            assert!(PipedMetrics::through(path).unwrap().is_none(), "{}", path.display());
        }
    }
}
