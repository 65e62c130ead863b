//! The baseline `naive`: what is often met in place of AutoMAP.
//!
//! For every pair of services and every metric type a χ² test on a plain 10 × 10 histogram of their first series, with no
//! conditioning and α = .01. An edge stands both ways where any metric rejects. A walk of 1,000 steps from the front end goes along an edge
//! with weight .7, against one with .2, and stays with .2; services are ranked by visits.
//!
//! What is wrong with it: without conditioning every pair that shares the load is an edge; cells of a sparse histogram
//! hold too few samples for the test; and the walk does not look at the incident at all.

use std::sync::atomic::AtomicBool;

use automap_proto::{frame::MetricFrame, incident::WindowRows, metric::MetricKind};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use statrs::distribution::{ChiSquared, ContinuousCDF as _};

use crate::{
    row_sampler::RowSampler,
    stop::{self, Stopped},
    transition_matrix::TransitionMatrix,
};

/// Bins of each axis of a histogram, equally wide from the least to the largest value.
const BINS: usize = 10;
/// Significance level of the test.
const ALPHA: f64 = 0.01;
/// Weight of a step along an edge.
const FORWARD: f64 = 0.7;
/// Weight of a step against an edge, and of staying.
const BACKWARD: f64 = 0.2;
/// Length of the walk.
const STEPS: usize = 1000;

/// Share of the walk's steps that end at each service of the frame, in its order.
///
/// `front_end` is a position among the services. The same seed gives the same walk (ChaCha with 8 rounds).
/// O(services² · metrics · rows).
///
/// # Errors
/// [`Stopped`] soon after `stop` was set.
pub fn naive(
    frame: &MetricFrame,
    rows: &WindowRows,
    front_end: Option<usize>,
    seed: u64,
    stop: &AtomicBool,
) -> Result<Vec<f64>, Stopped> {
    let services = frame.services().len();
    let mut visits = vec![0_u32; services];
    let Some(mut here) = front_end.filter(|start| *start < services) else {
        return Ok(vec![0.0; services]);
    };
    let matrix = transition(services, &dependent_pairs(frame, &rows.all(), stop)?);
    let sampler = RowSampler::new(&matrix);
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    for _ in 0..STEPS {
        here = sampler.along_edge(here, rng.random()).unwrap_or(here);
        visits[here] += 1;
    }
    Ok(visits.into_iter().map(|count| f64::from(count) / STEPS as f64).collect())
}

/// Pairs of services of which some metric type looks dependent; the first of each is the smaller.
fn dependent_pairs(
    frame: &MetricFrame,
    rows: &[usize],
    stop: &AtomicBool,
) -> Result<Vec<(usize, usize)>, Stopped> {
    let services = frame.services().len();
    let binned: Vec<Vec<Option<Vec<Option<usize>>>>> = MetricKind::ALL
        .iter()
        .map(|&kind| (0..services).map(|service| bins(frame, service, kind, rows)).collect())
        .collect();
    let dependent = |first: usize, second: usize| {
        binned.iter().any(|kind| match (&kind[first], &kind[second]) {
            (Some(left), Some(right)) => p_value(left, right) < ALPHA,
            _ => false,
        })
    };
    let mut pairs = Vec::new();
    for first in 0..services {
        stop::poll(stop)?;
        pairs.extend(
            (first + 1..services).filter(|&second| dependent(first, second)).map(|second| (first, second)),
        );
    }
    Ok(pairs)
}

/// The bin of each row, `None` where a sample is missing. `None` for a series that is missing or never varies.
fn bins(frame: &MetricFrame, service: usize, kind: MetricKind, rows: &[usize]) -> Option<Vec<Option<usize>>> {
    let samples = frame.samples(frame.series_of_kind(service, kind).next()?);
    let values = || rows.iter().map(|&row| samples.get(row).copied().unwrap_or(f64::NAN));
    let (least, largest) = values()
        .filter(|value| !value.is_nan())
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(least, largest), value| {
            (least.min(value), largest.max(value))
        });
    // Halved, so that the width of a range over all numbers is finite.
    let width = largest / 2.0 - least / 2.0;
    let bin = |value: f64| {
        let share = (value / 2.0 - least / 2.0) / width;
        (!value.is_nan()).then_some(((share * BINS as f64) as usize).min(BINS - 1))
    };
    (width > 0.0).then(|| values().map(bin).collect())
}

/// Pearson's χ² test of independence over the common rows. Empty rows and columns of the table are dropped; 1 where
/// nothing is left to test.
fn p_value(left: &[Option<usize>], right: &[Option<usize>]) -> f64 {
    let mut table = [[0.0_f64; BINS]; BINS];
    let mut total = 0.0;
    for pair in left.iter().zip(right) {
        if let (Some(row), Some(column)) = pair {
            table[*row][*column] += 1.0;
            total += 1.0;
        }
    }
    let row_sums: [f64; BINS] = std::array::from_fn(|row| table[row].iter().sum());
    let column_sums: [f64; BINS] = std::array::from_fn(|column| table.iter().map(|row| row[column]).sum());
    let mut statistic = 0.0;
    for (row, row_sum) in table.iter().zip(row_sums) {
        for (observed, column_sum) in row.iter().zip(column_sums) {
            let expected = row_sum * column_sum / total;
            if expected > 0.0 {
                statistic += (observed - expected).powi(2) / expected;
            }
        }
    }
    let filled = |sums: [f64; BINS]| sums.iter().filter(|sum| **sum > 0.0).count();
    let freedom = filled(row_sums).saturating_sub(1) * filled(column_sums).saturating_sub(1);
    ChiSquared::new(freedom as f64).map_or(1.0, |distribution| distribution.sf(statistic))
}

fn transition(services: usize, edges: &[(usize, usize)]) -> TransitionMatrix {
    let mut weights: Vec<Vec<(usize, f64)>> = (0..services).map(|own| vec![(own, BACKWARD)]).collect();
    for &(first, second) in edges {
        // The test has no direction: each end is successor and predecessor of the other.
        weights[first].push((second, FORWARD + BACKWARD));
        weights[second].push((first, FORWARD + BACKWARD));
    }
    TransitionMatrix::from_weights(weights, &vec![0.0; services])
}

#[cfg(test)]
mod tests {
    use ndarray::Array1;

    use super::*;
    use crate::{
        stop::NEVER,
        test_frames::{TestSeries, frame_of},
    };

    fn bins_of(places: &[usize]) -> Vec<Option<usize>> {
        places.iter().map(|&place| Some(place)).collect()
    }

    #[test]
    fn the_test_worked_by_hand() {
        // Table ((4, 1), (1, 4)): every expected count 2.5, χ² = 4·1.5²/2.5 = 3.6 with one degree, p = .0578.
        let left = bins_of(&[0, 0, 0, 0, 0, 9, 9, 9, 9, 9]);
        let right = bins_of(&[0, 0, 0, 0, 9, 0, 9, 9, 9, 9]);
        assert!((p_value(&left, &right) - 0.057_779_6).abs() < 1e-6);
        assert_eq!(p_value(&left, &bins_of(&[3; 10])), 1.0, "one column leaves nothing to test");
        assert_eq!(p_value(&[None], &[Some(1)]), 1.0);
    }

    #[test]
    fn a_step_stays_with_two_parts_in_eleven_of_one_edge() {
        let matrix = transition(3, &[(0, 1)]);
        let row = matrix.row(0);
        assert!((row[0].1 - 0.2 / 1.1).abs() < 1e-12 && (row[1].1 - 0.9 / 1.1).abs() < 1e-12);
        assert_eq!(matrix.row(2), [(2, 1.0)]);
    }

    #[test]
    fn the_walk_stays_among_services_that_look_dependent() {
        let series = |service: &'static str, step: u32| TestSeries {
            service,
            metric: MetricKind::Cpu,
            name: "cpu",
            samples: Array1::from_iter((0..60).map(|row| f64::from(row * step % 7))),
        };
        let alone = TestSeries { samples: Array1::from_elem(60, 1.0), ..series("c", 1) };
        let frame = frame_of(&[series("a", 1), series("b", 3), alone]);
        let rows =
            WindowRows { normal: (0..50).collect(), incident: (50..60).collect(), exclusions_ignored: false };
        let found = naive(&frame, &rows, Some(0), 1, &NEVER).unwrap();
        assert!(found[0] > 0.4 && found[1] > 0.4 && found[2] == 0.0, "{found:?}");
        assert_eq!(naive(&frame, &rows, None, 1, &NEVER), Ok(vec![0.0; 3]));
    }
}
