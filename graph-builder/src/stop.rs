//! Being asked to stop, or to come to an end.

use std::sync::atomic::{AtomicBool, Ordering};

/// The caller asked to stop before the answer was there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the computation was stopped before it was done")]
pub struct Stopped;

/// What ends a computation early: nobody wants its answer any more, or its time is up and what there is will be taken.
#[derive(Debug, Clone, Copy)]
pub struct Halt<'a> {
    stop: &'a AtomicBool,
    time_up: Option<&'a AtomicBool>,
}

impl<'a> Halt<'a> {
    /// Ends when `stop` is set.
    pub const fn on(stop: &'a AtomicBool) -> Self {
        Self { stop, time_up: None }
    }

    /// Comes to an end as well when `time_up` is set.
    #[must_use]
    pub const fn or_at(self, time_up: &'a AtomicBool) -> Self {
        Self { time_up: Some(time_up), ..self }
    }

    /// Whether nobody wants the answer any more.
    #[inline]
    pub fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Whether the time is up.
    #[inline]
    pub fn is_time_up(&self) -> bool {
        self.time_up.is_some_and(|flag| flag.load(Ordering::Relaxed))
    }

    /// Goes on unless nobody wants the answer any more.
    ///
    /// # Errors
    /// Nobody does.
    pub fn check(&self) -> Result<(), Stopped> {
        if self.is_stopped() { Err(Stopped) } else { Ok(()) }
    }

    /// Goes on unless either is so.
    #[inline]
    pub(crate) fn poll(&self) -> Result<(), Stopped> {
        if self.is_stopped() || self.is_time_up() { Err(Stopped) } else { Ok(()) }
    }
}
