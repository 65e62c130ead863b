//! Writes an incident as the files that `automap diagnose` reads.

use std::{fs, path::Path};

use anyhow::Context as _;
use automap_proto::{frame::MetricFrame, incident::IncidentContext, metric::MetricKind};
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
    write_metrics(&path.join("metrics.csv"), frame)?;
    let seconds = |time: automap_proto::time::UnixMillis| time.seconds();
    let excluded: Vec<[f64; 2]> =
        context.excluded().iter().map(|window| [seconds(window.start()), seconds(window.end())]).collect();
    let mut incident = json!({
        "system": context.system(),
        "front_end": context.front_end(),
        "anomaly_start": seconds(context.anomaly_start()),
        "step_seconds": frame.grid().step_ms() as f64 / 1000.0,
        "exclude_intervals": excluded,
    });
    if let Some(end) = context.anomaly_end() {
        incident["anomaly_end"] = json!(seconds(end));
    }
    let incident_file = path.join("incident.json");
    let text = serde_json::to_string_pretty(&incident)? + "\n";
    fs::write(&incident_file, text).with_context(|| format!("cannot write {}", incident_file.display()))?;
    if let Some(calls) = context.call_graph() {
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
