//! The similarity vectors of all incidents, in memory: scanning a tree on a request would read all of it.

use std::{
    cmp::Ordering,
    collections::{BTreeMap, btree_map::Entry},
};

use prost::Message;

use crate::{
    anomaly_profile::AnomalyProfile,
    past_incident::{PastIncident, Verdict},
    record_id::RecordId,
    similarity::{RERANKED, SIMILARITY_CELLS, SimilarityVector, similarity},
};

/// What the table knows of an incident; also the payload kept under its vector's key.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct IncidentRow {
    pub(crate) system: String,
    pub(crate) vector: SimilarityVector,
    /// Tells incidents over the same services from others without reading them.
    pub(crate) services_fingerprint: u32,
    pub(crate) verdict: Option<Verdict>,
}

#[derive(Clone, PartialEq, Message)]
struct RowMessage {
    #[prost(string, tag = "1")]
    system: String,
    #[prost(float, repeated, tag = "2")]
    cells: Vec<f32>,
    #[prost(fixed32, tag = "3")]
    services_fingerprint: u32,
    #[prost(message, optional, tag = "4")]
    verdict: Option<VerdictMessage>,
}

#[derive(Clone, PartialEq, Message)]
struct VerdictMessage {
    #[prost(string, repeated, tag = "1")]
    root_causes: Vec<String>,
    #[prost(double, tag = "2")]
    precision: f64,
    #[prost(double, repeated, tag = "3")]
    correlations: Vec<f64>,
}

impl IncidentRow {
    pub(crate) fn new(incident: &PastIncident) -> Self {
        let profile = incident.profile.as_ref();
        Self {
            system: incident.context.system().to_owned(),
            vector: profile.map_or(SimilarityVector::EMPTY, AnomalyProfile::similarity_vector),
            services_fingerprint: profile.map_or(0, |known| services_fingerprint(known.graph().services())),
            verdict: incident.verdict(),
        }
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let message = RowMessage {
            system: self.system.clone(),
            cells: self.vector.cells().to_vec(),
            services_fingerprint: self.services_fingerprint,
            verdict: self.verdict.as_ref().map(|verdict| VerdictMessage {
                root_causes: verdict.root_causes.clone(),
                precision: verdict.precision,
                correlations: verdict.correlations.to_vec(),
            }),
        };
        message.encode_to_vec()
    }

    /// `None` when the bytes are no row.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let message = RowMessage::decode(bytes).ok()?;
        let verdict = match message.verdict {
            None => None,
            Some(verdict) => Some(Verdict {
                root_causes: verdict.root_causes,
                precision: verdict.precision,
                correlations: verdict.correlations.try_into().ok()?,
            }),
        };
        Some(Self {
            vector: SimilarityVector::from_cells(&message.cells)?,
            system: message.system,
            services_fingerprint: message.services_fingerprint,
            verdict,
        })
    }
}

/// A number that differs for almost all pairs of different service lists.
pub(crate) fn services_fingerprint(services: &[String]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    for service in services {
        hasher.update(service.as_bytes());
        hasher.update(&[0]);
    }
    hasher.finalize()
}

/// A past incident found by its vector.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Candidate {
    pub(crate) id: RecordId,
    pub(crate) similarity: f64,
    pub(crate) services_fingerprint: u32,
    pub(crate) verdict: Option<Verdict>,
}

impl Candidate {
    /// Most similar first, then by id.
    pub(crate) fn order(left: &Self, right: &Self) -> Ordering {
        right.similarity.total_cmp(&left.similarity).then_with(|| left.id.cmp(&right.id))
    }
}

/// Vectors of one system, contiguous: row i of `cells` belongs to `rows[i]`.
#[derive(Debug, Default)]
struct SystemIncidents {
    cells: Vec<f32>,
    rows: Vec<(RecordId, u32, Option<Verdict>)>,
    places: BTreeMap<RecordId, usize>,
}

/// Vectors of all incidents by system.
#[derive(Debug, Default)]
pub(crate) struct IncidentTable {
    systems: BTreeMap<String, SystemIncidents>,
}

impl IncidentTable {
    /// Adds an incident, or replaces its row.
    pub(crate) fn put(&mut self, id: &RecordId, row: IncidentRow) {
        let system = self.systems.entry(row.system).or_default();
        let entry = (id.clone(), row.services_fingerprint, row.verdict);
        match system.places.entry(id.clone()) {
            Entry::Occupied(place) => {
                let index = *place.get();
                system.rows[index] = entry;
                let first = index * SIMILARITY_CELLS;
                system.cells[first..first + SIMILARITY_CELLS].copy_from_slice(row.vector.cells());
            }
            Entry::Vacant(place) => {
                place.insert(system.rows.len());
                system.rows.push(entry);
                system.cells.extend_from_slice(row.vector.cells());
            }
        }
    }

    /// The [`RERANKED`] incidents of `system` most similar to `vector`, in order; those without similarity are left
    /// out. O(incidents of the system · 180).
    pub(crate) fn nearest(
        &self,
        system: &str,
        vector: &SimilarityVector,
        confirmed_only: bool,
        exclude: Option<&RecordId>,
    ) -> Vec<Candidate> {
        let Some(known) = self.systems.get(system) else {
            return Vec::new();
        };
        let mut found: Vec<(f64, usize)> = known
            .cells
            .chunks_exact(SIMILARITY_CELLS)
            .zip(&known.rows)
            .enumerate()
            .filter(|(_, (_, (id, _, verdict)))| {
                exclude != Some(id) && (verdict.is_some() || !confirmed_only)
            })
            .map(|(index, (cells, _))| (similarity(vector.cells(), cells), index))
            .filter(|(similarity, _)| *similarity > 0.0)
            .collect();
        let order = |left: &(f64, usize), right: &(f64, usize)| {
            right.0.total_cmp(&left.0).then_with(|| known.rows[left.1].0.cmp(&known.rows[right.1].0))
        };
        if found.len() > RERANKED {
            found.select_nth_unstable_by(RERANKED, order);
            found.truncate(RERANKED);
        }
        found.sort_unstable_by(order);
        found
            .into_iter()
            .map(|(similarity, index)| {
                let (id, services_fingerprint, verdict) = &known.rows[index];
                Candidate {
                    id: id.clone(),
                    similarity,
                    services_fingerprint: *services_fingerprint,
                    verdict: verdict.clone(),
                }
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    fn row(root_causes: &[&str]) -> IncidentRow {
        let wire = sample::confirmed_incident("x", 1, &["db"], root_causes);
        IncidentRow::new(&PastIncident::try_from(&wire).unwrap())
    }

    fn id(text: &str) -> RecordId {
        RecordId::new("id", text).unwrap()
    }

    fn names(found: &[Candidate]) -> Vec<&str> {
        found.iter().map(|candidate| candidate.id.as_str()).collect()
    }

    #[test]
    fn rows_survive_their_encoding() {
        for kept in [row(&["db"]), row(&[])] {
            assert_eq!(IncidentRow::decode(&kept.encode()), Some(kept));
        }
        assert_eq!(IncidentRow::decode(b"\x0a"), None);
        assert_eq!(IncidentRow::decode(b""), None);
    }

    #[test]
    fn ties_go_by_id_whatever_the_order_of_recording() {
        let mut table = IncidentTable::default();
        for name in ["c", "a", "b"] {
            table.put(&id(name), row(&["db"]));
        }
        let query = row(&["db"]).vector;
        assert_eq!(names(&table.nearest("shop", &query, true, None)), ["a", "b", "c"]);
        assert_eq!(names(&table.nearest("shop", &query, true, Some(&id("a")))), ["b", "c"]);
        assert_eq!(names(&table.nearest("bank", &query, false, None)), [""; 0]);
    }

    #[test]
    fn of_many_equals_the_first_hundred_by_id_are_kept() {
        let mut table = IncidentTable::default();
        for number in (0..250).rev() {
            table.put(&id(&format!("i{number:03}")), row(&["db"]));
        }
        let found = table.nearest("shop", &row(&[]).vector, false, None);
        assert_eq!(found.len(), RERANKED);
        assert_eq!(found.last().unwrap().id, id("i099"));
    }

    #[test]
    fn a_rejected_or_unconfirmed_incident_is_none_of_the_confirmed() {
        let mut table = IncidentTable::default();
        table.put(&id("a"), row(&["db"]));
        table.put(&id("b"), row(&[]));
        let query = row(&[]).vector;
        assert_eq!(names(&table.nearest("shop", &query, true, None)), ["a"]);
        assert_eq!(names(&table.nearest("shop", &query, false, None)), ["a", "b"]);
        table.put(&id("a"), row(&[]));
        assert_eq!(names(&table.nearest("shop", &query, true, None)), [""; 0]);
    }
}
