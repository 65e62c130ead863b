//! What is kept under an entity's keys: its sections, and the rows that are derived from it.

use std::{collections::BTreeMap, fmt::Display};

use automap_proto::v1;
use prost::Message;

use super::{
    incident_table::IncidentRow,
    key::{BODY, Entity, NormalKey, RowsKey, SUMMARY, directory_key, vector_key},
    listing::{self, Collection},
    sealed,
};
use crate::{
    diagnosis_record::DiagnosisRecord, normal_rows::ServiceRows, normal_window::NormalWindow,
    past_incident::PastIncident, told_times::ToldTimes,
};

/// Payloads by section.
pub(crate) type Sections = BTreeMap<u8, Vec<u8>>;

/// A key with its sealed value.
pub(crate) type Row = (Vec<u8>, Vec<u8>);

/// The content of an entity.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Kept {
    Incident(Box<PastIncident>),
    Diagnosis(Box<DiagnosisRecord>),
    Normal(Box<NormalWindow>),
    Rows(Box<KeptRows>),
}

/// Rows of normal times of one service.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct KeptRows {
    pub(crate) key: RowsKey,
    pub(crate) rows: ServiceRows,
}

impl Kept {
    /// Where it is kept.
    pub(crate) fn entity(&self) -> Entity {
        match self {
            Self::Incident(incident) => Entity::Incident(incident.id.clone()),
            Self::Diagnosis(diagnosis) => Entity::Diagnosis(diagnosis.id().clone()),
            Self::Normal(window) => Entity::Normal(NormalKey::new(window)),
            Self::Rows(kept) => Entity::Rows(kept.key.clone()),
        }
    }

    /// The application it belongs to.
    pub(crate) fn system(&self) -> &str {
        match self {
            Self::Incident(incident) => incident.context.system(),
            Self::Diagnosis(diagnosis) => diagnosis.system(),
            Self::Normal(window) => &window.group().system,
            Self::Rows(kept) => kept.key.system(),
        }
    }

    /// Its payloads: what is read to list it, and its bulk.
    pub(crate) fn sections(&self) -> Sections {
        match self {
            Self::Incident(incident) => {
                let mut summary = v1::Incident::from(incident.as_ref());
                let body = v1::Incident {
                    anomaly_graph: summary.anomaly_graph.take(),
                    profiles: std::mem::take(&mut summary.profiles),
                    correlations: std::mem::take(&mut summary.correlations),
                    evidence: std::mem::take(&mut summary.evidence),
                    ..Default::default()
                };
                let mut listed = summary.encode_to_vec();
                listed.extend(incident.told.encode_to_vec());
                BTreeMap::from([(SUMMARY, listed), (BODY, body.encode_to_vec())])
            }
            Self::Diagnosis(diagnosis) => {
                let mut summary = diagnosis.wire().clone();
                let graph = summary.behavior_graph.take();
                let mut sections = BTreeMap::from([(SUMMARY, summary.encode_to_vec())]);
                if let Some(explained) = graph {
                    sections.insert(BODY, explained.encode_to_vec());
                }
                sections
            }
            Self::Normal(window) => {
                BTreeMap::from([(BODY, v1::NormalGraph::from(window.as_ref()).encode_to_vec())])
            }
            Self::Rows(kept) => {
                BTreeMap::from([(BODY, kept.rows.to_wire(kept.key.service()).encode_to_vec())])
            }
        }
    }

    /// Decodes and checks the sections of an entity.
    ///
    /// # Errors
    /// What does not fit, without the name of the entity.
    pub(crate) fn decode(entity: &Entity, sections: &Sections) -> Result<Self, String> {
        let section = |number: u8, missing: &str| {
            sections.get(&number).map(Vec::as_slice).ok_or_else(|| missing.to_owned())
        };
        if let Some(unknown) = sections.keys().find(|&&number| number > BODY) {
            return Err(format!("section {unknown} is unknown"));
        }
        let kept = match entity {
            Entity::Incident(_) => {
                let mut wire: v1::Incident = decoded(section(SUMMARY, "half of it is missing")?)?;
                let bulk: v1::Incident = decoded(section(BODY, "half of it is missing")?)?;
                (wire.anomaly_graph, wire.profiles, wire.correlations, wire.evidence) =
                    (bulk.anomaly_graph, bulk.profiles, bulk.correlations, bulk.evidence);
                let told: ToldTimes = decoded(section(SUMMARY, "half of it is missing")?)?;
                let incident = PastIncident::try_from(&wire).map_err(text)?;
                Self::Incident(Box::new(PastIncident { told, ..incident }))
            }
            Entity::Diagnosis(_) => {
                let mut wire: v1::Diagnosis = decoded(section(SUMMARY, "half of it is missing")?)?;
                wire.behavior_graph = sections.get(&BODY).map(|body| decoded(body)).transpose()?;
                Self::Diagnosis(Box::new(DiagnosisRecord::new(wire).map_err(text)?))
            }
            Entity::Normal(_) => {
                let wire: v1::NormalGraph = decoded(section(BODY, "its graph is missing")?)?;
                Self::Normal(Box::new(NormalWindow::try_from(&wire).map_err(text)?))
            }
            Entity::Rows(key) => {
                let wire: v1::ServiceRows = decoded(section(BODY, "its rows are missing")?)?;
                let (service, rows) = ServiceRows::from_kept(&wire).map_err(text)?;
                Self::Rows(Box::new(KeptRows { key: RowsKey::new(key.system(), &service), rows }))
            }
        };
        if kept.entity() != *entity {
            return Err("it lies under another key".into());
        }
        Ok(kept)
    }

    /// The rows that follow from it and are never read from an export: similarity vector, listings, directory.
    pub(crate) fn derived(&self, sections: &Sections) -> Vec<Row> {
        let mut rows: Vec<Row> = Vec::new();
        if let Self::Incident(incident) = self {
            let key = vector_key(&incident.id);
            let value = sealed::seal(&key, &IncidentRow::new(incident).encode());
            rows.push((key, value));
        }
        for key in self.listing_keys() {
            let value = sealed::seal(&key, &[]);
            rows.push((key, value));
        }
        let key = directory_key(&self.entity());
        let value = sealed::seal(&key, &directory(sections));
        rows.push((key, value));
        rows
    }

    fn listing_keys(&self) -> Vec<Vec<u8>> {
        match self {
            Self::Incident(incident) => {
                let keys = |collection| {
                    listing::keys(collection, incident.context.system(), incident.recorded_at, &incident.id)
                };
                let mut all = keys(Collection::Incidents).to_vec();
                if incident.verdict().is_some() {
                    all.extend(keys(Collection::ConfirmedIncidents));
                }
                all
            }
            Self::Diagnosis(diagnosis) => {
                let (system, at) = (diagnosis.system(), diagnosis.created_at());
                listing::keys(Collection::Diagnoses, system, at, diagnosis.id()).to_vec()
            }
            Self::Normal(_) | Self::Rows(_) => Vec::new(),
        }
    }
}

/// What the directory says of an entity: for each of its sections the number and the CRC32 of the payload. A section
/// that the engine gives back as it was before is noticed by it.
fn directory(sections: &Sections) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(sections.len() * 5);
    for (&section, payload) in sections {
        bytes.push(section);
        bytes.extend_from_slice(&crc32fast::hash(payload).to_be_bytes());
    }
    bytes
}

/// The CRC32 that a directory's payload promises for a section; `None` where it has no such section.
pub(crate) fn promised_sum(directory: &[u8], section: u8) -> Option<u32> {
    let (entries, _) = directory.as_chunks::<5>();
    let entry = entries.iter().find(|entry| entry[0] == section)?;
    entry.last_chunk::<4>().map(|sum| u32::from_be_bytes(*sum))
}

/// Whether a directory's payload promises just these sections.
pub(crate) fn promises(directory: &[u8], sections: &Sections) -> bool {
    directory.len() == sections.len() * 5
        && sections
            .iter()
            .all(|(&section, payload)| promised_sum(directory, section) == Some(crc32fast::hash(payload)))
}

fn decoded<M: Message + Default>(bytes: &[u8]) -> Result<M, String> {
    M::decode(bytes).map_err(text)
}

fn text(error: impl Display) -> String {
    error.to_string()
}
