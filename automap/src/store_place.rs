//! Where a person's store is unless another is named.

use std::path::{Path, PathBuf};

use anyhow::Context as _;

/// The store in the user's state directory, which may not exist yet.
///
/// # Errors
/// The environment does not say where that is.
pub fn of_user() -> anyhow::Result<PathBuf> {
    let state = std::env::var_os("XDG_STATE_HOME")
        .map(PathBuf::from)
        .filter(|path| path.is_absolute())
        .or_else(|| std::env::var_os("HOME").map(|home| Path::new(&home).join(".local/state")))
        .context("neither XDG_STATE_HOME nor HOME is set; name a store with --store DIR")?;
    Ok(state.join("automap/store"))
}
