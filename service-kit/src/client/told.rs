//! Why a connection broke, where its bytes told.
//!
//! Of a connection that broke HTTP/2 reports to each call what it was at, "broken pipe" or "connection closed", and loses
//! the cause on the way. So the connection keeps it here, and the call asks.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
};

use super::fault::Sentence;

/// Why the newest connection to an address broke. Clones share it.
#[derive(Debug, Clone, Default)]
pub(super) struct Told(Arc<Mutex<Option<String>>>);

impl Told {
    /// A new connection begins.
    pub(super) fn forget(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Keeps the meaning of an error that has one.
    pub(super) fn note(&self, error: &io::Error) {
        if let Some(sentence) = Sentence::of(error) {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(sentence.to_string());
        }
    }

    /// What was noted.
    pub(super) fn get(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
