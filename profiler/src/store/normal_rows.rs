//! Rows of normal times in the store, by system and service.

use std::collections::BTreeMap;

use super::{
    change::Change,
    error::StoreError,
    kept::{Kept, KeptRows},
    key::{Entity, RowsKey, directory_entity, directory_prefix},
    open_store::OpenStore,
};
use crate::normal_rows::ServiceRows;

impl OpenStore {
    /// Adds rows to those that are kept of some services of a system, in one change.
    pub(super) fn add_normal_rows(
        &self,
        system: &str,
        services: &BTreeMap<String, ServiceRows>,
    ) -> Result<(), StoreError> {
        let number = {
            let mut writer = self.writing()?;
            let mut change = Change::default();
            for (service, more) in services {
                let key = RowsKey::new(system, service);
                let before = self.kept_by(&writer, &Entity::Rows(key.clone()))?;
                let mut rows = match &before {
                    Some(Kept::Rows(known)) => known.rows.clone(),
                    _ => ServiceRows::default(),
                };
                rows.add(system, more, self.options.decay);
                let after = Kept::Rows(Box::new(KeptRows { key, rows }));
                self.replace(&mut change, before.as_ref(), Some(&after))?;
            }
            if change.is_empty() { writer.state.changes } else { self.commit(&mut writer, change)? }
        };
        self.settle(number)
    }

    /// The rows of the services of a system, all of them or those named. O(services of the system).
    pub(super) fn normal_rows(
        &self,
        system: &str,
        services: &[String],
    ) -> Result<BTreeMap<String, ServiceRows>, StoreError> {
        let mut found = BTreeMap::new();
        for key in self.rows_keys(system, services)? {
            let service = key.service().to_owned();
            if let Some(Kept::Rows(kept)) = self.kept(&Entity::Rows(key))? {
                found.insert(service, kept.rows);
            }
        }
        Ok(found)
    }

    fn rows_keys(&self, system: &str, services: &[String]) -> Result<Vec<RowsKey>, StoreError> {
        if !services.is_empty() {
            return Ok(services.iter().map(|service| RowsKey::new(system, service)).collect());
        }
        let mut lines = directory_prefix().to_vec();
        lines.extend(RowsKey::of_system(system));
        let mut keys = Vec::new();
        for key in self.tree.scan_prefix(lines).keys() {
            if let Some(Entity::Rows(rows)) = directory_entity(&key?) {
                keys.push(rows);
            }
        }
        Ok(keys)
    }
}

#[cfg(test)]
mod tests {
    use automap_proto::{metric::MetricKind, time::UnixMillis};
    use tempfile::TempDir;

    use super::*;
    use crate::{
        abnormal::AbnormalTimes,
        normal_window::{NormalSelector, NormalWindow},
        sample,
        store::{
            ProfileStore as _,
            retention::Retention,
            sled_store::{SledStore, StoreOptions},
        },
    };

    fn open(directory: &TempDir) -> SledStore {
        SledStore::open(directory.path(), StoreOptions { cache_mib: 8, ..StoreOptions::default() }).unwrap()
    }

    #[test]
    fn of_normal_behaviour_the_newest_is_kept_and_what_is_gone_is_forgotten() {
        let directory = tempfile::tempdir().unwrap();
        let store = open(&directory);
        let day = 86_400;
        let selector = NormalSelector {
            group: NormalWindow::try_from(&sample::normal_graph(0)).unwrap().group().clone(),
            window_ms: 30_000,
        };
        let window = |seconds| NormalWindow::try_from(&sample::normal_graph(seconds)).unwrap();
        for seconds in [0, 30 * day, 31 * day, 32 * day] {
            store.add_normal_window(&window(seconds)).unwrap();
        }
        let rows = |days: &[i64]| {
            let times: Vec<UnixMillis> = days.iter().map(|days| UnixMillis(days * day * 1000)).collect();
            let values = vec![1.0; times.len()];
            ServiceRows::new(times, BTreeMap::from([((MetricKind::Cpu, "cpu".to_owned()), values)])).unwrap()
        };
        let named = |name: &str, days: &[i64]| BTreeMap::from([(name.to_owned(), rows(days))]);
        for (name, days) in [("old-name", &[0, 1][..]), ("new-name", &[32, 40][..]), ("cart", &[0, 39][..])] {
            store.add_normal_rows("shop", &named(name, days)).unwrap();
        }
        store.add_normal_rows("bank", &named("till", &[0])).unwrap();
        assert_eq!(store.normal_sum(&selector, &[], &AbnormalTimes::default()).unwrap().windows(), 4);
        let names = |store: &SledStore, system: &str| -> Vec<String> {
            store.normal_rows(system, &[]).unwrap().into_keys().collect()
        };
        assert_eq!(names(&store, "shop"), ["cart", "new-name", "old-name"]);

        let rules = Retention { normal_days: 28, ..Retention::default() };
        let now = UnixMillis(40 * day * 1000);
        assert_eq!(store.housekeep(&rules, now).unwrap().removed, 2, "a window and a service");
        assert_eq!(store.normal_sum(&selector, &[], &AbnormalTimes::default()).unwrap().windows(), 3);
        let fewer = Retention { normal_windows: 2, ..rules };
        assert_eq!(store.housekeep(&fewer, now).unwrap().removed, 1);
        store.close().unwrap();
        let store = open(&directory);
        assert_eq!(store.normal_sum(&selector, &[], &AbnormalTimes::default()).unwrap().windows(), 2);
        assert_eq!(
            names(&store, "shop"),
            ["cart", "new-name"],
            "a service with another name is another service"
        );
        assert_eq!(names(&store, "bank"), ["till"]);
        assert_eq!(store.normal_rows("shop", &["cart".to_owned()]).unwrap()["cart"], rows(&[0, 39]));
    }
}
