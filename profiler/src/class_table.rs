//! Which class a dominating metric makes of a service.

use automap_proto::{
    metric::{METRIC_COUNT, MetricKind},
    profile::ServiceClass,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Metric to class, so that an expert can change it. Classes are written as the paper's letters R, C, N, S, E.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct ClassTable {
    /// Default R.
    pub latency: ServiceClass,
    /// Default N.
    pub throughput: ServiceClass,
    /// Default N.
    pub congestion: ServiceClass,
    /// Default C.
    pub cpu: ServiceClass,
    /// Default S.
    pub io: ServiceClass,
    /// Default E.
    pub memory: ServiceClass,
    /// Default E.
    pub availability: ServiceClass,
}

impl Default for ClassTable {
    fn default() -> Self {
        Self {
            latency: ServiceClass::Representational,
            throughput: ServiceClass::Networking,
            congestion: ServiceClass::Networking,
            cpu: ServiceClass::Computing,
            io: ServiceClass::Storage,
            memory: ServiceClass::Environmental,
            availability: ServiceClass::Environmental,
        }
    }
}

/// Profiles closer than this are equal: they are means of shares, added in an order of their own per metric.
const TIE: f64 = 1e-9;

impl ClassTable {
    /// The class of a metric type.
    pub const fn class_of(&self, kind: MetricKind) -> ServiceClass {
        match kind {
            MetricKind::Latency => self.latency,
            MetricKind::Throughput => self.throughput,
            MetricKind::Congestion => self.congestion,
            MetricKind::Cpu => self.cpu,
            MetricKind::Io => self.io,
            MetricKind::Memory => self.memory,
            MetricKind::Availability => self.availability,
        }
    }

    /// The class of a profile: that of its largest number.
    ///
    /// Of equal numbers the first in the paper's order of metrics wins. Availability, the last, therefore loses
    /// every tie, as in the paper's figure. A profile of zeros is environmental.
    pub fn classify(&self, profile: &[f64; METRIC_COUNT]) -> ServiceClass {
        let mut dominating: Option<(MetricKind, f64)> = None;
        for kind in MetricKind::ALL {
            let weight = profile[kind.index()];
            if weight > dominating.map_or(0.0, |(_, largest)| largest) + TIE {
                dominating = Some((kind, weight));
            }
        }
        dominating.map_or(ServiceClass::Environmental, |(kind, _)| self.class_of(kind))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn only(kind: MetricKind) -> [f64; METRIC_COUNT] {
        std::array::from_fn(|metric| if metric == kind.index() { 0.2 } else { 0.1 })
    }

    #[test]
    fn each_metric_leads_to_its_class() {
        let letters: String =
            MetricKind::ALL.map(|kind| ClassTable::default().classify(&only(kind)).letter()).iter().collect();
        assert_eq!(letters, "RNNCSEE");
    }

    #[test]
    fn availability_loses_ties_and_other_ties_go_to_the_earlier_metric() {
        let table = ClassTable::default();
        let class = |profile| table.classify(&profile);
        assert_eq!(class([0.0, 0.0, 0.0, 0.3, 0.0, 0.0, 0.3]), ServiceClass::Computing);
        assert_eq!(class([0.0, 0.0, 0.0, 0.3, 0.3, 0.0, 0.0]), ServiceClass::Computing);
        assert_eq!(class([0.0, 0.0, 0.0, 0.3, 0.0, 0.0, 0.31]), ServiceClass::Environmental);
        assert_eq!(class([0.0, 0.0, 0.3, 0.0, 0.0, 0.0, 0.1 + 0.2]), ServiceClass::Networking);
    }

    #[test]
    fn a_service_without_edges_is_environmental() {
        assert_eq!(ClassTable::default().classify(&[0.0; 7]), ServiceClass::Environmental);
    }

    #[test]
    fn an_expert_changes_one_row_and_the_others_stay() {
        let table = ClassTable { memory: ServiceClass::Storage, ..ClassTable::default() };
        assert_eq!(table.classify(&only(MetricKind::Memory)), ServiceClass::Storage);
        assert_eq!(table.classify(&only(MetricKind::Io)), ServiceClass::Storage);
    }
}
