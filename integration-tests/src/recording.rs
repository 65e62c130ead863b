//! Incident directories for tests.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, ensure};

use crate::command;

/// Writes the incident of `automap demo` as files and answers its directory.
///
/// # Errors
/// The command failed.
pub fn demo_incident(home: &Path) -> anyhow::Result<PathBuf> {
    let directory = home.join("incident");
    let ended = command::run(home, &["demo", "--export", "incident"])?;
    ensure!(ended.code == 0, "automap demo --export failed: {}", ended.stderr);
    Ok(directory)
}

/// Copies an incident directory without its label, as a person on call would have it.
///
/// # Errors
/// A file cannot be copied.
pub fn copy_unlabelled(from: &Path, to: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(to)?;
    for name in ["metrics.csv", "incident.json", "call_graph.csv"] {
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
