//! Normal windows in the store, with their running sums in memory.

use std::{collections::BTreeMap, sync::PoisonError};

use super::{
    AddedWindow,
    change::Change,
    entities::damaged,
    error::StoreError,
    kept::Kept,
    key::{directory_entity, directory_prefix, group_bytes, normal_prefix},
    open_store::OpenStore,
};
use crate::normal_window::{NormalSelector, NormalSum, NormalWindow};

/// Running sums by group and span. A group is read when it is first asked for and kept from then on.
#[derive(Debug, Default)]
pub(super) struct KeptNormals {
    groups: BTreeMap<Vec<u8>, BTreeMap<u64, NormalSum>>,
}

impl KeptNormals {
    /// Forgets all sums, so that they are read again.
    pub(super) fn clear(&mut self) {
        self.groups.clear();
    }

    fn group<'kept>(
        &'kept mut self,
        store: &OpenStore,
        group: &[u8],
    ) -> Result<&'kept mut BTreeMap<u64, NormalSum>, StoreError> {
        if !self.groups.contains_key(group) {
            let sums = store.read_group(group)?;
            self.groups.insert(group.to_vec(), sums);
        }
        Ok(self.groups.entry(group.to_vec()).or_default())
    }
}

impl OpenStore {
    pub(super) fn add_normal_window(&self, window: &NormalWindow) -> Result<AddedWindow, StoreError> {
        let (added, number) = {
            let mut writer = self.writing()?;
            let mut kept = self.normals.lock().unwrap_or_else(PoisonError::into_inner);
            let sum = kept.group(self, &group_bytes(window.group()))?.entry(window.window_ms()).or_default();
            let mut larger = sum.clone();
            if larger.add(window)? {
                let after = Kept::Normal(Box::new(window.clone()));
                let mut change = Change::default();
                self.replace(&mut change, None, Some(&after))?;
                let number = self.commit(&mut writer, change)?;
                *sum = larger;
                (AddedWindow { added: true, windows: sum.windows() }, number)
            } else {
                // Whoever put it there may not have been answered yet: all changes so far are waited for.
                (AddedWindow { added: false, windows: sum.windows() }, writer.state.changes)
            }
        };
        self.settle(number)?;
        Ok(added)
    }

    pub(super) fn normal_sum(
        &self,
        selector: &NormalSelector,
        beside: &[NormalWindow],
    ) -> Result<NormalSum, StoreError> {
        let mut total = NormalSum::default();
        {
            let mut kept = self.normals.lock().unwrap_or_else(PoisonError::into_inner);
            let sums = kept.group(self, &group_bytes(&selector.group))?;
            for (_, sum) in sums.iter().filter(|(window_ms, _)| selector.takes(**window_ms)) {
                total.merge(sum)?;
            }
        }
        for window in beside {
            total.add(window)?;
        }
        Ok(total)
    }

    fn read_group(&self, group: &[u8]) -> Result<BTreeMap<u64, NormalSum>, StoreError> {
        let mut sums: BTreeMap<u64, NormalSum> = BTreeMap::new();
        // By the directory, whose digest says that no line of it was lost.
        let mut lines = directory_prefix().to_vec();
        lines.extend(normal_prefix(group));
        for key in self.tree.scan_prefix(lines).keys() {
            let Some(entity) = directory_entity(&key?) else {
                continue;
            };
            let Some(Kept::Normal(window)) = self.kept(&entity)? else {
                return Err(damaged(&entity, "it has no graph"));
            };
            sums.entry(window.window_ms()).or_default().add(&window)?;
        }
        Ok(sums)
    }
}
