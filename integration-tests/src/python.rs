//! Python packages that tests compare with.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, ensure};
use serde_json::Value;

/// The interpreter that `.ci/test` sets up beside the builds, with the packages of `requirements.txt`.
///
/// # Errors
/// It was not set up.
pub fn interpreter() -> anyhow::Result<PathBuf> {
    let test = std::env::current_exe().context("a test knows its own path")?;
    let target = test.ancestors().nth(3).context("tests lie two directories below target")?;
    let path = target.join("ci-venv/bin/python");
    ensure!(path.is_file(), "{} is missing: run `bash .ci/test`, which sets it up", path.display());
    Ok(path)
}

/// Runs a script of `integration-tests/reference` with JSON on its standard input, and answers the JSON that it
/// prints. It must read all of its input before it prints.
///
/// # Errors
/// The interpreter was not set up, or the script failed.
pub fn run(script: &str, input: &Value) -> anyhow::Result<Value> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("reference").join(script);
    let mut child = Command::new(interpreter()?)
        .arg(&script)
        // One thread: what runs beside must not be slowed, and times must compare.
        .envs(["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"].map(|name| (name, "1")))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut stdin = child.stdin.take().context("standard input is a pipe")?;
    stdin.write_all(&serde_json::to_vec(input)?)?;
    drop(stdin);
    let output = child.wait_with_output()?;
    ensure!(output.status.success(), "{} failed: {}", script.display(), output.status);
    serde_json::from_slice(&output.stdout).with_context(|| format!("{} printed no JSON", script.display()))
}
