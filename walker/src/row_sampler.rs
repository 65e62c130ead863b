//! Drawing the next step of a simulated walk.

use crate::transition_matrix::TransitionMatrix;

/// Cumulated probabilities of every row of a transition matrix.
#[derive(Debug, Clone)]
pub(crate) struct RowSampler<'a> {
    matrix: &'a TransitionMatrix,
    cumulated: Vec<Vec<f64>>,
    teleport: Vec<f64>,
}

impl<'a> RowSampler<'a> {
    /// O(edges + states).
    pub(crate) fn new(matrix: &'a TransitionMatrix) -> Self {
        let states = matrix.states();
        let row = |state| cumulate(matrix.row(state).iter().map(|&(_, probability)| probability));
        Self {
            matrix,
            cumulated: (0..states).map(row).collect(),
            teleport: cumulate(matrix.teleport().iter().copied()),
        }
    }

    /// The state to which the edges of `state` lead for `uniform` in [0, 1). `None` when none leads on.
    /// O(log degree).
    pub(crate) fn along_edge(&self, state: usize, uniform: f64) -> Option<usize> {
        let choice = draw(self.cumulated.get(state)?, uniform)?;
        self.matrix.row(state).get(choice).map(|&(target, _)| target)
    }

    /// The state that a teleport leads to for `uniform` in [0, 1). O(log states).
    pub(crate) fn teleport(&self, uniform: f64) -> Option<usize> {
        draw(&self.teleport, uniform)
    }
}

fn cumulate(probabilities: impl Iterator<Item = f64>) -> Vec<f64> {
    probabilities
        .scan(0.0, |sum, probability| {
            *sum += probability;
            Some(*sum)
        })
        .collect()
}

/// The first place whose cumulated probability exceeds `uniform`; where rounding leaves none, the last that can be.
fn draw(cumulated: &[f64], uniform: f64) -> Option<usize> {
    let total = cumulated.last()?;
    let choice = cumulated.partition_point(|sum| *sum <= uniform);
    let last_possible = cumulated.partition_point(|sum| sum < total);
    Some(choice.min(last_possible))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_of_the_unit_interval_leads_to_its_own_target() {
        let matrix = TransitionMatrix::from_weights(
            vec![vec![(0, 1.0), (2, 3.0)], vec![], vec![(1, 1.0)]],
            &[1.0, 1.0, 0.0],
        );
        let sampler = RowSampler::new(&matrix);
        for (uniform, target) in [(0.0, 0), (0.2499, 0), (0.25, 2), (0.999_999_999_999_999_9, 2)] {
            assert_eq!(sampler.along_edge(0, uniform), Some(target), "{uniform}");
        }
        assert_eq!(sampler.along_edge(1, 0.5), None);
        assert_eq!(sampler.along_edge(9, 0.5), None);
        assert_eq!(sampler.teleport(0.7), Some(1));
        assert_eq!(sampler.teleport(1.0), Some(1), "a state of probability zero is never drawn");
    }
}
