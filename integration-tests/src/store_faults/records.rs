//! What is written: records whose content follows from their name and a version, so that it can be checked.

use automap_proto::v1;
use prost_types::Timestamp;

/// A thing that is kept.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Record {
    /// A diagnosis; each version replaces the one before.
    Diagnosis(String),
    /// An incident; version n has n confirmations.
    Incident(String),
    /// The normal windows of a system; version n is that there are n.
    Windows(String),
    /// The normal rows of a system; each version replaces the values of all rows.
    Rows(String),
}

/// The version of a record that is not there: an incident that was deleted, or whatever a crash took before it was
/// acknowledged.
pub const ABSENT: u32 = u32::MAX;

impl Record {
    /// The name by which a report would tell of it.
    pub fn name(&self) -> &str {
        match self {
            Self::Diagnosis(name) | Self::Incident(name) | Self::Windows(name) | Self::Rows(name) => name,
        }
    }
}

fn seconds(seconds: i64) -> Option<Timestamp> {
    Some(Timestamp { seconds, nanos: 0 })
}

fn services(count: usize) -> Vec<String> {
    (0..count).map(|index| format!("service-{index:03}")).collect()
}

fn edge(from: u32, to: u32, metric: usize) -> v1::BehaviorEdge {
    let mut bit_counts = vec![0; 7];
    bit_counts[metric] = 1;
    v1::BehaviorEdge { from, to, bit_counts, ..v1::BehaviorEdge::default() }
}

/// A chain of services; which metric tells depends on the version.
fn graph(count: usize, version: u32) -> v1::BehaviorGraph {
    let edges = (1..count as u32).map(|to| edge(to - 1, to, (version + to) as usize % 7)).collect();
    v1::BehaviorGraph { services: services(count), edges }
}

/// A diagnosis of some hundred bytes to some 18 KiB, by its version.
pub fn diagnosis(name: &str, version: u32) -> v1::Diagnosis {
    let count = [2, 5, 30, 120, 600][version as usize % 5];
    v1::Diagnosis {
        diagnosis_id: name.into(),
        system: "shop".into(),
        front_end: "service-000".into(),
        state: v1::DiagnosisState::Done.into(),
        created_at: seconds(1_000),
        version: format!("version {version}"),
        behavior_graph: Some(v1::ExplainedGraph { graph: Some(graph(count, version)), ..Default::default() }),
        ..Default::default()
    }
}

/// An incident as it is recorded.
pub fn incident(name: &str) -> v1::Incident {
    let kind = name.bytes().map(u32::from).sum::<u32>();
    let graph = graph(6, kind);
    let profiles = graph.services.iter().map(|service| v1::ServiceProfile {
        service: service.clone(),
        weights: vec![0.5, 0.0, 0.0, 0.25, 0.0, 0.0, 0.0],
        service_class: v1::ServiceClass::Representational.into(),
    });
    v1::Incident {
        incident_id: name.into(),
        context: Some(v1::IncidentContext {
            system: "shop".into(),
            front_end: "service-000".into(),
            anomaly_start: seconds(500),
            ..Default::default()
        }),
        profiles: profiles.collect(),
        ranked_services: graph.services.clone(),
        anomaly_graph: Some(graph),
        recorded_at: seconds(1_000),
        ..Default::default()
    }
}

/// The confirmation that makes version `version` of an incident.
pub fn confirmation(version: u32) -> v1::Confirmation {
    v1::Confirmation {
        root_causes: vec![format!("service-{:03}", version % 6)],
        note: format!("version {version}"),
        confirmed_at: seconds(2_000 + i64::from(version)),
        ..Default::default()
    }
}

/// Window number `index` of a system.
pub fn window(system: &str, index: u32) -> v1::NormalGraph {
    let start = i64::from(index) * 100;
    v1::NormalGraph {
        system: system.into(),
        window: Some(v1::TimeWindow { start: seconds(start), end: seconds(start + 29) }),
        settings: Some(settings()),
        graph: Some(graph(5, index)),
        window_ms: 30_000,
    }
}

/// Rows of one service of a system, whose values are the version: all of them belong to one version.
pub fn rows(version: u32) -> Vec<v1::ServiceRows> {
    let times = 1..=8_i64;
    let one = |metric: v1::MetricKind, name: &str| v1::SeriesRows {
        metric: metric.into(),
        name: name.into(),
        values: times.clone().map(|_| f64::from(version)).collect(),
    };
    vec![v1::ServiceRows {
        service: "service-000".into(),
        times_ms: times.clone().map(|minute| minute * 60_000).collect(),
        series: vec![one(v1::MetricKind::Cpu, "cpu"), one(v1::MetricKind::Memory, "memory")],
    }]
}

/// Asks for all rows of a system.
pub fn rows_request(system: &str) -> v1::GetNormalRowsRequest {
    v1::GetNormalRowsRequest {
        system: system.into(),
        before: seconds(3_600),
        at: seconds(3_599),
        rows: 512,
        ..Default::default()
    }
}

/// Settings of all graphs.
pub fn settings() -> v1::GraphSettings {
    v1::GraphSettings { alpha: 0.05, max_condition: 3, ..Default::default() }
}
