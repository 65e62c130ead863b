//! Normal windows in the store, with their running sums in memory.

use std::collections::{BTreeMap, BTreeSet};

use automap_proto::time::UnixMillis;

use super::{
    AddedWindow,
    change::Change,
    entities::damaged,
    error::StoreError,
    kept::Kept,
    key::{Entity, NormalKey, directory_entity, directory_prefix, group_bytes, normal_prefix},
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
    groups: BTreeMap<Vec<u8>, Group>,
}

/// The sums of one group.
#[derive(Debug, Default)]
struct Group {
    /// Of all windows.
    sums: Sums,
    /// Of the windows that were normal when the length was last asked for, where it had others.
    rests: Sums,
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
    ) -> Result<Option<&mut Group>, StoreError> {
        if !self.groups.contains_key(group) {
            let sums = store.read_windows(writer, normal_prefix(group), |_| true)?;
            if !sums.is_empty() {
                self.groups.insert(group.to_vec(), Group { sums, rests: Sums::new() });
            }
        }
        Ok(self.groups.get_mut(group))
    }
}

impl Group {
    /// The sum of those windows that a selector takes and that are normal; `None` where a rest of them is not known.
    fn normal(
        &self,
        selector: &NormalSelector,
        abnormal: &AbnormalTimes,
    ) -> Result<Option<NormalSum>, StoreError> {
        let mut total = NormalSum::default();
        for (window_ms, sum) in self.sums.iter().filter(|(window_ms, _)| selector.takes(**window_ms)) {
            match self.rest(*window_ms, sum, abnormal) {
                Some(known) => total.merge(known)?,
                None => return Ok(None),
            }
        }
        Ok(Some(total))
    }

    /// What is left of the sum of a length without windows that are not normal, where that is known.
    fn rest<'a>(
        &'a self,
        window_ms: u64,
        sum: &'a NormalSum,
        abnormal: &AbnormalTimes,
    ) -> Option<&'a NormalSum> {
        if !sum.meets(abnormal) {
            return Some(sum);
        }
        self.rests.get(&window_ms).filter(|rest| rest.is_rest_of(sum, abnormal))
    }

    /// Reads the normal windows of those lengths that a selector takes and whose rest is not known.
    fn read_rests(
        &mut self,
        store: &OpenStore,
        writer: &Writer,
        selector: &NormalSelector,
        abnormal: &AbnormalTimes,
    ) -> Result<(), StoreError> {
        let mut read = Sums::new();
        for (&window_ms, sum) in self.sums.iter().filter(|(window_ms, _)| selector.takes(**window_ms)) {
            if self.rest(window_ms, sum, abnormal).is_none() {
                let normal: BTreeSet<UnixMillis> = sum.normal(abnormal).map(|(_, start)| start).collect();
                let mut of_length = normal_prefix(&group_bytes(&selector.group));
                of_length.extend_from_slice(&window_ms.to_be_bytes());
                let found = store.read_windows(writer, of_length, |key| normal.contains(&key.start()))?;
                read.insert(window_ms, found.into_values().next().unwrap_or_default());
            }
        }
        self.rests.append(&mut read);
        Ok(())
    }
}

impl OpenStore {
    pub(super) fn add_normal_window(&self, window: &NormalWindow) -> Result<AddedWindow, StoreError> {
        let (added, number) = {
            let mut writer = self.writing()?;
            let mut kept = locked(&self.normals);
            let group = group_bytes(window.group());
            let known = kept.group(self, &writer, &group)?;
            let mut sum =
                known.and_then(|known| known.sums.get(&window.window_ms())).cloned().unwrap_or_default();
            let is_new = sum.add(window)?;
            let added = AddedWindow { added: is_new, windows: sum.windows() };
            if is_new {
                let after = Kept::Normal(Box::new(window.clone()));
                let mut change = Change::default();
                self.replace(&mut change, None, Some(&after))?;
                let number = self.commit(&mut writer, change)?;
                kept.groups.entry(group).or_default().sums.insert(window.window_ms(), sum);
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
        let known = match locked(&self.normals).groups.get(&group) {
            Some(known) => known.normal(selector, abnormal)?,
            None => None,
        };
        let mut total = match known {
            Some(total) => total,
            // An incident may become known after the graph of its time.
            None => self.read_normal_sum(&group, selector, abnormal)?,
        };
        for window in beside.iter().filter(|window| !abnormal.meet(window.window())) {
            total.add(window)?;
        }
        Ok(total)
    }

    /// The same where not all of it is known.
    fn read_normal_sum(
        &self,
        group: &[u8],
        selector: &NormalSelector,
        abnormal: &AbnormalTimes,
    ) -> Result<NormalSum, StoreError> {
        let writer = self.standstill();
        let mut kept = locked(&self.normals);
        let Some(known) = kept.group(self, &writer, group)? else {
            return Ok(NormalSum::default());
        };
        known.read_rests(self, &writer, selector, abnormal)?;
        known.normal(selector, abnormal)?.ok_or_else(|| {
            StoreError::Failed("the windows that are kept are not those that were added up".into())
        })
    }

    /// Adds up those windows whose keys begin with a prefix and are wanted.
    fn read_windows(
        &self,
        writer: &Writer,
        prefix: Vec<u8>,
        wanted: impl Fn(&NormalKey) -> bool,
    ) -> Result<Sums, StoreError> {
        let mut sums = Sums::new();
        // By the directory, whose digest says that no line of it was lost.
        let mut lines = directory_prefix().to_vec();
        lines.extend(prefix);
        for key in self.tree.scan_prefix(lines).keys() {
            let Some(entity) = directory_entity(&key?) else {
                continue;
            };
            if matches!(&entity, Entity::Normal(key) if !wanted(key)) {
                continue;
            }
            let Some(Kept::Normal(window)) = self.kept_by(writer, &entity)? else {
                return Err(damaged(&entity, "it has no graph"));
            };
            sums.entry(window.window_ms()).or_default().add(&window)?;
        }
        Ok(sums)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use automap_proto::{settings::GraphSettings, v1};

    use super::*;
    use crate::{
        abnormal::Intervals,
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

    #[test]
    fn of_windows_that_are_not_normal_only_those_of_a_length_that_is_asked_for_are_read_and_once() {
        let directory = tempfile::tempdir().unwrap();
        let store = OpenStore::open(directory.path(), StoreOptions::default(), Trust::Files).unwrap();
        let window = |start: i64, window_ms: u64| {
            let wire = v1::NormalGraph { window_ms, ..sample::normal_graph(start) };
            NormalWindow::try_from(&wire).unwrap()
        };
        // The windows of 20 s span 29 s: rows were left out of them.
        for start in [0, 100, 200] {
            for window_ms in [20_000, 30_000, 60_000] {
                store.add_normal_window(&window(start, window_ms)).unwrap();
            }
        }
        let group = window(0, 30_000).group().clone();
        let without = |faults: &[(i64, i64)]| {
            let fault = |&(start, end): &(i64, i64)| (UnixMillis(start * 1000), UnixMillis(end * 1000));
            let known = Intervals::new(faults.iter().map(fault).collect());
            AbnormalTimes::new(Arc::new(known), 0)
        };
        let sum = |window_ms: u64, abnormal: &AbnormalTimes| {
            let selector = NormalSelector { group: group.clone(), window_ms };
            store.normal_sum(&selector, &[], abnormal)
        };
        let windows = |faults: &[(i64, i64)]| sum(30_000, &without(faults)).unwrap().windows();
        let lengths = || -> Vec<u64> {
            locked(&store.normals).groups.values().flat_map(|group| group.rests.keys().copied()).collect()
        };
        assert_eq!(windows(&[]), 3);
        assert_eq!(lengths(), [0_u64; 0]);
        assert_eq!(windows(&[(110, 110)]), 2);
        assert_eq!(lengths(), [30_000], "no other length was asked for");
        assert_eq!(windows(&[]), 3);
        assert_eq!(windows(&[(0, 1_000)]), 0);
        store.add_normal_window(&window(300, 30_000)).unwrap();
        assert_eq!(windows(&[(110, 110)]), 3, "a window that came");
        assert_eq!(windows(&[(110, 110), (229, 229)]), 2, "an incident that became known");
        assert_eq!(sum(20_000, &without(&[(125, 125)])).unwrap().windows(), 2, "after its rows times step");
        let expected = sum(30_000, &without(&[(110, 229)])).unwrap();
        let mut anew = NormalSum::default();
        for start in [0, 300] {
            anew.add(&window(start, 30_000)).unwrap();
        }
        assert_eq!(expected, anew);
        // What is known is not read again.
        for window_ms in [20_000, 30_000, 60_000] {
            let lost = Entity::Normal(NormalKey::new(&window(0, window_ms)));
            for row in store.tree.scan_prefix(lost.prefix()) {
                store.tree.remove(row.unwrap().0).unwrap();
            }
        }
        assert_eq!(sum(30_000, &without(&[(110, 110), (229, 229)])).unwrap(), anew);
        assert_eq!(windows(&[(0, 0), (110, 229)]), 1, "windows that are not normal are not read either");
        assert!(sum(30_000, &without(&[(110, 110)])).is_err());
    }
}
