//! Export and import: the entities of a store as a stream of keys and sealed values, without what is derived from
//! them. The last record counts the others and carries their checksum, so that a stream cut short is noticed.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    sync::PoisonError,
};

use automap_proto::{invalid::Invalid, v1};
use prost::Message;
use sled::Batch;

use super::{
    diagnoses,
    error::StoreError,
    incident_table::IncidentRow,
    incidents,
    key::{BODY, ENTITIES_END, EXPORT_END, Entity, NormalKey, SUMMARY},
    parts, sealed,
    sled_store::{OpenStore, damaged},
};
use crate::{
    diagnosis_record::DiagnosisRecord, normal_window::NormalWindow, past_incident::PastIncident,
    record_id::RecordId,
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

    /// The record that ends the export.
    pub fn end(&self) -> StoredRecord {
        let mut payload = self.records.to_be_bytes().to_vec();
        payload.extend_from_slice(&self.checksum.clone().finalize().to_be_bytes());
        StoredRecord { key: EXPORT_END.to_vec(), value: sealed::seal(EXPORT_END, &payload) }
    }
}

/// An entity that an import brings, checked.
enum Arrival {
    Incident(Box<PastIncident>),
    Diagnosis(Box<DiagnosisRecord>),
    Normal,
}

impl OpenStore {
    pub(super) fn export(&self, after: Option<&[u8]>) -> Result<ExportChunk, StoreError> {
        // Without writers no entity is read half before and half after a change.
        let _turn = self.writing();
        let mut records: Vec<StoredRecord> = Vec::new();
        let mut bytes = 0;
        let mut current: Option<Entity> = None;
        let mut position = after.unwrap_or_default().to_vec();
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

    pub(super) fn import(&self, records: Vec<StoredRecord>) -> Result<u64, StoreError> {
        let entities = gather(records)?;
        let mut arrivals = Vec::new();
        for (entity, sections) in entities.sections {
            let arrival = check(&entity, &sections)?;
            arrivals.push((entity, sections, arrival));
        }
        {
            let _turn = self.writing();
            let mut batch = Batch::default();
            let mut rows: Vec<(RecordId, IncidentRow)> = Vec::new();
            for (entity, brought, arrival) in arrivals {
                if self.is_kept(&entity, &brought)? {
                    continue;
                }
                for (section, payload) in &brought {
                    self.write(&mut batch, &entity, *section, Some(payload))?;
                }
                match arrival {
                    Arrival::Incident(incident) => {
                        let row = incidents::index(&mut batch, &incident);
                        rows.push((incident.id, row));
                    }
                    Arrival::Diagnosis(diagnosis) => diagnoses::index(&mut batch, &diagnosis),
                    Arrival::Normal => {}
                }
            }
            self.tree.apply_batch(batch)?;
            let mut table = self.incidents.write().unwrap_or_else(PoisonError::into_inner);
            for (id, row) in rows {
                table.put(&id, row);
            }
            self.normals.lock().unwrap_or_else(PoisonError::into_inner).clear();
        }
        self.flush()?;
        Ok(entities.records)
    }

    /// Whether exactly these sections of the entity are kept; a conflict when others are.
    fn is_kept(&self, entity: &Entity, brought: &BTreeMap<u8, Vec<u8>>) -> Result<bool, StoreError> {
        let mut kept = BTreeMap::new();
        for section in [SUMMARY, BODY] {
            if let Some(payload) = self.read(entity, section)? {
                kept.insert(section, payload);
            }
        }
        match kept.is_empty() {
            true => Ok(false),
            false if kept == *brought => Ok(true),
            false => Err(StoreError::Conflict(format!(
                "{entity} is kept already with another content; import into an empty store"
            ))),
        }
    }
}

/// What an import brings: payloads by section of each entity.
struct Gathered {
    records: u64,
    sections: BTreeMap<Entity, BTreeMap<u8, Vec<u8>>>,
}

fn gather(mut records: Vec<StoredRecord>) -> Result<Gathered, StoreError> {
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
    if end.as_ref() != Some(&tally.end()) {
        return Err(Invalid::new(
            "records",
            "do not end with the record that counts them: the export was cut short or changed",
        )
        .into());
    }
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

/// Decodes an entity from its sections.
fn check(entity: &Entity, sections: &BTreeMap<u8, Vec<u8>>) -> Result<Arrival, StoreError> {
    let refuse = |problem: &dyn std::fmt::Display| Invalid::new("records", format!("{entity}: {problem}"));
    let section = |number: u8| sections.get(&number).map(Vec::as_slice);
    if let Some(unknown) = sections.keys().find(|&&number| number > BODY) {
        return Err(refuse(&format!("section {unknown} is unknown")).into());
    }
    match entity {
        Entity::Incident(id) => {
            let (Some(summary), Some(body)) = (section(SUMMARY), section(BODY)) else {
                return Err(refuse(&"half of it is missing").into());
            };
            let mut wire = v1::Incident::decode(summary).map_err(|error| refuse(&error))?;
            let bulk = v1::Incident::decode(body).map_err(|error| refuse(&error))?;
            (wire.anomaly_graph, wire.profiles, wire.correlations) =
                (bulk.anomaly_graph, bulk.profiles, bulk.correlations);
            let incident = PastIncident::try_from(&wire).map_err(|error| refuse(&error))?;
            if incident.id != *id {
                return Err(refuse(&"it lies under another id").into());
            }
            Ok(Arrival::Incident(Box::new(incident)))
        }
        Entity::Diagnosis(id) => {
            let summary = section(SUMMARY).ok_or_else(|| refuse(&"half of it is missing"))?;
            let mut wire = v1::Diagnosis::decode(summary).map_err(|error| refuse(&error))?;
            wire.behavior_graph =
                section(BODY).map(v1::ExplainedGraph::decode).transpose().map_err(|error| refuse(&error))?;
            let diagnosis = DiagnosisRecord::new(wire).map_err(|error| refuse(&error))?;
            if diagnosis.id() != id {
                return Err(refuse(&"it lies under another id").into());
            }
            Ok(Arrival::Diagnosis(Box::new(diagnosis)))
        }
        Entity::Normal(key) => {
            let body = section(BODY).ok_or_else(|| refuse(&"its graph is missing"))?;
            let wire = v1::NormalGraph::decode(body).map_err(|error| refuse(&error))?;
            let window = NormalWindow::try_from(&wire).map_err(|error| refuse(&error))?;
            if sections.len() > 1 || NormalKey::new(&window) != *key {
                return Err(refuse(&"it lies under another key").into());
            }
            Ok(Arrival::Normal)
        }
    }
}
