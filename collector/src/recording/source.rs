//! Recorded incidents below a root directory as a source of metrics.

use std::{path::PathBuf, sync::Arc};

use automap_service_kit::{error::ServiceError, work};

use super::describe_below;
use crate::{
    collect::read_frame,
    column_plan::ColumnPlan,
    edges::read_edges,
    limits::{FrameLimits, SampleBounds},
    source::{MetricSource, SourceFrame},
    stop::StoppableReader,
};

/// One recorded incident, named by its directory below the root.
#[derive(Debug, Clone)]
pub struct RecordingSource {
    root: Arc<PathBuf>,
    name: String,
    max_bytes: usize,
}

impl RecordingSource {
    /// The recording `name` below `root`; frames beyond `max_bytes` of samples are refused. Looks at no file yet.
    pub fn new(root: impl Into<PathBuf>, name: impl Into<String>, max_bytes: usize) -> Self {
        Self { root: Arc::new(root.into()), name: name.into(), max_bytes }
    }
}

impl MetricSource for RecordingSource {
    async fn frame(&self, bounds: SampleBounds) -> Result<SourceFrame, ServiceError> {
        let source = self.clone();
        work::run(move |stop| {
            let files = describe_below(&source.root, &source.name)?;
            let limits = FrameLimits { bounds, max_bytes: source.max_bytes };
            let reader = StoppableReader::new(files.open()?, stop);
            let collected = read_frame(reader, &files.description()?, &limits)?;
            let mut warnings = files.warnings.clone();
            warnings.extend(collected.warnings);
            let (frame, left_out) = (collected.frame, collected.left_out);
            let mut edges = None;
            if let Some(file) = files.edges() {
                let reader = StoppableReader::new(file.open()?, stop);
                let found = read_edges(reader, &file.shown, &frame, &limits)?;
                warnings.extend(found.warnings);
                edges = found.edges;
            }
            Ok(SourceFrame {
                edges,
                left_out,
                ..SourceFrame::new(frame, warnings, files.context.complete()?)
            })
        })
        .await
    }

    async fn services(&self) -> Result<Vec<String>, ServiceError> {
        let source = self.clone();
        work::run(move |_| {
            let files = describe_below(&source.root, &source.name)?;
            let description = files.description()?;
            let plan = ColumnPlan::new(description.file_name(), description.layout(), files.header())?;
            Ok(plan.services())
        })
        .await
    }
}
