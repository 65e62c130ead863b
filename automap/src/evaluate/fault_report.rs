//! Figures by what was done to the root cause.
//!
//! Groups are small and often all right or all wrong, where every resample is the same: shares have Wilson's interval, and
//! only their mean Avg@5 that of the bootstrap.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{
    bootstrap::{Estimate, Resamples},
    figure::Figure,
    measured::Measured,
    score_interval::score_interval,
};

/// Name of the group of incidents whose label names no fault.
const UNNAMED: &str = "not named";

/// Incidents of one dataset with the same fault.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FaultReport {
    /// Name of the dataset.
    pub dataset: String,
    /// What was done.
    pub fault_type: String,
    /// How many incidents.
    pub incidents: usize,
    /// In how many nobody could have known; absent when no scorer of single series was run.
    pub unknowable: Option<usize>,
    /// In the order of the contenders.
    pub methods: Vec<FaultFigures>,
}

/// One contender on those incidents.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FaultFigures {
    /// Name of the contender.
    pub method: String,
    /// PR@1.
    pub ac1: Estimate,
    /// PR@3.
    pub ac3: Estimate,
    /// PR@5.
    pub ac5: Estimate,
    /// Mean of PR@1 to PR@5.
    pub avg5: Estimate,
}

/// The groups of every dataset, by name of the fault.
pub fn by_fault(
    measured: &Measured,
    unknowable: Option<&[Vec<bool>]>,
    bootstrap: usize,
    seed: u64,
) -> Vec<FaultReport> {
    let mut groups: BTreeMap<(usize, &str), Vec<usize>> = BTreeMap::new();
    for (dataset, set) in measured.sets.iter().enumerate() {
        for (incident, case) in set.cases.iter().enumerate() {
            let fault = case.label.fault_type.as_deref().unwrap_or(UNNAMED);
            groups.entry((dataset, fault)).or_default().push(incident);
        }
    }
    let sizes: Vec<usize> = groups.values().map(Vec::len).collect();
    let resamples = Resamples::new(&sizes, bootstrap, seed);
    let values: Vec<[Vec<Vec<f64>>; 4]> = (0..measured.contenders.len())
        .map(|contender| Figure::ALL.map(|figure| measured.values(contender, figure)))
        .collect();
    groups
        .iter()
        .enumerate()
        .map(|(group, (&(dataset, fault), members))| FaultReport {
            dataset: measured.sets[dataset].name.clone(),
            fault_type: fault.into(),
            incidents: members.len(),
            unknowable: unknowable
                .map(|unseen| members.iter().filter(|&&incident| unseen[dataset][incident]).count()),
            methods: measured
                .contenders
                .iter()
                .zip(&values)
                .map(|(contender, figures)| {
                    let [ac1, ac3, ac5, avg5] = figures.each_ref().map(|of_all| {
                        let of_group: Vec<f64> =
                            members.iter().map(|&incident| of_all[dataset][incident]).collect();
                        resamples.dataset(group, &of_group)
                    });
                    let [ac1, ac3, ac5] = [ac1, ac3, ac5].map(|share| share_of(share.value, members.len()));
                    FaultFigures { method: contender.name.clone(), ac1, ac3, ac5, avg5 }
                })
                .collect(),
        })
        .collect()
}

fn share_of(value: f64, incidents: usize) -> Estimate {
    let [low, high] = score_interval(value, incidents);
    Estimate { value, low, high }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluate::test_measured::{measured, outcome};

    #[test]
    fn a_group_of_which_all_or_none_are_right_is_not_certain() {
        let runs = vec![vec![vec![outcome(1.0), outcome(0.0), outcome(1.0), outcome(0.0)]]];
        let found = by_fault(&measured(&["evidence"], runs), None, 100, 0);
        let (right, wrong) = (found[0].methods[0].ac1, found[1].methods[0].ac1);
        assert!(right.low < 0.4 && right.high == 1.0, "2 of 2: {right:?}");
        assert!(wrong.low == 0.0 && wrong.high > 0.6, "0 of 2: {wrong:?}");
    }

    #[test]
    fn incidents_are_grouped_by_dataset_and_fault() {
        // Incidents 0 and 2 are fault0, incident 1 is fault1.
        let runs = vec![vec![vec![outcome(1.0), outcome(0.0), outcome(0.5)]]];
        let found = by_fault(&measured(&["evidence"], runs), Some(&[vec![false, true, true]]), 100, 0);
        assert_eq!(found.len(), 2);
        assert_eq!(
            (found[0].fault_type.as_str(), found[0].incidents, found[0].unknowable),
            ("fault0", 2, Some(1))
        );
        assert_eq!((found[0].methods[0].ac1.value, found[1].methods[0].ac1.value), (0.75, 0.0));
    }
}
