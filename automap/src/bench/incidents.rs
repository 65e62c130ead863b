//! Generated past incidents: many of one system, each with a behaviour graph of its own.

use std::collections::BTreeSet;

use automap_profiler::{
    class_table::ClassTable, past_incident::PastIncident, service_profile::service_profiles,
};
use automap_proto::{
    behavior_graph::{BehaviorGraph, EdgeWeights},
    metric::METRIC_COUNT,
    time::UnixMillis,
    v1,
};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

/// The system of all of them.
pub const SYSTEM: &str = "shop";
/// Services of an incident's graph, and of the whole system.
const SERVICES: usize = 12;
const POOL: usize = 40;
/// Edges that are drawn; some coincide.
const EDGES: usize = 24;

/// Incident number `number`; the same for the same seed. Every eighth is over the first services, as are many incidents
/// of a real front end; the others are over any.
///
/// # Errors
/// None for what is generated here.
pub fn generated_incident(number: usize, seed: u64) -> anyhow::Result<PastIncident> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    random.set_stream(number as u64);
    let mut chosen = BTreeSet::new();
    while chosen.len() < SERVICES {
        let next = if number.is_multiple_of(8) { chosen.len() } else { random.random_range(0..POOL) };
        chosen.insert(format!("service-{next:02}"));
    }
    let mut graph = BehaviorGraph::new(chosen.into_iter().collect())?;
    for _ in 0..EDGES {
        let (from, to) = (random.random_range(0..SERVICES), random.random_range(0..SERVICES));
        let mut counts = [0; METRIC_COUNT];
        counts[random.random_range(0..METRIC_COUNT)] = 1;
        counts[random.random_range(0..METRIC_COUNT)] = 1;
        if let (true, Some(weights)) = (from != to, EdgeWeights::from_counts(counts)) {
            graph.set_edge(from, to, weights)?;
        }
    }
    let profiles = service_profiles(graph.services(), &graph, &ClassTable::default());
    let at = UnixMillis(1_700_000_000_000 + i64::try_from(number)? * 60_000);
    let wire = v1::Incident {
        incident_id: format!("{seed:016x}-{number:08}"),
        context: Some(v1::IncidentContext {
            system: SYSTEM.into(),
            front_end: graph.services()[0].clone(),
            anomaly_start: Some(at.to_wire()),
            ..v1::IncidentContext::default()
        }),
        ranked_services: graph.services().to_vec(),
        profiles: profiles.iter().map(v1::ServiceProfile::from).collect(),
        anomaly_graph: Some((&graph).into()),
        recorded_at: Some(at.to_wire()),
        ..v1::Incident::default()
    };
    Ok(PastIncident::try_from(&wire)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn incidents_differ_by_number_and_by_seed_alone() {
        let of = |number, seed| generated_incident(number, seed).unwrap();
        assert_eq!(of(3, 7), of(3, 7));
        assert_ne!(of(3, 7).profile, of(4, 7).profile);
        assert_ne!(of(3, 7).profile, of(3, 8).profile);
        assert_eq!(of(8, 7).services(), of(16, 9).services());
    }
}
