//! The figures of each contender: on every dataset, and over them.

use automap_proto::assessment::Abstention;
use serde::Serialize;

use super::{
    bootstrap::{Estimate, Resamples, mean},
    figure::Figure,
    knowable::{self, Knowable},
    measured::{Measured, Run},
};

/// The figures of one dataset.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DatasetReport {
    /// Name of its folder.
    pub name: String,
    /// Incidents that were diagnosed.
    pub incidents: usize,
    /// Incidents in which nobody could have known; absent when no scorer of single series was run.
    pub knowable: Option<Knowable>,
    /// In the order of the contenders.
    pub methods: Vec<MethodReport>,
}

/// The figures of one contender on one dataset.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MethodReport {
    /// Name of the contender.
    pub method: String,
    /// How often the root causes were found.
    #[serde(flatten)]
    pub figures: Figures,
    /// Wall-clock seconds of one diagnosis, with as many at once as were asked for.
    pub seconds_per_incident: f64,
    /// The largest resident set of the whole process meanwhile, the four services and the client together, bytes.
    pub peak_memory_bytes: Option<u64>,
    /// Incidents without an answer; each counts as a miss.
    pub refused: usize,
    /// Answers that said that they name no root cause; their rankings count as they are.
    pub abstained: usize,
    /// Those of them that said that no service left its normal behaviour.
    pub nothing_departed: usize,
}

/// The figures of one contender over datasets.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MeanReport {
    /// Name of the contender.
    pub method: String,
    /// Mean over datasets.
    #[serde(flatten)]
    pub figures: Figures,
}

/// PR@1, PR@3, PR@5 and the mean of PR@1 to PR@5. With one root cause per incident PR@K is AC@K.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Figures {
    /// PR@1.
    pub ac1: f64,
    /// PR@3.
    pub ac3: f64,
    /// PR@5.
    pub ac5: f64,
    /// Mean of PR@1 to PR@5.
    pub avg5: f64,
    /// Their 95 % intervals.
    pub intervals: Intervals,
}

/// 95 % intervals: low and high.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Intervals {
    /// Of PR@1.
    pub ac1: [f64; 2],
    /// Of PR@3.
    pub ac3: [f64; 2],
    /// Of PR@5.
    pub ac5: [f64; 2],
    /// Of the mean of PR@1 to PR@5.
    pub avg5: [f64; 2],
}

impl Figures {
    /// One estimate for each of [`Figure::ALL`].
    pub(super) fn new(estimate: impl Fn(Figure) -> Estimate) -> Self {
        let [ac1, ac3, ac5, avg5] = Figure::ALL.map(estimate);
        let ends = |one: Estimate| [one.low, one.high];
        Self {
            ac1: ac1.value,
            ac3: ac3.value,
            ac5: ac5.value,
            avg5: avg5.value,
            intervals: Intervals { ac1: ends(ac1), ac3: ends(ac3), ac5: ends(ac5), avg5: ends(avg5) },
        }
    }

    /// A figure with its interval.
    pub const fn estimate(&self, figure: Figure) -> Estimate {
        let (value, [low, high]) = match figure {
            Figure::Ac1 => (self.ac1, self.intervals.ac1),
            Figure::Ac3 => (self.ac3, self.intervals.ac3),
            Figure::Ac5 => (self.ac5, self.intervals.ac5),
            Figure::Avg5 => (self.avg5, self.intervals.avg5),
        };
        Estimate { value, low, high }
    }
}

/// The figures of every dataset; `unknowable` tells, where it is known, in which incidents nobody could have known.
pub(super) fn dataset_reports(
    measured: &Measured,
    resamples: &Resamples,
    unknowable: Option<&[Vec<bool>]>,
) -> Vec<DatasetReport> {
    let found_by_nobody = knowable::found_by_nobody(measured);
    let count = |incidents: &[bool]| incidents.iter().filter(|one| **one).count();
    let method = |dataset: usize, contender: usize, run: &Run| MethodReport {
        method: measured.contenders[contender].name.clone(),
        figures: Figures::new(|figure| {
            resamples.dataset(dataset, &measured.values(contender, figure)[dataset])
        }),
        seconds_per_incident: mean(&run.outcomes.iter().map(|outcome| outcome.seconds).collect::<Vec<_>>()),
        peak_memory_bytes: run.peak_bytes,
        refused: run.outcomes.iter().filter(|outcome| outcome.refused.is_some()).count(),
        abstained: run.outcomes.iter().filter(|outcome| outcome.abstention.is_some()).count(),
        nothing_departed: run
            .outcomes
            .iter()
            .filter(|outcome| outcome.abstention == Some(Abstention::NothingDeparted))
            .count(),
    };
    measured
        .sets
        .iter()
        .enumerate()
        .map(|(dataset, set)| DatasetReport {
            name: set.name.clone(),
            incidents: set.cases.len(),
            knowable: unknowable.map(|unseen| Knowable {
                unknowable: count(&unseen[dataset]),
                found_by_nobody: count(&found_by_nobody[dataset]),
                scorers: knowable::asked(measured).into_iter().map(|(_, name)| name).collect(),
            }),
            methods: measured.runs[dataset]
                .iter()
                .enumerate()
                .map(|(contender, run)| method(dataset, contender, run))
                .collect(),
        })
        .collect()
}
