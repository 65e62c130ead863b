//! Visits of the walk in the long run.

use crate::{stationary::stationary, transition_matrix::TransitionMatrix};

/// The share of time that a walk spends at each service when it jumps back to the front end with probability
/// `restart` per step: its stationary distribution. `None` for a service that the walk can never reach.
///
/// `front_end` is a state of `matrix`, and `restart` lies in (0, 1]. Complexity: that of [`stationary`].
pub(super) fn visit_shares(matrix: &TransitionMatrix, front_end: usize, restart: f64) -> Vec<Option<f64>> {
    let mut restart_to = vec![0.0; matrix.states()];
    if let Some(share) = restart_to.get_mut(front_end) {
        *share = 1.0;
    }
    let shares = stationary(matrix, restart, &restart_to);
    let reached = matrix.reachable(front_end);
    shares.into_iter().zip(reached).map(|(share, reached)| reached.then_some(share)).collect()
}
