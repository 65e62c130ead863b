//! What a peer needs to test pairs: the selected series of each metric type, named by its content.

use std::sync::{Arc, Mutex, PoisonError};

use automap_proto::{
    frame::MetricFrame,
    invalid::Invalid,
    load_removal::LoadRemoval,
    metric::{METRIC_COUNT, MetricKind},
    settings::{Bins, CiTest, GraphSettings},
    time::{TimeGrid, UnixMillis},
};
use ndarray::{Array2, ArrayView1, Axis};
use sha2::{Digest as _, Sha256};

use crate::{
    bootstrap::Resampled, correlation::Correlation, discretise::Discretised, load_removal::Load,
    prepared::Prepared, standardise::select,
};

/// The selected series of all metric types over the selected rows, and what the tests take of them once it was needed.
#[derive(Debug)]
pub struct PeerInput {
    hash: String,
    services: Vec<String>,
    selected: [Array2<f64>; METRIC_COUNT],
    /// As it was asked for last, of each metric type.
    prepared: [Mutex<Option<Kept>>; METRIC_COUNT],
}

/// What was prepared, and for what.
type Kept = (Wish, Arc<Prepared>);

/// All that [`Prepared`] depends on beside the series.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Wish {
    ci_test: CiTest,
    bins: Bins,
    load_removal: LoadRemoval,
    load_service: String,
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
            services: frame.services().to_vec(),
            selected,
            prepared: Default::default(),
        }
    }

    /// SHA-256, in hexadecimal, of all that the tests depend on: the names of the services in order, and the samples
    /// of their first series of each metric type over the selected rows, with one pattern for missing ones.
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// Services of the frame.
    pub const fn services(&self) -> usize {
        self.services.len()
    }

    /// Memory that it takes, what is prepared for tests included, whether it is there yet or not. Bytes.
    pub fn bytes(&self) -> usize {
        Self::bytes_for(self.services(), self.selected[0].ncols())
    }

    /// The same of any input of so many services and rows.
    pub fn bytes_for(services: usize, rows: usize) -> usize {
        let samples = services.saturating_mul(rows).saturating_mul(size_of::<f64>());
        let tables = Discretised::bytes_for(services, rows, Bins::Five);
        let prepared = Correlation::bytes_for(services).max(tables);
        samples.saturating_add(prepared).saturating_mul(METRIC_COUNT)
    }

    /// One metric type made ready for the test of `settings`. `run` prepares it when it is first asked for with such
    /// settings; it must not do so on a thread that may itself ask for it meanwhile, as rayon's workers may.
    pub(crate) fn prepared(
        &self,
        kind: MetricKind,
        settings: &GraphSettings,
        run: impl FnOnce(&(dyn Fn() -> Prepared + Sync)) -> Prepared,
    ) -> Arc<Prepared> {
        let wish = Wish {
            ci_test: settings.ci_test(),
            bins: settings.bins(),
            load_removal: settings.load_removal(),
            load_service: settings.load_service().to_owned(),
        };
        let mut kept = self.prepared[kind.index()].lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((known, prepared)) = &*kept
            && *known == wish
        {
            return Arc::clone(prepared);
        }
        let load = self.load_of(settings, |series| series.to_vec());
        let selected = &self.selected[kind.index()];
        let prepared = Arc::new(run(&|| Prepared::new(selected.clone(), &load, settings)));
        *kept = Some((wish, Arc::clone(&prepared)));
        prepared
    }

    /// The load, where `take` takes the wanted rows of its series.
    fn load_of(&self, settings: &GraphSettings, take: impl FnOnce(ArrayView1<'_, f64>) -> Vec<f64>) -> Load {
        Load::new(settings.load_removal(), || {
            let service =
                self.services.binary_search_by(|name| name.as_str().cmp(settings.load_service())).ok()?;
            Some(take(self.selected[MetricKind::Throughput.index()].row(service)))
        })
    }
}

impl Resampled for PeerInput {
    fn rows(&self) -> usize {
        self.selected[0].ncols()
    }

    fn series(&self, metric: MetricKind, positions: &[usize]) -> Array2<f64> {
        self.selected[metric.index()].select(Axis(1), positions)
    }

    fn load(&self, settings: &GraphSettings, positions: &[usize]) -> Load {
        self.load_of(settings, |series| positions.iter().map(|&position| series[position]).collect())
    }
}

/// What a peer needs of `frame`: the first series of each metric type of every service over the given rows. The input of
/// all its rows has the hash of the input of those rows of the frame.
///
/// # Errors
/// There is no row.
pub(crate) fn peer_frame(frame: &MetricFrame, rows: &[usize]) -> Result<MetricFrame, Invalid> {
    let grid = TimeGrid::new(UnixMillis(0), frame.grid().step_ms(), rows.len())?;
    let services = 0..frame.services().len();
    let first = |service| {
        MetricKind::ALL.into_iter().filter_map(move |kind| frame.series_of_kind(service, kind).next())
    };
    let series: Vec<usize> = services.flat_map(first).collect();
    let values = Array2::from_shape_fn((series.len(), rows.len()), |(index, row)| {
        frame.samples(series[index]).get(rows[row]).copied().unwrap_or(f64::NAN)
    });
    MetricFrame::new(grid, series.iter().map(|&index| frame.series()[index].clone()).collect(), values)
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
    fn what_goes_to_a_peer_has_the_hash_of_what_it_was_taken_from() {
        let series = vec![
            key("a", MetricKind::Io, "io-read"),
            key("a", MetricKind::Io, "io-write"),
            key("b", MetricKind::Latency, "latency"),
            key("b", MetricKind::Throughput, "throughput"),
        ];
        let values = Array2::from_shape_fn((4, 5), |(series, row)| (series * 7 + row * row) as f64);
        let frame = frame_of(series, values);
        let small = peer_frame(&frame, &[1, 3, 4]).unwrap();
        assert_eq!((small.series().len(), small.grid().samples()), (3, 3));
        assert_eq!(PeerInput::new(&small, &[0, 1, 2]).hash(), PeerInput::new(&frame, &[1, 3, 4]).hash());
        assert!(peer_frame(&frame, &[]).is_err());
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
