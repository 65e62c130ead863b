//! Alerts that were told before.

use std::collections::{BTreeMap, VecDeque};

/// Alerts that are remembered as known, however many come.
const MAX_SEEN: usize = 1 << 14;

/// The newest keys, the diagnosis that each belongs to, and the order in which they came.
#[derive(Debug, Default)]
pub(super) struct Seen {
    known: BTreeMap<String, String>,
    order: VecDeque<String>,
}

impl Seen {
    /// The diagnosis that an alert belongs to which was told before.
    pub(super) fn of(&self, key: &str) -> Option<&str> {
        self.known.get(key).map(String::as_str)
    }

    /// Alerts that are remembered.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        assert_eq!(self.known.len(), self.order.len(), "each once, in its place");
        self.known.len()
    }

    /// Remembers the alert `key` as one of the diagnosis `id`; the oldest give way.
    pub(super) fn insert(&mut self, key: String, id: &str) {
        if self.known.insert(key.clone(), id.into()).is_some() {
            return;
        }
        self.order.push_back(key);
        if self.order.len() > MAX_SEEN
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
    }

    /// Forgets the alerts of a diagnosis. O(n).
    pub(super) fn forget(&mut self, id: &str) {
        let before = self.known.len();
        self.known.retain(|_, of| of != id);
        if self.known.len() < before {
            self.order.retain(|key| self.known.contains_key(key));
        }
    }

    /// The diagnosis `id` has another id. O(n).
    pub(super) fn rename(&mut self, id: &str, new: &str) {
        self.known.values_mut().filter(|of| *of == id).for_each(|of| *of = new.into());
    }
}
