//! Real servers of metrics on free loopback ports, filled before they are asked.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpStream,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail, ensure};

use crate::{http, samples::Samples};

/// How long a server may take until it answers.
const PATIENCE: Duration = Duration::from_secs(180);

/// A server; killed when dropped.
#[derive(Debug)]
pub struct MetricsServer {
    child: Child,
    /// `127.0.0.1:port`.
    pub address: String,
}

impl MetricsServer {
    /// Prometheus with `samples` backfilled by promtool; its files lie in `home`.
    ///
    /// # Errors
    /// A program is missing, or the server does not answer in time.
    pub fn prometheus(home: &Path, samples: &Samples, flags: &[&str]) -> anyhow::Result<Self> {
        let text = home.join("samples.om");
        let data = home.join("prometheus");
        fs::write(&text, samples.openmetrics())?;
        backfill(&text, &data)?;
        Self::prometheus_of(home, &data, flags)
    }

    /// Prometheus over the blocks in `data`.
    ///
    /// # Errors
    /// As [`Self::prometheus`].
    pub fn prometheus_of(home: &Path, data: &Path, flags: &[&str]) -> anyhow::Result<Self> {
        let config = home.join("prometheus.yml");
        fs::write(&config, "global: {}\n")?;
        let mut command = Command::new("prometheus");
        command
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", data.display()))
            // Samples of tests are old, and stay.
            .args(["--storage.tsdb.retention.time=100y", "--web.listen-address=127.0.0.1:0"])
            .args(flags);
        let server = Self::start(command, &home.join("prometheus.log"))?;
        let prefix =
            flags.iter().find_map(|flag| flag.strip_prefix("--web.route-prefix=")).unwrap_or_default();
        // With passwords, nothing but a refusal tells that it is up.
        server.wait_for(&format!("{prefix}/-/ready"), &[200, 401])?;
        Ok(server)
    }

    /// VictoriaMetrics with `samples` imported.
    ///
    /// # Errors
    /// As [`Self::prometheus`].
    pub fn victoria_metrics(home: &Path, samples: &Samples) -> anyhow::Result<Self> {
        let mut command = Command::new("victoria-metrics");
        command.arg(format!("-storageDataPath={}", home.join("victoria").display())).args([
            "-httpListenAddr=127.0.0.1:0",
            "-retentionPeriod=100y",
            "-memory.allowedBytes=256MB",
        ]);
        let server = Self::start(command, &home.join("victoria.log"))?;
        server.wait_for("/health", &[200])?;
        let answer = post(&server.address, "/api/v1/import/prometheus", &samples.exposition())?;
        ensure!(answer.starts_with("HTTP/1.1 204"), "the import was refused: {answer}");
        server.wait_for("/internal/force_flush", &[200])?;
        Ok(server)
    }

    /// vmauth with its configuration.
    ///
    /// # Errors
    /// As [`Self::prometheus`].
    pub fn vmauth(home: &Path, configuration: &str) -> anyhow::Result<Self> {
        let config = home.join("vmauth.yml");
        fs::write(&config, configuration)?;
        let mut command = Command::new("vmauth");
        command.arg(format!("-auth.config={}", config.display())).arg("-httpListenAddr=127.0.0.1:0");
        let server = Self::start(command, &home.join("vmauth.log"))?;
        server.wait_for("/health", &[200])?;
        Ok(server)
    }

    fn start(mut command: Command, log: &Path) -> anyhow::Result<Self> {
        let name = command.get_program().to_string_lossy().into_owned();
        let file = fs::File::create(log)?;
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(file);
        let child =
            command.spawn().with_context(|| format!("cannot start {name}; `bash .ci/test` installs it"))?;
        let mut server = Self { child, address: String::new() };
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(port) = listening_port(server.child.id())? {
                server.address = format!("127.0.0.1:{port}");
                return Ok(server);
            }
            let ended = server.child.try_wait()?;
            if ended.is_some() || Instant::now() > deadline {
                let said = fs::read_to_string(log).unwrap_or_default();
                bail!("{name} does not listen ({ended:?}); it said: {said}");
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn wait_for(&self, path: &str, statuses: &[u16]) -> anyhow::Result<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let answer = http::get(&self.address, path);
            match &answer {
                Ok(answer) if statuses.contains(&answer.status) => return Ok(()),
                _ if Instant::now() > deadline => bail!("{path} did not become ready: {answer:?}"),
                _ => std::thread::sleep(Duration::from_millis(20)),
            }
        }
    }

    /// `http://127.0.0.1:port`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for MetricsServer {
    fn drop(&mut self) {
        // It may have ended before; then there is nothing to kill.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Writes the blocks of a file of OpenMetrics into `data`.
///
/// # Errors
/// promtool is missing, or refuses the file.
pub fn backfill(text: &Path, data: &Path) -> anyhow::Result<()> {
    let mut command = Command::new("promtool");
    command.args(["tsdb", "create-blocks-from", "openmetrics"]).arg(text).arg(data);
    let ended = command.output().context("cannot start promtool; `bash .ci/test` installs prometheus")?;
    ensure!(ended.status.success(), "promtool failed: {}", String::from_utf8_lossy(&ended.stderr));
    Ok(())
}

fn post(address: &str, path: &str, body: &str) -> anyhow::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(
        stream,
        "POST {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        body.len()
    )?;
    stream.write_all(body.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

/// The port on which a process listens, as the kernel tells: these servers log the port that they were given, 0.
pub(crate) fn listening_port(process: u32) -> anyhow::Result<Option<u16>> {
    const LISTEN: &str = "0A";
    let Ok(descriptors) = fs::read_dir(format!("/proc/{process}/fd")) else { return Ok(None) };
    let sockets: Vec<String> = descriptors
        .filter_map(|entry| fs::read_link(entry.ok()?.path()).ok())
        .filter_map(|link| Some(link.to_str()?.strip_prefix("socket:[")?.trim_end_matches(']').to_owned()))
        .collect();
    for table in ["tcp", "tcp6"] {
        let rows = fs::read_to_string(format!("/proc/{process}/net/{table}")).unwrap_or_default();
        for row in rows.lines().skip(1) {
            let cells: Vec<&str> = row.split_whitespace().collect();
            if cells.len() > 9 && cells[3] == LISTEN && sockets.iter().any(|socket| socket == cells[9]) {
                let port = cells[1].rsplit(':').next().context("an address has a port")?;
                return Ok(Some(u16::from_str_radix(port, 16)?));
            }
        }
    }
    Ok(None)
}
