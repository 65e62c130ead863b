//! Services on free loopback ports, as one process or as four.

use std::{
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    sync::mpsc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};

use crate::command;

/// How long a service may take to listen or to stop.
const PATIENCE: Duration = Duration::from_secs(60);

/// One `automap serve` process; killed when dropped.
#[derive(Debug)]
pub struct Service {
    child: Child,
    /// Where it listens, `http://127.0.0.1:port`.
    pub address: String,
}

impl Service {
    /// Starts `automap serve ROLE` with a configuration file and waits until it listens. The address is that of the
    /// role, or of the walker when `role` is `all`.
    ///
    /// # Errors
    /// The process ended, or did not listen in time; its log is in the error.
    pub fn start(home: &Path, role: &str, configuration: &str) -> anyhow::Result<Self> {
        let file = home.join(format!("{role}.toml"));
        std::fs::write(&file, configuration)?;
        let mut command = command::automap(home)?;
        command.args(["serve", role, "--log-format", "json", "--config"]).arg(&file);
        Self::spawn(command)
    }

    fn spawn(mut command: Command) -> anyhow::Result<Self> {
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
        let log = child.stderr.take().context("standard error is piped")?;
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            // Keeps reading after the address was seen, so that the process never blocks on a full pipe.
            for line in BufReader::new(log).lines().map_while(Result::ok) {
                sender.send(line).ok();
            }
        });
        let deadline = Instant::now() + PATIENCE;
        let mut log = String::new();
        while let Ok(line) = lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            if let Some(address) = listening_address(&line) {
                return Ok(Self { child, address });
            }
            log.push_str(&line);
            log.push('\n');
        }
        child.kill().ok();
        child.wait().ok();
        bail!("the service did not listen; its log: {log}")
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Whether the process still runs.
    pub fn runs(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Sends a signal: `STOP`, `CONT`, `TERM`.
    ///
    /// # Errors
    /// The process is gone.
    pub fn signal(&self, name: &str) -> anyhow::Result<()> {
        // The shell's own kill, because a bare Debian has no other.
        let status = Command::new("sh").args(["-c", &format!("kill -{name} {}", self.id())]).status()?;
        anyhow::ensure!(status.success(), "kill -{name} failed");
        Ok(())
    }

    /// Sends SIGTERM and waits for the end; answers the exit code.
    ///
    /// # Errors
    /// The process did not end in time.
    pub fn terminate(mut self) -> anyhow::Result<Option<i32>> {
        self.signal("TERM")?;
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status.code());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        bail!("the process did not end after SIGTERM")
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // It may have ended before; then there is nothing to kill.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// The address in a log line that says that a service listens.
fn listening_address(line: &str) -> Option<String> {
    let value: serde_json::Value = serde_json::from_str(line).ok()?;
    let fields = value.get("fields")?;
    (fields.get("message")?.as_str()? == "listening")
        .then(|| fields.get("address")?.as_str().map(|address| format!("http://{address}")))
        .flatten()
}

/// The four services as four processes.
#[derive(Debug)]
pub struct FourProcesses {
    /// The collector.
    pub collector: Service,
    /// The graph-builder.
    pub graph_builder: Service,
    /// The profiler.
    pub profiler: Service,
    /// The walker, which knows the other three.
    pub walker: Service,
}

impl FourProcesses {
    /// Starts them with their files in `home`; `recordings` is the collector's recordings root.
    ///
    /// # Errors
    /// A service did not listen in time.
    pub fn start(home: &Path, recordings: &Path) -> anyhow::Result<Self> {
        let collector = Service::start(
            home,
            "collector",
            &format!(
                "[collector]\nrecordings-root = {:?}\n[collector.server]\nlisten = \"127.0.0.1:0\"\n",
                recordings
            ),
        )?;
        let graph_builder =
            Service::start(home, "graph-builder", "[graph-builder.server]\nlisten = \"127.0.0.1:0\"\n")?;
        let store = home.join("store");
        let profiler = Service::start(
            home,
            "profiler",
            &format!("[profiler]\npath = {store:?}\n[profiler.server]\nlisten = \"127.0.0.1:0\"\n"),
        )?;
        let walker = Service::start(
            home,
            "walker",
            &format!(
                "[walker]\ncollector = {:?}\ngraph-builder = {:?}\nprofiler = {:?}\n\
                 [walker.server]\nlisten = \"127.0.0.1:0\"\n",
                collector.address, graph_builder.address, profiler.address
            ),
        )?;
        Ok(Self { collector, graph_builder, profiler, walker })
    }

    /// Whether all four still run.
    pub fn run(&mut self) -> bool {
        [&mut self.collector, &mut self.graph_builder, &mut self.profiler, &mut self.walker]
            .into_iter()
            .all(Service::runs)
    }
}

/// Configuration of `automap serve all` on free ports with its store in `home`.
pub fn all_on_free_ports(home: &Path) -> String {
    let store = home.join("store");
    let mut text = format!("[profiler]\npath = {store:?}\n");
    for role in ["collector", "graph-builder", "profiler", "walker"] {
        text.push_str(&format!("[{role}.server]\nlisten = \"127.0.0.1:0\"\n"));
    }
    text
}
