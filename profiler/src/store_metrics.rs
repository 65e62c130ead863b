//! What the store takes of its volume, looked up at each scrape.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric as _},
    metrics::{MetricType, gauge::ConstGauge},
    registry::{Registry, Unit},
};

/// Sizes of the store at a path; what the system does not tell is left out.
#[derive(Debug)]
struct StoreMetrics {
    path: PathBuf,
    reserve_mib: u64,
}

/// Registers the metrics of the store at `path`, of which `reserve_mib` are kept free.
pub(crate) fn register(path: &Path, reserve_mib: u64, registry: &mut Registry) {
    registry.register_collector(Box::new(StoreMetrics { path: path.to_owned(), reserve_mib }));
}

impl Collector for StoreMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let mut gauge = |name: &str, help: &str, bytes: u64| {
            let descriptor = encoder.encode_descriptor(name, help, Some(&Unit::Bytes), MetricType::Gauge)?;
            ConstGauge::new(i64::try_from(bytes).unwrap_or(i64::MAX)).encode(descriptor)
        };
        if let Ok(taken) = taken(&self.path) {
            gauge("automap_store_size", "What the files of the store take", taken)?;
        }
        if let Ok(volume) = rustix::fs::statvfs(&self.path) {
            let free = volume.f_bavail.saturating_mul(volume.f_frsize);
            gauge("automap_store_free", "What is free on the volume of the store", free)?;
        }
        let reserve = self.reserve_mib.saturating_mul(1 << 20);
        gauge("automap_store_reserve", "What must stay free for the store to take changes", reserve)
    }
}

/// Bytes of the files below `path`; links are not followed.
fn taken(path: &Path) -> std::io::Result<u64> {
    let mut sum = 0_u64;
    let mut directories = vec![path.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            // A file that the engine has removed meanwhile takes nothing.
            let Ok(found) = entry.metadata() else { continue };
            if found.is_dir() {
                directories.push(entry.path());
            } else if found.is_file() {
                sum = sum.saturating_add(found.len());
            }
        }
    }
    Ok(sum)
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::text::encode;

    use super::*;

    #[test]
    fn files_of_all_directories_count_and_a_path_that_is_gone_has_no_size() {
        let home = tempfile::tempdir().unwrap();
        fs::create_dir(home.path().join("engine")).unwrap();
        fs::write(home.path().join("journal"), [0; 1000]).unwrap();
        fs::write(home.path().join("engine/db"), [0; 500]).unwrap();
        let told = |path: &Path| {
            let (mut registry, mut text) = (Registry::default(), String::new());
            register(path, 64, &mut registry);
            encode(&mut text, &registry).unwrap();
            text
        };
        let text = told(home.path());
        assert!(text.contains("automap_store_size_bytes 1500\n"), "{text}");
        assert!(text.contains("automap_store_reserve_bytes 67108864\n"), "{text}");
        assert!(text.contains("automap_store_free_bytes "), "{text}");
        let text = told(&home.path().join("gone"));
        assert!(
            !text.contains("automap_store_size_bytes") && text.contains("automap_store_reserve"),
            "{text}"
        );
    }
}
