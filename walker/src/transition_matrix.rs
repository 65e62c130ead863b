//! Transitions of a walk over services.

/// P, row-stochastic, whichever way it is kept.
pub trait Transitions {
    /// xᵀP, the distribution one step after `mass`, one value per state.
    fn advance(&self, mass: &[f64]) -> Vec<f64>;
}

/// P, row-stochastic and sparse: where a walk goes from each state. A state from which no edge leads on teleports.
#[derive(Debug, Clone, PartialEq)]
pub struct TransitionMatrix {
    /// Targets with positive probability, ascending; empty for a state that teleports.
    rows: Vec<Vec<(usize, f64)>>,
    teleport: Vec<f64>,
}

impl TransitionMatrix {
    /// Normalises each row of `weights`, (target, weight) pairs whose equal targets add. A row without positive
    /// weight teleports in proportion to `teleport`, uniformly when that is all zero. Weights that are negative or
    /// not finite count as zero.
    ///
    /// `weights` and `teleport` are one per state, and targets are states. O(edges · log degree).
    pub(crate) fn from_weights(weights: Vec<Vec<(usize, f64)>>, teleport: &[f64]) -> Self {
        debug_assert_eq!(weights.len(), teleport.len(), "one teleport weight per state");
        let states = teleport.len();
        let rows = weights.into_iter().map(|row| normalised_row(row, states)).collect();
        Self { rows, teleport: distribution(teleport) }
    }

    /// How many states there are.
    pub fn states(&self) -> usize {
        self.teleport.len()
    }

    /// Where a walk goes from `state` along edges: (target, probability), targets ascending, probabilities summing
    /// to 1; empty when the state teleports.
    pub fn row(&self, state: usize) -> &[(usize, f64)] {
        self.rows.get(state).map_or(&[], Vec::as_slice)
    }

    /// The chance to go from `state` along an edge to `target`; 0 where none leads there. O(log degree).
    pub fn probability(&self, state: usize, target: usize) -> f64 {
        let row = self.row(state);
        row.binary_search_by_key(&target, |&(known, _)| known).map_or(0.0, |place| row[place].1)
    }

    /// The distribution after a teleport, one probability per state.
    pub fn teleport(&self) -> &[f64] {
        &self.teleport
    }

    /// Which states a walk from `start` can ever visit. O(edges + states).
    pub(crate) fn reachable(&self, start: usize) -> Vec<bool> {
        let mut seen = vec![false; self.states()];
        let mut teleported = false;
        let mut open = Vec::from_iter((start < self.states()).then_some(start));
        while let Some(state) = open.pop() {
            if std::mem::replace(&mut seen[state], true) {
                continue;
            }
            let row = self.row(state);
            open.extend(row.iter().map(|&(target, _)| target).filter(|&target| !seen[target]));
            if row.is_empty() && !std::mem::replace(&mut teleported, true) {
                let targets = self.teleport.iter().enumerate().filter(|(_, probability)| **probability > 0.0);
                open.extend(targets.map(|(target, _)| target));
            }
        }
        seen
    }
}

impl Transitions for TransitionMatrix {
    /// O(edges + states).
    fn advance(&self, mass: &[f64]) -> Vec<f64> {
        let mut next = vec![0.0; self.states()];
        let mut stranded = 0.0;
        for (row, &here) in self.rows.iter().zip(mass) {
            if row.is_empty() {
                stranded += here;
            }
            for &(target, probability) in row {
                next[target] += here * probability;
            }
        }
        if stranded != 0.0 {
            for (arrived, probability) in next.iter_mut().zip(&self.teleport) {
                *arrived += stranded * probability;
            }
        }
        next
    }
}

/// Scales weights to sum to 1; uniform when none is positive. Bad weights count as zero.
pub(crate) fn distribution(weights: &[f64]) -> Vec<f64> {
    let total: f64 = weights.iter().copied().map(usable).sum();
    if total > 0.0 && total.is_finite() {
        weights.iter().map(|&weight| usable(weight) / total).collect()
    } else {
        vec![1.0 / weights.len().max(1) as f64; weights.len()]
    }
}

fn usable(weight: f64) -> f64 {
    if weight.is_finite() { weight.max(0.0) } else { 0.0 }
}

fn normalised_row(mut row: Vec<(usize, f64)>, states: usize) -> Vec<(usize, f64)> {
    row.retain(|&(target, weight)| target < states && usable(weight) > 0.0);
    row.sort_by_key(|&(target, _)| target);
    row.dedup_by(|later, kept| {
        let same = later.0 == kept.0;
        if same {
            kept.1 += later.1;
        }
        same
    });
    let total: f64 = row.iter().map(|(_, weight)| weight).sum();
    for (_, weight) in &mut row {
        *weight /= total;
    }
    row
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_normalised_and_equal_targets_add() {
        let matrix = TransitionMatrix::from_weights(
            vec![vec![(1, 1.0), (0, 2.0), (1, 1.0)], vec![(0, f64::NAN), (1, -1.0)]],
            &[3.0, 1.0],
        );
        assert_eq!(matrix.row(0), [(0, 0.5), (1, 0.5)]);
        assert_eq!(matrix.row(1), []);
        assert_eq!(matrix.teleport(), [0.75, 0.25]);
        assert_eq!(matrix.advance(&[0.0, 1.0]), [0.75, 0.25]);
    }

    #[test]
    fn teleports_are_uniform_when_nothing_speaks_for_any_state() {
        assert_eq!(distribution(&[0.0; 4]), [0.25; 4]);
        assert_eq!(distribution(&[]), [0.0; 0]);
    }

    #[test]
    fn what_lies_beyond_the_edges_is_not_reachable() {
        let matrix = TransitionMatrix::from_weights(
            vec![vec![(1, 1.0)], vec![(0, 1.0)], vec![(0, 1.0)], vec![]],
            &[0.0, 0.0, 1.0, 0.0],
        );
        assert_eq!(matrix.reachable(0), [true, true, false, false]);
        assert_eq!(matrix.reachable(3), [true, true, true, true]);
    }
}
