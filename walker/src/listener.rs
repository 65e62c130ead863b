//! Who hears what a diagnosis is at.

use automap_proto::{
    incident::IncidentContext,
    metric::MetricKind,
    v1::{self, DiagnosisStage},
};

/// Hears what a diagnosis is at.
pub(crate) trait Listener: Send + Sync {
    /// What it is at now.
    fn report(&self, progress: v1::DiagnosisProgress);

    /// `detail` is a sentence for a person.
    fn progress(&self, stage: DiagnosisStage, detail: String) {
        self.report(v1::DiagnosisProgress {
            stage: stage.into(),
            detail,
            ..v1::DiagnosisProgress::default()
        });
    }

    /// Tells how much of a frame has come.
    fn collected(&self, series: u64, samples: u64, fraction: f64) {
        self.report(v1::DiagnosisProgress {
            stage: DiagnosisStage::Collecting.into(),
            detail: format!("collecting {series} series, {:.0} % have come", 100.0 * fraction),
            series,
            samples,
            fraction: Some(fraction),
            ..v1::DiagnosisProgress::default()
        });
    }

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
        self.report(v1::DiagnosisProgress {
            stage: DiagnosisStage::Testing.into(),
            detail,
            graph: progress.selection.clone(),
            metric: progress.metric,
            level: Some(progress.level),
            tests: progress.tests,
            ..v1::DiagnosisProgress::default()
        });
    }
}

/// Nobody.
pub(crate) struct Nobody;

impl Listener for Nobody {
    fn report(&self, _: v1::DiagnosisProgress) {}
}
