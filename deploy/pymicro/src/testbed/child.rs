//! Processes of a testbed.

use std::{
    ffi::OsStr,
    fs::{self, File},
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt as _, BufReader, Lines},
    process::{self, ChildStdout},
    time::{Instant, timeout, timeout_at},
};

use super::{Error, Options};
use crate::listening::Ready;

/// How much of a log an error tells.
const LOG_BYTES: usize = 2000;

/// The command `pymicro`, by which everything is started.
#[derive(Debug, Clone)]
pub(super) struct Program {
    binary: PathBuf,
    directory: PathBuf,
    logs: PathBuf,
}

impl Program {
    /// Finds the command, and makes a directory for logs.
    pub(super) fn find(options: &Options) -> Result<Self, Error> {
        let logs = options.directory.join("logs");
        fs::create_dir_all(&logs).map_err(|error| Error::directory(&logs, &error))?;
        let binary = match &options.binary {
            Some(binary) => binary.clone(),
            None => std::env::current_exe()
                .ok()
                .map(|running| running.with_file_name("pymicro"))
                .filter(|beside| beside.is_file())
                .unwrap_or_else(|| "pymicro".into()),
        };
        Ok(Self { binary, directory: options.directory.clone(), logs })
    }

    /// Starts `program`, whose standard error is the log `NAME.log`, with nothing of the environment but `PATH`.
    pub(super) fn start(&self, name: &str, program: &OsStr, arguments: &[String]) -> Result<Child, Error> {
        self.spawn(name, program, arguments, [], Stdio::null())
    }

    fn spawn<'a>(
        &self,
        name: &str,
        program: &OsStr,
        arguments: &[String],
        variables: impl IntoIterator<Item = (&'a str, String)>,
        stdout: Stdio,
    ) -> Result<Child, Error> {
        let log = self.logs.join(format!("{name}.log"));
        let file = File::create(&log).map_err(|error| Error::directory(&log, &error))?;
        let started = process::Command::new(&self.binary)
            .args(["tie", "--parent", &std::process::id().to_string(), "--"])
            .arg(program)
            .args(arguments)
            .env_clear()
            .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
            // By this a process tells whose it is.
            .env("PYMICRO_TESTBED", &self.directory)
            .envs(variables)
            .stdin(Stdio::null())
            .stdout(stdout)
            .stderr(file)
            // Ctrl-C is for whoever holds the testbed; it heals and stops in order.
            .process_group(0)
            .kill_on_drop(true)
            .spawn();
        let mut process = started.map_err(|error| Error::Start {
            program: self.binary.display().to_string(),
            reason: format!("{error}: build it with `cargo build --release --bin pymicro`"),
        })?;
        let lines = process.stdout.take().map(|stdout| BufReader::new(stdout).lines());
        Ok(Child { name: name.to_owned(), process, log, lines })
    }

    /// Starts a part of Pymicro itself, with `variables`; it tells on standard output where it listens.
    pub(super) fn pymicro<'a>(
        &self,
        name: &str,
        arguments: &[String],
        variables: impl IntoIterator<Item = (&'a str, String)>,
    ) -> Result<Child, Error> {
        self.spawn(name, self.binary.as_os_str(), arguments, variables, Stdio::piped())
    }
}

/// A process; killed when dropped.
#[derive(Debug)]
pub(super) struct Child {
    name: String,
    process: process::Child,
    log: PathBuf,
    /// Kept, for a pipe without a reader breaks.
    lines: Option<Lines<BufReader<ChildStdout>>>,
}

impl Child {
    /// What it tells when it listens.
    pub(super) async fn ready(&mut self, deadline: Instant) -> Result<Ready, Error> {
        let Some(lines) = &mut self.lines else {
            return Err(self.not_ready("has no standard output"));
        };
        match timeout_at(deadline, lines.next_line()).await {
            Ok(Ok(Some(line))) => serde_json::from_str(&line).map_err(|error| {
                self.not_ready(&format!("told `{line}`, where it should tell addresses: {error}"))
            }),
            Ok(_) => Err(self.not_ready("ended before it listened")),
            Err(_) => Err(self.not_ready("did not listen in time")),
        }
    }

    /// An error with the end of its log.
    pub(super) fn not_ready(&self, what: &str) -> Error {
        Error::NotReady { what: format!("{} {what}", self.name), log: tail(&self.log) }
    }

    /// Whether it runs.
    pub(super) fn runs(&mut self) -> bool {
        matches!(self.process.try_wait(), Ok(None))
    }

    /// An error when it does not run.
    pub(super) fn check(&mut self) -> Result<(), Error> {
        match self.process.try_wait() {
            Ok(None) => Ok(()),
            Ok(Some(status)) => Err(self.not_ready(&format!("ended: {status}"))),
            Err(error) => Err(self.not_ready(&format!("cannot be waited for: {error}"))),
        }
    }

    /// Kills it by SIGKILL, and returns when it is gone.
    pub(super) async fn kill(&mut self) -> Result<(), Error> {
        let killed = self.process.kill().await;
        killed.map_err(|error| self.not_ready(&format!("cannot be killed: {error}")))
    }

    /// Asks it to end.
    pub(super) fn ask_to_end(&self) {
        let id = self.process.id().and_then(|id| i32::try_from(id).ok());
        if let Some(id) = id.and_then(rustix::process::Pid::from_raw) {
            // It may have ended by itself.
            rustix::process::kill_process(id, rustix::process::Signal::TERM).ok();
        }
    }

    /// Waits until it has ended, and kills it when that takes longer than `patience`.
    pub(super) async fn end(mut self, patience: Duration) -> Result<(), Error> {
        match timeout(patience, self.process.wait()).await {
            Ok(_) => Ok(()),
            Err(_) => self.kill().await,
        }
    }
}

fn tail(log: &Path) -> String {
    let text = fs::read(log).unwrap_or_default();
    let end = &text[text.len().saturating_sub(LOG_BYTES)..];
    let said = String::from_utf8_lossy(end);
    match said.trim() {
        "" => format!("{} is empty", log.display()),
        said => format!("{} ends with: {said}", log.display()),
    }
}
