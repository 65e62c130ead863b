//! Normal windows in the store, with their running sums in memory.

use std::{collections::BTreeMap, sync::PoisonError};

use automap_proto::v1;
use prost::Message;
use sled::Batch;

use super::{
    AddedWindow,
    error::StoreError,
    key::{BODY, Entity, NormalKey, group_bytes, normal_prefix},
    sled_store::{OpenStore, damaged},
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
        let entity = Entity::Normal(NormalKey::new(window));
        let added = {
            let _turn = self.writing();
            let mut kept = self.normals.lock().unwrap_or_else(PoisonError::into_inner);
            let sum = kept.group(self, &group_bytes(window.group()))?.entry(window.window_ms()).or_default();
            let mut larger = sum.clone();
            if larger.add(window)? {
                let mut batch = Batch::default();
                let payload = v1::NormalGraph::from(window).encode_to_vec();
                self.write(&mut batch, &entity, BODY, Some(&payload))?;
                self.tree.apply_batch(batch)?;
                *sum = larger;
                AddedWindow { added: true, windows: sum.windows() }
            } else {
                AddedWindow { added: false, windows: sum.windows() }
            }
        };
        // Also when it was there: whoever put it there may not have been answered yet.
        self.flush()?;
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
            if let Some(sum) = sums.get(&selector.window_ms) {
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
        let mut last: Option<Entity> = None;
        for key in self.tree.scan_prefix(normal_prefix(group)).keys() {
            let Some((entity, _, _)) = Entity::parse(&key?) else {
                continue;
            };
            if last.as_ref() == Some(&entity) {
                continue;
            }
            let wire: v1::NormalGraph =
                self.read_message(&entity, BODY)?.ok_or_else(|| damaged(&entity, "it has no graph"))?;
            let window = NormalWindow::try_from(&wire).map_err(|error| damaged(&entity, error))?;
            sums.entry(window.window_ms()).or_default().add(&window)?;
            last = Some(entity);
        }
        Ok(sums)
    }
}
