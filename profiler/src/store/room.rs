//! Room on the volume of a store: what writes leave free, and a reserve that reads can fall back on.

use std::{
    fs::{self, File},
    path::Path,
};

use rustix::fs::FallocateFlags;

use super::error::StoreError;

/// Kept free whatever the configuration says.
const LEAST_MIB: u64 = 4;

/// What of a reserve stays free when something is written that frees more than it takes: half of it.
pub(crate) const fn chores_reserve_mib(reserve_mib: u64) -> u64 {
    reserve_mib / 2
}

/// Free bytes on the volume of `path`, where its file system says.
pub(crate) fn free(path: &Path) -> Option<u64> {
    let volume = rustix::fs::statvfs(path).ok()?;
    Some(volume.f_bavail.saturating_mul(volume.f_frsize))
}

/// Whether the volume of `path` has room for `bytes` beside the reserve.
///
/// # Errors
/// [`StoreError::Full`] when it has not.
pub(crate) fn require_room(path: &Path, reserve_mib: u64, bytes: u64) -> Result<(), StoreError> {
    // A file system that does not say is trusted.
    let Some(free) = free(path) else { return Ok(()) };
    let reserve_mib = reserve_mib.max(LEAST_MIB);
    if free >= reserve_mib.saturating_mul(1 << 20).saturating_add(bytes) {
        return Ok(());
    }
    let (free, needed) = (free >> 20, bytes.div_ceil(1 << 20));
    let problem = format!(
        "{free} MiB are free, {reserve_mib} MiB are kept in reserve (profiler.reserve-mib) and {needed} MiB are needed"
    );
    Err(StoreError::Full { path: path.to_owned(), problem })
}

/// A file that takes room which nobody needs, until the disk is full and the engine must be opened to be read.
const BALLAST: &str = "ballast";
/// Largest ballast; it is never larger than the reserve.
const MOST_BALLAST_MIB: u64 = 8;

/// Lays the ballast where there is room for it. It is a help and no need: what fails is left.
pub(crate) fn lay_ballast(path: &Path, reserve_mib: u64) {
    let (file, bytes) = (path.join(BALLAST), reserve_mib.clamp(LEAST_MIB, MOST_BALLAST_MIB) << 20);
    let laid = fs::metadata(&file).is_ok_and(|found| found.len() == bytes);
    if laid || require_room(path, reserve_mib, bytes).is_err() {
        return;
    }
    let allocated = File::create(&file)
        .and_then(|made| Ok(rustix::fs::fallocate(&made, FallocateFlags::empty(), 0, bytes)?));
    if let Err(error) = allocated {
        tracing::debug!(file = %file.display(), %error, "no ballast for a full disk could be laid");
    }
}

/// Drops the ballast.
pub(crate) fn drop_ballast(path: &Path) {
    // It may have been dropped before.
    fs::remove_file(path.join(BALLAST)).ok();
}
