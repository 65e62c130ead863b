//! A person before the walker's page: a real browser that is driven, and what it saw.

use std::{
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    sync::mpsc::{self, Receiver},
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use serde_json::{Map, Value, json};

/// How long a browser may take in all.
const PATIENCE: Duration = Duration::from_secs(480);

/// What is read.
#[derive(Debug)]
pub struct Task<'a> {
    /// Where the page is, `http://127.0.0.1:port`.
    pub origin: &'a str,
    /// Ids of the diagnoses that will be listed.
    pub diagnoses: &'a [&'a str],
    /// The one whose first cause is confirmed.
    pub confirmed: &'a str,
    /// One with many services that lack a metric.
    pub lacking: &'a str,
    /// Where a picture of it is kept, if anywhere.
    pub screenshot: Option<&'a Path>,
}

/// A browser at work; killed when dropped.
#[derive(Debug)]
pub struct PageReader {
    child: Child,
    lines: Receiver<String>,
    deadline: Instant,
    seen: Map<String, Value>,
}

impl PageReader {
    /// Opens the list of diagnoses and waits until it follows news.
    ///
    /// # Errors
    /// The browser or what drives it is missing (`.ci/test` installs both), or the page did not open.
    pub fn open(task: &Task<'_>) -> anyhow::Result<Self> {
        let task = json!({
            "origin": task.origin,
            "diagnoses": task.diagnoses,
            "confirmed": task.confirmed,
            "lacking": task.lacking,
            "screenshot": task.screenshot,
        });
        let mut reader = Self::start("page_reader.mjs", task)?;
        while !reader.seen.contains_key("now") {
            if !reader.read()? {
                bail!("the browser ended before it saw the list");
            }
        }
        Ok(reader)
    }

    /// Starts a script of `reference`, which finds its task and the modules that it needs in its argument.
    ///
    /// # Errors
    /// Node is missing.
    pub fn start(script: &str, mut task: Value) -> anyhow::Result<Self> {
        let test = std::env::current_exe().context("a test knows its own path")?;
        let target = test.ancestors().nth(3).context("tests lie two directories below target")?;
        task["modules"] = json!(target.join("ci-tools/node_modules"));
        let mut child = Command::new("node")
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("reference").join(script))
            .arg(task.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start node: run `bash .ci/test`, which installs it")?;
        let output = child.stdout.take().context("standard output is piped")?;
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                sender.send(line).ok();
            }
        });
        Ok(Self { child, lines, deadline: Instant::now() + PATIENCE, seen: Map::new() })
    }

    /// Waits for the end; what was seen, by name.
    ///
    /// # Errors
    /// The browser failed or took too long; what it saw before is in the error.
    pub fn finish(mut self) -> anyhow::Result<Value> {
        while self.read()? {}
        let status = self.child.wait()?;
        anyhow::ensure!(status.success(), "the browser failed ({status}) after it saw {:#?}", self.seen);
        Ok(Value::Object(std::mem::take(&mut self.seen)))
    }

    /// Reads a line of what it saw; false at the end.
    fn read(&mut self) -> anyhow::Result<bool> {
        match self.lines.recv_timeout(self.deadline.saturating_duration_since(Instant::now())) {
            Ok(line) => {
                let seen: Map<String, Value> = serde_json::from_str(&line)?;
                self.seen.extend(seen);
                Ok(true)
            }
            Err(mpsc::RecvTimeoutError::Disconnected) => Ok(false),
            Err(mpsc::RecvTimeoutError::Timeout) => {
                bail!("the browser took longer than {} s; it saw {:#?}", PATIENCE.as_secs(), self.seen)
            }
        }
    }
}

impl Drop for PageReader {
    fn drop(&mut self) {
        // It may have ended before; then there is nothing to kill.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
