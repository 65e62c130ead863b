//! Normal windows in the store, with their running sums in memory.

use std::collections::BTreeMap;

use super::{
    AddedWindow,
    change::Change,
    entities::damaged,
    error::StoreError,
    kept::Kept,
    key::{directory_entity, directory_prefix, group_bytes, normal_prefix},
    open_store::{OpenStore, Writer, locked},
};
use crate::{
    abnormal::AbnormalTimes,
    normal_window::{NormalSelector, NormalSum, NormalWindow},
};

/// Sums by length of the windows, milliseconds.
type Sums = BTreeMap<u64, NormalSum>;

/// Running sums by group. A group is read when it is first asked for and kept from then on, unless there is nothing of
/// it: what is kept does not grow by what is asked for. Writers are kept out before this is locked, never after.
#[derive(Debug, Default)]
pub(super) struct KeptNormals {
    groups: BTreeMap<Vec<u8>, Sums>,
}

impl KeptNormals {
    /// Forgets all sums, so that they are read again.
    pub(super) fn clear(&mut self) {
        self.groups.clear();
    }

    /// The sums of a group, read where they are not known; `None` where it has no windows.
    fn group(
        &mut self,
        store: &OpenStore,
        writer: &Writer,
        group: &[u8],
    ) -> Result<Option<&Sums>, StoreError> {
        if !self.groups.contains_key(group) {
            let sums = store.read_group(writer, group, |_| true)?;
            if !sums.is_empty() {
                self.groups.insert(group.to_vec(), sums);
            }
        }
        Ok(self.groups.get(group))
    }
}

impl OpenStore {
    pub(super) fn add_normal_window(&self, window: &NormalWindow) -> Result<AddedWindow, StoreError> {
        let (added, number) = {
            let mut writer = self.writing()?;
            let mut kept = locked(&self.normals);
            let group = group_bytes(window.group());
            let known = kept.group(self, &writer, &group)?.and_then(|sums| sums.get(&window.window_ms()));
            let mut sum = known.cloned().unwrap_or_default();
            let is_new = sum.add(window)?;
            let added = AddedWindow { added: is_new, windows: sum.windows() };
            if is_new {
                let after = Kept::Normal(Box::new(window.clone()));
                let mut change = Change::default();
                self.replace(&mut change, None, Some(&after))?;
                let number = self.commit(&mut writer, change)?;
                kept.groups.entry(group).or_default().insert(window.window_ms(), sum);
                (added, number)
            } else {
                // Whoever put it there may not have been answered yet: all changes so far are waited for.
                (added, writer.state.changes)
            }
        };
        self.settle(number)?;
        Ok(added)
    }

    pub(super) fn normal_sum(
        &self,
        selector: &NormalSelector,
        beside: &[NormalWindow],
        abnormal: &AbnormalTimes,
    ) -> Result<NormalSum, StoreError> {
        let group = group_bytes(&selector.group);
        let taken = |sums: &Sums| -> Result<NormalSum, StoreError> {
            let mut total = NormalSum::default();
            for (_, sum) in sums.iter().filter(|(window_ms, _)| selector.takes(**window_ms)) {
                total.merge(sum)?;
            }
            Ok(total)
        };
        let known = locked(&self.normals).groups.get(&group).map(taken);
        let mut total = match known {
            Some(total) => total?,
            None => {
                let writer = self.standstill();
                let mut kept = locked(&self.normals);
                kept.group(self, &writer, &group)?.map_or_else(|| Ok(NormalSum::default()), taken)?
            }
        };
        // An incident may become known after the graph of its time.
        if total.meets(abnormal) {
            let normal = |window: &NormalWindow| !abnormal.meet(window.window());
            total = taken(&self.read_group(&self.standstill(), &group, normal)?)?;
        }
        for window in beside.iter().filter(|window| !abnormal.meet(window.window())) {
            total.add(window)?;
        }
        Ok(total)
    }

    /// Adds up the windows of a group that `wanted` accepts.
    fn read_group(
        &self,
        writer: &Writer,
        group: &[u8],
        wanted: impl Fn(&NormalWindow) -> bool,
    ) -> Result<Sums, StoreError> {
        let mut sums = Sums::new();
        // By the directory, whose digest says that no line of it was lost.
        let mut lines = directory_prefix().to_vec();
        lines.extend(normal_prefix(group));
        for key in self.tree.scan_prefix(lines).keys() {
            let Some(entity) = directory_entity(&key?) else {
                continue;
            };
            let Some(Kept::Normal(window)) = self.kept_by(writer, &entity)? else {
                return Err(damaged(&entity, "it has no graph"));
            };
            if wanted(&window) {
                sums.entry(window.window_ms()).or_default().add(&window)?;
            }
        }
        Ok(sums)
    }
}

#[cfg(test)]
mod tests {
    use automap_proto::settings::GraphSettings;

    use super::*;
    use crate::{
        normal_window::NormalGroup,
        sample,
        store::{open_store::Trust, sled_store::StoreOptions},
    };

    #[test]
    fn asking_for_what_is_not_kept_takes_no_memory() {
        let directory = tempfile::tempdir().unwrap();
        let store = OpenStore::open(directory.path(), StoreOptions::default(), Trust::Files).unwrap();
        let window = NormalWindow::try_from(&sample::normal_graph(0)).unwrap();
        store.add_normal_window(&window).unwrap();
        for asked in 1..100 {
            let settings =
                GraphSettings::new(Default::default(), f64::from(asked) / 1000.0, 3, vec![]).unwrap();
            let group = NormalGroup { system: "shop".into(), settings };
            let sum = store
                .normal_sum(&NormalSelector { group, window_ms: 30_000 }, &[], &AbnormalTimes::default())
                .unwrap();
            assert_eq!(sum.windows(), usize::from(asked == 50), "{asked}");
        }
        assert_eq!(locked(&store.normals).groups.len(), 1);
    }
}
