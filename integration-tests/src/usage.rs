//! What a process takes, as Linux tells.

use std::{fs, time::Duration};

use anyhow::Context as _;

/// A tick of `/proc/PID/stat`, which counts a hundred a second whatever the kernel does inside.
const TICK: Duration = Duration::from_millis(10);

/// Time that all threads of a process spent on cores so far.
///
/// # Errors
/// The process is gone.
pub fn cpu_time(process: u32) -> anyhow::Result<Duration> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat"))?;
    // The name of the process, in parentheses, may hold anything.
    let (_, fields) = stat.rsplit_once(')').context("the line has no name")?;
    let ticks: u32 = fields
        .split_whitespace()
        // Time in the program and time in the kernel, fields 14 and 15 of the whole line.
        .skip(11)
        .take(2)
        .map(str::parse::<u32>)
        .sum::<Result<u32, _>>()?;
    Ok(TICK * ticks)
}

/// Resident memory of a process now and at its peak, bytes.
///
/// # Errors
/// The process is gone.
pub fn memory(process: u32) -> anyhow::Result<(u64, u64)> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let bytes = |name: &str| -> anyhow::Result<u64> {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let kibibytes = line.and_then(|line| line.trim().strip_suffix(" kB"));
        Ok(kibibytes.with_context(|| format!("no {name}"))?.trim().parse::<u64>()? << 10)
    };
    Ok((bytes("VmRSS:")?, bytes("VmHWM:")?))
}

/// What each thread of a process does, for errors that cannot be repeated: its name, its state and where it waits in the
/// kernel.
pub(crate) fn threads(process: u32) -> String {
    let directory = format!("/proc/{process}/task");
    let read = |path: std::path::PathBuf| fs::read_to_string(path).unwrap_or_default().trim().to_owned();
    let mut all = Vec::new();
    for thread in fs::read_dir(directory).into_iter().flatten().flatten() {
        let stat = read(thread.path().join("stat"));
        let state = stat.rsplit_once(") ").map_or("", |(_, rest)| rest.split(' ').next().unwrap_or_default());
        let (name, waits) = (read(thread.path().join("comm")), read(thread.path().join("wchan")));
        all.push(format!("{name} {state} {waits}"));
    }
    all.sort();
    all.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_and_memory_of_this_process_are_seen() {
        let own = std::process::id();
        let before = cpu_time(own).unwrap();
        let mut sum = 1_u64;
        while cpu_time(own).unwrap() < before + 3 * TICK {
            sum = (0..100_000_u64).fold(sum, |sum, term| sum ^ term.wrapping_mul(sum | 1));
        }
        let (now, peak) = memory(own).unwrap();
        assert!(now > 1 << 20 && peak >= now, "{now} {peak} {sum}");
        assert!(!threads(own).is_empty() && threads(u32::MAX).is_empty());
        assert!(cpu_time(u32::MAX).is_err() && memory(u32::MAX).is_err());
    }
}
