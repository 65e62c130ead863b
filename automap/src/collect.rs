//! `automap collect`: metrics of a window, queried and put into a directory.

use automap_collector::{
    limits::SampleBounds,
    query::source::QueryServer,
    recording::PartialContext,
    source::{MetricSource as _, SourceFrame},
};
use automap_proto::{frame::MetricFrame, metric::MetricKind};
use automap_service_kit::server::ServerConfig;
use serde::Serialize;

use crate::{
    arguments::AnswerFormat,
    failure::Failure,
    incident_request::parse_time,
    named_source::NamedSource,
    npy_writer,
    output_directory::OutputDirectory,
    progress::Spinner,
    recording_writer,
    source_arguments::{CollectArgs, RecordingFormat},
    stdout,
};

/// Runs the command.
///
/// # Errors
/// A flag is wrong, the source cannot be asked or holds nothing, or the directory cannot be written.
pub async fn run(args: CollectArgs) -> Result<(), Failure> {
    let source = NamedSource::new(&args.source, args.step.as_deref())?;
    let (start, end) = (parse_time("--from", &args.from)?, parse_time("--to", &args.to)?);
    let bounds = SampleBounds::new(Some(start), Some(end))
        .map_err(|_| Failure::Usage(format!("--to {}: lies before --from {}", args.to, args.from)))?;
    let mut context = PartialContext {
        system: args.system.clone(),
        front_end: args.front_end.clone(),
        anomaly_start: args
            .anomaly_start
            .as_deref()
            .map(|time| parse_time("--anomaly-start", time))
            .transpose()?,
        anomaly_end: args.anomaly_end.as_deref().map(|time| parse_time("--anomaly-end", time)).transpose()?,
        ..PartialContext::default()
    };
    let directory = OutputDirectory::prepare("--out", &args.out)?;
    let collected = {
        let _spinner = Spinner::new("asking the source");
        collect(source, bounds).await?
    };
    context.step_ms = Some(collected.frame.grid().step_ms());
    context.call_graph.clone_from(&collected.call_graph);
    match args.format {
        RecordingFormat::Csv => {
            recording_writer::write_files(directory.path(), &collected.frame, &context)?;
            if let Some(edges) = &collected.edges {
                recording_writer::write_edges(directory.path(), collected.frame.grid(), edges)?;
            }
        }
        RecordingFormat::Npy => npy_writer::write(directory.path(), &collected.frame)?,
    }
    directory.finish()?;
    let summary = CollectedJson::new(&collected, &args);
    match args.output {
        AnswerFormat::Json => stdout::print_json(&summary),
        AnswerFormat::Table => {
            for warning in &summary.warnings {
                stdout::warning(warning);
            }
            stdout::print(&summary.sentences())
        }
    }
}

/// Asks `source` for the samples within `bounds`.
///
/// # Errors
/// A setting of the source cannot be used, it cannot be asked, or it holds nothing of the preset.
pub async fn collect(source: NamedSource, bounds: SampleBounds) -> Result<SourceFrame, Failure> {
    let max_bytes = ServerConfig::default().max_frame_bytes();
    let server = QueryServer::new("source", source.config, max_bytes)?;
    Ok(server.source("", None)?.frame(bounds).await?)
}

/// What was collected.
#[derive(Debug, Serialize)]
struct CollectedJson {
    directory: String,
    /// Unix seconds.
    start: f64,
    end: f64,
    step_seconds: f64,
    samples: usize,
    services: Vec<String>,
    series: Vec<SeriesJson>,
    calls: usize,
    warnings: Vec<String>,
}

#[derive(Debug, Serialize)]
struct SeriesJson {
    service: String,
    metric: MetricKind,
    series: String,
    missing_samples: usize,
}

impl CollectedJson {
    fn new(collected: &SourceFrame, args: &CollectArgs) -> Self {
        let frame = &collected.frame;
        let missing = |index: usize| frame.samples(index).iter().filter(|value| value.is_nan()).count();
        let series = frame.series().iter().enumerate().map(|(index, key)| SeriesJson {
            service: key.service.clone(),
            metric: key.metric,
            series: key.name.clone(),
            missing_samples: missing(index),
        });
        Self {
            directory: args.out.display().to_string(),
            start: frame.grid().start().seconds(),
            end: frame.grid().last().seconds(),
            step_seconds: frame.grid().step_ms() as f64 / 1000.0,
            samples: frame.grid().samples(),
            services: frame.services().to_vec(),
            series: series.collect(),
            calls: collected.edges.as_ref().map_or(0, |edges| edges.edges().len()),
            warnings: collected.warnings.clone(),
        }
    }

    fn sentences(&self) -> String {
        let total = self.series.len() * self.samples;
        let missing: usize = self.series.iter().map(|series| series.missing_samples).sum();
        format!(
            "{} services, {} series of {} samples every {} s, {:.1} % missing, {} calls between services: {}\n",
            self.services.len(),
            self.series.len(),
            self.samples,
            self.step_seconds,
            100.0 * missing as f64 / total.max(1) as f64,
            self.calls,
            self.directory
        )
    }
}

/// Names of all series of a frame, each once, in order of metric and name.
pub(crate) fn series_names(frame: &MetricFrame) -> Vec<(MetricKind, String)> {
    let mut names: Vec<(MetricKind, String)> =
        frame.series().iter().map(|key| (key.metric, key.name.clone())).collect();
    names.sort();
    names.dedup();
    names
}
