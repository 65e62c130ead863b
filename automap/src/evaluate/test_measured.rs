//! Made-up outcomes for tests.

use super::{
    case::{Case, CaseSet},
    contender::Contender,
    label::Label,
    measured::{Measured, Run},
    outcome::Outcome,
};
use crate::failure::Failure;

/// An outcome whose every PR@K is `precision`.
pub(crate) fn outcome(precision: f64) -> Outcome {
    Outcome { precision: [precision; 5], first: vec!["cart".into()], seconds: 2.0, ..Outcome::default() }
}

/// Outcomes per dataset, contender and incident; datasets are `set0`, `set1` and so on, incidents `set0/0`, and the
/// root cause is always `cart`. Names that are no method stand for variants.
pub(crate) fn measured(names: &[&str], outcomes: Vec<Vec<Vec<Outcome>>>) -> Measured {
    let contenders = names.iter().map(|name| Contender {
        name: (*name).to_owned(),
        method: name.parse().unwrap_or_default(),
        parameters: Default::default(),
        learns: false,
    });
    let case = |dataset: usize, incident: usize| Case {
        id: format!("set{dataset}/{incident}"),
        label: Label {
            root_cause_services: vec!["cart".into()],
            root_cause_metric: None,
            fault_type: Some(format!("fault{}", incident % 2)),
        },
        request: Err(Failure::Usage("made up".into())),
    };
    let sets = outcomes.iter().enumerate().map(|(dataset, runs)| CaseSet {
        name: format!("set{dataset}"),
        cases: (0..runs[0].len()).map(|incident| case(dataset, incident)).collect(),
    });
    Measured {
        sets: sets.collect(),
        contenders: contenders.collect(),
        runs: outcomes
            .into_iter()
            .map(|runs| {
                runs.into_iter().map(|outcomes| Run { outcomes, peak_bytes: Some(1 << 20) }).collect()
            })
            .collect(),
    }
}
