//! Alerts that were told before.

use std::collections::{BTreeMap, VecDeque};

/// Alerts that are remembered as known, however many come.
const MAX_SEEN: usize = 1 << 14;

/// The newest keys, the diagnosis that each belongs to, and the order in which they came.
#[derive(Debug, Default)]
pub(super) struct Seen {
    known: BTreeMap<String, Known>,
    order: VecDeque<String>,
}

#[derive(Debug)]
struct Known {
    id: String,
    /// Whether it has ended for good.
    settled: bool,
}

impl Seen {
    /// The diagnosis that an alert belongs to which was told before.
    pub(super) fn of(&self, key: &str) -> Option<&str> {
        self.known.get(key).map(|known| known.id.as_str())
    }

    /// Whether an alert was told before, and the diagnosis that it belongs to unless that has ended for good.
    pub(super) fn unsettled(&self, key: &str) -> Option<Option<&str>> {
        self.known.get(key).map(|known| Some(known.id.as_str()).filter(|_| !known.settled))
    }

    /// Alerts that are remembered.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        assert_eq!(self.known.len(), self.order.len(), "each once, in its place");
        self.known.len()
    }

    /// Remembers the alert `key` as one of the diagnosis `id`, which has ended for good or not; the oldest give way.
    pub(super) fn insert(&mut self, key: String, id: &str, settled: bool) {
        if self.known.insert(key.clone(), Known { id: id.into(), settled }).is_some() {
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
        self.known.retain(|_, known| known.id != id);
        if self.known.len() < before {
            self.order.retain(|key| self.known.contains_key(key));
        }
    }

    /// The diagnosis `id` has another id. O(n).
    pub(super) fn rename(&mut self, id: &str, new: &str) {
        self.of_diagnosis(id).for_each(|known| known.id = new.into());
    }

    /// The diagnosis `id` has ended for good. O(n).
    pub(super) fn settle(&mut self, id: &str) {
        self.of_diagnosis(id).for_each(|known| known.settled = true);
    }

    fn of_diagnosis(&mut self, id: &str) -> impl Iterator<Item = &mut Known> {
        self.known.values_mut().filter(move |known| known.id == id)
    }
}
