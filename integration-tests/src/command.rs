//! The command `automap`, run to its end.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    time::Duration,
};

use anyhow::{Context as _, ensure};

/// How long a command may run.
const PATIENCE: Duration = Duration::from_secs(300);

/// Path of the command that cargo built beside this test.
///
/// # Errors
/// It was not built: run the tests of the whole workspace.
pub fn binary() -> anyhow::Result<PathBuf> {
    let test = std::env::current_exe().context("a test knows its own path")?;
    let directory = test.ancestors().nth(2).context("tests lie in deps below the profile's directory")?;
    let path = directory.join("automap");
    ensure!(
        path.is_file(),
        "{} is missing: run `cargo test --release --workspace`, which builds it",
        path.display()
    );
    Ok(path)
}

/// How a command ended.
#[derive(Debug, Clone)]
pub struct Ended {
    /// Its exit code; -1 when a signal ended it.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// A command with an environment that does not depend on the machine: its home is `home`.
///
/// # Errors
/// The command was not built.
pub fn automap(home: &Path) -> anyhow::Result<Command> {
    automap_behind::<&str>(&[], home)
}

/// The same with words before it, such as those that let it run on another host.
///
/// # Errors
/// The command was not built.
pub fn automap_behind<S: AsRef<OsStr>>(words: &[S], home: &Path) -> anyhow::Result<Command> {
    let binary = binary()?;
    let mut command = match words {
        [] => Command::new(binary),
        [program, words @ ..] => {
            let mut command = Command::new(program);
            command.args(words).arg(binary);
            command
        }
    };
    command
        .env_clear()
        .env("HOME", home)
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .current_dir(home)
        .stdin(Stdio::null());
    Ok(command)
}

/// Runs `automap` with `arguments` to its end.
///
/// # Errors
/// The command was not built, cannot be started or does not end: a command that wrongly serves must fail its test.
pub fn run<S: AsRef<OsStr>>(home: &Path, arguments: &[S]) -> anyhow::Result<Ended> {
    ended(assert_cmd::Command::from_std(given(home, arguments)?))
}

/// Runs `automap` with `arguments` to its end, with `input` on its standard input, through a pipe.
///
/// # Errors
/// As of [`run`].
pub fn run_with_input<S: AsRef<OsStr>>(
    home: &Path,
    arguments: &[S],
    input: impl Into<Vec<u8>>,
) -> anyhow::Result<Ended> {
    let mut command = assert_cmd::Command::from_std(given(home, arguments)?);
    command.write_stdin(input);
    ended(command)
}

fn given<S: AsRef<OsStr>>(home: &Path, arguments: &[S]) -> anyhow::Result<Command> {
    let mut command = automap(home)?;
    command.args(arguments);
    Ok(command)
}

fn ended(mut command: assert_cmd::Command) -> anyhow::Result<Ended> {
    let output = command.timeout(PATIENCE).output().context("cannot start automap")?;
    ensure!(
        output.status.code().is_some(),
        "automap did not end by itself ({}): {}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(output.into())
}
