//! The incident of a round as a directory that `automap diagnose` and `automap evaluate` read.

use std::path::Path;

use anyhow::Context as _;
use automap_collector::{limits::SampleBounds, recording::PartialContext};
use automap_proto::{call_graph::CallGraph, time::UnixMillis};

use crate::{
    collect, evaluate::label::Label, failure::Failure, named_source::NamedSource,
    output_directory::OutputDirectory, recording_writer,
};

/// What is known of the application.
#[derive(Debug, Clone)]
pub struct Application {
    /// Its name, under which incidents are kept.
    pub system: String,
    /// The service that alerts.
    pub front_end: String,
    /// Who calls whom.
    pub call_graph: CallGraph,
}

/// When a round was what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Its normal behaviour begins.
    pub normal_start: UnixMillis,
    /// The fault was injected.
    pub anomaly_start: UnixMillis,
    /// It was removed.
    pub anomaly_end: UnixMillis,
}

/// Asks `source` for the metrics of `window` and writes them with what is known of the incident, and with its label, into the new
/// directory `place`, which is whole or not there. Answers what a person should know about the metrics.
///
/// # Errors
/// The source cannot be asked or holds nothing, or the directory exists or cannot be written.
pub async fn record(
    source: &NamedSource,
    application: &Application,
    window: Window,
    label: &Label,
    place: &Path,
) -> Result<Vec<String>, Failure> {
    let bounds = SampleBounds::new(Some(window.normal_start), Some(window.anomaly_end))?;
    let collected = collect::collect(source.clone(), bounds).await?;
    let context = PartialContext {
        system: Some(application.system.clone()),
        front_end: Some(application.front_end.clone()),
        anomaly_start: Some(window.anomaly_start),
        anomaly_end: Some(window.anomaly_end),
        step_ms: Some(collected.frame.grid().step_ms()),
        excluded: Vec::new(),
        call_graph: Some(collected.call_graph.unwrap_or_else(|| application.call_graph.clone())),
    };
    if let Some(around) = place.parent() {
        std::fs::create_dir_all(around).with_context(|| format!("cannot create {}", around.display()))?;
    }
    let directory = OutputDirectory::prepare("--out", place)?;
    recording_writer::write_files(directory.path(), &collected.frame, &context)?;
    if let Some(edges) = &collected.edges {
        recording_writer::write_edges(directory.path(), collected.frame.grid(), edges)?;
    }
    label.write(directory.path())?;
    directory.finish()?;
    Ok(collected.warnings)
}
