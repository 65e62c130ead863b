//! How many records of each kind are kept, without reading them.

use std::collections::BTreeMap;

use super::key::directory_entity;

/// Records by kind; kept up to date by every change, from the lines of the directory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Counts(BTreeMap<&'static str, u64>);

impl Counts {
    /// Takes into account that a row was there and is there now.
    pub(crate) fn change(&mut self, key: &[u8], before: bool, after: bool) {
        let Some(entity) = directory_entity(key) else { return };
        let count = self.0.entry(entity.kind()).or_default();
        *count = count.saturating_add(u64::from(after)).saturating_sub(u64::from(before));
    }

    /// Those there are any of.
    pub(crate) fn by_kind(&self) -> BTreeMap<String, u64> {
        let some = self.0.iter().filter(|(_, count)| **count > 0);
        some.map(|(&kind, &count)| (kind.to_owned(), count)).collect()
    }
}
