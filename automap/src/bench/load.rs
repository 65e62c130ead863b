//! Loads for benchmarks: metrics of services that call each other, with samples that remember the ones before.

use automap_proto::{
    frame::{MetricFrame, SeriesKey},
    invalid::Invalid,
    metric::MetricKind,
    time::{TimeGrid, UnixMillis},
};
use ndarray::Array2;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

/// Share of a deviation that is still there in the next sample.
const MEMORY: f64 = 0.3;
/// How far back in the numbering a caller lies at most: as in real call trees, fan-out is small.
const REACH: usize = 8;
/// One service in that many has a second caller.
const SHARED_SERVICE: usize = 10;
/// Of a shared load, on average: it then explains about half of the variance of each series.
const LOADING: f64 = 1.0;
const STEP_MS: u64 = 5_000;
/// The service that calls all others, directly or not.
pub const FRONT_END: &str = "s00000";

/// What to generate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Load {
    /// n, services.
    pub services: usize,
    /// T, samples of each series.
    pub samples: usize,
    /// Metric types, the first of [`MetricKind::ALL`].
    pub metrics: usize,
    /// Whether all series also follow one load, as they do where all requests come in through one front end.
    pub shared: bool,
    /// Seeds everything.
    pub seed: u64,
}

impl Load {
    /// The metric types.
    pub fn kinds(&self) -> &'static [MetricKind] {
        &MetricKind::ALL[..self.metrics.min(MetricKind::ALL.len())]
    }

    /// (caller, callee) of all calls of the frame that [`Self::generate`] makes.
    pub fn calls(&self) -> Vec<(String, String)> {
        let mut random = ChaCha8Rng::seed_from_u64(self.seed);
        let name = |service: usize| format!("s{service:05}");
        let mut calls = Vec::new();
        for service in 0..self.services {
            calls.extend(
                callers(service, &mut random).into_iter().map(|caller| (name(caller), name(service))),
            );
        }
        calls
    }

    /// Generates the frame: service `s00000` is the front end; every other has a caller among the eight before it,
    /// and one in ten has two. A series is its caller's times a strength drawn from .4 to 1, plus noise of its own that
    /// keeps a share of [`MEMORY`] from sample to sample, scaled to unit variance; plus the shared load where there is
    /// one.
    ///
    /// # Errors
    /// There is nothing to generate: no service, no metric type, or too few or too many samples for a time grid.
    ///
    /// # Complexity
    /// O(services · samples · metrics).
    pub fn generate(&self) -> Result<MetricFrame, Invalid> {
        let grid = TimeGrid::new(UnixMillis(0), STEP_MS, self.samples)?;
        let kinds = self.kinds();
        let mut random = ChaCha8Rng::seed_from_u64(self.seed);
        let callers: Vec<Vec<usize>> =
            (0..self.services).map(|service| callers(service, &mut random)).collect();
        let mut keys = Vec::with_capacity(self.services * kinds.len());
        let mut values = Array2::zeros((self.services * kinds.len(), self.samples));
        for (position, &metric) in kinds.iter().enumerate() {
            let shared = remembering(self.samples, &mut random);
            let mut own: Vec<Vec<f64>> = Vec::with_capacity(self.services);
            for (service, callers) in callers.iter().enumerate() {
                let mut series = remembering(self.samples, &mut random);
                for &caller in callers {
                    let strength = random.random_range(0.4..1.0);
                    for (value, above) in series.iter_mut().zip(&own[caller]) {
                        *value += strength * above;
                    }
                }
                scale(&mut series);
                let loading = if self.shared { LOADING * random.random_range(0.8..1.2) } else { 0.0 };
                for ((cell, value), load) in
                    values.row_mut(position * self.services + service).iter_mut().zip(&series).zip(&shared)
                {
                    // Metrics are mostly positive and far from zero.
                    *cell = 50.0 + 10.0 * (value + loading * load);
                }
                own.push(series);
                keys.push(SeriesKey {
                    service: format!("s{service:05}"),
                    metric,
                    name: metric.name().into(),
                });
            }
        }
        MetricFrame::new(grid, keys, values)
    }
}

fn callers(service: usize, random: &mut ChaCha8Rng) -> Vec<usize> {
    if service == 0 {
        return Vec::new();
    }
    let nearest = service.saturating_sub(REACH);
    let mut callers = vec![random.random_range(nearest..service)];
    let second = random.random_range(nearest..service);
    if random.random_range(0..SHARED_SERVICE) == 0 && second != callers[0] {
        callers.push(second);
    }
    callers
}

/// Noise of unit variance, each sample keeping a share of the one before.
fn remembering(samples: usize, random: &mut ChaCha8Rng) -> Vec<f64> {
    let fresh = (1.0 - MEMORY * MEMORY).sqrt();
    let mut last = normal(random);
    (0..samples)
        .map(|_| {
            last = MEMORY * last + fresh * normal(random);
            last
        })
        .collect()
}

/// A standard normal draw, by Box and Muller.
fn normal(random: &mut ChaCha8Rng) -> f64 {
    let radius = (-2.0 * (1.0 - random.random::<f64>()).ln()).sqrt();
    radius * (std::f64::consts::TAU * random.random::<f64>()).cos()
}

/// To unit variance around zero, so that dependence does not grow with depth.
fn scale(series: &mut [f64]) {
    let size = series.len() as f64;
    let mean = series.iter().sum::<f64>() / size;
    let deviation = (series.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / size).sqrt();
    if deviation > 0.0 {
        for value in series {
            *value = (*value - mean) / deviation;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOAD: Load = Load { services: 40, samples: 300, metrics: 2, shared: false, seed: 3 };

    fn correlation(frame: &MetricFrame, first: usize, second: usize) -> f64 {
        let standard = |series: usize| {
            let mut values = frame.samples(series).to_vec();
            scale(&mut values);
            values
        };
        let products =
            standard(first).iter().zip(standard(second)).map(|(left, right)| left * right).sum::<f64>();
        products / frame.grid().samples() as f64
    }

    fn mean_correlation(frame: &MetricFrame) -> f64 {
        let pairs: Vec<f64> = (0..40)
            .flat_map(|first| (first + 1..40).map(move |second| (first, second)))
            .map(|(first, second)| correlation(frame, 2 * first, 2 * second).abs())
            .collect();
        pairs.iter().sum::<f64>() / pairs.len() as f64
    }

    #[test]
    fn the_same_seed_gives_the_same_frame_and_another_one_does_not() {
        let frame = LOAD.generate().unwrap();
        assert_eq!(frame.values(), LOAD.generate().unwrap().values());
        assert_ne!(frame.values(), Load { seed: 4, ..LOAD }.generate().unwrap().values());
        assert_eq!((frame.services().len(), frame.series().len(), frame.grid().samples()), (40, 80, 300));
    }

    #[test]
    fn a_shared_load_relates_everyone_and_its_absence_few() {
        let (apart, shared) = (LOAD.generate().unwrap(), Load { shared: true, ..LOAD }.generate().unwrap());
        assert!(mean_correlation(&apart) < 0.13, "{}", mean_correlation(&apart));
        assert!(mean_correlation(&shared) > 0.4, "{}", mean_correlation(&shared));
    }

    #[test]
    fn samples_remember_the_ones_before() {
        let frame = LOAD.generate().unwrap();
        let mut series = frame.samples(0).to_vec();
        scale(&mut series);
        let next: f64 = series.windows(2).map(|pair| pair[0] * pair[1]).sum::<f64>() / 299.0;
        assert!((0.15..0.45).contains(&next), "{next}");
    }

    #[test]
    fn nothing_to_generate_is_refused() {
        assert!(Load { samples: 0, ..LOAD }.generate().is_err());
    }
}
