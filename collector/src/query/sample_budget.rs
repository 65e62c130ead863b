//! How many samples one collection may hold: in answers while they come, and in rows over the whole grid.

use std::{
    collections::BTreeSet,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use automap_proto::edge_frame::EdgeMetric;

use super::rows::{RowFault, RowName};

/// The samples of a collection, shared by all its queries under way.
///
/// An answer to a part of the grid holds the samples of that part. A row that any part brought is one over the whole grid in
/// the end, however few of its points are known: rows are counted as they become known, and too many of them are refused
/// before one is made.
#[derive(Debug)]
pub(crate) struct SampleBudget {
    points: usize,
    most: usize,
    held: AtomicUsize,
    whole: Mutex<WholeRows>,
}

#[derive(Debug, Default)]
struct WholeRows {
    /// By the query that brought them.
    services: BTreeSet<(usize, RowName)>,
    /// Of all queries together: a pair has a row for each of its measures, known or not.
    pairs: BTreeSet<RowName>,
}

impl WholeRows {
    /// Of services or of pairs, whichever has more: a frame may be as large beside measured calls as without.
    fn count(&self) -> usize {
        self.services.len().max(EdgeMetric::ALL.len() * self.pairs.len())
    }
}

impl SampleBudget {
    /// At most `most` samples of services and as many of pairs, on a grid of `points`.
    pub(crate) fn new(points: usize, most: usize) -> Self {
        Self { points, most, held: AtomicUsize::new(0), whole: Mutex::default() }
    }

    /// Counts the names of rows that `query` brought.
    ///
    /// # Errors
    /// The rows of all queries hold too much over the whole grid.
    pub(crate) fn count_rows<'r>(
        &self,
        query: usize,
        names: impl IntoIterator<Item = &'r RowName>,
    ) -> Result<(), RowFault> {
        let mut whole = self.whole.lock().unwrap_or_else(PoisonError::into_inner);
        for name in names {
            match name.as_slice() {
                // What calls itself is no pair.
                [caller, callee] if caller == callee => {}
                [_, _] => {
                    whole.pairs.insert(name.clone());
                }
                _ => {
                    whole.services.insert((query, name.clone()));
                }
            }
        }
        let rows = whole.count();
        if rows.saturating_mul(self.points) > self.most {
            return Err(RowFault::TooManyRows { rows, points: self.points, mebibytes: self.mebibytes() });
        }
        Ok(())
    }

    fn mebibytes(&self) -> usize {
        self.most.saturating_mul(size_of::<f64>()) >> 20
    }
}

/// The samples of one answer; what is dropped before it is kept no longer counts.
#[derive(Debug)]
pub(crate) struct HeldSamples<'b> {
    budget: &'b SampleBudget,
    samples: usize,
}

impl<'b> HeldSamples<'b> {
    /// None yet.
    pub(crate) const fn new(budget: &'b SampleBudget) -> Self {
        Self { budget, samples: 0 }
    }

    /// Holds so many more.
    ///
    /// # Errors
    /// All answers together would hold too many.
    pub(crate) fn hold(&mut self, samples: usize) -> Result<(), RowFault> {
        let before = self.budget.held.fetch_add(samples, Ordering::Relaxed);
        self.samples += samples;
        if before.saturating_add(samples) > self.budget.most.saturating_mul(2) {
            return Err(RowFault::TooLarge(self.budget.mebibytes()));
        }
        Ok(())
    }

    /// They count until the end of the collection.
    pub(crate) fn keep(mut self) {
        self.samples = 0;
    }
}

impl Drop for HeldSamples<'_> {
    fn drop(&mut self) {
        self.budget.held.fetch_sub(self.samples, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(all: &[&[&str]]) -> Vec<RowName> {
        all.iter().map(|name| name.iter().map(|part| (*part).to_owned()).collect()).collect()
    }

    #[test]
    fn a_row_counts_over_the_whole_grid_however_often_it_comes() {
        let budget = SampleBudget::new(100, 400);
        for _ in 0..10 {
            budget.count_rows(0, &names(&[&["a"], &["b"]])).unwrap();
        }
        budget.count_rows(1, &names(&[&["a"], &["b"]])).unwrap();
        let refused = budget.count_rows(1, &names(&[&["c"]])).unwrap_err();
        assert_eq!(refused, RowFault::TooManyRows { rows: 5, points: 100, mebibytes: 0 });
    }

    #[test]
    fn a_pair_counts_with_all_its_measures_whichever_are_known() {
        let budget = SampleBudget::new(100, 600);
        budget.count_rows(0, &names(&[&["a", "b"], &["a", "c"]])).unwrap();
        budget.count_rows(1, &names(&[&["a", "c"], &["a", "b"]])).unwrap();
        let refused = budget.count_rows(1, &names(&[&["b", "c"]])).unwrap_err();
        assert_eq!(refused, RowFault::TooManyRows { rows: 9, points: 100, mebibytes: 0 });
    }

    #[test]
    fn services_and_pairs_have_room_beside_each_other_and_own_calls_take_none() {
        let budget = SampleBudget::new(100, 300);
        budget.count_rows(0, &names(&[&["a", "b"], &["a", "a"], &["b", "b"]])).unwrap();
        budget.count_rows(1, &names(&[&["a"], &["b"], &["c"]])).unwrap();
        assert!(budget.count_rows(1, &names(&[&["d"]])).is_err());
    }

    #[test]
    fn answers_under_way_share_one_budget_and_what_is_dropped_is_free_again() {
        let budget = SampleBudget::new(100, 5);
        let (mut one, mut other) = (HeldSamples::new(&budget), HeldSamples::new(&budget));
        one.hold(6).unwrap();
        assert_eq!(other.hold(5), Err(RowFault::TooLarge(0)));
        drop(other);
        let mut again = HeldSamples::new(&budget);
        again.hold(4).unwrap();
        again.keep();
        drop(one);
        assert!(HeldSamples::new(&budget).hold(7).is_err());
        HeldSamples::new(&budget).hold(6).unwrap();
    }
}
