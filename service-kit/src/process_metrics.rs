//! What a process takes from its machine, under the names that every exporter uses.

use std::{fmt, fs, time::SystemTime};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric as _, MetricEncoder},
    metrics::{MetricType, gauge::ConstGauge},
    registry::{Registry, Unit},
};

/// Reads `/proc/self` at each scrape; what it does not tell is left out.
#[derive(Debug)]
struct ProcessMetrics {
    started: f64,
}

/// Registers the metrics of this process and its build.
pub fn register(registry: &mut Registry, role: &str) {
    let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    registry.register_collector(Box::new(ProcessMetrics { started: since_epoch.as_secs_f64() }));
    let build = [
        ("version", env!("CARGO_PKG_VERSION").to_owned()),
        ("role", role.to_owned()),
        ("os", std::env::consts::OS.to_owned()),
        ("arch", std::env::consts::ARCH.to_owned()),
    ];
    registry.register(
        "automap_build",
        "The running build",
        prometheus_client::metrics::info::Info::new(build.to_vec()),
    );
}

impl Collector for ProcessMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let started = ConstGauge::new(self.started);
        started.encode(encoder.encode_descriptor(
            "process_start_time",
            "When the service began, since the epoch",
            Some(&Unit::Seconds),
            MetricType::Gauge,
        )?)?;
        if let Some(bytes) = resident_bytes() {
            ConstGauge::new(bytes).encode(encoder.encode_descriptor(
                "process_resident_memory",
                "Memory that the process holds",
                Some(&Unit::Bytes),
                MetricType::Gauge,
            )?)?;
        }
        if let Ok(descriptors) = fs::read_dir("/proc/self/fd") {
            let open = ConstGauge::new(i64::try_from(descriptors.count()).unwrap_or(i64::MAX));
            let into: MetricEncoder<'_> = encoder.encode_descriptor(
                "process_open_fds",
                "Open file descriptors",
                None,
                MetricType::Gauge,
            )?;
            open.encode(into)?;
        }
        Ok(())
    }
}

fn resident_bytes() -> Option<i64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: i64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::text::encode;

    use super::*;

    #[test]
    fn the_build_and_the_process_are_told() {
        let mut registry = Registry::default();
        register(&mut registry, "walker");
        let mut text = String::new();
        encode(&mut text, &registry).unwrap();
        let build = format!("automap_build_info{{version=\"{}\",role=\"walker\",", env!("CARGO_PKG_VERSION"));
        assert!(text.contains(&build), "{text}");
        let value = |name: &str| -> f64 {
            let line = text.lines().find_map(|line| line.strip_prefix(&format!("{name} ")));
            line.unwrap_or_else(|| panic!("{name} is missing in\n{text}")).parse().unwrap()
        };
        assert!(value("process_resident_memory_bytes") > 1e6);
        assert!(value("process_start_time_seconds") > 1e9);
        assert!(value("process_open_fds") >= 3.0);
    }
}
