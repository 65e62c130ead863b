//! p of χ² and G², for edges that stand.

use super::{TableSearch, TableTest};
use crate::{
    contingency::Association,
    edge_tests::{PairTest, TestedPair, below},
};

/// Memory of the tests of one pair.
#[derive(Debug, Default)]
pub(crate) struct Weakest {
    search: TableSearch,
    counts: Vec<u32>,
    /// The smallest statistic by degrees of freedom: of equally many, it has the largest p.
    least: Vec<Option<f64>>,
}

impl Weakest {
    fn keep(&mut self, Association { statistic, degrees_of_freedom, .. }: Association) {
        if self.least.len() <= degrees_of_freedom {
            self.least.resize(degrees_of_freedom + 1, None);
        }
        let slot = &mut self.least[degrees_of_freedom];
        *slot = Some(slot.map_or(statistic, |least| least.min(statistic)));
    }

    fn largest_p_value(&self) -> Option<f64> {
        let found = self.least.iter().enumerate().filter_map(|(degrees_of_freedom, statistic)| {
            let association =
                Association { statistic: (*statistic)?, degrees_of_freedom, ..Association::default() };
            Some(association.p_value())
        });
        found.reduce(f64::max)
    }
}

impl PairTest for TableTest<'_> {
    type Buffers = Weakest;

    fn given_nothing(&self, buffers: &mut Weakest, (first, second): (u32, u32)) -> Option<TestedPair> {
        let association = self.association(first as usize, second as usize, &mut buffers.counts);
        association.is_testable().then(|| TestedPair {
            p_value: below(self.critical.alpha(), association.p_value()),
            // Sums of rows, of which there are fewer than 2³².
            samples: association.samples as u32,
        })
    }

    fn largest_given_one(
        &self,
        buffers: &mut Weakest,
        pair: (u32, u32),
        neighbours: [&[u32]; 2],
    ) -> Option<f64> {
        buffers.least.clear();
        buffers.search.load_cells(self.data, pair.0 as usize, pair.1 as usize);
        for &candidate in neighbours.into_iter().flatten() {
            if candidate == pair.0 || candidate == pair.1 {
                continue;
            }
            let association = buffers.search.association(self, 0, candidate);
            if association.is_testable() {
                buffers.keep(association);
            }
        }
        Some(below(self.critical.alpha(), buffers.largest_p_value()?))
    }
}
