//! Frames of services whose series depend on each other linearly, with Gaussian noise.

use automap_proto::{
    frame::{MetricFrame, SeriesKey},
    metric::MetricKind,
    time::{TimeGrid, UnixMillis},
};
use ndarray::Array2;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

/// Named columns under construction.
#[derive(Default)]
pub(crate) struct Columns(pub(crate) Vec<(SeriesKey, Vec<f64>)>);

impl Columns {
    pub(crate) fn add(&mut self, service: &str, metric: MetricKind, values: Vec<f64>) -> &mut Self {
        let key = SeriesKey { service: service.into(), metric, name: metric.name().into() };
        self.0.push((key, values));
        self
    }

    pub(crate) fn frame(&self) -> MetricFrame {
        let samples = self.0[0].1.len();
        let grid = TimeGrid::new(UnixMillis(1_700_000_000_000), 5_000, samples).unwrap();
        let keys = self.0.iter().map(|(key, _)| key.clone()).collect();
        let cells = self.0.iter().flat_map(|(_, values)| values.clone()).collect();
        let values = Array2::from_shape_vec((self.0.len(), samples), cells).unwrap();
        MetricFrame::new(grid, keys, values).unwrap()
    }
}

/// Seeded standard normal noise.
pub(crate) struct Noise(ChaCha8Rng);

impl Noise {
    pub(crate) fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    pub(crate) fn series(&mut self, samples: usize) -> Vec<f64> {
        (0..samples)
            .map(|_| {
                let radius = (-2.0 * (1.0 - self.0.random::<f64>()).ln()).sqrt();
                radius * (std::f64::consts::TAU * self.0.random::<f64>()).cos()
            })
            .collect()
    }

    /// A weighted sum of the causes, plus noise.
    pub(crate) fn effect(&mut self, causes: &[(&[f64], f64)]) -> Vec<f64> {
        let mut values = self.series(causes[0].0.len());
        for (cause, weight) in causes {
            for (value, source) in values.iter_mut().zip(*cause) {
                *value += weight * source;
            }
        }
        values
    }
}

/// `services` services that all follow one load, in every metric type.
pub(crate) fn shared_load(services: usize, samples: usize, load: f64, seed: u64) -> Columns {
    let mut noise = Noise::new(seed);
    let shared = noise.series(samples);
    let mut columns = Columns::default();
    for service in 0..services {
        for metric in MetricKind::ALL {
            let values = noise.effect(&[(&shared, load)]);
            columns.add(&format!("s{service:03}"), metric, values);
        }
    }
    columns
}
