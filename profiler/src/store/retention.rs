//! How long what is kept: by age and by number, confirmed incidents longest.
//!
//! The age of normal behaviour is counted from the newest of its system and not from now: recordings may be old. What
//! claims to be of a time to come counts as of now.

use std::{cmp::Reverse, collections::BTreeMap, sync::PoisonError};

use automap_proto::time::UnixMillis;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    change::Change,
    error::StoreError,
    kept::{Kept, KeptRows},
    key::{Entity, NormalKey, directory_entity, normal_lines},
    open_store::{OpenStore, locked},
};
use crate::record_id::RecordId;

mod diagnoses;
#[cfg(test)]
mod tests;

const DAY_MS: i64 = 86_400_000;
/// Of one system and settings so many times the windows of one length are kept. Each diagnosis has a length of its own, and
/// lengths that nobody asks for again give way to newer ones.
const LENGTHS: usize = 10;
/// Records that are removed in one change.
const SWEEP: usize = 200;

/// What goes when.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct Retention {
    /// Incidents that nobody confirmed, and diagnoses of no confirmed incident, go at this age, days.
    pub unconfirmed_days: u32,
    /// Confirmed incidents and their diagnoses go at this age, days.
    pub confirmed_days: u32,
    /// Most incidents of a system; beyond, the oldest unconfirmed go first, then the oldest confirmed.
    pub incidents_per_system: usize,
    /// Most diagnoses of a system; beyond, the oldest go, but those of confirmed incidents, which go at the age of these.
    pub diagnoses: usize,
    /// Most normal windows whose graphs are added up: of one length, give or take a tenth. Ten times as many are kept of all
    /// lengths of a system with the same settings. Beyond, the oldest go.
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

/// Which go of the incidents of one system: (id, time of the record, confirmed). Those that are too old, and of the others the
/// surplus.
fn outlived(
    incidents: Vec<(RecordId, UnixMillis, bool)>,
    rules: &Retention,
    now: UnixMillis,
) -> Vec<Outlived> {
    let (mut gone, mut left): (Vec<_>, Vec<_>) =
        incidents.into_iter().partition(|(_, at, confirmed)| rules.outlives(*at, *confirmed, now));
    // Unconfirmed first, each by age.
    let order = |left: &(RecordId, UnixMillis, bool), right: &(RecordId, UnixMillis, bool)| {
        (left.2, left.1, &left.0).cmp(&(right.2, right.1, &right.0))
    };
    left.sort_by(order);
    left.truncate(left.len().saturating_sub(rules.incidents_per_system));
    gone.append(&mut left);
    gone.sort_by(order);
    let gone = gone.into_iter();
    gone.map(|(id, at, confirmed)| Outlived { entity: Entity::Incident(id), at, confirmed }).collect()
}

impl Retention {
    /// Of each limit the one that keeps more.
    #[must_use]
    pub fn or_longer(self, other: Self) -> Self {
        Self {
            unconfirmed_days: self.unconfirmed_days.max(other.unconfirmed_days),
            confirmed_days: self.confirmed_days.max(other.confirmed_days),
            incidents_per_system: self.incidents_per_system.max(other.incidents_per_system),
            diagnoses: self.diagnoses.max(other.diagnoses),
            normal_windows: self.normal_windows.max(other.normal_windows),
            normal_days: self.normal_days.max(other.normal_days),
        }
    }

    /// Whether an incident or a diagnosis of `time` is too old.
    fn outlives(&self, time: UnixMillis, confirmed: bool, now: UnixMillis) -> bool {
        let days = if confirmed { self.confirmed_days } else { self.unconfirmed_days };
        time.0 < now.0.saturating_sub(i64::from(days) * DAY_MS)
    }

    /// Whether normal behaviour of `time` is much older than the newest of its system.
    pub(crate) fn outlives_normal(&self, time: UnixMillis, newest: UnixMillis) -> bool {
        time.0 < newest.0.saturating_sub(i64::from(self.normal_days) * DAY_MS)
    }
}

/// Which normal windows go of all: beyond the newest of those that are added up together, or of all with their system and
/// settings, or much older than the newest of their system. O(n · lengths that are added up together).
fn outlived_windows(all: &[NormalKey], rules: &Retention, now: UnixMillis) -> Vec<Outlived> {
    let mut newest: BTreeMap<&[u8], UnixMillis> = BTreeMap::new();
    let mut groups: BTreeMap<&[u8], Vec<&NormalKey>> = BTreeMap::new();
    for key in all {
        let known = newest.entry(key.system()).or_insert(key.start());
        *known = key.start().max(*known);
        groups.entry(key.group()).or_default().push(key);
    }
    let mut gone = Vec::new();
    for mut group in groups.into_values() {
        group.sort_by_key(|key| Reverse((key.start(), key.window_ms())));
        let (mut of_group, mut kept): (usize, BTreeMap<u64, usize>) = (0, BTreeMap::new());
        for key in group {
            let newest = newest.get(key.system()).map_or(now, |newest| now.min(*newest));
            if rules.outlives_normal(key.start(), newest)
                || of_group >= rules.normal_windows.saturating_mul(LENGTHS)
                || summed_with(&kept, key.window_ms()) >= rules.normal_windows
            {
                gone.push(Outlived {
                    entity: Entity::Normal(key.clone()),
                    at: key.start(),
                    confirmed: false,
                });
            } else {
                of_group += 1;
                *kept.entry(key.window_ms()).or_default() += 1;
            }
        }
    }
    gone
}

/// How many windows of those that there are by length count in the sum for a length.
fn summed_with(by_length: &BTreeMap<u64, usize>, window_ms: u64) -> usize {
    let tenth = window_ms / 10;
    by_length.range(window_ms - tenth..=window_ms.saturating_add(tenth)).map(|(_, windows)| windows).sum()
}

/// What outlived its time, and what was known of it then: where that has changed meanwhile it stays.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Outlived {
    entity: Entity,
    at: UnixMillis,
    confirmed: bool,
}

fn last_row(kept: &KeptRows) -> UnixMillis {
    kept.rows.times().last().copied().unwrap_or(UnixMillis(i64::MIN))
}

/// What a sweep did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Swept {
    removed: u64,
    damaged: u64,
}

impl Swept {
    /// A damaged record stays where it is, for salvage, and keeps no other from its end.
    fn pass_by(&mut self, error: StoreError) -> Result<(), StoreError> {
        let StoreError::Damaged { .. } = &error else { return Err(error) };
        tracing::error!(%error, "a record cannot be read and is left where it is");
        self.damaged += 1;
        Ok(())
    }
}

impl OpenStore {
    /// Removes what has outlived its time.
    fn sweep(&self, rules: &Retention, now: UnixMillis) -> Result<Swept, StoreError> {
        let mut swept = Swept::default();
        for few in self.outlived(rules, now, &mut swept)?.chunks(SWEEP) {
            self.remove_all(few, &mut swept)?;
        }
        Ok(swept)
    }

    /// What has outlived its time.
    fn outlived(
        &self,
        rules: &Retention,
        now: UnixMillis,
        swept: &mut Swept,
    ) -> Result<Vec<Outlived>, StoreError> {
        let mut gone = Vec::new();
        {
            let table = self.incidents.read().unwrap_or_else(PoisonError::into_inner);
            for incidents in table.ages() {
                gone.extend(outlived(incidents, rules, now));
            }
        }
        gone.extend(self.outlived_diagnoses(rules, now, swept)?);
        let [windows, rows] = normal_lines();
        let mut keys = Vec::new();
        for entity in self.named_in(&windows)? {
            if let Entity::Normal(key) = entity {
                keys.push(key);
            }
        }
        gone.extend(outlived_windows(&keys, rules, now));
        gone.extend(self.outlived_rows(self.named_in(&rows)?, rules, now, swept)?);
        Ok(gone)
    }

    /// What is kept, as it would be found to have outlived its time now.
    fn as_kept(&self, kept: &Kept) -> Outlived {
        let (at, confirmed) = match kept {
            Kept::Incident(incident) => (incident.recorded_at, incident.verdict().is_some()),
            Kept::Diagnosis(diagnosis) => (diagnosis.created_at(), self.of_confirmed(diagnosis.wire())),
            Kept::Normal(window) => (window.start(), false),
            Kept::Rows(kept) => (last_row(kept), false),
        };
        Outlived { entity: kept.entity(), at, confirmed }
    }

    /// The entities that lines of the directory name, by their keys.
    fn named_in(&self, lines: &[u8]) -> Result<Vec<Entity>, StoreError> {
        let mut named = Vec::new();
        for key in self.tree.scan_prefix(lines).keys() {
            named.extend(directory_entity(&key?));
        }
        Ok(named)
    }

    /// Services whose newest row is much older than that of their system.
    fn outlived_rows(
        &self,
        all: Vec<Entity>,
        rules: &Retention,
        now: UnixMillis,
        swept: &mut Swept,
    ) -> Result<Vec<Outlived>, StoreError> {
        let mut newest: BTreeMap<String, UnixMillis> = BTreeMap::new();
        let mut found = Vec::new();
        for entity in all {
            let kept = match self.kept(&entity) {
                Ok(Some(Kept::Rows(kept))) => kept,
                Ok(_) => continue,
                Err(error) => {
                    swept.pass_by(error)?;
                    continue;
                }
            };
            let (system, at) = (kept.key.system().to_owned(), last_row(&kept));
            let known = newest.entry(system.clone()).or_insert(at);
            *known = at.max(*known);
            found.push((system, Outlived { entity, at, confirmed: false }));
        }
        found.retain(|(system, service)| {
            newest.get(system).is_some_and(|newest| rules.outlives_normal(service.at, now.min(*newest)))
        });
        Ok(found.into_iter().map(|(_, service)| service).collect())
    }

    /// Removes those that are still as they were when they were found to have outlived their time.
    fn remove_all(&self, outlived: &[Outlived], swept: &mut Swept) -> Result<(), StoreError> {
        let (number, removed) = {
            // It frees more than it takes.
            let reserve_mib = self.chores_reserve_mib();
            let mut writer = self.writing_beside(reserve_mib)?;
            let mut change = Change::default();
            let mut incidents = Vec::new();
            let (mut removed, mut windows) = (0, 0);
            for found in outlived {
                let kept = match self.kept_by(&writer, &found.entity) {
                    Ok(Some(kept)) if self.as_kept(&kept) == *found => kept,
                    Ok(_) => continue,
                    Err(error) => {
                        swept.pass_by(error)?;
                        continue;
                    }
                };
                self.replace(&mut change, Some(&kept), None)?;
                removed += 1;
                match kept {
                    Kept::Incident(incident) => incidents.push(incident),
                    Kept::Normal(_) => windows += 1,
                    Kept::Diagnosis(_) | Kept::Rows(_) => {}
                }
            }
            if change.is_empty() {
                return Ok(());
            }
            let number = self.commit_beside(reserve_mib, &mut writer, change)?;
            if windows > 0 {
                locked(&self.normals).clear();
            }
            let mut table = self.incidents.write().unwrap_or_else(PoisonError::into_inner);
            for incident in incidents {
                table.remove(incident.context.system(), &incident.id);
            }
            (number, removed)
        };
        self.settle(number)?;
        swept.removed += removed;
        Ok(())
    }

    /// Removes what has outlived its time and writes a checkpoint when one is due, fits, and no record was found damaged. Where
    /// there is no room to remove anything, a checkpoint may make some.
    pub(super) fn housekeep(
        &self,
        rules: &Retention,
        now: UnixMillis,
    ) -> Result<super::Housekeeping, StoreError> {
        let swept = match self.sweep(rules, now) {
            Err(full @ StoreError::Full { .. }) => Err(full),
            swept => Ok(swept?),
        };
        if self.is_damaged() {
            tracing::error!(
                store = %self.path.display(),
                "a record was found damaged: no checkpoint is written and the journal grows until the profiler is \
                 started again, which rebuilds the record where the journal is whole"
            );
        }
        let mut checkpoint_bytes = None;
        if self.may_checkpoint()? {
            match self.require_room_for_checkpoint() {
                Ok(()) => checkpoint_bytes = Some(self.checkpoint()?),
                Err(error @ StoreError::Full { .. }) => {
                    tracing::error!(%error, "there is no room for a checkpoint and the journal grows")
                }
                Err(error) => return Err(error),
            }
        }
        let Swept { removed, damaged } = swept?;
        Ok(super::Housekeeping { removed, damaged, checkpoint_bytes })
    }
}
