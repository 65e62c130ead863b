//! The state of harm of a process and of a network: what a fault asks of them. Nothing of it is the healthy state.

use serde::{Deserialize, Serialize};

/// What a process of a service does besides its work. All zero: nothing.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct ProcessConditions {
    /// It holds so much more memory, in 10⁶ bytes.
    pub(crate) memory_megabytes: u64,
    /// It computes on so many cores, less than one, and does nothing else meanwhile.
    pub(crate) cpu_cores: f64,
    /// Its disk.
    pub(crate) disk: DiskConditions,
    /// It answers this share of its requests with status 500.
    pub(crate) error_share: f64,
}

/// What happens on the disk of a service besides its work.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct DiskConditions {
    /// How long each read and each write of the service waits, in milliseconds.
    pub(crate) delay_ms: f64,
    /// What is written besides, in 10⁶ bytes per second; as much is read.
    pub(crate) megabytes_per_second: f64,
}

/// What happens to what a service sends. All zero: nothing.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct NetworkConditions {
    /// It comes so many milliseconds later.
    pub(crate) latency_ms: f64,
    /// The latency is off by at most so many milliseconds, uniformly.
    pub(crate) jitter_ms: f64,
    /// The probability that a piece is lost and must be sent again.
    pub(crate) loss: f64,
}

impl ProcessConditions {
    /// Whether a process can be in this state.
    pub(crate) fn is_possible(&self) -> bool {
        self.memory_megabytes <= 4096
            && (0.0..=0.95).contains(&self.cpu_cores)
            && (0.0..=10_000.0).contains(&self.disk.delay_ms)
            && (0.0..=200.0).contains(&self.disk.megabytes_per_second)
            && (0.0..=1.0).contains(&self.error_share)
    }
}

impl NetworkConditions {
    /// Whether a network can be in this state.
    pub(crate) fn is_possible(&self) -> bool {
        (0.0..=10_000.0).contains(&self.latency_ms)
            && (0.0..=self.latency_ms).contains(&self.jitter_ms)
            && (0.0..=0.9).contains(&self.loss)
    }
}
