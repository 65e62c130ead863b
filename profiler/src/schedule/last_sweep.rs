//! When a store was swept last, for those that are never open for long.

use std::{fs, path::Path};

use automap_proto::time::UnixMillis;

/// A file in the store that holds the time, milliseconds since 1970.
const FILE: &str = "swept";

/// Shortest time between two sweeps of a store that single commands open.
const DAY_MS: i64 = 86_400_000;

fn last(path: &Path, now: UnixMillis) -> Option<UnixMillis> {
    let text = fs::read_to_string(path.join(FILE)).ok()?;
    // One of a time to come was remembered before the clock was set back.
    text.parse().ok().map(UnixMillis).filter(|last| *last <= now)
}

/// When the store in `path` was swept last. Where that is not known, it counts from now on.
pub(super) fn known(path: &Path, now: UnixMillis) -> UnixMillis {
    last(path, now).unwrap_or_else(|| {
        remember(path, now);
        now
    })
}

/// Whether the last sweep of the store in `path` was a day ago or longer.
pub(super) fn is_long_ago(path: &Path, now: UnixMillis) -> bool {
    last(path, now).is_some_and(|last| now.0 - last.0 >= DAY_MS)
}

/// Remembers that it was swept now. What fails costs a sweep.
pub(super) fn remember(path: &Path, now: UnixMillis) {
    if let Err(error) = fs::write(path.join(FILE), now.0.to_string()) {
        tracing::debug!(store = %path.display(), %error, "the time of a sweep was not remembered");
    }
}
