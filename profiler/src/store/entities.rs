//! Entities of an open store: read and checked, written section by section, listed page by page.

use std::collections::BTreeMap;

use prost::Message;

use super::{
    change::Change,
    error::StoreError,
    kept::{Kept, Sections, promised_sum},
    key::{BODY, Entity, SUMMARY, directory_key},
    listing::{self, Collection, ListQuery, MAX_PAGE_BYTES, MAX_SCANNED, MAX_SCANNED_BYTES, Page},
    open_store::{OpenStore, Writer},
    parts, sealed,
};
use crate::record_id::RecordId;

impl OpenStore {
    /// All of an entity, if it is kept.
    ///
    /// # Errors
    /// It is not what was written last.
    pub(super) fn kept(&self, entity: &Entity) -> Result<Option<Kept>, StoreError> {
        self.unmixed(|| self.decoded(entity))
    }

    /// The same for who keeps writers out.
    pub(super) fn kept_by(&self, _writer: &Writer, entity: &Entity) -> Result<Option<Kept>, StoreError> {
        self.heed_damage(self.decoded(entity))
    }

    fn decoded(&self, entity: &Entity) -> Result<Option<Kept>, StoreError> {
        let sections = self.sections(entity, &[SUMMARY, BODY])?;
        if sections.is_empty() {
            return Ok(None);
        }
        Kept::decode(entity, &sections).map(Some).map_err(|problem| damaged(entity, problem))
    }

    /// What `look` finds; where that is damage, what it finds while writers are kept out. The engine makes a change atomic
    /// for one look at it, and a record takes several: a reader may meet the half of a change.
    fn unmixed<T>(&self, look: impl Fn() -> Result<T, StoreError>) -> Result<T, StoreError> {
        match look() {
            Err(StoreError::Damaged { .. }) => {
                let _turn = self.standstill();
                self.heed_damage(look())
            }
            found => found,
        }
    }

    /// The payloads of those sections of an entity that are kept. All are of one version, because all fit one line of the
    /// directory.
    fn sections(&self, entity: &Entity, wanted: &[u8]) -> Result<Sections, StoreError> {
        let key = directory_key(entity);
        let line = self.tree.get(&key)?;
        let promised = match &line {
            None => &[][..],
            Some(line) => sealed::unseal(&key, line).map_err(|damage| damaged(entity, damage))?,
        };
        let mut sections = Sections::new();
        for &section in wanted {
            let prefix = entity.section(section);
            let mut found = BTreeMap::new();
            for entry in self.tree.scan_prefix(&prefix) {
                let (key, value) = entry?;
                let (_, _, part) =
                    Entity::parse(&key).ok_or_else(|| damaged(entity, "a key is unreadable"))?;
                found.insert(part, value);
            }
            match (found.is_empty(), promised_sum(promised, section)) {
                (true, None) => {}
                (true, Some(_)) => return Err(damaged(entity, "a part of it is missing")),
                (false, sum) => {
                    let payload = parts::join(&entity.to_string(), &prefix, &found)?;
                    if sum != Some(crc32fast::hash(&payload)) {
                        return Err(damaged(entity, "it is not what was written last"));
                    }
                    sections.insert(section, payload);
                }
            }
        }
        Ok(sections)
    }

    /// The summary of an entity that is listed under a key; `None` when it was removed meanwhile.
    pub(super) fn summary(&self, entity: &Entity, listed: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.unmixed(|| match self.sections(entity, &[SUMMARY])?.remove(&SUMMARY) {
            None if self.tree.contains_key(listed)? => Err(damaged(entity, "it is listed and not there")),
            found => Ok(found),
        })
    }

    /// Adds to `change` what replaces an entity, or removes it when `after` is `None`.
    pub(super) fn replace(
        &self,
        change: &mut Change,
        before: Option<&Kept>,
        after: Option<&Kept>,
    ) -> Result<(), StoreError> {
        let Some(entity) = after.or(before).map(Kept::entity) else {
            return Ok(());
        };
        if let Some(old) = before {
            for (key, _) in old.derived(&old.sections()) {
                change.remove(key);
            }
        }
        let sections = after.map(Kept::sections).unwrap_or_default();
        for section in [SUMMARY, BODY] {
            self.write(change, &entity, section, sections.get(&section).map(Vec::as_slice))?;
        }
        if let Some(new) = after {
            for (key, value) in new.derived(&sections) {
                change.insert(key, value);
            }
        }
        Ok(())
    }

    /// Replaces a section in `change`: a payload of `None` removes it. What is there already is not written again.
    fn write(
        &self,
        change: &mut Change,
        entity: &Entity,
        section: u8,
        payload: Option<&[u8]>,
    ) -> Result<(), StoreError> {
        let prefix = entity.section(section);
        let cut = match payload {
            Some(bytes) => parts::cut(&prefix, bytes)?,
            None => Vec::new(),
        };
        let mut cut: BTreeMap<Vec<u8>, Vec<u8>> = cut.into_iter().collect();
        for entry in self.tree.scan_prefix(&prefix) {
            let (key, old) = entry?;
            match cut.get(&key[..]) {
                None => change.remove(key.to_vec()),
                Some(new) if old == new.as_slice() => {
                    cut.remove(&key[..]);
                }
                Some(_) => {}
            }
        }
        for (key, value) in cut {
            change.insert(key, value);
        }
        Ok(())
    }

    /// One page of a listing: the entities, in order, with their decoded summaries.
    pub(super) fn page<M: Message + Default>(
        &self,
        collection: Collection,
        query: &ListQuery,
        entity_of: impl Fn(RecordId) -> Entity,
        wanted: impl Fn(&M) -> bool,
    ) -> Result<Page<(Entity, M)>, StoreError> {
        let size = query.size()?;
        let prefix = listing::prefix(collection, query.system.as_deref());
        let mut position = query.start(&prefix)?;
        let mut page = Page { records: Vec::new(), next_page_token: String::new() };
        let (mut bytes, mut scanned, mut scanned_bytes) = (0, 0, 0);
        loop {
            let next = match &position {
                Some(key) => self.tree.get_gt(key)?,
                None => self.tree.get_gt(&prefix)?,
            };
            let Some((key, _)) = next.filter(|(key, _)| key.starts_with(&prefix)) else {
                return Ok(page);
            };
            let unreadable =
                || StoreError::Damaged { record: "listing".into(), problem: "a key is unreadable".into() };
            if let Some(from) = query.from
                && listing::parse_time(&prefix, &key).ok_or_else(unreadable)? < from
            {
                return Ok(page);
            }
            if scanned == MAX_SCANNED || scanned_bytes > MAX_SCANNED_BYTES {
                page.next_page_token =
                    position.map_or_else(String::new, |last| listing::token(&prefix, &last));
                return Ok(page);
            }
            let id = listing::parse_id(&prefix, &key).ok_or_else(unreadable)?;
            let entity = entity_of(id);
            let Some(payload) = self.summary(&entity, &key)? else {
                position = Some(key.to_vec());
                continue;
            };
            scanned += 1;
            scanned_bytes += payload.len();
            let summary = M::decode(payload.as_slice()).map_err(|error| damaged(&entity, error))?;
            if !wanted(&summary) {
                position = Some(key.to_vec());
                continue;
            }
            bytes += payload.len();
            if page.records.len() == size || (bytes > MAX_PAGE_BYTES && !page.records.is_empty()) {
                page.next_page_token =
                    position.map_or_else(String::new, |last| listing::token(&prefix, &last));
                return Ok(page);
            }
            page.records.push((entity, summary));
            position = Some(key.to_vec());
        }
    }
}

/// The error of an entity that is not what was written.
pub(super) fn damaged(entity: &Entity, problem: impl ToString) -> StoreError {
    StoreError::Damaged { record: entity.to_string(), problem: problem.to_string() }
}
