//! Could anybody have known? Incidents in which no series of a root cause left its normal range.

use automap_proto::method::Method;
use serde::Serialize;

use super::measured::Measured;

/// Scorers of single series, whose answers tell how far each left its normal range.
const SCORERS: [&str; 3] = ["evidence", "n-sigma", "baro"];
/// Spreads, in a scorer's own unit, from which on a series counts as having left its normal range: the usual three
/// sigma.
pub const DEPARTED: f64 = 3.0;

/// Expected hits among the first five from which on a root cause was found: less is a tie with many others.
const FOUND: f64 = 0.5;

/// How many incidents of a dataset no scorer could have seen.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Knowable {
    /// Incidents in which no series of any root cause reached three spreads by any of the scorers.
    pub unknowable: usize,
    /// Incidents whose root cause no contender but chance had among its first five: an upper bound of what could not be
    /// known.
    pub found_by_nobody: usize,
    /// The scorers that were asked.
    pub scorers: Vec<&'static str>,
}

/// For every dataset and incident whether nobody could have known; `None` when no scorer was run. Three spreads are
/// also reached by chance, the more easily the more series a service has, so the share is a lower bound.
pub fn unknowable(measured: &Measured) -> Option<Vec<Vec<bool>>> {
    let scorers = asked(measured);
    (!scorers.is_empty()).then(|| {
        measured
            .runs
            .iter()
            .zip(measured.sizes())
            .map(|(runs, size)| {
                let unseen = |incident: usize| {
                    scorers
                        .iter()
                        .all(|&(contender, _)| runs[contender].outcomes[incident].root_spreads < DEPARTED)
                };
                (0..size).map(unseen).collect()
            })
            .collect()
    })
}

/// For every dataset and incident whether no contender but `random` had a root cause among its first five.
pub fn found_by_nobody(measured: &Measured) -> Vec<Vec<bool>> {
    let missed = |dataset: usize, incident: usize| {
        measured
            .contenders
            .iter()
            .zip(&measured.runs[dataset])
            .filter(|(contender, _)| contender.method != Method::Random)
            .all(|(_, run)| run.outcomes[incident].precision[4] < FOUND)
    };
    let sizes = measured.sizes().into_iter().enumerate();
    sizes.map(|(dataset, size)| (0..size).map(|incident| missed(dataset, incident)).collect()).collect()
}

/// The scorers among the contenders, with their positions.
pub fn asked(measured: &Measured) -> Vec<(usize, &'static str)> {
    let position = |name: &str| measured.contenders.iter().position(|contender| contender.name == name);
    SCORERS.into_iter().filter_map(|name| Some((position(name)?, name))).collect()
}
