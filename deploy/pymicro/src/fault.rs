//! What can go wrong with a service, on purpose.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::conditions::{DiskConditions, NetworkConditions, ProcessConditions};

/// A fault with its strength. As JSON or TOML it is a table with `kind`, the name of the fault; strengths that are left out
/// are those of its manifest.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Fault {
    /// The process holds so much more memory.
    MemoryStress {
        /// 10⁶ bytes.
        #[serde(default = "usual::megabytes")]
        megabytes: u64,
    },
    /// The process is killed at once and not started again until the fault is healed.
    PodKill {},
    /// Something else computes within the cpu that the service may take, and the service waits for its share as a
    /// container does that is at its limit.
    CpuStress {
        /// Cores, less than one.
        #[serde(default = "usual::cores")]
        cores: f64,
    },
    /// Something else writes to the disk of the service and reads from it, and what the service reads and writes waits.
    IoStress {
        /// How long each read and each write of the service waits, in milliseconds.
        #[serde(default = "usual::disk_delay")]
        delay_ms: f64,
        /// What is written besides, in 10⁶ bytes per second; as much is read.
        #[serde(default = "usual::disk_rate")]
        megabytes_per_second: f64,
    },
    /// What the service sends, to callers and to those it calls, comes later.
    NetworkDelay {
        /// Milliseconds.
        #[serde(default = "usual::latency")]
        latency_ms: f64,
        /// The latency is off by at most so many milliseconds, uniformly.
        #[serde(default = "usual::jitter")]
        jitter_ms: f64,
    },
    /// A share of what the service sends is lost and sent again.
    NetworkLoss {
        /// Between 0 and 1.
        #[serde(default = "usual::loss")]
        share: f64,
    },
    /// The service answers a share of its requests with status 500.
    HttpErrors {
        /// Between 0 and 1.
        #[serde(default = "usual::errors")]
        share: f64,
    },
}

/// Strengths of the manifests in `deploy/chaos`, and the container's limits in `deploy/pymicro`.
mod usual {
    pub(super) const fn megabytes() -> u64 {
        160
    }
    pub(super) const fn cores() -> f64 {
        0.5
    }
    pub(super) const fn disk_delay() -> f64 {
        50.0
    }
    pub(super) const fn disk_rate() -> f64 {
        4.0
    }
    pub(super) const fn latency() -> f64 {
        100.0
    }
    pub(super) const fn jitter() -> f64 {
        20.0
    }
    pub(super) const fn loss() -> f64 {
        0.2
    }
    pub(super) const fn errors() -> f64 {
        1.0
    }
}

/// A fault without its strength.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FaultKind {
    /// [`Fault::MemoryStress`].
    MemoryStress,
    /// [`Fault::PodKill`].
    PodKill,
    /// [`Fault::CpuStress`].
    CpuStress,
    /// [`Fault::IoStress`].
    IoStress,
    /// [`Fault::NetworkDelay`].
    NetworkDelay,
    /// [`Fault::NetworkLoss`].
    NetworkLoss,
    /// [`Fault::HttpErrors`].
    HttpErrors,
}

impl FaultKind {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::MemoryStress,
        Self::PodKill,
        Self::CpuStress,
        Self::IoStress,
        Self::NetworkDelay,
        Self::NetworkLoss,
        Self::HttpErrors,
    ];

    /// The name, such as `network-delay`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::MemoryStress => "memory-stress",
            Self::PodKill => "pod-kill",
            Self::CpuStress => "cpu-stress",
            Self::IoStress => "io-stress",
            Self::NetworkDelay => "network-delay",
            Self::NetworkLoss => "network-loss",
            Self::HttpErrors => "http-errors",
        }
    }

    /// The fault of this kind in the strength of its manifest.
    pub const fn usual(self) -> Fault {
        match self {
            Self::MemoryStress => Fault::MemoryStress { megabytes: usual::megabytes() },
            Self::PodKill => Fault::PodKill {},
            Self::CpuStress => Fault::CpuStress { cores: usual::cores() },
            Self::IoStress => {
                Fault::IoStress { delay_ms: usual::disk_delay(), megabytes_per_second: usual::disk_rate() }
            }
            Self::NetworkDelay => {
                Fault::NetworkDelay { latency_ms: usual::latency(), jitter_ms: usual::jitter() }
            }
            Self::NetworkLoss => Fault::NetworkLoss { share: usual::loss() },
            Self::HttpErrors => Fault::HttpErrors { share: usual::errors() },
        }
    }
}

impl fmt::Display for FaultKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl FromStr for FaultKind {
    type Err = InvalidFault;

    fn from_str(name: &str) -> Result<Self, InvalidFault> {
        Self::ALL.into_iter().find(|kind| kind.name() == name).ok_or_else(|| {
            let known = Self::ALL.map(Self::name).join(", ");
            InvalidFault(format!("`{name}` is no fault: name one of {known}"))
        })
    }
}

/// A fault that cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidFault(String);

impl Fault {
    /// Its kind.
    pub const fn kind(&self) -> FaultKind {
        match self {
            Self::MemoryStress { .. } => FaultKind::MemoryStress,
            Self::PodKill {} => FaultKind::PodKill,
            Self::CpuStress { .. } => FaultKind::CpuStress,
            Self::IoStress { .. } => FaultKind::IoStress,
            Self::NetworkDelay { .. } => FaultKind::NetworkDelay,
            Self::NetworkLoss { .. } => FaultKind::NetworkLoss,
            Self::HttpErrors { .. } => FaultKind::HttpErrors,
        }
    }

    /// The name of its kind, such as `network-delay`.
    pub const fn name(&self) -> &'static str {
        self.kind().name()
    }

    /// The manifest of Chaos Mesh that does the same in a cluster: a file of `deploy/chaos`.
    ///
    /// A killed process stays away until it is healed; `pod-kill.yaml` itself lets the Deployment start another within
    /// seconds, which is over before most diagnoses.
    pub const fn manifest(&self) -> &'static str {
        match self {
            Self::MemoryStress { .. } => "memory-stress.yaml",
            Self::PodKill {} => "pod-failure.yaml",
            Self::CpuStress { .. } => "cpu-stress.yaml",
            Self::IoStress { .. } => "io-stress.yaml",
            Self::NetworkDelay { .. } => "network-delay.yaml",
            Self::NetworkLoss { .. } => "network-loss.yaml",
            Self::HttpErrors { .. } => "http-errors.yaml",
        }
    }

    /// The metric type that a diagnosis should name, by its name in AutoMAP.
    pub const fn metric(&self) -> &'static str {
        match self {
            Self::MemoryStress { .. } => "memory",
            Self::CpuStress { .. } => "cpu",
            Self::IoStress { .. } => "io",
            Self::NetworkDelay { .. } | Self::NetworkLoss { .. } => "latency",
            Self::PodKill {} | Self::HttpErrors { .. } => "availability",
        }
    }

    /// Checks its strengths.
    ///
    /// # Errors
    /// A strength is not a number, is nothing, or is more than a testbed on one machine bears; the message names it.
    pub fn validate(&self) -> Result<(), InvalidFault> {
        let within = |field: &str, value: f64, low: f64, high: f64| {
            if value >= low && value <= high {
                return Ok(());
            }
            let name = self.name();
            Err(InvalidFault(format!("{field} of {name} is {value}: give a number from {low} to {high}")))
        };
        match *self {
            Self::MemoryStress { megabytes: 1..=4096 } | Self::PodKill {} => Ok(()),
            Self::MemoryStress { megabytes } => Err(InvalidFault(format!(
                "megabytes of memory-stress is {megabytes}: give a number from 1 to 4096"
            ))),
            Self::CpuStress { cores } => within("cores", cores, 0.05, 0.95),
            Self::IoStress { delay_ms, megabytes_per_second } => {
                within("delay_ms", delay_ms, 0.0, 10_000.0)?;
                within("megabytes_per_second", megabytes_per_second, 0.0, 200.0)?;
                within(
                    "the sum of delay_ms and megabytes_per_second",
                    delay_ms + megabytes_per_second,
                    0.1,
                    1e5,
                )
            }
            Self::NetworkDelay { latency_ms, jitter_ms } => {
                within("latency_ms", latency_ms, 1.0, 10_000.0)?;
                within("jitter_ms", jitter_ms, 0.0, latency_ms)
            }
            Self::NetworkLoss { share } => within("share", share, 0.01, 0.9),
            Self::HttpErrors { share } => within("share", share, 0.01, 1.0),
        }
    }

    /// What a process has to do when the fault is in its own process.
    pub(crate) fn in_process(&self) -> Option<ProcessConditions> {
        let well = ProcessConditions::default();
        match *self {
            Self::MemoryStress { megabytes } => {
                Some(ProcessConditions { memory_megabytes: megabytes, ..well })
            }
            Self::CpuStress { cores } => Some(ProcessConditions { cpu_cores: cores, ..well }),
            Self::IoStress { delay_ms, megabytes_per_second } => {
                Some(ProcessConditions { disk: DiskConditions { delay_ms, megabytes_per_second }, ..well })
            }
            Self::HttpErrors { share } => Some(ProcessConditions { error_share: share, ..well }),
            Self::PodKill {} | Self::NetworkDelay { .. } | Self::NetworkLoss { .. } => None,
        }
    }

    /// What the proxy has to do when the fault is in the network.
    pub(crate) fn in_network(&self) -> Option<NetworkConditions> {
        let well = NetworkConditions::default();
        match *self {
            Self::NetworkDelay { latency_ms, jitter_ms } => {
                Some(NetworkConditions { latency_ms, jitter_ms, ..well })
            }
            Self::NetworkLoss { share } => Some(NetworkConditions { loss: share, ..well }),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_fault_of_each_kind_is_read_from_its_name_alone() {
        for kind in FaultKind::ALL {
            let fault: Fault = serde_json::from_str(&format!("{{\"kind\":\"{kind}\"}}")).unwrap();
            assert_eq!(fault, kind.usual());
            assert_eq!((fault.kind(), kind.name().parse()), (kind, Ok(kind)));
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.name());
            fault.validate().unwrap();
            let written = serde_json::to_string(&fault).unwrap();
            assert_eq!(serde_json::from_str::<Fault>(&written).unwrap(), fault);
        }
    }

    #[test]
    fn each_fault_happens_in_one_place() {
        for kind in FaultKind::ALL {
            let fault = kind.usual();
            let places =
                usize::from(fault.in_process().is_some()) + usize::from(fault.in_network().is_some());
            assert_eq!(places, usize::from(kind != FaultKind::PodKill), "{kind}");
        }
    }

    #[test]
    fn misspelt_and_senseless_strengths_are_refused_by_name() {
        let misspelt: Result<Fault, _> = serde_json::from_str(r#"{"kind":"network-loss","shares":0.2}"#);
        assert!(misspelt.unwrap_err().to_string().contains("shares"));
        for (fault, field) in [
            (Fault::MemoryStress { megabytes: 0 }, "megabytes"),
            (Fault::CpuStress { cores: f64::NAN }, "cores"),
            (Fault::IoStress { delay_ms: 0.0, megabytes_per_second: 0.0 }, "delay_ms"),
            (Fault::NetworkDelay { latency_ms: 10.0, jitter_ms: 20.0 }, "jitter_ms"),
            (Fault::NetworkLoss { share: 1.0 }, "share"),
            (Fault::HttpErrors { share: 1.5 }, "share"),
        ] {
            assert!(fault.validate().unwrap_err().to_string().contains(field), "{fault:?}");
        }
        assert!("netwerk".parse::<FaultKind>().unwrap_err().to_string().contains("network-delay"));
    }

    #[test]
    fn every_fault_names_a_manifest_that_is_there() {
        let chaos = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../chaos");
        for kind in FaultKind::ALL {
            let path = chaos.join(kind.usual().manifest());
            assert!(path.is_file(), "{}", path.display());
        }
    }
}
