//! What a process takes from its machine, as the kernel counts it.

use std::{fmt, fs, time::Duration};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric as _},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
    registry::Unit,
};
use rustix::time::{ClockId, clock_gettime};

/// Reads the counters of the own process at each scrape; what the kernel does not tell is left out.
#[derive(Debug)]
pub(crate) struct ProcessUsage;

impl Collector for ProcessUsage {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let cpu = cpu_time(ClockId::ProcessCPUTime).as_secs_f64();
        ConstCounter::new(cpu).encode(encoder.encode_descriptor(
            "process_cpu",
            "Time on cores, of all threads, in user and kernel mode",
            Some(&Unit::Seconds),
            MetricType::Counter,
        )?)?;
        if let Some(bytes) = resident_bytes() {
            ConstGauge::new(bytes).encode(encoder.encode_descriptor(
                "process_resident_memory",
                "Memory that the process holds",
                Some(&Unit::Bytes),
                MetricType::Gauge,
            )?)?;
        }
        if let Some(bytes) = io_bytes() {
            ConstCounter::new(bytes).encode(encoder.encode_descriptor(
                "pymicro_io",
                "Bytes that the process read and wrote with read and write calls, from the page cache or from disk",
                Some(&Unit::Bytes),
                MetricType::Counter,
            )?)?;
        }
        Ok(())
    }
}

/// What a clock of cpu time tells, in nanoseconds' resolution: `/proc/self/stat` counts in steps of 10 ms, too coarse for a
/// scrape interval of a second.
pub(crate) fn cpu_time(clock: ClockId) -> Duration {
    let time = clock_gettime(clock);
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or_default())
}

fn resident_bytes() -> Option<i64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: i64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1024)
}

/// `rchar` and `wchar`: bytes that reached a disk (`read_bytes`) would be none for a data directory in memory, and few for
/// one that is cached.
fn io_bytes() -> Option<u64> {
    let table = fs::read_to_string("/proc/self/io").ok()?;
    let row = |name: &str| table.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<u64>().ok());
    row("rchar:")?.checked_add(row("wchar:")?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_move_with_what_the_process_does() {
        let (cpu, io) = (cpu_time(ClockId::ProcessCPUTime), io_bytes().unwrap());
        let held = vec![1_u8; 64_000_000];
        let path = std::env::temp_dir().join(format!("pymicro-usage-{}", std::process::id()));
        fs::write(&path, &held).unwrap();
        let read = fs::read(&path).unwrap();
        fs::remove_file(&path).unwrap();
        assert!(io_bytes().unwrap() - io >= 128_000_000);
        assert!(cpu_time(ClockId::ProcessCPUTime) > cpu);
        assert!(resident_bytes().unwrap() > 128_000_000);
        assert_eq!(read.len(), held.len());
    }
}
