//! How much memory this process needed at most, as Linux tells.

/// Forgets the peak so far, so that the next one is that of what follows. Without effect where the system does not
/// allow it; then peaks only rise.
pub fn reset() {
    // 5 resets the peak of the resident set, see proc(5).
    std::fs::write("/proc/self/clear_refs", "5").ok();
}

/// The largest resident set since the last reset, bytes. `None` where the system does not tell.
pub fn peak_bytes() -> Option<u64> {
    peak_in(&std::fs::read_to_string("/proc/self/status").ok()?)
}

fn peak_in(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peak_is_read_in_kibibytes() {
        assert_eq!(peak_in("Name:\tautomap\nVmHWM:\t    2048 kB\nVmRSS:\t 1 kB\n"), Some(2048 * 1024));
        assert_eq!(peak_in("Name:\tautomap\n"), None);
    }
}
