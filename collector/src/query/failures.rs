//! How often queries failed, by kind.

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family},
    registry::Registry,
};

use super::fault::FaultKind;

/// Counts of queries that failed after all their tries; clones share them.
#[derive(Debug, Clone, Default)]
pub struct Failures(Family<ByKind, Counter>);

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByKind {
    kind: &'static str,
}

impl Failures {
    /// Registers them as `automap_source_errors_total`, each kind with its zero.
    pub fn register(&self, registry: &mut Registry) {
        for kind in FaultKind::ALL {
            drop(self.0.get_or_create(&ByKind { kind: kind.name() }));
        }
        registry.register(
            "automap_source_errors",
            "Queries to metrics servers that failed after all tries, by kind",
            self.0.clone(),
        );
    }

    pub(super) fn count(&self, kind: FaultKind) {
        self.0.get_or_create(&ByKind { kind: kind.name() }).inc();
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::text::encode;

    use super::*;

    #[test]
    fn every_kind_has_a_series_from_the_start() {
        let (failures, mut registry) = (Failures::default(), Registry::default());
        failures.register(&mut registry);
        failures.count(FaultKind::Timeout);
        let mut text = String::new();
        encode(&mut text, &registry).unwrap();
        assert!(text.contains("automap_source_errors_total{kind=\"timeout\"} 1"), "{text}");
        assert_eq!(text.matches("} 0").count(), FaultKind::ALL.len() - 1, "{text}");
    }
}
