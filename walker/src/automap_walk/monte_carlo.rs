//! Visits of a simulated walk, as the paper finds them.

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use crate::{
    path_tally::{PathTally, WalkedPath},
    row_sampler::RowSampler,
    transition_matrix::TransitionMatrix,
    walk_trace::{Move, WalkStep, WalkTrace},
};

/// What a simulated walk saw.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct SimulatedWalk {
    /// Visits over steps; `None` for a service that was never visited.
    pub(super) visit_shares: Vec<Option<f64>>,
    /// The loop-erased path on which each service was most often first reached between two jumps back.
    pub(super) paths: Vec<Option<WalkedPath>>,
}

/// Walks `steps` steps from `front_end`, jumping back to it with probability `restart` per step, and counts where
/// each step ends. A service that no edge leaves teleports; what follows, until the next jump back, counts as visits
/// but has no path.
///
/// `front_end` is a state of `matrix`. The same seed gives the same walk (ChaCha with 8 rounds).
/// O(edges + steps · log states).
pub(super) fn simulate(
    matrix: &TransitionMatrix,
    front_end: usize,
    restart: f64,
    steps: usize,
    seed: u64,
    trace: &mut WalkTrace,
) -> SimulatedWalk {
    let sampler = RowSampler::new(matrix);
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut visits = vec![0_u64; matrix.states()];
    let mut tally = PathTally::new(matrix.states(), front_end);
    let mut state = front_end;
    let mut on_edges = true;
    let mut walk = 1;
    let mut tell = |walk, from, to, by, probability| {
        trace.record(|| WalkStep { walk, from, to, by, probability });
    };
    for _ in 0..steps {
        // Two draws in every step, so that one choice never shifts the numbers of the next.
        let (jump, choice): (f64, f64) = (rng.random(), rng.random());
        if jump < restart {
            tell(walk, state, front_end, Move::Jump, restart);
            state = front_end;
            walk += 1;
            tally.begin_walk();
            on_edges = true;
        } else if let Some(next) = sampler.along_edge(state, choice) {
            tell(walk, state, next, Move::Edge, (1.0 - restart) * matrix.probability(state, next));
            state = next;
            if on_edges {
                tally.step(next);
            }
        } else if let Some(next) = sampler.teleport(choice) {
            tell(walk, state, next, Move::Teleport, (1.0 - restart) * matrix.teleport()[next]);
            state = next;
            on_edges = false;
        }
        visits[state] += 1;
    }
    let share = |count: u64| (count > 0).then(|| count as f64 / steps as f64);
    SimulatedWalk { visit_shares: visits.into_iter().map(share).collect(), paths: tally.paths() }
}
