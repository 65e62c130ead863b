//! Writes an incident as the files that `automap diagnose` reads.

use std::{fs, path::Path};

use anyhow::Context as _;
use automap_collector::recording::PartialContext;
use automap_proto::{
    edge_frame::{EdgeFrame, EdgeMetric},
    frame::MetricFrame,
    incident::IncidentContext,
    metric::MetricKind,
    time::{TimeGrid, UnixMillis},
};
use serde_json::json;

/// Writes metrics.csv, incident.json and, where a call graph is known, call_graph.csv into the new directory `path`.
/// Congestion is derived and not written.
///
/// # Errors
/// The directory exists already, or cannot be written.
pub fn write(path: &Path, frame: &MetricFrame, context: &IncidentContext) -> anyhow::Result<()> {
    fs::create_dir(path).with_context(|| {
        format!("cannot create {}; name a directory that does not exist yet", path.display())
    })?;
    let known = PartialContext {
        system: Some(context.system().into()),
        front_end: Some(context.front_end().into()),
        anomaly_start: Some(context.anomaly_start()),
        anomaly_end: context.anomaly_end(),
        step_ms: Some(frame.grid().step_ms()),
        excluded: context.excluded().to_vec(),
        call_graph: context.call_graph().cloned(),
    };
    write_files(path, frame, &known)
}

/// Writes the same files into the directory `path`; of the incident what is known.
///
/// # Errors
/// A file cannot be written.
pub fn write_files(path: &Path, frame: &MetricFrame, context: &PartialContext) -> anyhow::Result<()> {
    write_metrics(&path.join("metrics.csv"), frame)?;
    let seconds = |time: UnixMillis| time.seconds();
    let excluded: Vec<[f64; 2]> =
        context.excluded.iter().map(|window| [seconds(window.start()), seconds(window.end())]).collect();
    let mut incident = json!({
        "step_seconds": frame.grid().step_ms() as f64 / 1000.0,
        "exclude_intervals": excluded,
    });
    if let Some(system) = &context.system {
        incident["system"] = json!(system);
    }
    if let Some(front_end) = &context.front_end {
        incident["front_end"] = json!(front_end);
    }
    if let Some(start) = context.anomaly_start {
        incident["anomaly_start"] = json!(seconds(start));
    }
    if let Some(end) = context.anomaly_end {
        incident["anomaly_end"] = json!(seconds(end));
    }
    let incident_file = path.join("incident.json");
    let text = serde_json::to_string_pretty(&incident)? + "\n";
    fs::write(&incident_file, text).with_context(|| format!("cannot write {}", incident_file.display()))?;
    if let Some(calls) = &context.call_graph {
        let file = path.join("call_graph.csv");
        let mut writer =
            csv::Writer::from_path(&file).with_context(|| format!("cannot write {}", file.display()))?;
        writer.write_record(["caller", "callee"])?;
        for (caller, callee) in calls.calls() {
            writer.write_record([caller, callee])?;
        }
        writer.flush()?;
    }
    Ok(())
}

/// Writes edges.csv, a row for each sample of each pair of services, into the directory `path`. A sample of which nothing
/// is known has no row.
///
/// # Errors
/// The file cannot be written.
pub fn write_edges(path: &Path, grid: &TimeGrid, edges: &EdgeFrame) -> anyhow::Result<()> {
    let file = path.join("edges.csv");
    let mut writer =
        csv::Writer::from_path(&file).with_context(|| format!("cannot write {}", file.display()))?;
    writer.write_record(["timestamp", "caller", "callee", "latency", "throughput", "availability"])?;
    for row in 0..grid.samples() {
        let time = grid.time(row).seconds().to_string();
        for (index, (caller, callee)) in edges.edges().iter().enumerate() {
            let [latency, throughput, availability] = EdgeMetric::ALL.map(|metric| {
                let value = edges.samples(index, metric)[row];
                if value.is_nan() { String::new() } else { value.to_string() }
            });
            if !(latency.is_empty() && throughput.is_empty() && availability.is_empty()) {
                writer.write_record([&time, caller, callee, &latency, &throughput, &availability])?;
            }
        }
    }
    writer.flush()?;
    Ok(())
}

fn write_metrics(file: &Path, frame: &MetricFrame) -> anyhow::Result<()> {
    let mut writer =
        csv::Writer::from_path(file).with_context(|| format!("cannot write {}", file.display()))?;
    let columns: Vec<usize> = (0..frame.series().len())
        .filter(|&index| frame.series()[index].metric != MetricKind::Congestion)
        .collect();
    let header = columns.iter().map(|&index| {
        let key = &frame.series()[index];
        format!("{}_{}", key.service, key.name)
    });
    writer.write_record(std::iter::once("timestamp".to_owned()).chain(header))?;
    for row in 0..frame.grid().samples() {
        let cells = columns.iter().map(|&index| {
            let value = frame.values()[[index, row]];
            if value.is_nan() { String::new() } else { value.to_string() }
        });
        let time = frame.grid().time(row).seconds().to_string();
        writer.write_record(std::iter::once(time).chain(cells))?;
    }
    writer.flush()?;
    Ok(())
}
