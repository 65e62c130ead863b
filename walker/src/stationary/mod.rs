//! The stationary distribution of a walk with restart.
//!
//! x = (1 − r)·xᵀP + r·q, a linear system (personalised PageRank). It is solved by BiCGSTAB (van der Vorst, 1992;
//! for this system Gleich, Zhukov and Berkhin, *Fast Parallel PageRank: A Linear System Approach*, 2004), corrected
//! on the true residual until that is down to rounding. Where BiCGSTAB gets nowhere, power steps take over: each
//! shrinks the residual by at least 1 − r, so that the end is always reached.
//!
//! Power steps alone would do, but with r = .01 they are slow where services fall into loosely joined groups:
//! thousands of steps where this needs tens.

use crate::transition_matrix::Transitions;

/// L1 norm of the residual at which the solution is exact: its L1 error is at most this over r.
const RESIDUAL: f64 = 1e-14;
/// Iterations of one BiCGSTAB solve before its correction is judged.
const KRYLOV_ITERATIONS: usize = 100;
/// Share of a residual that one BiCGSTAB solve need not remove; the next one starts from the true residual.
const KRYLOV_TOLERANCE: f64 = 1e-8;
/// Power steps made when BiCGSTAB got nowhere.
const POWER_STEPS: usize = 64;
/// Masses are rounded to this grid: finer digits are noise of rounding and would order equals by chance.
const GRID: f64 = 1e12;

/// The share of time that a walk over `matrix` spends in each state when it jumps, with probability `restart` per
/// step, to a state drawn from `restart_to`.
///
/// `restart` lies in (0, 1]; `restart_to` is one probability per state, summing to 1. The answer sums to 1 and is
/// rounded to 12 decimals. All sums run in fixed order: the same input gives the same bits.
///
/// # Complexity
/// O(edges) per iteration; tens of iterations on all but contrived graphs, ln(1e-16) / ln(1 − r) in the worst case.
pub fn stationary<M: Transitions>(matrix: &M, restart: f64, restart_to: &[f64]) -> Vec<f64> {
    let system = System { matrix, damping: 1.0 - restart, source: restart_to, restart };
    let mut mass = restart_to.to_vec();
    let mut residual = system.residual(&mass);
    loop {
        let norm = l1(&residual);
        if norm <= RESIDUAL {
            break;
        }
        let correction = system.bicgstab(&residual);
        let corrected: Vec<f64> = mass.iter().zip(&correction).map(|(known, more)| known + more).collect();
        let left = system.residual(&corrected);
        // A NaN compares as no progress.
        if l1(&left) < 0.5 * norm {
            (mass, residual) = (corrected, left);
            continue;
        }
        for _ in 0..POWER_STEPS {
            add(&mut mass, &residual);
            residual = system.residual(&mass);
        }
        // In exact arithmetic each step shrinks the residual by 1 - r; one that no longer does is rounding.
        if l1(&residual) > norm * (1.0 - restart / 2.0) {
            break;
        }
    }
    settled(mass)
}

/// (I − d·Pᵀ)·x = r·q.
struct System<'a, M> {
    matrix: &'a M,
    damping: f64,
    source: &'a [f64],
    restart: f64,
}

impl<M: Transitions> System<'_, M> {
    /// (I − d·Pᵀ)·x
    fn apply(&self, vector: &[f64]) -> Vec<f64> {
        let mut image = self.matrix.advance(vector);
        for (moved, here) in image.iter_mut().zip(vector) {
            *moved = here - self.damping * *moved;
        }
        image
    }

    /// r·q − (I − d·Pᵀ)·x, which is also what one power step adds to x.
    fn residual(&self, mass: &[f64]) -> Vec<f64> {
        let mut residual = self.apply(mass);
        for (value, source) in residual.iter_mut().zip(self.source) {
            *value = self.restart * source - *value;
        }
        residual
    }

    /// An approximate solution of (I − d·Pᵀ)·x = `right_side`, as good as BiCGSTAB gets before it stops or breaks
    /// down. Names follow Saad, *Iterative Methods for Sparse Linear Systems*, algorithm 7.7.
    fn bicgstab(&self, right_side: &[f64]) -> Vec<f64> {
        let states = right_side.len();
        let mut solution = vec![0.0; states];
        let shadow = right_side.to_vec();
        let mut residual = right_side.to_vec();
        let mut direction = residual.clone();
        let mut rho = dot(&residual, &shadow);
        let enough = KRYLOV_TOLERANCE * KRYLOV_TOLERANCE * rho;
        for _ in 0..KRYLOV_ITERATIONS {
            let along = self.apply(&direction);
            let alpha = rho / dot(&along, &shadow);
            let half: Vec<f64> =
                residual.iter().zip(&along).map(|(left, step)| left - alpha * step).collect();
            let half_image = self.apply(&half);
            let omega = dot(&half_image, &half) / dot(&half_image, &half_image);
            if !alpha.is_finite() {
                break;
            }
            if !omega.is_finite() {
                // The half step already left nothing.
                for (value, step) in solution.iter_mut().zip(&direction) {
                    *value += alpha * step;
                }
                break;
            }
            for index in 0..states {
                solution[index] += alpha * direction[index] + omega * half[index];
                residual[index] = half[index] - omega * half_image[index];
            }
            if dot(&residual, &residual) <= enough {
                break;
            }
            let rho_next = dot(&residual, &shadow);
            let beta = (rho_next / rho) * (alpha / omega);
            if !beta.is_finite() {
                break;
            }
            for index in 0..states {
                direction[index] = residual[index] + beta * (direction[index] - omega * along[index]);
            }
            rho = rho_next;
        }
        solution
    }
}

/// Rounding may leave a trace below zero and a sum beside one.
fn settled(mut mass: Vec<f64>) -> Vec<f64> {
    for value in &mut mass {
        *value = value.max(0.0);
    }
    let total: f64 = mass.iter().sum();
    for value in &mut mass {
        *value = (*value / total * GRID).round() / GRID;
    }
    mass
}

fn add(mass: &mut [f64], step: &[f64]) {
    for (value, more) in mass.iter_mut().zip(step) {
        *value += more;
    }
}

fn l1(vector: &[f64]) -> f64 {
    vector.iter().map(|value| value.abs()).sum()
}

fn dot(left: &[f64], right: &[f64]) -> f64 {
    left.iter().zip(right).map(|(one, other)| one * other).sum()
}

#[cfg(test)]
mod tests;
