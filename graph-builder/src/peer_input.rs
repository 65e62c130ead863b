//! What a peer needs to test pairs: the selected series of each metric type, named by its content.

use std::sync::OnceLock;

use automap_proto::{
    frame::MetricFrame,
    metric::{METRIC_COUNT, MetricKind},
    settings::Bins,
};
use ndarray::Array2;
use sha2::{Digest as _, Sha256};

use crate::{
    correlation::Correlation,
    discretise::Discretised,
    standardise::{Standardised, select},
};

/// The selected series of all metric types over the selected rows, and what the tests take of them once it was needed.
#[derive(Debug)]
pub struct PeerInput {
    hash: String,
    services: usize,
    selected: [Array2<f64>; METRIC_COUNT],
    correlations: [OnceLock<Correlation>; METRIC_COUNT],
    discretised: [[OnceLock<Discretised>; Bins::ALL.len()]; METRIC_COUNT],
}

impl PeerInput {
    /// Selects the given rows of `frame`.
    ///
    /// # Complexity
    /// O(services · rows).
    pub fn new(frame: &MetricFrame, rows: &[usize]) -> Self {
        let selected = MetricKind::ALL.map(|kind| select(frame, rows, kind));
        Self {
            hash: content_hash(frame.services(), &selected),
            services: frame.services().len(),
            selected,
            correlations: Default::default(),
            discretised: Default::default(),
        }
    }

    /// SHA-256, in hexadecimal, of all that the tests depend on: the names of the services in order, and the samples
    /// of their first series of each metric type over the selected rows, with one pattern for missing ones.
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// Services of the frame.
    pub const fn services(&self) -> usize {
        self.services
    }

    /// Memory that it takes, correlations and bins included, whether they are there yet or not. Bytes.
    pub fn bytes(&self) -> usize {
        let samples: usize = self.selected.iter().map(Array2::len).sum();
        let rows = self.selected.iter().map(Array2::ncols).max().unwrap_or(0);
        let planes = Bins::ALL.iter().fold(0, |sum: usize, bins| {
            sum.saturating_add(Discretised::bytes_for(self.services, rows, *bins))
        });
        samples
            .saturating_mul(size_of::<f64>())
            .saturating_add(Correlation::bytes_for(self.services).saturating_mul(METRIC_COUNT))
            .saturating_add(planes.saturating_mul(METRIC_COUNT))
    }

    /// Correlations of one metric type. `run` computes them when they are first asked for; it must not do so on a
    /// thread that may itself ask for them meanwhile, as rayon's workers may.
    pub(crate) fn correlation(
        &self,
        kind: MetricKind,
        run: impl FnOnce(&(dyn Fn() -> Correlation + Sync)) -> Correlation,
    ) -> &Correlation {
        let selected = &self.selected[kind.index()];
        self.correlations[kind.index()]
            .get_or_init(|| run(&|| Correlation::new(&Standardised::new(selected.clone()))))
    }

    /// The series of one metric type in bins, put into them when they are first asked for.
    pub(crate) fn discretised(&self, kind: MetricKind, bins: Bins) -> &Discretised {
        self.discretised[kind.index()][bins.index()]
            .get_or_init(|| Discretised::new(&Standardised::new(self.selected[kind.index()].clone()), bins))
    }
}

fn content_hash(services: &[String], selected: &[Array2<f64>]) -> String {
    let mut digest = Sha256::new();
    digest.update(b"automap peer input 1");
    digest.update((services.len() as u64).to_le_bytes());
    for service in services {
        digest.update((service.len() as u64).to_le_bytes());
        digest.update(service.as_bytes());
    }
    let mut bytes = Vec::new();
    for samples in selected {
        digest.update((samples.ncols() as u64).to_le_bytes());
        for series in samples.rows() {
            bytes.clear();
            for &value in series {
                let canonical = if value.is_nan() { f64::NAN } else { value };
                bytes.extend_from_slice(&canonical.to_bits().to_le_bytes());
            }
            digest.update(&bytes);
        }
    }
    digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;
    use crate::test_frames::{frame_of, key};

    fn frame(names: [&str; 2], last: f64) -> MetricFrame {
        let series = names.map(|name| key(name, MetricKind::Cpu, "cpu"));
        frame_of(series.to_vec(), array![[1.0, 2.0, 3.0], [4.0, f64::NAN, last]])
    }

    #[test]
    fn the_hash_names_content_and_nothing_else() {
        let hash = |frame: &MetricFrame, rows: &[usize]| PeerInput::new(frame, rows).hash().to_owned();
        let one = hash(&frame(["a", "b"], 6.0), &[0, 1, 2]);
        assert_eq!(one.len(), 64);
        assert_eq!(one, hash(&frame(["a", "b"], 6.0), &[0, 1, 2]));
        assert_eq!(hash(&frame(["a", "b"], 6.0), &[0, 1]), hash(&frame(["a", "b"], 9.0), &[0, 1]));
        for other in [
            hash(&frame(["a", "b"], 7.0), &[0, 1, 2]),
            hash(&frame(["a", "c"], 6.0), &[0, 1, 2]),
            hash(&frame(["a", "b"], 6.0), &[0, 1]),
            hash(&frame(["b", "a"], 6.0), &[0, 1, 2]),
        ] {
            assert_ne!(one, other);
        }
    }
}
