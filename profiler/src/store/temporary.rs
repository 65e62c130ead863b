//! A file that is not yet what it shall be.

use std::{fs, path::PathBuf};

/// A file that goes when it is dropped before it was renamed: what fills a disk must not stay on it.
#[derive(Debug)]
pub(super) struct Temporary(pub(super) PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        // Once renamed there is nothing of that name.
        fs::remove_file(&self.0).ok();
    }
}
