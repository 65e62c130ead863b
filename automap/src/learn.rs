//! `automap learn`: the normal behaviour that recordings or a server show, remembered.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use automap_collector::{query::config::parse_duration, recording};
use automap_proto::{
    time::{TimeWindow, UnixMillis, duration_to_wire},
    v1::{self, metric_source::Source},
};
use automap_walker::learning_window::learning_parts;
use serde::Serialize;

use crate::{
    arguments::{AnswerFormat, LearnArgs},
    embedded::Embedded,
    failure::Failure,
    incident_request::parse_time,
    memory::Memory,
    named_source::NamedSource,
    progress::counting_bar,
    queried_incident::{before, known_elsewhere, now},
    services_config, stdout,
    walker_client::WalkerClient,
};

/// Levels of directories that are searched.
const MAX_DEPTH: usize = 4;
/// How long an incident is taken to last whose end its recording does not say: beyond any recording.
const ENDLESS_MS: i64 = 366 * 24 * 3_600_000;
/// How much of a server's past is learned unless a flag says so.
const DEFAULT_LENGTH: &str = "24h";

/// What was learned from one recording or server.
#[derive(Debug, Serialize)]
struct LearnedJson {
    /// The recording, or the name of the server.
    from: String,
    system: String,
    services: u32,
    rows: u32,
    /// Rows that were left out as not normal.
    abnormal_rows: u32,
    /// Behaviour graphs of normal windows that were not known before.
    graphs: u32,
}

/// What is learned from.
enum Lesson {
    Recordings(Vec<PathBuf>),
    Queried(v1::QuerySource, Vec<TimeWindow>),
}

/// Runs the command.
///
/// # Errors
/// No recording is found, one cannot be read, a flag cannot be used, or a service failed.
pub async fn run(args: LearnArgs) -> Result<(), Failure> {
    let (lesson, source) = lesson(&args)?;
    let learned = match &args.remote.server {
        Some(url) => learn(&WalkerClient::remote(url, &args.remote)?, &lesson, &args).await,
        None => {
            let mut config = services_config::of_command(args.source.config.as_deref(), source.as_ref())?;
            let memory = Memory::open(args.store.as_deref(), &mut config.profiler).await?;
            let services = Embedded::start_on(memory.store, config).await?;
            let walker = WalkerClient::new(&services.addresses().walker)?;
            let learned = learn(&walker, &lesson, &args).await;
            // What was learned is only kept when the store was closed.
            services.stop().await?;
            learned
        }
    }?;
    match args.output {
        AnswerFormat::Json => stdout::print_json(&learned),
        AnswerFormat::Table => stdout::print(&text(&learned)),
    }
}

/// What flags name, and the server that an embedded collector has to know for it.
fn lesson(args: &LearnArgs) -> Result<(Lesson, Option<NamedSource>), Failure> {
    if args.source.source.is_some() {
        let graph_window = args.graph_window.as_deref().map(graph_window_ms).transpose()?;
        let windows = learning_parts(window(args)?, graph_window);
        let step = args.step.as_deref();
        if args.remote.server.is_some() {
            return Ok((Lesson::Queried(known_elsewhere(&args.source, step)?, windows), None));
        }
        let source = NamedSource::new(&args.source, step)?;
        let query = v1::QuerySource { name: source.name.clone(), ..v1::QuerySource::default() };
        return Ok((Lesson::Queried(query, windows), Some(source)));
    }
    let mut recordings = Vec::new();
    for path in &args.paths {
        search(path, MAX_DEPTH, &mut recordings)?;
    }
    if recordings.is_empty() {
        return Err(Failure::Usage(
            "no recording was found; name a metrics file, or a directory above recordings".into(),
        ));
    }
    Ok((Lesson::Recordings(recordings), None))
}

/// Which time of a server is learned.
fn window(args: &LearnArgs) -> Result<TimeWindow, Failure> {
    let end = args.to.as_deref().map(|time| parse_time("--to", time)).transpose()?.unwrap_or_else(now);
    let start = match &args.from {
        Some(time) => parse_time("--from", time)?,
        None => before(end, "--from", DEFAULT_LENGTH)?,
    };
    TimeWindow::new("window", start, end)
        .map_err(|_| Failure::Usage("--from lies behind --to; name an earlier time".into()))
}

fn graph_window_ms(text: &str) -> Result<u64, Failure> {
    let length = parse_duration("--graph-window", text)
        .map_err(|invalid| Failure::Usage(format!("--graph-window: {}", invalid.problem())))?;
    Ok(u64::try_from(length.as_millis()).unwrap_or(u64::MAX))
}

async fn learn(
    walker: &WalkerClient,
    lesson: &Lesson,
    args: &LearnArgs,
) -> Result<Vec<LearnedJson>, Failure> {
    let graph_window = args.graph_window.as_deref().map(graph_window_ms).transpose()?.map(duration_to_wire);
    match lesson {
        Lesson::Recordings(recordings) => {
            learn_recordings(walker, recordings, args.system.as_deref(), graph_window).await
        }
        Lesson::Queried(query, windows) => {
            let system = args.system.clone().unwrap_or_else(|| "default".into());
            let request = v1::LearnSourceRequest {
                source: Some(v1::MetricSource { source: Some(Source::Query(query.clone())) }),
                system,
                graph_window,
                ..v1::LearnSourceRequest::default()
            };
            Ok(vec![learn_source(walker, &query.name, windows, request).await?])
        }
    }
}

/// Has the normal rows of recordings remembered, each of the system that it names.
///
/// # Errors
/// A recording cannot be read, or a service failed.
pub(crate) async fn remember(walker: &WalkerClient, recordings: Vec<PathBuf>) -> Result<(), Failure> {
    learn_recordings(walker, &recordings, None, None).await.map(drop)
}

async fn learn_recordings(
    walker: &WalkerClient,
    recordings: &[PathBuf],
    system: Option<&str>,
    graph_window: Option<prost_types::Duration>,
) -> Result<Vec<LearnedJson>, Failure> {
    let bar = counting_bar(recordings.len(), "recordings");
    let mut all = Vec::new();
    for path in recordings {
        let (message, metrics_file) = describe(path, system)?;
        let message = v1::LearnedRecording { graph_window, ..message };
        let learned = walker.learn(message, &metrics_file).await?;
        for warning in &learned.warnings {
            stdout::warning(&format!("{}: {warning}", path.display()));
        }
        all.push(LearnedJson::new(path.display().to_string(), learned));
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(all)
}

/// Learns part by part, so that neither memory nor the server's limits are strained. Warnings are told once.
async fn learn_source(
    walker: &WalkerClient,
    name: &str,
    windows: &[TimeWindow],
    request: v1::LearnSourceRequest,
) -> Result<LearnedJson, Failure> {
    let bar = counting_bar(windows.len(), "parts");
    let mut all = v1::Learned::default();
    for window in windows {
        let request = v1::LearnSourceRequest { window: Some(window.to_wire()), ..request.clone() };
        let found = walker.learn_source(request).await?;
        for warning in found.warnings {
            if !all.warnings.contains(&warning) {
                stdout::warning(&warning);
                all.warnings.push(warning);
            }
        }
        all.system = found.system;
        all.services = all.services.max(found.services);
        all.rows = all.rows.saturating_add(found.rows);
        all.abnormal_rows = all.abnormal_rows.saturating_add(found.abnormal_rows);
        all.graphs = all.graphs.saturating_add(found.graphs);
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(LearnedJson::new(name.to_owned(), all))
}

impl LearnedJson {
    fn new(from: String, learned: v1::Learned) -> Self {
        Self {
            from,
            system: learned.system,
            services: learned.services,
            rows: learned.rows,
            abnormal_rows: learned.abnormal_rows,
            graphs: learned.graphs,
        }
    }
}

/// What is uploaded of a recording: the incident that it knows is no normal time.
fn describe(path: &Path, system: Option<&str>) -> Result<(v1::LearnedRecording, PathBuf), Failure> {
    let files = recording::describe(path)?;
    let known = &files.context;
    let mut abnormal: Vec<v1::TimeWindow> = known.excluded.iter().map(|window| window.to_wire()).collect();
    if let Some(start) = known.anomaly_start {
        let end = known.anomaly_end.unwrap_or(UnixMillis(start.0.saturating_add(ENDLESS_MS)));
        abnormal.push(TimeWindow::new("anomaly_end", start, end)?.to_wire());
    }
    let named = system.map(str::to_owned).or_else(|| known.system.clone());
    let message = v1::LearnedRecording {
        description: Some(v1::RecordingDescription::from(&files.description()?)),
        system: named.unwrap_or_else(|| "default".into()),
        abnormal,
        graph_window: None,
    };
    Ok((message, files.metrics_file().to_owned()))
}

/// Finds recordings: a file is one, and so is a directory that holds a metrics file. Sorted by path.
fn search(path: &Path, depth: usize, found: &mut Vec<PathBuf>) -> Result<(), Failure> {
    if path.is_file() || recording::describe(path).is_ok() {
        found.push(path.to_owned());
        return Ok(());
    }
    if depth == 0 {
        return Ok(());
    }
    let list = || format!("cannot list {}", path.display());
    let mut below = Vec::new();
    for entry in std::fs::read_dir(path).with_context(list)? {
        below.push(entry.with_context(list)?.path());
    }
    below.sort_unstable();
    for directory in below.iter().filter(|one| one.is_dir()) {
        search(directory, depth - 1, found)?;
    }
    Ok(())
}

fn text(learned: &[LearnedJson]) -> String {
    let line = |one: &LearnedJson| {
        let left_out = match one.abnormal_rows {
            0 => String::new(),
            rows => format!(", {rows} rows left out as not normal"),
        };
        let graphs = match one.graphs {
            0 => String::new(),
            graphs => format!(", {graphs} new graphs of normal windows"),
        };
        format!(
            "{}: {} normal rows of {} services of {}{left_out}{graphs}\n",
            one.from, one.rows, one.services, one.system
        )
    };
    learned.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recordings_are_found_below_a_directory_and_their_incident_is_not_normal() {
        let home = tempfile::tempdir().unwrap();
        for name in ["b", "a"] {
            let directory = home.path().join("all").join(name);
            std::fs::create_dir_all(&directory).unwrap();
            std::fs::write(directory.join("metrics.csv"), "timestamp,web_cpu\n0,1\n10,2\n20,3\n").unwrap();
            let known = r#"{"system": "shop", "front_end": "web", "anomaly_start": 10}"#;
            std::fs::write(directory.join("incident.json"), known).unwrap();
        }
        std::fs::create_dir_all(home.path().join("all/empty")).unwrap();
        let mut found = Vec::new();
        search(home.path(), MAX_DEPTH, &mut found).unwrap();
        let names: Vec<_> = found.iter().filter_map(|path| path.file_name()).collect();
        assert_eq!(names, ["a", "b"]);
        let (message, _) = describe(&found[0], None).unwrap();
        assert_eq!(message.system, "shop");
        assert_eq!(message.abnormal[0].start.as_ref().map(|time| time.seconds), Some(10));
        assert_eq!(describe(&found[0], Some("bank")).unwrap().0.system, "bank");
    }
}
