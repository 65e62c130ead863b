//! Graphs and records for the tests of this crate.

use automap_proto::{
    behavior_graph::{BehaviorGraph, EdgeWeights},
    metric::METRIC_COUNT,
    v1,
};
use proptest::prelude::*;

pub(crate) fn counts(bits: [u32; METRIC_COUNT]) -> EdgeWeights {
    EdgeWeights::from_counts(bits).unwrap()
}

pub(crate) fn graph(services: &[&str], edges: &[(usize, usize, [u32; METRIC_COUNT])]) -> BehaviorGraph {
    let mut built = BehaviorGraph::new(services.iter().map(|&name| name.to_owned()).collect()).unwrap();
    for &(from, to, bits) in edges {
        built.set_edge(from, to, counts(bits)).unwrap();
    }
    built
}

/// A graph of one window over a few of the services s0..s5.
pub(crate) fn any_graph() -> impl Strategy<Value = BehaviorGraph> {
    let services = proptest::sample::subsequence((0..6).collect::<Vec<usize>>(), 2..=6);
    let edges = proptest::collection::btree_map((0_usize..6, 0_usize..6), 1_u8..128, 0..14);
    (services, edges).prop_map(|(chosen, drawn)| {
        let names = chosen.iter().map(|index| format!("s{index}")).collect();
        let mut built = BehaviorGraph::new(names).unwrap();
        for ((from, to), bits) in drawn {
            if from != to && from.max(to) < chosen.len() {
                let weights = counts(std::array::from_fn(|metric| u32::from(bits >> metric & 1)));
                built.set_edge(from, to, weights).unwrap();
            }
        }
        built
    })
}

/// A context of `shop` whose front end is `front`.
pub(crate) fn context(start_seconds: i64) -> v1::IncidentContext {
    v1::IncidentContext {
        system: "shop".into(),
        front_end: "front".into(),
        anomaly_start: Some(automap_proto::time::UnixMillis(start_seconds * 1000).to_wire()),
        ..Default::default()
    }
}

/// What spoke against a service: metric type, direction and deviation of each entry.
pub(crate) fn evidence(service: &str, entries: &[(i32, i32, f64)]) -> v1::ServiceEvidence {
    let entry = |&(metric, direction, deviation): &(i32, i32, f64)| v1::Evidence {
        metric,
        direction,
        deviation,
        ..Default::default()
    };
    v1::ServiceEvidence {
        service: service.into(),
        evidence: entries.iter().map(entry).collect(),
        score: None,
    }
}

/// An incident of `shop` over cart, db and front, where db influences the others by cpu.
pub(crate) fn incident(id: &str, recorded_seconds: i64, ranked: &[&str]) -> v1::Incident {
    let anomaly =
        graph(&["cart", "db", "front"], &[(2, 0, [1, 0, 0, 1, 0, 0, 0]), (0, 1, [0, 0, 0, 1, 0, 0, 0])]);
    let classes = crate::class_table::ClassTable::default();
    let profiles = crate::service_profile::service_profiles(anomaly.services(), &anomaly, &classes);
    let correlation = |metric, scale: f64| v1::FrontEndCorrelation {
        metric,
        absolute: [0.2, 0.4, 1.0].map(|value| value * scale).to_vec(),
    };
    v1::Incident {
        incident_id: id.into(),
        context: Some(context(1_000)),
        settings: Some((&automap_proto::settings::GraphSettings::default()).into()),
        anomaly_graph: Some((&anomaly).into()),
        profiles: profiles.iter().map(v1::ServiceProfile::from).collect(),
        correlations: vec![correlation(1, 1.0), correlation(4, 0.5)],
        evidence: vec![evidence("cart", &[(1, 1, 2.0), (4, 1, 1.0)]), evidence("db", &[(4, 1, 3.0)])],
        ranked_services: ranked.iter().map(|&name| name.to_owned()).collect(),
        recorded_at: Some(automap_proto::time::UnixMillis(recorded_seconds * 1000).to_wire()),
        confirmations: vec![],
    }
}

pub(crate) fn confirmation(root_causes: &[&str]) -> v1::Confirmation {
    v1::Confirmation {
        root_causes: root_causes.iter().map(|&name| name.to_owned()).collect(),
        confirmed_at: Some(automap_proto::time::UnixMillis(5_000).to_wire()),
        ..Default::default()
    }
}

pub(crate) fn confirmed_incident(
    id: &str,
    recorded_seconds: i64,
    ranked: &[&str],
    root_causes: &[&str],
) -> v1::Incident {
    v1::Incident { confirmations: vec![confirmation(root_causes)], ..incident(id, recorded_seconds, ranked) }
}

/// The graph of a normal window of `shop` with 30 rows a second apart: cart depends on db by latency.
pub(crate) fn normal_graph(start_seconds: i64) -> v1::NormalGraph {
    let at = |seconds: i64| automap_proto::time::UnixMillis(seconds * 1000);
    v1::NormalGraph {
        system: "shop".into(),
        window: Some(v1::TimeWindow {
            start: Some(at(start_seconds).to_wire()),
            end: Some(at(start_seconds + 29).to_wire()),
        }),
        settings: Some((&automap_proto::settings::GraphSettings::default()).into()),
        graph: Some((&graph(&["cart", "db", "front"], &[(2, 0, [1, 0, 0, 0, 0, 0, 0])])).into()),
        window_ms: 30_000,
    }
}
