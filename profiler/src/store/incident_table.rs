//! The similarity vectors and the times of all incidents, in memory: scanning a tree on a request would read all of it.

use std::{
    cmp::Ordering,
    collections::{BTreeMap, btree_map::Entry},
    sync::{Arc, OnceLock},
};

use automap_proto::{invalid::did_you_mean, time::UnixMillis};
use prost::Message;

use crate::{
    abnormal::Intervals,
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
    pub(crate) recorded_at: UnixMillis,
}

#[derive(Clone, PartialEq, Message)]
struct RowMessage {
    #[prost(string, tag = "1")]
    system: String,
    /// Version 1: all numbers. Version 2: those that are not zero.
    #[prost(float, repeated, tag = "2")]
    cells: Vec<f32>,
    #[prost(fixed32, tag = "3")]
    services_fingerprint: u32,
    #[prost(message, optional, tag = "4")]
    verdict: Option<VerdictMessage>,
    /// Version 2: which numbers `cells` holds.
    #[prost(uint32, repeated, tag = "5")]
    places: Vec<u32>,
    #[prost(sint64, tag = "6")]
    recorded_at: i64,
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
            recorded_at: incident.recorded_at,
        }
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let filled = self.vector.cells().iter().zip(0_u32..).filter(|(cell, _)| **cell != 0.0);
        let (cells, places) = filled.map(|(cell, place)| (*cell, place)).unzip();
        let message = RowMessage {
            system: self.system.clone(),
            cells,
            places,
            recorded_at: self.recorded_at.0,
            services_fingerprint: self.services_fingerprint,
            verdict: self.verdict.as_ref().map(|verdict| VerdictMessage {
                root_causes: verdict.root_causes.clone(),
                precision: verdict.precision,
                correlations: verdict.correlations.to_vec(),
            }),
        };
        message.encode_to_vec()
    }

    /// `None` when the bytes are no row of format version 2.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let message = RowMessage::decode(bytes).ok()?;
        let mut cells = [0.0; SIMILARITY_CELLS];
        if message.system.is_empty() || message.places.len() != message.cells.len() {
            return None;
        }
        for (&place, &cell) in message.places.iter().zip(&message.cells) {
            *cells.get_mut(place as usize)? = cell;
        }
        let verdict = match message.verdict {
            None => None,
            Some(verdict) => Some(Verdict {
                root_causes: verdict.root_causes,
                precision: verdict.precision,
                correlations: verdict.correlations.try_into().ok()?,
            }),
        };
        Some(Self {
            vector: SimilarityVector::from_cells(&cells)?,
            system: message.system,
            services_fingerprint: message.services_fingerprint,
            verdict,
            recorded_at: UnixMillis(message.recorded_at),
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

/// What the table knows of an incident beside its vector.
#[derive(Debug)]
struct Line {
    id: RecordId,
    services_fingerprint: u32,
    /// Boxed: most incidents are never confirmed.
    verdict: Option<Box<Verdict>>,
    recorded_at: UnixMillis,
    /// When its system was not normal.
    times: Intervals,
}

/// Vectors of one system, contiguous: row i of `cells` belongs to `lines[i]`.
#[derive(Debug, Default)]
struct SystemIncidents {
    cells: Vec<f32>,
    lines: Vec<Line>,
    /// Indices of lines by the CRC32 of their ids; ids of equal sums share an entry.
    places: BTreeMap<u32, Vec<u32>>,
    /// The times of all of them, put together when they are asked for and forgotten when one changes.
    times: OnceLock<Arc<Intervals>>,
}

impl SystemIncidents {
    fn place(&self, id: &RecordId) -> Option<usize> {
        let candidates = self.places.get(&id_sum(id))?;
        candidates.iter().map(|&index| index as usize).find(|&index| self.lines[index].id == *id)
    }
}

fn id_sum(id: &RecordId) -> u32 {
    crc32fast::hash(id.as_str().as_bytes())
}

/// Vectors of all incidents by system.
#[derive(Debug, Default)]
pub(crate) struct IncidentTable {
    systems: BTreeMap<String, SystemIncidents>,
}

impl IncidentTable {
    /// Adds an incident with the times at which its system was not normal, or replaces what is known of it.
    pub(crate) fn put(&mut self, id: &RecordId, row: IncidentRow, times: Intervals) {
        let system = self.systems.entry(row.system).or_default();
        let line = Line {
            id: id.clone(),
            services_fingerprint: row.services_fingerprint,
            verdict: row.verdict.map(Box::new),
            recorded_at: row.recorded_at,
            times,
        };
        if let Some(index) = system.place(id) {
            if system.lines[index].times != line.times {
                system.times.take();
            }
            system.lines[index] = line;
            let first = index * SIMILARITY_CELLS;
            system.cells[first..first + SIMILARITY_CELLS].copy_from_slice(row.vector.cells());
        } else {
            system.times.take();
            system.places.entry(id_sum(id)).or_default().push(system.lines.len() as u32);
            system.lines.push(line);
            system.cells.extend_from_slice(row.vector.cells());
        }
    }

    /// Forgets an incident; the last line takes its place.
    pub(crate) fn remove(&mut self, name: &str, id: &RecordId) {
        let Some(system) = self.systems.get_mut(name) else { return };
        let Some(index) = system.place(id) else { return };
        system.times.take();
        let last = system.lines.len() - 1;
        let moved = id_sum(&system.lines[last].id);
        if let Some(places) = system.places.get_mut(&moved) {
            places
                .iter_mut()
                .filter(|place| **place as usize == last)
                .for_each(|place| *place = index as u32);
        }
        if let Entry::Occupied(mut places) = system.places.entry(id_sum(id)) {
            // Where both ids share a sum, two entries now say the same; one of them goes.
            if let Some(position) = places.get().iter().position(|&place| place as usize == index) {
                places.get_mut().remove(position);
            }
            if places.get().is_empty() {
                places.remove();
            }
        }
        system.lines.swap_remove(index);
        let (first, from) = (index * SIMILARITY_CELLS, last * SIMILARITY_CELLS);
        system.cells.copy_within(from..from + SIMILARITY_CELLS, first);
        system.cells.truncate(from);
    }

    /// When a system was not normal, as all its incidents tell. O(1) unless one of them has changed.
    pub(crate) fn times(&self, system: &str) -> Arc<Intervals> {
        let Some(known) = self.systems.get(system) else { return Arc::default() };
        let all = || Intervals::new(known.lines.iter().flat_map(|line| line.times.iter()).collect());
        Arc::clone(known.times.get_or_init(|| Arc::new(all())))
    }

    /// The largest dot product of `vector` with those of a system's incidents.
    pub(crate) fn scan(&self, system: &str, vector: &SimilarityVector) -> f32 {
        const LANES: usize = 12;
        let rows =
            self.systems.get(system).map_or(&[][..], |known| &known.cells).chunks_exact(SIMILARITY_CELLS);
        rows.map(|row| {
            let mut sums = [0.0_f32; LANES];
            let (left, right) = (row.as_chunks::<LANES>().0, vector.cells().as_chunks::<LANES>().0);
            for (left, right) in left.iter().zip(right) {
                for lane in 0..LANES {
                    sums[lane] += left[lane] * right[lane];
                }
            }
            sums.iter().sum()
        })
        .fold(0.0, f32::max)
    }

    /// The id that a mistyped or shortened one most likely means: one that begins so, or one that looks alike.
    /// O(incidents), for an error that is being told anyway.
    pub(crate) fn nearest_id(&self, name: &str) -> Option<&RecordId> {
        let ids = || self.systems.values().flat_map(|system| system.lines.iter().map(|line| &line.id));
        if let Some(longer) = ids().find(|id| id.as_str().starts_with(name)) {
            return Some(longer);
        }
        let near = did_you_mean(name, ids().map(RecordId::as_str))?;
        ids().find(|id| id.as_str() == near)
    }

    /// Gives back what growing left over.
    pub(crate) fn shrink(&mut self) {
        for system in self.systems.values_mut() {
            system.cells.shrink_to_fit();
            system.lines.shrink_to_fit();
        }
    }

    /// For each system the incidents with the time of their record and whether they are confirmed.
    pub(crate) fn ages(&self) -> impl Iterator<Item = Vec<(RecordId, UnixMillis, bool)>> {
        self.systems.values().map(|system| {
            let line = |line: &Line| (line.id.clone(), line.recorded_at, line.verdict.is_some());
            system.lines.iter().map(line).collect()
        })
    }

    /// Whether there is such an incident and it is confirmed.
    pub(crate) fn is_confirmed(&self, system: &str, id: &RecordId) -> bool {
        let Some(known) = self.systems.get(system) else { return false };
        known.place(id).is_some_and(|index| known.lines[index].verdict.is_some())
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
            .zip(&known.lines)
            .enumerate()
            .filter(|(_, (_, line))| exclude != Some(&line.id) && (line.verdict.is_some() || !confirmed_only))
            .map(|(index, (cells, _))| (similarity(vector.cells(), cells), index))
            .filter(|(similarity, _)| *similarity > 0.0)
            .collect();
        let order = |left: &(f64, usize), right: &(f64, usize)| {
            right.0.total_cmp(&left.0).then_with(|| known.lines[left.1].id.cmp(&known.lines[right.1].id))
        };
        if found.len() > RERANKED {
            found.select_nth_unstable_by(RERANKED, order);
            found.truncate(RERANKED);
        }
        found.sort_unstable_by(order);
        found
            .into_iter()
            .map(|(similarity, index)| {
                let line = &known.lines[index];
                Candidate {
                    id: line.id.clone(),
                    similarity,
                    services_fingerprint: line.services_fingerprint,
                    verdict: line.verdict.as_deref().cloned(),
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
            table.put(&id(name), row(&["db"]), Intervals::default());
        }
        let query = row(&["db"]).vector;
        assert_eq!(names(&table.nearest("shop", &query, true, None)), ["a", "b", "c"]);
        assert_eq!(names(&table.nearest("shop", &query, true, Some(&id("a")))), ["b", "c"]);
        assert_eq!(names(&table.nearest("bank", &query, false, None)), [""; 0]);
    }

    #[test]
    fn a_removed_incident_is_gone_and_the_others_stay() {
        let mut table = IncidentTable::default();
        let all: Vec<String> = (0..20).map(|number| format!("i{number:02}")).collect();
        for name in &all {
            table.put(&id(name), row(&["db"]), Intervals::default());
        }
        for gone in ["i00", "i19", "i07", "i07", "none"] {
            table.remove("shop", &id(gone));
        }
        table.put(&id("i05"), row(&[]), Intervals::default());
        let found = table.nearest("shop", &row(&[]).vector, false, None);
        let left: Vec<&String> =
            all.iter().filter(|name| !["i00", "i19", "i07"].contains(&name.as_str())).collect();
        assert_eq!(names(&found), left);
        assert!(found.iter().all(|candidate| candidate.verdict.is_some() == (candidate.id != id("i05"))));
    }

    #[test]
    fn a_mistyped_or_shortened_id_leads_to_the_one_that_was_meant() {
        let mut table = IncidentTable::default();
        for name in ["3f9a12cc", "3f9a77de", "b04491aa"] {
            table.put(&id(name), row(&[]), Intervals::default());
        }
        let near = |name| table.nearest_id(name).map(RecordId::as_str);
        assert_eq!(near("b0"), Some("b04491aa"));
        assert_eq!(near("3f9a12cd"), Some("3f9a12cc"));
        assert_eq!(near("3f9a"), Some("3f9a12cc"), "of two that begin so the first");
        assert_eq!(near("zzzz"), None);
    }

    #[test]
    fn of_many_equals_the_first_hundred_by_id_are_kept() {
        let mut table = IncidentTable::default();
        for number in (0..250).rev() {
            table.put(&id(&format!("i{number:03}")), row(&["db"]), Intervals::default());
        }
        let found = table.nearest("shop", &row(&[]).vector, false, None);
        assert_eq!(found.len(), RERANKED);
        assert_eq!(found.last().unwrap().id, id("i099"));
    }

    #[test]
    fn a_rejected_or_unconfirmed_incident_is_none_of_the_confirmed() {
        let mut table = IncidentTable::default();
        table.put(&id("a"), row(&["db"]), Intervals::default());
        table.put(&id("b"), row(&[]), Intervals::default());
        let query = row(&[]).vector;
        assert_eq!(names(&table.nearest("shop", &query, true, None)), ["a"]);
        assert_eq!(names(&table.nearest("shop", &query, false, None)), ["a", "b"]);
        table.put(&id("a"), row(&[]), Intervals::default());
        assert_eq!(names(&table.nearest("shop", &query, true, None)), [""; 0]);
    }

    #[test]
    fn the_times_of_a_system_are_those_of_all_its_incidents_as_they_are_now() {
        let mut table = IncidentTable::default();
        let span = |start, end| Intervals::new(vec![(UnixMillis(start), UnixMillis(end))]);
        let told = |table: &IncidentTable| -> Vec<(i64, i64)> {
            table.times("shop").iter().map(|(start, end)| (start.0, end.0)).collect()
        };
        assert_eq!(told(&table), []);
        table.put(&id("a"), row(&[]), span(10, 20));
        table.put(&id("b"), row(&[]), span(30, 40));
        assert_eq!(told(&table), [(10, 20), (30, 40)]);
        let before = table.times("shop");
        table.put(&id("b"), row(&["db"]), span(30, 40));
        assert!(Arc::ptr_eq(&before, &table.times("shop")), "a confirmation changes no time");
        table.put(&id("b"), row(&["db"]), span(15, 50));
        assert_eq!(told(&table), [(10, 50)]);
        table.remove("shop", &id("a"));
        assert_eq!(told(&table), [(15, 50)]);
        assert_eq!(table.times("bank"), Arc::default());
    }
}
