//! All outcomes of an evaluation.

use super::{case::CaseSet, contender::Contender, figure::Figure, outcome::Outcome};

/// Who was compared on what, and what came of it.
#[derive(Debug)]
pub struct Measured {
    /// The incidents.
    pub sets: Vec<CaseSet>,
    /// In the order in which they were asked for; the first is the one that the others are held against.
    pub contenders: Vec<Contender>,
    /// Per dataset, then per contender.
    pub runs: Vec<Vec<Run>>,
}

/// One contender on one dataset.
#[derive(Debug, Default)]
pub struct Run {
    /// One per incident, in the order of the dataset.
    pub outcomes: Vec<Outcome>,
    /// The largest resident set of the process meanwhile, bytes.
    pub peak_bytes: Option<u64>,
}

impl Measured {
    /// Incidents per dataset.
    pub fn sizes(&self) -> Vec<usize> {
        self.sets.iter().map(|set| set.cases.len()).collect()
    }

    /// A figure of every incident: per dataset one value per incident.
    pub fn values(&self, contender: usize, figure: Figure) -> Vec<Vec<f64>> {
        let of_run = |run: &Run| run.outcomes.iter().map(|outcome| figure.of(&outcome.precision)).collect();
        self.runs.iter().map(|runs| of_run(&runs[contender])).collect()
    }

    /// What `first` gains on `second`, incident by incident.
    pub fn gains(&self, first: usize, second: usize, figure: Figure) -> Vec<Vec<f64>> {
        differences(&self.values(first, figure), &self.values(second, figure))
    }

    /// Outcomes of a contender over all datasets, in order.
    pub fn outcomes(&self, contender: usize) -> impl Iterator<Item = &Outcome> {
        self.runs.iter().flat_map(move |runs| &runs[contender].outcomes)
    }
}

/// What values `ahead` gain on those `behind`, incident by incident.
pub(super) fn differences(ahead: &[Vec<f64>], behind: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let of_set = |(left, right): (&Vec<f64>, &Vec<f64>)| {
        left.iter().zip(right).map(|(one, other)| one - other).collect()
    };
    ahead.iter().zip(behind).map(of_set).collect()
}
