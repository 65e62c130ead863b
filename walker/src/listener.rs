//! Who hears what a diagnosis is at.

use automap_proto::{
    incident::IncidentContext,
    metric::MetricKind,
    v1::{self, DiagnosisStage},
};

/// Hears what a diagnosis is at.
pub(crate) trait Listener: Send + Sync {
    /// `detail` is a sentence for a person.
    fn progress(&self, stage: DiagnosisStage, detail: String);

    /// System and front end are known.
    fn identified(&self, _context: &IncidentContext) {}

    /// Tells how far the tests of a graph are.
    fn tested(&self, progress: &v1::GraphProgress) {
        let metric =
            MetricKind::from_wire("progress.metric", progress.metric).map_or("a metric", MetricKind::name);
        let detail = format!(
            "{} graph: tested {metric} at level {}, {} tests so far",
            progress.selection, progress.level, progress.tests
        );
        self.progress(DiagnosisStage::Testing, detail);
    }
}

/// Nobody.
pub(crate) struct Nobody;

impl Listener for Nobody {
    fn progress(&self, _: DiagnosisStage, _: String) {}
}
