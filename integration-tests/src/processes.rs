//! Services on free loopback ports, as one process or as four.

use std::{
    cell::RefCell,
    collections::VecDeque,
    io::{BufRead as _, BufReader},
    os::unix::process::ExitStatusExt as _,
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc::{self, Receiver, RecvTimeoutError},
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail, ensure};
use serde_json::Value;

use crate::{command, setup::Setup, usage};

/// How long a service may take to listen or to stop: on a machine that has much else to do a process may wait for its disk
/// for a minute.
const PATIENCE: Duration = Duration::from_secs(180);

/// One `automap serve` process; killed when dropped.
#[derive(Debug)]
pub struct Service {
    child: Child,
    /// Where it listens, `http://127.0.0.1:port`.
    pub address: String,
    lines: Receiver<String>,
    /// Lines that nobody has asked for yet.
    unasked: RefCell<VecDeque<String>>,
}

impl Service {
    /// Starts `automap serve ROLE` with a configuration file and waits until it listens. The address is that of the
    /// role, or of the walker when `role` is `all`.
    ///
    /// # Errors
    /// The process ended, or did not listen in time; its log is in the error.
    pub fn start(home: &Path, role: &str, configuration: &str) -> anyhow::Result<Self> {
        Self::start_in(&[], home, role, configuration)
    }

    /// The same with these environment variables.
    ///
    /// # Errors
    /// The process ended, or did not listen in time; its log is in the error.
    pub fn start_in(
        environment: &[(&str, &str)],
        home: &Path,
        role: &str,
        configuration: &str,
    ) -> anyhow::Result<Self> {
        Self::start_behind(&[], &[], environment, home, role, configuration)
    }

    /// The same with these words before the command, and these flags, too.
    pub(crate) fn start_behind(
        words: &[String],
        flags: &[&str],
        environment: &[(&str, &str)],
        home: &Path,
        role: &str,
        configuration: &str,
    ) -> anyhow::Result<Self> {
        let file = home.join(format!("{role}.toml"));
        std::fs::write(&file, configuration)?;
        let mut command = command::automap_behind(words, home)?;
        command.args(["serve", role, "--log-format", "json", "--config"]).arg(&file).args(flags);
        command.envs(environment.iter().copied());
        Self::spawn(command)
    }

    /// Starts a service as [`Self::start`] does, and kills it by SIGKILL `after` so long; answers whether that was before it
    /// listened.
    ///
    /// # Errors
    /// It ended by itself before; its log is in the error.
    pub fn kill_after(home: &Path, role: &str, configuration: &str, after: Duration) -> anyhow::Result<bool> {
        const SIGKILL: i32 = 9;
        let file = home.join(format!("{role}.toml"));
        std::fs::write(&file, configuration)?;
        let mut command = command::automap(home)?;
        command.args(["serve", role, "--log-format", "json", "--config"]).arg(&file);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
        std::thread::sleep(after);
        child.kill()?;
        let ended = child.wait_with_output()?;
        let log = String::from_utf8_lossy(&ended.stderr);
        ensure!(
            ended.status.signal() == Some(SIGKILL),
            "the service ended: {}; its log: {log}",
            ended.status
        );
        Ok(!log.lines().any(|line| listening_address(line).is_some()))
    }

    /// The same as [`Self::start`], with a disk of `mib` MiB mounted at `disk` that goes with the process and that others
    /// see below `/proc/<its id>/root`.
    ///
    /// # Errors
    /// The system allows no mounts, or the process did not listen in time.
    pub fn start_on_tmpfs(
        home: &Path,
        disk: &Path,
        mib: u64,
        role: &str,
        configuration: &str,
    ) -> anyhow::Result<Self> {
        let file = home.join(format!("{role}.toml"));
        std::fs::write(&file, configuration)?;
        let service = command::automap(home)?;
        let script = format!("mount -t tmpfs -o size={mib}m tmpfs \"$0\" && exec \"$@\"");
        let mut command = Command::new("unshare");
        command.args(["--map-root-user", "--mount", "sh", "-c", &script]).arg(disk);
        command
            .arg(service.get_program())
            .args(["serve", role, "--log-format", "json", "--config"])
            .arg(&file);
        command.env_clear().env("HOME", home).env("PATH", std::env::var_os("PATH").unwrap_or_default());
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
        let mut unasked = VecDeque::new();
        let what = loop {
            match lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => {
                    let address = listening_address(&line);
                    unasked.push_back(line);
                    if let Some(address) = address {
                        return Ok(Self { child, address, lines, unasked: RefCell::new(unasked) });
                    }
                }
                Err(RecvTimeoutError::Timeout) => {
                    let threads = usage::threads(child.id());
                    child.kill().ok();
                    child.wait()?;
                    break format!("did not listen within {} s; its threads: {threads}", PATIENCE.as_secs());
                }
                // Its standard error is closed: it has ended, or is about to.
                Err(RecvTimeoutError::Disconnected) => break format!("ended: {}", end_of(&mut child)?),
            }
        };
        bail!("the service {what}; its log: {unasked:#?}")
    }

    /// Ends it by SIGTERM, and answers all that it logged and nobody has asked for.
    ///
    /// # Errors
    /// The process did not end in time.
    pub fn end_with_log(mut self) -> anyhow::Result<String> {
        self.signal("TERM")?;
        end_of(&mut self.child)?;
        let mut lines: Vec<String> = self.unasked.take().into();
        // The thread that reads them ends with the pipe.
        while let Ok(line) = self.lines.recv_timeout(PATIENCE) {
            lines.push(line);
        }
        Ok(lines.join("\n"))
    }

    /// The next log line with this message; each is answered once.
    ///
    /// # Errors
    /// None came in time.
    pub fn log_line(&self, message: &str) -> anyhow::Result<Value> {
        let wanted = |line: &String| {
            let line: Option<Value> = serde_json::from_str(line).ok();
            line.filter(|line| line["fields"]["message"] == message)
        };
        let mut unasked = self.unasked.borrow_mut();
        if let Some((place, line)) =
            unasked.iter().enumerate().find_map(|(place, line)| Some((place, wanted(line)?)))
        {
            unasked.remove(place);
            return Ok(line);
        }
        let deadline = Instant::now() + PATIENCE;
        while let Ok(line) = self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            match wanted(&line) {
                Some(line) => return Ok(line),
                None => unasked.push_back(line),
            }
        }
        bail!("no log line says {message:?}: {unasked:#?}")
    }

    /// Every line of its log so far that nobody asked for.
    pub fn whole_log(&self) -> String {
        let mut unasked = self.unasked.borrow_mut();
        unasked.extend(self.lines.try_iter());
        unasked.iter().map(String::as_str).collect::<Vec<_>>().join("\n")
    }

    /// Where the admin port of a role listens, `127.0.0.1:port`.
    ///
    /// # Errors
    /// It has none.
    pub fn admin_address(&self) -> anyhow::Result<String> {
        let line = self.log_line("admin port listens")?;
        Ok(line["fields"]["address"].as_str().context("the line has no address")?.to_owned())
    }

    /// Where the walker's page is, `127.0.0.1:port`.
    ///
    /// # Errors
    /// It has none.
    pub fn page_address(&self) -> anyhow::Result<String> {
        let line = self.log_line("the page of diagnoses is open")?;
        Ok(line["fields"]["address"].as_str().context("the line has no address")?.to_owned())
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Time that the process spent on cores so far.
    ///
    /// # Errors
    /// The process is gone.
    pub fn cpu_time(&self) -> anyhow::Result<Duration> {
        usage::cpu_time(self.id())
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
        ensure!(status.success(), "kill -{name} failed");
        Ok(())
    }

    /// Kills it by SIGKILL and waits until it is gone.
    ///
    /// # Errors
    /// It cannot be waited for.
    pub fn kill(mut self) -> anyhow::Result<()> {
        // It may have ended by itself, which is no less an end.
        self.child.kill().ok();
        self.child.wait()?;
        Ok(())
    }

    /// Waits until it ends by itself, and answers how.
    ///
    /// # Errors
    /// It did not in time.
    pub fn ended(mut self) -> anyhow::Result<ExitStatus> {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        bail!("the process did not end by itself")
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

/// How a process ended that closed its log; one that goes on is killed.
fn end_of(child: &mut Child) -> anyhow::Result<ExitStatus> {
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    child.kill().ok();
    Ok(child.wait()?)
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
    let value: Value = serde_json::from_str(line).ok()?;
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
        Self::start_in(&[], home, recordings)
    }

    /// The same with these environment variables.
    ///
    /// # Errors
    /// A service did not listen in time.
    pub fn start_in(environment: &[(&str, &str)], home: &Path, recordings: &Path) -> anyhow::Result<Self> {
        Setup::default().environment(environment).four(home, recordings)
    }

    /// All four, those that others need first.
    pub const fn all(&self) -> [&Service; 4] {
        [&self.collector, &self.graph_builder, &self.profiler, &self.walker]
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
