//! What a computation costs: time on the clock, time on cores, memory.

use std::{fs, time::Duration, time::Instant};

use rustix::time::{ClockId, clock_gettime};

/// The cost of one computation in this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Cost {
    /// On the clock.
    pub wall: Duration,
    /// On cores, of all threads of the process.
    pub cpu: Duration,
}

/// Runs `compute` and measures it.
pub fn measure<T>(compute: impl FnOnce() -> T) -> (T, Cost) {
    let (wall, cpu) = (Instant::now(), cpu_time());
    let answer = compute();
    let cost = Cost { wall: wall.elapsed(), cpu: cpu_time().saturating_sub(cpu) };
    (answer, cost)
}

/// Time that all threads of this process spent on cores.
pub fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// Runs `compute` and answers how much the memory of the process grew above what it held before, at its peak, in bytes;
/// `None` where the system does not tell, as outside Linux.
pub fn peak_memory<T>(compute: impl FnOnce() -> T) -> (T, Option<u64>) {
    let reset = reset_peak();
    let before = resident();
    let answer = compute();
    let peak = peak();
    (answer, reset.then(|| Some(peak?.saturating_sub(before?))).flatten())
}

/// Begins a new peak at what is held now; false where the system cannot.
pub fn reset_peak() -> bool {
    fs::write("/proc/self/clear_refs", "5").is_ok()
}

/// What this process held at most since its peak began, bytes; `None` where the system does not tell.
pub fn peak() -> Option<u64> {
    memory("VmHWM:")
}

/// What this process holds in memory now, bytes; `None` where the system does not tell.
pub fn resident() -> Option<u64> {
    memory("VmRSS:")
}

/// A line of the process' status, in bytes.
fn memory(name: &str) -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_takes_time_on_a_core_and_memory_is_seen() {
        let (sum, cost) =
            measure(|| (0..20_000_000_u64).fold(0, |sum, term| sum ^ term.wrapping_mul(sum | 1)));
        assert_ne!(sum, 1);
        assert!(cost.cpu > Duration::ZERO && cost.wall > Duration::ZERO);
        let (kept, peak) = peak_memory(|| vec![1_u8; 64 << 20]);
        assert_eq!(kept.len(), 64 << 20);
        if cfg!(target_os = "linux") {
            assert!(peak.is_some_and(|bytes| bytes > 48 << 20), "{peak:?}");
        }
    }
}
