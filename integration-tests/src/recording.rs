//! Incident directories for tests.

use std::{
    fs,
    io::{BufWriter, Write as _},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, ensure};

use crate::command;

/// Writes the simulated incident of `automap demo` as files and answers its directory.
///
/// # Errors
/// The command failed.
pub fn demo_incident(home: &Path) -> anyhow::Result<PathBuf> {
    let directory = home.join("incident");
    let ended = command::run(home, &["demo", "--incident", "simulated", "--export", "incident"])?;
    ensure!(ended.code == 0, "automap demo --export failed: {}", ended.stderr);
    Ok(directory)
}

/// Writes an incident of `services` services with seven series each and `rows` rows, of which the last fifth is the
/// incident, as directory `name`. All series follow one load, so that nearly all services depend on each other: graphs of
/// such data take long.
///
/// # Errors
/// A file cannot be written.
pub fn shared_load_incident(
    home: &Path,
    name: &str,
    services: usize,
    rows: usize,
) -> anyhow::Result<PathBuf> {
    const METRICS: [&str; 7] =
        ["latency", "throughput", "cpu", "io-read", "io-write", "memory", "availability"];
    const STEP: usize = 5;
    let directory = home.join(name);
    fs::create_dir_all(&directory)?;
    let mut output = BufWriter::new(fs::File::create(directory.join("metrics.csv"))?);
    write!(output, "timestamp")?;
    for service in 0..services {
        for metric in METRICS {
            write!(output, ",s{service:04}_{metric}")?;
        }
    }
    writeln!(output)?;
    let mut state = 1_u64;
    let mut noise = move || {
        // A linear congruential generator is noise enough here, and fast.
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 33) as f64 / f64::from(u32::MAX)
    };
    for row in 0..rows {
        write!(output, "{}", STEP * row)?;
        let load = noise();
        for _ in 0..services * METRICS.len() {
            write!(output, ",{:.6}", 10.0 + load + noise())?;
        }
        writeln!(output)?;
    }
    output.flush()?;
    let known = serde_json::json!({ "front_end": "s0000", "anomaly_start": STEP * rows * 4 / 5 });
    fs::write(directory.join("incident.json"), known.to_string())?;
    Ok(directory)
}

/// Copies an incident directory without its label, as a person on call would have it.
///
/// # Errors
/// A file cannot be copied.
pub fn copy_unlabelled(from: &Path, to: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(to)?;
    for name in ["metrics.csv", "incident.json", "call_graph.csv", "edges.csv"] {
        let file = from.join(name);
        if file.exists() {
            fs::write(to.join(name), fs::read(&file)?)?;
        }
    }
    Ok(())
}

/// Reverses and rotates the columns of a metrics file, the time column included.
///
/// # Errors
/// The file cannot be read or written.
pub fn shuffle_columns(metrics: &Path) -> anyhow::Result<()> {
    let text = fs::read_to_string(metrics).with_context(|| format!("cannot read {}", metrics.display()))?;
    let mut shuffled = String::with_capacity(text.len());
    for line in text.lines() {
        let mut cells: Vec<&str> = line.split(',').collect();
        cells.reverse();
        let third = cells.len() / 3;
        cells.rotate_left(third);
        shuffled.push_str(&cells.join(","));
        shuffled.push('\n');
    }
    Ok(fs::write(metrics, shuffled)?)
}
