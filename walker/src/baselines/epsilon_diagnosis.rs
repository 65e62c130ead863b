//! The baseline `epsilon-diagnosis`: which series have another distribution in the incident than before?
//!
//! Shan et al., *ε-Diagnosis: Unsupervised and Real-time Diagnosis of Small-window Long-tail Latency in Large-scale
//! Microservice Platforms*, WWW 2019: a two-sample test per series with an energy statistic. With X the normal and Y the
//! incident values
//!
//! ```text
//! E = 2·E|X − Y| − E|X − X'| − E|Y − Y'|        H = E / (2·E|X − Y|), 0 to 1
//! ```
//!
//! (Székely and Rizzo, *Energy statistics*, 2013). The hypothesis that both windows are alike is tested by permutation; a
//! series for which it is rejected at α = .05 scores H, others nothing, and a service scores the largest of its series.
//! The paper compares windows of equal length by distance correlation; energy distance is the same statistic for windows
//! that differ in length, as they do here.

use std::sync::atomic::AtomicBool;

use automap_proto::{frame::MetricFrame, incident::WindowRows, metric::MetricKind};
use rand::{SeedableRng as _, seq::index};
use rand_chacha::ChaCha8Rng;

use crate::{
    series_windows::SeriesWindows,
    stop::{self, Stopped},
};

/// Significance level of the test.
const ALPHA: f64 = 0.05;
/// Permutations of each test.
const PERMUTATIONS: u32 = 199;

/// The score of every service of the frame, in its order, 0 to 1.
///
/// Every series draws from its own stream of the seed, so that none shifts the numbers of the next.
/// O(series · permutations · rows · log rows).
///
/// # Errors
/// [`Stopped`] soon after `stop` was set.
pub fn epsilon_diagnosis(
    frame: &MetricFrame,
    rows: &WindowRows,
    seed: u64,
    stop: &AtomicBool,
) -> Result<Vec<f64>, Stopped> {
    let score = |index: usize| {
        if !MetricKind::MEASURED.contains(&frame.series()[index].metric) {
            return 0.0;
        }
        let Some(windows) = SeriesWindows::new(frame.samples(index), rows) else {
            return 0.0;
        };
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(index as u64);
        let (coefficient, p_value) = Pooled::new(&windows).test(&mut rng);
        if p_value < ALPHA { coefficient } else { 0.0 }
    };
    (0..frame.services().len())
        .map(|service| {
            stop::poll(stop)?;
            Ok(frame.series_of(service).map(score).fold(0.0, f64::max))
        })
        .collect()
}

/// Normal and incident values of a series together.
struct Pooled {
    /// Ascending.
    values: Vec<f64>,
    /// Σ over all values of the distance to each.
    distances: Vec<f64>,
    /// Places of the incident's values, ascending.
    incident: Vec<usize>,
}

impl Pooled {
    fn new(windows: &SeriesWindows) -> Self {
        let mut marked: Vec<(f64, bool)> = windows.normal().iter().map(|&value| (value, false)).collect();
        marked.extend(windows.incident().iter().map(|&value| (value, true)));
        marked.sort_by(|left, right| left.0.total_cmp(&right.0));
        let values: Vec<f64> = marked.iter().map(|&(value, _)| value).collect();
        let incident = (0..marked.len()).filter(|&place| marked[place].1).collect();
        let total: f64 = values.iter().sum();
        let count = values.len() as f64;
        let mut before = 0.0;
        let distances = (0_u32..)
            .zip(&values)
            .map(|(place, value)| {
                let place = f64::from(place);
                let distance = value * place - before + (total - before) - value * (count - place);
                before += value;
                distance
            })
            .collect();
        Self { values, distances, incident }
    }

    /// H, and the p-value of a permutation test on E.
    fn test(&self, rng: &mut ChaCha8Rng) -> (f64, f64) {
        let (energy, coefficient) = self.energy(&self.incident);
        // Permutations that put the same values together may differ by rounding.
        let reached = energy - 1e-9 * energy.abs();
        let mut as_far = 1_u32;
        for _ in 0..PERMUTATIONS {
            let mut drawn = index::sample(rng, self.values.len(), self.incident.len()).into_vec();
            drawn.sort_unstable();
            as_far += u32::from(self.energy(&drawn).0 >= reached);
        }
        (coefficient, f64::from(as_far) / f64::from(PERMUTATIONS + 1))
    }

    /// E and H of the values at `chosen` places, ascending, against the rest; zero where all values are alike.
    fn energy(&self, chosen: &[usize]) -> (f64, f64) {
        let (mut within, mut before, mut distances) = (0.0, 0.0, 0.0);
        for (count, &place) in (0_u32..).zip(chosen) {
            within += self.values[place] * f64::from(count) - before;
            before += self.values[place];
            distances += self.distances[place];
        }
        let all = self.distances.iter().sum::<f64>() / 2.0;
        let across = distances - 2.0 * within;
        let rest = all - within - across;
        let (chosen, others) = (chosen.len() as f64, (self.values.len() - chosen.len()) as f64);
        let mean_across = 2.0 * across / (chosen * others);
        let energy = mean_across - 2.0 * within / chosen.powi(2) - 2.0 * rest / others.powi(2);
        if mean_across > 0.0 { (energy, (energy / mean_across).clamp(0.0, 1.0)) } else { (0.0, 0.0) }
    }
}

#[cfg(test)]
mod tests {
    use ndarray::Array1;

    use super::*;
    use crate::{
        stop::NEVER,
        test_frames::{TestSeries, frame_of},
    };

    fn rows(normal: usize, incident: usize) -> WindowRows {
        WindowRows {
            normal: (0..normal).collect(),
            incident: (normal..normal + incident).collect(),
            exclusions_ignored: false,
        }
    }

    fn cpu(samples: &[f64]) -> TestSeries {
        TestSeries {
            service: "a",
            metric: MetricKind::Cpu,
            name: "cpu",
            samples: Array1::from(samples.to_vec()),
        }
    }

    #[test]
    fn the_energy_statistic_worked_by_hand() {
        // X = 0 1 2, Y = 3 5. E|X−Y| = (3+2+1+5+4+3)/6 = 3; E|X−X'| = 2·(1+1+2)/9 = 8/9; E|Y−Y'| = 2·2/4 = 1.
        let frame = frame_of(&[cpu(&[1.0, 0.0, 2.0, 5.0, 3.0])]);
        let windows = SeriesWindows::new(frame.samples(0), &rows(3, 2)).unwrap();
        let (energy, coefficient) = {
            let pooled = Pooled::new(&windows);
            pooled.energy(&pooled.incident)
        };
        assert!((energy - (6.0 - 8.0 / 9.0 - 1.0)).abs() < 1e-12);
        assert!((coefficient - (6.0 - 8.0 / 9.0 - 1.0) / 6.0).abs() < 1e-12);
    }

    #[test]
    fn a_shift_is_found_and_the_same_distribution_is_not() {
        let calm: Vec<f64> = (0..24).map(|row| f64::from(row % 5)).collect();
        let mut shifted = calm.clone();
        shifted.iter_mut().skip(18).for_each(|value| *value += 10.0);
        let score = |samples: &[f64]| {
            epsilon_diagnosis(&frame_of(&[cpu(samples)]), &rows(18, 6), 3, &NEVER).unwrap()[0]
        };
        assert_eq!(score(&calm), 0.0);
        assert!(score(&shifted) > 0.5, "{}", score(&shifted));
    }

    #[test]
    fn too_few_rows_to_reject_anything_score_nothing() {
        // Of C(6, 3) = 20 divisions the furthest is matched by its mirror image: p is near 2/20.
        let frame = frame_of(&[cpu(&[1.0, 1.1, 1.2, 9.0, 9.1, 9.2])]);
        assert_eq!(epsilon_diagnosis(&frame, &rows(3, 3), 0, &NEVER).unwrap(), [0.0]);
    }
}
