//! Export and import: the entities of a store as a stream of keys and sealed values, without what is derived from
//! them. The last record counts the others and carries their checksum, so that a stream cut short is noticed.

use std::{
    collections::{BTreeMap, BTreeSet, btree_map::Entry},
    sync::PoisonError,
};

use automap_proto::invalid::Invalid;

use super::{
    change::Change,
    entities::damaged,
    error::StoreError,
    kept::{Kept, Sections},
    key::{BEFORE_ENTITIES, ENTITIES_END, EXPORT_END, Entity},
    open_store::OpenStore,
    parts, sealed,
};

/// A chunk of an export ends with the entity that passes this size, bytes.
const CHUNK_BYTES: usize = 256 << 10;

/// One key with its sealed value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredRecord {
    /// Where it lies.
    pub key: Vec<u8>,
    /// Format version, checksum and payload.
    pub value: Vec<u8>,
}

/// A few whole entities of an export.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportChunk {
    /// Their records; none when the export is at its end.
    pub records: Vec<StoredRecord>,
}

impl ExportChunk {
    /// Where the next chunk begins; `None` when this was the end.
    pub fn position(&self) -> Option<&[u8]> {
        self.records.last().map(|record| record.key.as_slice())
    }
}

/// Counts and sums the records of an export, and makes its last record.
#[derive(Debug, Clone, Default)]
pub struct ExportTally {
    records: u64,
    checksum: crc32fast::Hasher,
}

impl ExportTally {
    /// Takes a record into account.
    pub fn add(&mut self, record: &StoredRecord) {
        self.records += 1;
        for bytes in [&record.key, &record.value] {
            self.checksum.update(&(bytes.len() as u64).to_be_bytes());
            self.checksum.update(bytes);
        }
    }

    /// Records so far.
    pub const fn records(&self) -> u64 {
        self.records
    }

    /// The record that ends the export.
    pub fn end(&self) -> StoredRecord {
        StoredRecord { key: EXPORT_END.to_vec(), value: sealed::seal(EXPORT_END, &self.payload()) }
    }

    fn payload(&self) -> Vec<u8> {
        let mut payload = self.records.to_be_bytes().to_vec();
        payload.extend_from_slice(&self.checksum.clone().finalize().to_be_bytes());
        payload
    }

    /// Checks that `end` ends the export, whichever format version it was written in.
    fn check_end(&self, end: Option<&StoredRecord>) -> Result<(), Invalid> {
        let found = end.filter(|end| end.key == EXPORT_END).map(|end| sealed::unseal(EXPORT_END, &end.value));
        match found {
            Some(Ok(payload)) if payload == self.payload() => Ok(()),
            Some(Err(newer @ sealed::Damage::Version(_))) => {
                Err(Invalid::new("records", format!("end with a record that cannot be read: {newer}")))
            }
            _ => Err(Invalid::new(
                "records",
                "do not end with the record that counts them: the export was cut short or changed",
            )),
        }
    }
}

/// What an import into a store that holds something does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ImportMode {
    /// Adds what is not kept yet; a record kept with another content is a conflict.
    #[default]
    Merge,
    /// Refuses a store that holds anything.
    EmptyOnly,
    /// Adds what is not kept yet; what is kept stays as it is.
    KeepExisting,
    /// Adds what is not kept yet, and replaces what is kept with another content.
    Replace,
}

impl OpenStore {
    pub(super) fn export(&self, after: Option<&[u8]>) -> Result<ExportChunk, StoreError> {
        // Without writers no entity is read half before and half after a change.
        let _turn = self.standstill();
        let mut records: Vec<StoredRecord> = Vec::new();
        let mut bytes = 0;
        let mut current: Option<Entity> = None;
        let mut position = after.unwrap_or(BEFORE_ENTITIES).to_vec();
        while let Some((key, value)) = self.tree.get_gt(&position)?.filter(|(key, _)| &key[..] < ENTITIES_END)
        {
            let (entity, _, part) = Entity::parse(&key).ok_or_else(|| StoreError::Damaged {
                record: "key".into(),
                problem: format!("{} is none of this store", key.escape_ascii()),
            })?;
            sealed::unseal(&key, &value)
                .map_err(|damage| damaged(&entity, format!("part {part}: {damage}")))?;
            if bytes > CHUNK_BYTES && current.as_ref() != Some(&entity) {
                break;
            }
            bytes += key.len() + value.len();
            position = key.to_vec();
            records.push(StoredRecord { key: key.to_vec(), value: value.to_vec() });
            current = Some(entity);
        }
        Ok(ExportChunk { records })
    }

    pub(super) fn import(&self, records: Vec<StoredRecord>, mode: ImportMode) -> Result<u64, StoreError> {
        let (count, arrivals) = decode(records)?;
        let number = {
            let mut writer = self.writing()?;
            if mode == ImportMode::EmptyOnly
                && self.tree.get_gt(BEFORE_ENTITIES)?.is_some_and(|(key, _)| &key[..] < ENTITIES_END)
            {
                return Err(StoreError::Conflict(
                    "the store holds records already; merge the import or import into an empty store".into(),
                ));
            }
            let mut change = Change::default();
            let mut new = Vec::new();
            for (entity, arrival) in arrivals {
                let kept = self.kept_by(&writer, &entity)?;
                match (&kept, &arrival) {
                    (Some(kept), arrival) if kept == arrival || mode == ImportMode::KeepExisting => continue,
                    // Two samples of the same normal times make a larger one.
                    (Some(Kept::Rows(known)), Kept::Rows(more)) if mode != ImportMode::Replace => {
                        let mut both = known.clone();
                        both.rows.add(known.key.system(), &more.rows, self.options.decay);
                        self.replace(&mut change, kept.as_ref(), Some(&Kept::Rows(both)))?;
                        continue;
                    }
                    (Some(_), _) if mode != ImportMode::Replace => {
                        return Err(StoreError::Conflict(format!(
                            "{entity} is kept already with another content; import into an empty store, or say \
                             whether what is kept stays or is replaced"
                        )));
                    }
                    _ => {}
                }
                self.replace(&mut change, kept.as_ref(), Some(&arrival))?;
                new.push((kept, arrival));
            }
            let number = self.commit(&mut writer, change)?;
            for (before, arrival) in &new {
                self.retabulate(before.as_ref(), arrival);
            }
            self.normals.lock().unwrap_or_else(PoisonError::into_inner).clear();
            number
        };
        self.settle(number)?;
        Ok(count)
    }
}

/// Checks the records of an export, the last one included, as an import does before it takes any, but one entity after the
/// other: all of them are never in memory. Answers how many there are beside the last.
///
/// # Errors
/// The first error of `records`, or [`StoreError::Invalid`], which names what is damaged, missing or of another format.
pub(super) fn check(
    records: impl IntoIterator<Item = Result<StoredRecord, StoreError>>,
) -> Result<u64, StoreError> {
    let (mut tally, mut end) = (ExportTally::default(), None);
    let (mut seen, mut entity, mut of_entity) = (BTreeSet::new(), None, Vec::new());
    for record in records {
        let record = record?;
        if record.key == EXPORT_END {
            end = Some(record);
            continue;
        }
        tally.add(&record);
        let next = Entity::parse(&record.key).map(|(entity, ..)| entity);
        if next != entity {
            check_entity(std::mem::take(&mut of_entity))?;
            if let Some(known) = next.as_ref().filter(|next| !seen.insert((*next).clone())) {
                return Err(Invalid::new("records", format!("of {known} stand in two places")).into());
            }
            entity = next;
        }
        of_entity.push(record);
    }
    check_entity(of_entity)?;
    tally.check_end(end.as_ref())?;
    Ok(tally.records())
}

/// Checks all records of an entity as if they were the whole export.
fn check_entity(mut records: Vec<StoredRecord>) -> Result<(), StoreError> {
    let mut tally = ExportTally::default();
    records.iter().for_each(|record| tally.add(record));
    records.push(tally.end());
    decode(records).map(drop)
}

/// How many records an export has beside the last, and what they are put together.
fn decode(records: Vec<StoredRecord>) -> Result<(u64, Vec<(Entity, Kept)>), StoreError> {
    let gathered = gather(records)?;
    let mut arrivals = Vec::new();
    for (entity, sections) in gathered.sections {
        let arrival = Kept::decode(&entity, &sections)
            .map_err(|problem| Invalid::new("records", format!("{entity}: {problem}")))?;
        arrivals.push((entity, arrival));
    }
    Ok((gathered.records, arrivals))
}

/// What an import brings: payloads by section of each entity.
pub(super) struct Gathered {
    records: u64,
    pub(super) sections: BTreeMap<Entity, Sections>,
}

/// Puts the records of an export together, the last one included.
///
/// # Errors
/// [`StoreError::Invalid`] names what is damaged, missing or of another format.
pub(super) fn gather(mut records: Vec<StoredRecord>) -> Result<Gathered, StoreError> {
    let end = records.pop();
    let mut tally = ExportTally::default();
    let mut entities: BTreeMap<Entity, BTreeMap<u8, BTreeMap<u16, Vec<u8>>>> = BTreeMap::new();
    for (index, record) in records.into_iter().enumerate() {
        tally.add(&record);
        let (entity, section, part) = Entity::parse(&record.key)
            .ok_or_else(|| Invalid::new(format!("records[{index}].key"), "is no key of a store"))?;
        // One by one, so that the message names the first record that is damaged.
        sealed::unseal(&record.key, &record.value).map_err(|damage| {
            Invalid::new(format!("records[{index}].value"), format!("of {entity}: {damage}"))
        })?;
        match entities.entry(entity).or_default().entry(section).or_default().entry(part) {
            Entry::Vacant(place) => place.insert(record.value),
            Entry::Occupied(_) => {
                return Err(Invalid::new(format!("records[{index}].key"), "stands twice").into());
            }
        };
    }
    tally.check_end(end.as_ref())?;
    let mut sections = BTreeMap::new();
    for (entity, parted) in entities {
        let mut payloads = BTreeMap::new();
        for (section, numbered) in parted {
            let payload = parts::join(&entity.to_string(), &entity.section(section), &numbered)
                .map_err(|error| Invalid::new("records", error.to_string()))?;
            payloads.insert(section, payload);
        }
        sections.insert(entity, payloads);
    }
    Ok(Gathered { records: tally.records, sections })
}
