//! Being asked to stop.

use std::sync::atomic::{AtomicBool, Ordering};

/// The caller asked to stop before the ranking was there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the ranking was stopped before it was done")]
pub struct Stopped;

/// Goes on unless the flag is set.
pub(crate) fn poll(stop: &AtomicBool) -> Result<(), Stopped> {
    if stop.load(Ordering::Relaxed) {
        return Err(Stopped);
    }
    Ok(())
}

/// A flag that nobody sets.
#[cfg(test)]
pub(crate) static NEVER: AtomicBool = AtomicBool::new(false);
