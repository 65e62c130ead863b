//! A recorded incident on disk: which file holds its metrics, and what it says about itself.
//!
//! | file | what it holds |
//! |---|---|
//! | `metrics.csv` | `timestamp`, then `<service>_<metric>` |
//! | `incident.json` | optional: system, front end, window, step, excluded intervals |
//! | `call_graph.csv` | optional: `caller,callee` |
//! | `edges.csv` | optional: `timestamp,caller,callee,latency,throughput,availability` |
//!
//! RCAEval's directories hold `simple_metrics.csv`, `simple_data.csv`, `data.csv` or `metrics.csv` with a `time`
//! column, and `inject_time.txt` with the unix second at which the fault was injected. Their name tells the
//! fault, so that nothing but the last component of the path is used, and only to tell systems apart.

mod context;
mod incident_file;
mod instant;
mod place;
mod source;

use std::path::{Path, PathBuf};

use automap_proto::time::UnixMillis;

pub(crate) use self::place::SourceFile;
use self::place::{RecordingDirectory, directory_name};
pub use self::source::RecordingSource;
pub use self::{context::PartialContext, instant::parse_instant};
use crate::{
    call_graph,
    column_plan::ColumnPlan,
    csv_reader::read_header,
    edges::EDGES_FILE,
    error::{CollectError, CollectErrorKind},
    layout::{RecordingDescription, RecordingLayout},
    limits::FrameLimits,
    listing::count,
};

/// Name of RCAEval's file with the second of the injection.
const INJECT_TIME_FILE: &str = "inject_time.txt";

/// Metrics files, best first. RCAEval's simple files hold the columns whose names are documented; the others beside
/// them are raw.
const RCAEVAL_FILES: [&str; 4] = ["simple_metrics.csv", "simple_data.csv", "data.csv", "metrics.csv"];
const AUTOMAP_FILES: [&str; 4] = ["metrics.csv", "simple_metrics.csv", "simple_data.csv", "data.csv"];

/// A recording whose metrics file was found and not read beyond its header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordingFiles {
    metrics: SourceFile,
    edges: Option<SourceFile>,
    header: Vec<String>,
    /// The naming of columns.
    pub layout: RecordingLayout,
    /// What the recording says about its incident.
    pub context: PartialContext,
    /// Whether the system is the name of the directory, because nothing else names it.
    pub system_guessed: bool,
    /// What a person should know about the files beside the metrics.
    pub warnings: Vec<String>,
}

impl RecordingFiles {
    /// The metrics file, free of symbolic links.
    pub fn metrics_file(&self) -> &Path {
        &self.metrics.path
    }

    /// The file of measured calls, where there is one, free of symbolic links.
    pub fn edges_file(&self) -> Option<&Path> {
        self.edges.as_ref().map(|file| file.path.as_path())
    }

    pub(crate) const fn edges(&self) -> Option<&SourceFile> {
        self.edges.as_ref()
    }

    /// Opens the metrics file.
    ///
    /// # Errors
    /// It is gone, or may not be read.
    pub fn open(&self) -> Result<std::fs::File, CollectError> {
        self.metrics.open()
    }

    /// The description with which the metrics file is uploaded or read; its step is that of [`Self::context`].
    ///
    /// # Errors
    /// The step that a caller put into the context is impossible.
    pub fn description(&self) -> Result<RecordingDescription, CollectError> {
        let described = |name: &str| RecordingDescription::new(Some(self.layout), name, self.context.step_ms);
        // A path may be longer than a name may be, or hold what no message should.
        match described(&self.metrics.shown) {
            Ok(description) => Ok(description),
            Err(_) => Ok(described(RecordingDescription::DEFAULT_FILE_NAME)?),
        }
    }

    /// That the name of its time column alone makes the metrics file one of another layout, which does not know some of its
    /// columns; `None` where nothing speaks for that.
    pub fn misread(&self) -> Option<String> {
        let name = self.description().ok()?;
        ColumnPlan::new(name.file_name(), name.layout(), &self.header).ok()?.misread
    }

    pub(crate) fn header(&self) -> &[String] {
        &self.header
    }
}

/// Finds out what lies at `path`: the directory of a recorded incident, or a metrics file alone.
///
/// Of the metrics file only the header is read. A file alone brings its layout, its directory's name as the
/// system and, in RCAEval's layout, the `inject_time.txt` beside it; an `incident.json` beside it is not read, so
/// that front end and anomaly start are the caller's to add. The label of an incident is never opened.
///
/// # Errors
/// Nothing usable is there, or a file beside the metrics is malformed; the sentence names the file, and line or
/// field.
pub fn describe(path: &Path) -> Result<RecordingFiles, CollectError> {
    let shown = path.display();
    let metadata = path.metadata().map_err(|error| CollectError::reading(&shown, &error))?;
    if metadata.is_dir() {
        return describe_directory(&RecordingDirectory::local(path));
    }
    let mut files = describe_lone(path, &shown.to_string())?;
    let parent = match path.parent() {
        Some(parent) if parent != Path::new("") => parent.to_owned(),
        _ => PathBuf::from("."),
    };
    files.context.system = directory_name(&parent);
    files.system_guessed = true;
    if files.layout == RecordingLayout::Rcaeval {
        files.context.anomaly_start = read_inject_time(&RecordingDirectory::local(&parent))?;
    }
    Ok(files)
}

/// A metrics file that messages call `shown` and whose place tells nothing, as of one that came through a pipe: it brings its
/// layout alone.
///
/// # Errors
/// There is no such file, or its header is malformed.
pub fn describe_lone(path: &Path, shown: &str) -> Result<RecordingFiles, CollectError> {
    let metrics = SourceFile::find(path, shown.to_owned(), None)?
        .ok_or_else(|| CollectError::reading(shown, &std::io::ErrorKind::NotFound.into()))?;
    with_header(metrics)
}

/// Finds out what the directory `name` below `root` holds; see [`describe`]. Nothing outside the root is opened.
///
/// # Errors
/// As [`describe`], and when the name or a link leads out of the root.
pub fn describe_below(root: &Path, name: &str) -> Result<RecordingFiles, CollectError> {
    describe_directory(&RecordingDirectory::below(root, name)?)
}

fn describe_directory(directory: &RecordingDirectory) -> Result<RecordingFiles, CollectError> {
    let injected = read_inject_time(directory)?;
    let candidates = if injected.is_some() { RCAEVAL_FILES } else { AUTOMAP_FILES };
    let mut files = with_header(find_metrics(directory, candidates)?)?;
    if let Some(incident) = directory.file("incident.json")? {
        files.context = incident_file::read(&incident, &mut files.warnings)?;
    }
    if files.context.system.is_none() {
        files.context.system = directory.name();
        files.system_guessed = true;
    }
    if files.context.anomaly_start.is_none() {
        files.context.anomaly_start = injected;
    }
    if let Some(calls) = directory.file("call_graph.csv")? {
        let graph = call_graph::read_file(&calls)?;
        if graph.self_calls() > 0 {
            files.warnings.push(format!(
                "{}: left out {} of a service to itself",
                calls.shown,
                count(graph.self_calls(), "call")
            ));
        }
        files.context.call_graph = Some(graph);
    }
    files.edges = directory.file(EDGES_FILE)?;
    Ok(files)
}

fn find_metrics(directory: &RecordingDirectory, candidates: [&str; 4]) -> Result<SourceFile, CollectError> {
    for name in candidates {
        if let Some(file) = directory.file(name)? {
            return Ok(file);
        }
    }
    Err(CollectError::new(
        CollectErrorKind::NotFound,
        format!(
            "{} holds no metrics.csv, nor one of RCAEval's files (data.csv, simple_data.csv, simple_metrics.csv); name the \
             directory of one incident",
            directory.shown()
        ),
    ))
}

fn with_header(metrics: SourceFile) -> Result<RecordingFiles, CollectError> {
    let header = read_header(metrics.open()?, &metrics.shown, &FrameLimits::all_within(usize::MAX))?;
    let layout = RecordingLayout::detect(&metrics.shown, &header)?;
    Ok(RecordingFiles {
        metrics,
        edges: None,
        header,
        layout,
        context: PartialContext::default(),
        system_guessed: false,
        warnings: Vec::new(),
    })
}

fn read_inject_time(directory: &RecordingDirectory) -> Result<Option<UnixMillis>, CollectError> {
    let Some(file) = directory.file(INJECT_TIME_FILE)? else {
        return Ok(None);
    };
    let text = file.text()?;
    let seconds = text.trim().parse::<f64>().ok();
    match seconds.and_then(|seconds| UnixMillis::from_seconds("inject_time", seconds).ok()) {
        Some(instant) => Ok(Some(instant)),
        None => Err(CollectError::malformed(format!(
            "{}: must hold the unix second of the injection and nothing else",
            file.shown
        ))),
    }
}

#[cfg(test)]
mod tests;
