//! How long what is kept: by age and by number, confirmed incidents longest.
//!
//! The age of normal behaviour is counted from the newest of its system and not from now: recordings may be old.

use std::{collections::BTreeMap, sync::PoisonError};

use automap_proto::time::UnixMillis;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    change::Change,
    error::StoreError,
    kept::Kept,
    key::{Entity, NormalKey, directory_entity, normal_lines},
    listing::{self, Collection},
    open_store::OpenStore,
};
use crate::record_id::RecordId;

const DAY_MS: i64 = 86_400_000;
/// Records that are removed in one change.
const SWEEP: usize = 200;

/// What goes when.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct Retention {
    /// Diagnoses, and incidents that nobody confirmed, go at this age, days.
    pub unconfirmed_days: u32,
    /// Confirmed incidents go at this age, days.
    pub confirmed_days: u32,
    /// Most incidents of a system; beyond, the oldest unconfirmed go first, then the oldest confirmed.
    pub incidents_per_system: usize,
    /// Most diagnoses of the whole store; beyond, the oldest go.
    pub diagnoses: usize,
    /// Most normal windows of one length whose graphs are added up; beyond, the oldest go.
    pub normal_windows: usize,
    /// Normal windows, and services of which no row came any more, go so many days after the newest of their system.
    pub normal_days: u32,
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            unconfirmed_days: 365,
            confirmed_days: 3650,
            incidents_per_system: 100_000,
            diagnoses: 100_000,
            normal_windows: 200,
            normal_days: 28,
        }
    }
}

/// Which incidents of one system go: (id, time of the record, confirmed).
fn outlived(
    mut incidents: Vec<(RecordId, UnixMillis, bool)>,
    rules: &Retention,
    now: UnixMillis,
) -> Vec<RecordId> {
    // Unconfirmed first, each by age.
    incidents.sort_by(|left, right| (left.2, left.1, &left.0).cmp(&(right.2, right.1, &right.0)));
    let surplus = incidents.len().saturating_sub(rules.incidents_per_system);
    let gone = |index: usize, at: UnixMillis, confirmed: bool| {
        let days = if confirmed { rules.confirmed_days } else { rules.unconfirmed_days };
        index < surplus || at.0 < now.0.saturating_sub(i64::from(days) * DAY_MS)
    };
    let numbered = incidents.into_iter().enumerate();
    numbered
        .filter(|(index, (_, at, confirmed))| gone(*index, *at, *confirmed))
        .map(|(_, (id, ..))| id)
        .collect()
}

/// Whether `time` is much older than the newest of its kind.
fn is_behind(time: UnixMillis, newest: UnixMillis, rules: &Retention) -> bool {
    time.0 < newest.0.saturating_sub(i64::from(rules.normal_days) * DAY_MS)
}

/// Which normal windows go of all, which are sorted: beyond the newest of their sum, or much older than these.
fn outlived_windows(all: Vec<Entity>, rules: &Retention) -> Vec<Entity> {
    let mut gone = Vec::new();
    let mut newest: Option<NormalKey> = None;
    let mut kept = 0;
    for entity in all.into_iter().rev() {
        let Entity::Normal(key) = &entity else { continue };
        let of_sum = newest.as_ref().filter(|newest| newest.adds_to(key)).map(NormalKey::start);
        if of_sum.is_none() {
            newest = Some(key.clone());
            kept = 0;
        }
        if kept >= rules.normal_windows || of_sum.is_some_and(|newest| is_behind(key.start(), newest, rules))
        {
            gone.push(entity);
        } else {
            kept += 1;
        }
    }
    gone
}

impl OpenStore {
    /// Removes what has outlived its time; answers how many records went.
    pub(super) fn sweep(&self, rules: &Retention, now: UnixMillis) -> Result<u64, StoreError> {
        let mut gone: Vec<Entity> = Vec::new();
        {
            let table = self.incidents.read().unwrap_or_else(PoisonError::into_inner);
            for incidents in table.ages() {
                gone.extend(outlived(incidents, rules, now).into_iter().map(Entity::Incident));
            }
        }
        gone.extend(self.outlived_diagnoses(rules, now)?.into_iter().map(Entity::Diagnosis));
        let [windows, rows] = normal_lines();
        gone.extend(outlived_windows(self.named_in(&windows)?, rules));
        gone.extend(self.outlived_rows(self.named_in(&rows)?, rules)?);
        let mut removed = 0;
        for few in gone.chunks(SWEEP) {
            removed += self.remove_all(few)?;
        }
        Ok(removed)
    }

    /// From the oldest on, so that only what goes is read; the number kept is counted from the newest.
    fn outlived_diagnoses(&self, rules: &Retention, now: UnixMillis) -> Result<Vec<RecordId>, StoreError> {
        let prefix = listing::prefix(Collection::Diagnoses, None);
        let oldest = now.0.saturating_sub(i64::from(rules.unconfirmed_days) * DAY_MS);
        let mut gone = Vec::new();
        for (index, key) in self.tree.scan_prefix(&prefix).keys().enumerate() {
            let key = key?;
            let old = listing::parse_time(&prefix, &key).is_some_and(|at| at.0 < oldest);
            if index >= rules.diagnoses || old {
                gone.extend(listing::parse_id(&prefix, &key));
            }
        }
        Ok(gone)
    }

    /// The entities that lines of the directory name.
    fn named_in(&self, lines: &[u8]) -> Result<Vec<Entity>, StoreError> {
        let mut named = Vec::new();
        for key in self.tree.scan_prefix(lines).keys() {
            named.extend(directory_entity(&key?));
        }
        Ok(named)
    }

    /// Services whose newest row is much older than that of their system.
    fn outlived_rows(&self, all: Vec<Entity>, rules: &Retention) -> Result<Vec<Entity>, StoreError> {
        let mut newest: BTreeMap<String, UnixMillis> = BTreeMap::new();
        let mut last_rows = Vec::new();
        for entity in all {
            let Some(Kept::Rows(kept)) = self.kept(&entity)? else { continue };
            let last = kept.rows.times().last().copied().unwrap_or(UnixMillis(i64::MIN));
            let system = kept.key.system().to_owned();
            let known = newest.entry(system.clone()).or_insert(last);
            *known = last.max(*known);
            last_rows.push((entity, system, last));
        }
        let gone = |(system, last): (&String, UnixMillis)| {
            newest.get(system).is_some_and(|newest| is_behind(last, *newest, rules))
        };
        let outlived = last_rows.into_iter().filter(|(_, system, last)| gone((system, *last)));
        Ok(outlived.map(|(entity, ..)| entity).collect())
    }

    fn remove_all(&self, entities: &[Entity]) -> Result<u64, StoreError> {
        let (number, removed) = {
            let mut writer = self.writing()?;
            let mut change = Change::default();
            let mut incidents = Vec::new();
            let (mut removed, mut windows) = (0, 0);
            for entity in entities {
                let Some(kept) = self.kept(entity)? else { continue };
                self.replace(&mut change, Some(&kept), None)?;
                removed += 1;
                match kept {
                    Kept::Incident(incident) => incidents.push(incident),
                    Kept::Normal(_) => windows += 1,
                    Kept::Diagnosis(_) | Kept::Rows(_) => {}
                }
            }
            let number = self.commit(&mut writer, change)?;
            if windows > 0 {
                self.normals.lock().unwrap_or_else(PoisonError::into_inner).clear();
            }
            let mut table = self.incidents.write().unwrap_or_else(PoisonError::into_inner);
            for incident in incidents {
                table.remove(incident.context.system(), &incident.id);
            }
            (number, removed)
        };
        self.settle(number)?;
        Ok(removed)
    }

    /// Removes what has outlived its time and writes a checkpoint when one is due.
    pub(super) fn housekeep(
        &self,
        rules: &Retention,
        now: UnixMillis,
    ) -> Result<super::Housekeeping, StoreError> {
        let removed = self.sweep(rules, now)?;
        let checkpoint_bytes = match self.checkpoint_due()? {
            true => Some(self.checkpoint()?),
            false => None,
        };
        Ok(super::Housekeeping { removed, checkpoint_bytes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_unconfirmed_go_first_and_confirmed_ones_live_longest() {
        let day = |days: i64| UnixMillis(days * DAY_MS);
        let id = |name: &str| RecordId::new("id", name).unwrap();
        let incidents = || {
            vec![
                (id("old-confirmed"), day(1), true),
                (id("new"), day(900), false),
                (id("middle"), day(700), false),
                (id("ancient-confirmed"), day(-9000), true),
            ]
        };
        let names = |rules: &Retention| -> Vec<String> {
            outlived(incidents(), rules, day(1000)).iter().map(ToString::to_string).collect()
        };
        let rules = Retention { unconfirmed_days: 200, confirmed_days: 3650, ..Retention::default() };
        assert_eq!(names(&rules), ["middle", "ancient-confirmed"]);
        let few = |incidents_per_system| Retention {
            incidents_per_system,
            unconfirmed_days: 10_000,
            confirmed_days: 20_000,
            ..rules
        };
        assert_eq!(names(&few(2)), ["middle", "new"]);
        assert_eq!(names(&few(1)), ["middle", "new", "ancient-confirmed"]);
        assert_eq!(names(&few(9)), [""; 0]);
    }
}
