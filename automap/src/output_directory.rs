//! Directories that are whole or not there: filled beside their place under another name, and renamed when done.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use tempfile::TempDir;

use crate::failure::Failure;

/// A directory that is being filled.
#[derive(Debug)]
pub struct OutputDirectory {
    place: PathBuf,
    filled: TempDir,
}

impl OutputDirectory {
    /// Makes sure that `place` can be created. Nothing is there until [`Self::finish`].
    ///
    /// # Errors
    /// Something is there already, or the directory around it does not exist or cannot be written.
    pub fn prepare(flag: &str, place: &Path) -> Result<Self, Failure> {
        if place.symlink_metadata().is_ok() {
            return Err(Failure::Usage(format!(
                "{flag} {}: exists already; name a directory that does not exist yet",
                place.display()
            )));
        }
        let around = match place.parent() {
            Some(parent) if parent != Path::new("") => parent,
            _ => Path::new("."),
        };
        let mut builder = tempfile::Builder::new();
        builder.prefix(".automap-").suffix(".part");
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o777));
        let filled = builder.tempdir_in(around).map_err(|error| {
            Failure::Usage(format!(
                "{flag} {}: cannot create a directory there ({error}); name a place that exists and may be written",
                place.display()
            ))
        })?;
        Ok(Self { place: place.into(), filled })
    }

    /// Where files go.
    pub fn path(&self) -> &Path {
        self.filled.path()
    }

    /// Puts the directory in place.
    ///
    /// # Errors
    /// Something came in between.
    pub fn finish(self) -> Result<(), Failure> {
        std::fs::rename(self.filled.path(), &self.place)
            .with_context(|| format!("cannot create {}", self.place.display()))?;
        // What it holds is no longer temporary; only the old name is, and nothing is there any more.
        let _ = self.filled.keep();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_there_when_it_is_whole_and_never_in_place_of_another() {
        let home = tempfile::tempdir().unwrap();
        let place = home.path().join("incident");
        let directory = OutputDirectory::prepare("--out", &place).unwrap();
        std::fs::write(directory.path().join("metrics.csv"), "x").unwrap();
        assert!(!place.exists());
        directory.finish().unwrap();
        assert_eq!(std::fs::read_to_string(place.join("metrics.csv")).unwrap(), "x");
        for taken in [place, home.path().join("no/such")] {
            let error = OutputDirectory::prepare("--out", &taken).unwrap_err();
            assert!(matches!(&error, Failure::Usage(text) if text.starts_with("--out ")), "{error}");
        }
        let left: Vec<_> = std::fs::read_dir(home.path()).unwrap().collect();
        assert_eq!(left.len(), 1, "a directory that was given up leaves nothing");
    }
}
