//! What a budget does where tables are too thin to be tested.

use std::sync::{Mutex, atomic::AtomicBool};

use automap_proto::settings::Bins;
use ndarray::Array2;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use super::*;
use crate::{
    skeleton::{Here, LevelTask, Levels, Neighbours, learn_within},
    standardise::Standardised,
    test_estimate::pair_sets,
};

const SERVICES: usize = 20;

/// Counts the sets that it is asked to look at.
struct Counting<'a> {
    inner: Here<'a, TableTest<'a>>,
    sets: Mutex<u64>,
}

impl Levels for Counting<'_> {
    fn level_zero(&self, halt: Halt<'_>) -> Result<(Neighbours, u64), Stopped> {
        self.inner.level_zero(halt)
    }

    fn has_level(&self, size: usize) -> bool {
        self.inner.has_level(size)
    }

    fn test(&self, task: &LevelTask<'_>, halt: Halt<'_>) -> Result<Vec<Verdict>, Stopped> {
        let own = pair_sets(task.neighbours, task.pairs, task.size);
        let asked = own.iter().map(|pair| pair.sets.saturating_sub(task.part.skip).min(task.part.most));
        *self.sets.lock().unwrap() += asked.sum::<u64>();
        self.inner.test(task, halt)
    }
}

/// Series that follow one load, of so few rows that a table of three series has hardly five samples a cell.
fn thin() -> Discretised {
    let mut random = ChaCha8Rng::seed_from_u64(7);
    let load: Vec<f64> = (0..100).map(|_| random.random_range(-1.0..1.0)).collect();
    let values =
        Array2::from_shape_fn((SERVICES, load.len()), |(_, row)| load[row] + random.random_range(-1.0..1.0));
    Discretised::new(&Standardised::new(values), Bins::Three)
}

#[test]
fn tables_that_are_too_thin_to_be_tested_are_bounded_too() {
    let (data, never) = (thin(), AtomicBool::new(false));
    let test = TableTest::new(&data, Statistic::G2, 0.05);
    let learn = |most| {
        let counting = Counting { inner: Here(&test), sets: Mutex::new(0) };
        let skeleton = learn_within(&counting, 2, most, Halt::on(&never), &mut |_, _| {}).unwrap();
        (skeleton, counting.sets.into_inner().unwrap())
    };
    let (whole, sets) = learn(None);
    assert!(sets > 4000 && whole.tests() < sets / 4, "{} tests of {sets} sets", whole.tests());
    // What fits is not changed by a budget.
    let (fitting, _) = learn(Some(2 * sets));
    assert_eq!(fitting, whole);
    for budget in [500, 1000, sets / 3] {
        let (cut, looked_at) = learn(Some(budget));
        assert!(cut.levels().last().unwrap().cut_pairs > 0 && cut.tests() <= budget);
        assert!(cut.tests() <= cut.spent() && cut.spent() <= budget);
        // A pair that is separated leaves some of its sets to others.
        assert!(looked_at < 2 * budget, "{looked_at} sets with a budget of {budget}");
        assert_eq!(learn(Some(budget)).0, cut);
    }
}
