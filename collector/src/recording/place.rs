//! Where the files of a recording lie, and which files are never opened.

use std::{
    ffi::OsStr,
    fs::{self, File},
    io::Read as _,
    path::{Component, Path, PathBuf},
};

use automap_proto::invalid::Invalid;

use crate::error::{CollectError, CollectErrorKind};

/// The answer of a recorded incident. Only an evaluator may open it, and no collector is one.
const LABEL_FILE: &str = "label.json";

/// Largest file beside the metrics file that is read, bytes.
const MAX_SIDE_FILE_BYTES: u64 = 16 << 20;

/// A regular file that may be opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SourceFile {
    /// Free of symbolic links.
    pub(crate) path: PathBuf,
    /// What messages call it.
    pub(crate) shown: String,
}

impl SourceFile {
    /// Resolves symbolic links. `None` when there is no such file.
    ///
    /// # Errors
    /// It is no regular file, lies outside `root`, is the label, or cannot be looked up.
    pub(crate) fn find(
        path: &Path,
        shown: String,
        root: Option<&Path>,
    ) -> Result<Option<Self>, CollectError> {
        if fs::symlink_metadata(path).is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound) {
            return Ok(None);
        }
        let resolved = path.canonicalize().map_err(|error| CollectError::reading(&shown, &error))?;
        if root.is_some_and(|root| !resolved.starts_with(root)) {
            return Err(CollectError::malformed(format!(
                "{shown} is a link that leaves the recordings root; copy the file there"
            )));
        }
        if resolved.file_name() == Some(OsStr::new(LABEL_FILE)) {
            return Err(CollectError::malformed(format!(
                "{shown} is the label of an incident, which no diagnosis may read; name the metrics file"
            )));
        }
        let metadata = resolved.metadata().map_err(|error| CollectError::reading(&shown, &error))?;
        // A pipe or a device may never end.
        if !metadata.is_file() {
            return Err(CollectError::malformed(format!("{shown} is no regular file")));
        }
        Ok(Some(Self { path: resolved, shown }))
    }

    pub(crate) fn open(&self) -> Result<File, CollectError> {
        File::open(&self.path).map_err(|error| CollectError::reading(&self.shown, &error))
    }

    /// The whole text of a small file, without a byte order mark.
    ///
    /// # Errors
    /// It is larger than 16 MiB, not UTF-8, or cannot be read.
    pub(crate) fn text(&self) -> Result<String, CollectError> {
        let mut bytes = Vec::new();
        self.open()?
            .take(MAX_SIDE_FILE_BYTES + 1)
            .read_to_end(&mut bytes)
            .map_err(|error| CollectError::reading(&self.shown, &error))?;
        if bytes.len() as u64 > MAX_SIDE_FILE_BYTES {
            return Err(CollectError::new(
                CollectErrorKind::TooLarge,
                format!("{} is larger than {} MiB", self.shown, MAX_SIDE_FILE_BYTES >> 20),
            ));
        }
        let text = String::from_utf8(bytes).map_err(|_| {
            CollectError::malformed(format!("{} is not UTF-8 text; save it as UTF-8", self.shown))
        })?;
        Ok(match text.strip_prefix('\u{feff}') {
            Some(rest) => rest.to_owned(),
            None => text,
        })
    }
}

/// A directory that holds a recording.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RecordingDirectory {
    path: PathBuf,
    shown: PathBuf,
    /// Nothing outside may be opened.
    root: Option<PathBuf>,
}

impl RecordingDirectory {
    /// A directory of the caller's own machine: links may lead anywhere.
    pub(crate) fn local(path: &Path) -> Self {
        Self { path: path.to_owned(), shown: path.to_owned(), root: None }
    }

    /// The directory `name` below `root`, for callers who must not reach anything else.
    ///
    /// # Errors
    /// The name is empty, absolute, or has `..`; there is no such directory; or a link leads out of the root.
    pub(crate) fn below(root: &Path, name: &str) -> Result<Self, CollectError> {
        let refused = |problem: &str| CollectError::from(Invalid::new("source.recording", problem));
        let mut components = Path::new(name).components().peekable();
        if components.peek().is_none() {
            return Err(refused("is empty; name a directory below the recordings root"));
        }
        let plain = components.all(|component| matches!(component, Component::Normal(_)));
        if !plain || name.contains('\0') {
            return Err(refused(&format!(
                "{name:?} is no plain name of a directory below the recordings root; leave out leading slashes, . and .."
            )));
        }
        let root = root.canonicalize().map_err(|error| {
            CollectError::reading("recordings-root of the collector's configuration", &error)
        })?;
        let path = root
            .join(name)
            .canonicalize()
            .map_err(|error| CollectError::reading(format!("recording {name:?}"), &error))?;
        if !path.starts_with(&root) {
            return Err(refused(&format!(
                "{name:?} is a link that leaves the recordings root; copy the recording there"
            )));
        }
        if !path.is_dir() {
            return Err(refused(&format!("{name:?} is no directory")));
        }
        Ok(Self { path, shown: PathBuf::from(name), root: Some(root) })
    }

    /// The directory's own name.
    pub(crate) fn name(&self) -> Option<String> {
        directory_name(&self.path)
    }

    /// What messages call it.
    pub(crate) fn shown(&self) -> String {
        self.shown.display().to_string()
    }

    /// The file `name`, where there is one.
    pub(crate) fn file(&self, name: &str) -> Result<Option<SourceFile>, CollectError> {
        let shown = self.shown.join(name).display().to_string();
        SourceFile::find(&self.path.join(name), shown, self.root.as_deref())
    }
}

/// The last component of a path once `.` and links are resolved.
pub(crate) fn directory_name(path: &Path) -> Option<String> {
    let resolved = path.canonicalize().ok()?;
    Some(resolved.file_name()?.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn root_with_recording() -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("one")).unwrap();
        fs::write(root.path().join("one/metrics.csv"), "x").unwrap();
        fs::write(root.path().join("one/label.json"), "{}").unwrap();
        root
    }

    #[test]
    fn names_that_leave_the_root_are_refused() {
        let root = root_with_recording();
        for name in ["", "/etc", "..", "one/../..", "../one", "./one", "one\0", "one/metrics.csv"] {
            let error = RecordingDirectory::below(root.path(), name).unwrap_err();
            assert!(error.to_string().starts_with("field `source.recording`"), "{name}: {error}");
        }
        assert!(RecordingDirectory::below(root.path(), "one").is_ok());
        let missing = RecordingDirectory::below(root.path(), "two").unwrap_err();
        assert_eq!(missing.kind(), CollectErrorKind::NotFound);
    }

    #[test]
    fn links_that_leave_the_root_are_refused_and_links_within_are_followed() {
        let outside = root_with_recording();
        let root = root_with_recording();
        symlink(outside.path().join("one"), root.path().join("out")).unwrap();
        symlink("one", root.path().join("in")).unwrap();
        symlink(outside.path().join("one/metrics.csv"), root.path().join("one/data.csv")).unwrap();
        assert!(RecordingDirectory::below(root.path(), "out").is_err());
        let inside = RecordingDirectory::below(root.path(), "in").unwrap();
        assert!(inside.file("metrics.csv").unwrap().is_some());
        let error = inside.file("data.csv").unwrap_err();
        assert!(error.to_string().contains("in/data.csv is a link"), "{error}");
    }

    #[test]
    fn the_label_is_not_opened_under_any_name() {
        let root = root_with_recording();
        let directory = RecordingDirectory::local(&root.path().join("one"));
        assert!(directory.file("label.json").is_err());
        symlink("label.json", root.path().join("one/data.csv")).unwrap();
        assert!(directory.file("data.csv").is_err());
    }

    #[test]
    fn what_is_no_regular_file_is_refused() {
        let root = root_with_recording();
        fs::create_dir(root.path().join("one/data.csv")).unwrap();
        let error = RecordingDirectory::below(root.path(), "one").unwrap().file("data.csv").unwrap_err();
        assert_eq!(error.to_string(), "one/data.csv is no regular file");
    }
}
