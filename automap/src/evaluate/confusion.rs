//! What was answered for what was at fault.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

/// A confusion matrix: what was at fault by what was answered first.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Confusion {
    /// What was at fault, sorted.
    pub actual: Vec<String>,
    /// What was answered at all, sorted.
    pub answered: Vec<String>,
    /// Incidents, one row per `actual`, one column per `answered`. Answers that tie count with their shares.
    pub counts: Vec<Vec<f64>>,
}

/// What was at fault, and what was answered first.
pub type FaultAndAnswer<'a> = (&'a [String], &'a [String]);

impl Confusion {
    /// Counts (at fault, answered first) pairs. Several at fault share their incident, and so do several answers;
    /// an incident without an answer adds nothing but its row.
    pub fn new(pairs: &[FaultAndAnswer<'_>]) -> Self {
        let actual = sorted(pairs.iter().flat_map(|pair| pair.0));
        let answered = sorted(pairs.iter().flat_map(|pair| pair.1));
        let place = |list: &[String]| -> BTreeMap<String, usize> {
            list.iter().cloned().enumerate().map(|(index, name)| (name, index)).collect()
        };
        let (rows, columns) = (place(&actual), place(&answered));
        let mut counts = vec![vec![0.0; answered.len()]; actual.len()];
        for (faulty, first) in pairs {
            let share = 1.0 / (faulty.len() * first.len()).max(1) as f64;
            for root in *faulty {
                for answer in *first {
                    counts[rows[root]][columns[answer]] += share;
                }
            }
        }
        Self { actual, answered, counts }
    }
}

/// Each name once.
fn sorted<'a>(names: impl Iterator<Item = &'a String>) -> Vec<String> {
    names.cloned().collect::<BTreeSet<String>>().into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(list: &[&str]) -> Vec<String> {
        list.iter().map(|&name| name.to_owned()).collect()
    }

    #[test]
    fn counts_worked_by_hand() {
        let (cart, db, both, none) = (names(&["cart"]), names(&["db"]), names(&["cart", "db"]), names(&[]));
        let found = Confusion::new(&[(&cart, &cart), (&cart, &db), (&db, &both), (&both, &db), (&db, &none)]);
        assert_eq!(found.actual, ["cart", "db"]);
        assert_eq!(found.answered, ["cart", "db"]);
        // cart: once right, once db, half of the double fault as db. db: half each of a tie, half of the double fault.
        assert_eq!(found.counts, [[1.0, 1.5], [0.5, 1.0]]);
    }

    #[test]
    fn what_was_never_answered_has_a_row_and_no_column() {
        let (cart, none) = (names(&["cart"]), names(&[]));
        let found = Confusion::new(&[(&cart, &none)]);
        assert_eq!((found.actual.len(), found.answered.len()), (1, 0));
    }
}
