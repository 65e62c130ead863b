//! A process that dies with its parent.

use std::{
    ffi::OsString,
    os::unix::process::{CommandExt as _, parent_id},
    process::Command,
};

use anyhow::{Context as _, bail};
use rustix::process::{Signal, set_parent_process_death_signal};

/// Becomes `program`, which the kernel kills as soon as the thread that started this process ends, be it by SIGKILL.
///
/// # Errors
/// `parent` is gone already, or the program cannot be started. Else this does not return.
pub fn tie(parent: u32, program: &OsString, arguments: &[OsString]) -> anyhow::Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL)).context("cannot be tied to the parent")?;
    // It may have died before it was asked for.
    if parent_id() != parent {
        bail!("process {parent}, which wanted {} started, is gone", program.display());
    }
    let error = Command::new(program).args(arguments).exec();
    Err(error).with_context(|| format!("cannot start {}", program.display()))
}
