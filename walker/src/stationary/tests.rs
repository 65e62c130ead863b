use ndarray::Array2;
use proptest::{prelude::any, prop_assert, proptest};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use super::*;
use crate::transition_matrix::TransitionMatrix;

/// Gaussian elimination with partial pivoting of the same system, written out densely.
fn dense(matrix: &TransitionMatrix, restart: f64, restart_to: &[f64]) -> Vec<f64> {
    let states = matrix.states();
    let mut rows = Array2::<f64>::eye(states);
    for from in 0..states {
        for &(to, probability) in matrix.row(from) {
            rows[[to, from]] -= (1.0 - restart) * probability;
        }
        if matrix.row(from).is_empty() {
            for (to, probability) in matrix.teleport().iter().enumerate() {
                rows[[to, from]] -= (1.0 - restart) * probability;
            }
        }
    }
    let mut right: Vec<f64> = restart_to.iter().map(|share| restart * share).collect();
    for pivot in 0..states {
        let best = (pivot..states)
            .max_by(|&one, &other| rows[[one, pivot]].abs().total_cmp(&rows[[other, pivot]].abs()))
            .unwrap();
        for column in 0..states {
            rows.swap([pivot, column], [best, column]);
        }
        right.swap(pivot, best);
        for below in pivot + 1..states {
            let factor = rows[[below, pivot]] / rows[[pivot, pivot]];
            for column in pivot..states {
                let value = rows[[pivot, column]];
                rows[[below, column]] -= factor * value;
            }
            right[below] -= factor * right[pivot];
        }
    }
    for pivot in (0..states).rev() {
        let known: f64 = (pivot + 1..states).map(|column| rows[[pivot, column]] * right[column]).sum();
        right[pivot] = (right[pivot] - known) / rows[[pivot, pivot]];
    }
    right
}

/// Random graphs in which some states teleport and others rest.
fn random_matrix(states: usize, degree: usize, seed: u64) -> TransitionMatrix {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut weights = vec![Vec::new(); states];
    for (from, row) in weights.iter_mut().enumerate() {
        if rng.random::<f64>() < 0.1 {
            continue;
        }
        for _ in 0..degree {
            row.push((rng.random_range(0..states), rng.random::<f64>().powi(3)));
        }
        if rng.random::<f64>() < 0.1 {
            row.push((from, 50.0));
        }
    }
    let teleport: Vec<f64> = (0..states).map(|_| rng.random::<f64>()).collect();
    TransitionMatrix::from_weights(weights, &teleport)
}

fn point(states: usize, at: usize) -> Vec<f64> {
    let mut mass = vec![0.0; states];
    mass[at] = 1.0;
    mass
}

fn worst_residual(matrix: &TransitionMatrix, restart: f64, restart_to: &[f64], mass: &[f64]) -> f64 {
    let system = System { matrix, damping: 1.0 - restart, source: restart_to, restart };
    system.residual(mass).iter().fold(0.0, |worst: f64, value| worst.max(value.abs()))
}

/// Two complete halves joined by one edge: the second eigenvalue is as near to 1 as can be.
fn two_groups(states: usize) -> TransitionMatrix {
    let half = states / 2;
    let mut weights: Vec<Vec<(usize, f64)>> = (0..states)
        .map(|from| {
            let start = if from < half { 0 } else { half };
            (start..start + half).filter(|&to| to != from).map(|to| (to, 1.0 + (to % 7) as f64)).collect()
        })
        .collect();
    weights[0].push((half, 0.01));
    weights[half].push((0, 0.01));
    TransitionMatrix::from_weights(weights, &vec![1.0; states])
}

/// A chain walked both ways, of period two.
fn chain(states: usize) -> TransitionMatrix {
    let weights = (0..states)
        .map(|from| {
            let mut row = Vec::new();
            if from > 0 {
                row.push((from - 1, 1.0));
            }
            if from + 1 < states {
                row.push((from + 1, 1.0));
            }
            row
        })
        .collect();
    TransitionMatrix::from_weights(weights, &vec![1.0; states])
}

#[test]
fn a_walk_that_always_restarts_stays_where_it_restarts() {
    let matrix = chain(3);
    assert_eq!(stationary(&matrix, 1.0, &point(3, 1)), point(3, 1));
}

#[test]
fn small_restarts_are_solved_as_exactly_as_by_elimination() {
    for (seed, restart) in [(1, 0.01), (2, 0.7), (3, 0.001)] {
        let matrix = random_matrix(80, 4, seed);
        let restart_to = point(80, 3);
        let (found, expected) =
            (stationary(&matrix, restart, &restart_to), dense(&matrix, restart, &restart_to));
        for (one, other) in found.iter().zip(&expected) {
            assert!((one - other).abs() < 2e-12, "{one} {other}");
        }
    }
}

/// Everything around one centre, and a ring walked one way only.
fn star_and_ring(states: usize) -> [TransitionMatrix; 2] {
    let star = |from: usize| {
        if from == 0 { (1..states).map(|to| (to, 1.0)).collect() } else { vec![(0, 1.0)] }
    };
    let ring = |from: usize| vec![((from + 1) % states, 1.0)];
    let build = |weights| TransitionMatrix::from_weights(weights, &vec![1.0; states]);
    [build((0..states).map(star).collect()), build((0..states).map(ring).collect())]
}

#[test]
fn walks_that_never_mix_are_solved_too() {
    for matrix in star_and_ring(40).into_iter().chain([chain(40), two_groups(40)]) {
        for restart in [0.001, 0.01, 0.5] {
            let restart_to = point(40, 0);
            let (found, expected) =
                (stationary(&matrix, restart, &restart_to), dense(&matrix, restart, &restart_to));
            for (one, other) in found.iter().zip(&expected) {
                assert!((one - other).abs() < 2e-12, "{restart} {one} {other}");
            }
        }
    }
}

#[test]
fn two_thousand_services_are_solved_to_rounding_whatever_the_shape_of_the_graph() {
    for matrix in [random_matrix(2000, 10, 5), chain(2000), two_groups(2000)] {
        let restart_to = point(2000, 0);
        let found = stationary(&matrix, 0.01, &restart_to);
        assert!(worst_residual(&matrix, 0.01, &restart_to, &found) < 2e-12);
        assert!((found.iter().sum::<f64>() - 1.0).abs() < 1e-8);
    }
}

#[test]
fn states_alike_have_exactly_equal_mass() {
    let weights = vec![vec![(1, 1.0), (2, 1.0), (3, 1.0)], vec![(0, 1.0)], vec![(0, 1.0)], vec![(0, 1.0)]];
    let found = stationary(&TransitionMatrix::from_weights(weights, &[1.0; 4]), 0.01, &point(4, 0));
    assert_eq!(found[1].to_bits(), found[2].to_bits());
    assert_eq!(found[2].to_bits(), found[3].to_bits());
}

proptest! {
    #[test]
    fn the_answer_is_a_distribution_with_no_residual(
        seed in any::<u64>(),
        states in 1..40_usize,
        degree in 0..6_usize,
        restart in 0.001..1.0_f64,
    ) {
        let matrix = random_matrix(states, degree, seed);
        let restart_to = point(states, states - 1);
        let found = stationary(&matrix, restart, &restart_to);
        prop_assert!(found.iter().all(|mass| (0.0..=1.0).contains(mass)));
        prop_assert!((found.iter().sum::<f64>() - 1.0).abs() < 1e-10);
        prop_assert!(worst_residual(&matrix, restart, &restart_to, &found) < 2e-12);
    }
}
