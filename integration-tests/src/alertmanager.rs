//! A real Alertmanager, rules for a Prometheus that runs, and notifications as Alertmanager sends them.

use std::{
    fmt::Write as _,
    fs,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::{http, metrics_server::listening_port, testbed};

/// How long it may take until it answers.
const PATIENCE: Duration = Duration::from_secs(180);

/// An Alertmanager; killed when dropped.
#[derive(Debug)]
pub struct Alertmanager {
    child: Child,
    /// `127.0.0.1:port`.
    pub address: String,
}

impl Alertmanager {
    /// Starts one that tells `webhook` of every alert at once; its files lie in `home`.
    ///
    /// # Errors
    /// The program is missing, or does not answer in time.
    pub fn start(home: &Path, webhook: &str) -> anyhow::Result<Self> {
        let config = home.join("alertmanager.yml");
        fs::write(
            &config,
            format!(
                "route:\n  receiver: automap\n  group_by: [alertname]\n  group_wait: 0s\n  group_interval: 1s\n  \
                 repeat_interval: 1h\nreceivers:\n  - name: automap\n    webhook_configs:\n      - url: {webhook}\n        \
                 send_resolved: true\n"
            ),
        )?;
        let log = home.join("alertmanager.log");
        let child = Command::new("prometheus-alertmanager")
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.path={}", home.join("alertmanager").display()))
            .args(["--web.listen-address=127.0.0.1:0", "--cluster.listen-address="])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(&log)?)
            .spawn()
            .context("cannot start prometheus-alertmanager; `bash .ci/test` installs it")?;
        let mut alertmanager = Self { child, address: String::new() };
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(port) = listening_port(alertmanager.child.id())? {
                alertmanager.address = format!("127.0.0.1:{port}");
                if http::get(&alertmanager.address, "/-/ready").is_ok_and(|answer| answer.status == 200) {
                    return Ok(alertmanager);
                }
            }
            let ended = alertmanager.child.try_wait()?;
            if ended.is_some() || Instant::now() > deadline {
                bail!("it does not answer ({ended:?}): {}", fs::read_to_string(&log).unwrap_or_default());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Alertmanager {
    fn drop(&mut self) {
        // It may have ended before; then there is nothing to kill.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Has the Prometheus of the testbed in `directory` evaluate `rules`, the text of a file, twice a second, and tell
/// `alertmanager` (`127.0.0.1:port`).
///
/// # Errors
/// It does not run, or does not take the rules.
pub fn watch(directory: &Path, url: &str, rules: &str, alertmanager: &str) -> anyhow::Result<()> {
    let home = directory.join("prometheus");
    let file = home.join("prometheus.yml");
    fs::write(home.join("rules.yml"), rules)?;
    let text = fs::read_to_string(&file)?;
    let (global, rest) = text.split_once("scrape_configs:").context("the configuration scrapes")?;
    let global = global.replace("scrape_timeout", "evaluation_interval: 500ms, scrape_timeout");
    ensure!(global.contains("evaluation_interval"), "{global}");
    let mut changed = global;
    write!(
        changed,
        "rule_files: [rules.yml]\nalerting: {{alertmanagers: [{{static_configs: [{{targets: [\"{alertmanager}\"]}}]}}]}}\n\
         scrape_configs:{rest}"
    )?;
    fs::write(&file, changed)?;
    let processes = testbed::processes(directory);
    let (id, _) = processes
        .iter()
        .find(|(_, command)| command.contains("--config.file") && command.contains("prometheus"))
        .with_context(|| format!("Prometheus does not run: {processes:?}"))?;
    kill_process(Pid::from_raw(*id).context("a process has a number")?, Signal::HUP)?;
    let address = url.strip_prefix("http://").context("the address is one of HTTP")?;
    let deadline = Instant::now() + PATIENCE;
    loop {
        let answer = http::get(address, "/api/v1/rules")?;
        if answer.body.contains("\"alerting\"") {
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "the rules are not taken: {}", answer.body);
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// An alert on the front end `web` of the application `namespace` that fires since `starts_at` (RFC 3339).
pub fn firing(namespace: &str, name: &str, starts_at: &str) -> Value {
    json!({
        "status": "firing", "startsAt": starts_at, "endsAt": "0001-01-01T00:00:00Z",
        "labels": {"alertname": name, "namespace": namespace, "service": "web"},
    })
}

/// A notification of one group of alerts.
pub fn notification(alerts: impl IntoIterator<Item = Value>) -> Value {
    let alerts: Vec<Value> = alerts.into_iter().collect();
    json!({"version": "4", "groupKey": "{}:{}", "truncatedAlerts": 0, "status": "firing", "alerts": alerts})
}

/// Sends a notification to the walker whose HTTP port is at `address` (`127.0.0.1:port`).
///
/// # Errors
/// There is no answer.
pub fn notify(address: &str, body: impl AsRef<[u8]>) -> anyhow::Result<http::Answer> {
    http::post(address, "/api/v1/alerts", "content-type: application/json\r\n", body.as_ref())
}
