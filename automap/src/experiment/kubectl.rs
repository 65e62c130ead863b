//! Running kubectl.

use std::{ffi::OsString, path::PathBuf, process::Stdio, time::Duration};

use anyhow::{Context as _, bail, ensure};
use tokio::{io::AsyncWriteExt as _, process::Command};

/// How much longer than it was told a kubectl may take before it counts as hung.
const GRACE: Duration = Duration::from_secs(30);

/// kubectl, with what every call says.
#[derive(Debug, Clone)]
pub struct Kubectl {
    /// The program.
    pub program: PathBuf,
    /// Context of the configuration; the current one when absent.
    pub context: Option<String>,
    /// Namespace of the application.
    pub namespace: String,
}

impl Kubectl {
    /// Runs kubectl with `arguments` and `input` on its standard input; answers its standard output.
    ///
    /// `patience` is how long the call itself may wait, as its arguments say.
    ///
    /// # Errors
    /// kubectl cannot be started, hangs, or fails; the message has what it said.
    pub async fn run(
        &self,
        arguments: &[&str],
        input: Option<&[u8]>,
        patience: Duration,
    ) -> anyhow::Result<String> {
        let name = format!("kubectl {}", arguments.join(" "));
        let mut command = Command::new(&self.program);
        command.arg("--namespace").arg(&self.namespace);
        if let Some(context) = &self.context {
            command.arg("--context").arg(context);
        }
        command.args(arguments.iter().map(OsString::from));
        command.stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() });
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        // Ctrl-C on a terminal is for the experiment, which then needs kubectl to remove its faults.
        #[cfg(unix)]
        command.process_group(0);
        let mut child = command.spawn().with_context(|| {
            format!("cannot start {}; name kubectl with --kubectl", self.program.display())
        })?;
        if let (Some(text), Some(mut stdin)) = (input, child.stdin.take()) {
            stdin.write_all(text).await.with_context(|| format!("{name} does not read"))?;
        }
        let Ok(ended) = tokio::time::timeout(patience + GRACE, child.wait_with_output()).await else {
            bail!("{name} did not end within {} s", (patience + GRACE).as_secs());
        };
        let output = ended.with_context(|| format!("{name} was lost"))?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{name} failed: {}", said.trim());
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}
