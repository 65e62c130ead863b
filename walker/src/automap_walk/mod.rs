//! The random walk of the published method over the anomaly behaviour graph (Ma et al., *AutoMAP*, WWW 2020).
//!
//! | module | what it holds |
//! |---|---|
//! | `relevance` | s_i, how far each service moves with the front end |
//! | `transition` | forward, backward and self moves |
//! | `exact` | visits as the stationary distribution (the default) |
//! | `monte_carlo` | visits of a simulated walk, with its paths |
//! | `visit_scores` | one falling score from visits and, for services never reached, relevance |

mod exact;
mod monte_carlo;
mod relevance;
mod transition;
mod visit_scores;

use automap_proto::{behavior_graph::BehaviorGraph, invalid::Invalid, metric::METRIC_COUNT};

use crate::{
    parameters::{AutomapParameters, PathParameters, Solver},
    walk_trace::WalkTrace,
    walked_paths::{WalkedPath, walk_paths},
};

/// What the walk reads.
#[derive(Debug, Clone, Copy)]
pub struct AutomapInput<'a> {
    /// The anomaly behaviour graph with its weights W_ijk.
    pub graph: &'a BehaviorGraph,
    /// c(i, fe, k) = |Pearson(M_k,i , M_k,fe)|, each 0..1: one list per metric type, one value per service of the
    /// graph.
    pub correlations: &'a [Vec<f64>; METRIC_COUNT],
    /// w_k, each >= 0, summing to 1.
    pub weights: &'a [f64; METRIC_COUNT],
    /// Position of the front end among the services of the graph.
    pub front_end: usize,
}

impl AutomapInput<'_> {
    /// # Errors
    /// The front end is no service, a list of correlations has the wrong length or holds what is no correlation, or
    /// a weight is negative or no number.
    fn check(&self) -> Result<(), Invalid> {
        let services = self.graph.services().len();
        if self.front_end >= services {
            return Err(Invalid::new(
                "front_end",
                format!("is service {} of {services}; name one of the graph", self.front_end),
            ));
        }
        for (metric, correlations) in self.correlations.iter().enumerate() {
            // Rounding may lift a perfect correlation just above 1.
            let usable = correlations.iter().all(|value| (0.0..=1.0 + 1e-9).contains(value));
            if correlations.len() != services || !usable {
                return Err(Invalid::new(
                    format!("correlations[{metric}]"),
                    format!("must hold a number from 0 to 1 for each of {services} services"),
                ));
            }
        }
        if !self.weights.iter().all(|weight| (0.0..=1.0 + 1e-9).contains(weight)) {
            return Err(Invalid::new("metric_weights", "must be seven numbers from 0 to 1"));
        }
        Ok(())
    }
}

/// The answer of the walk, one value per service of the graph.
#[derive(Debug, Clone, PartialEq)]
pub struct AutomapAnswer {
    /// Share of the walk's time at the service, or for one never reached s_i − 2: below every share, ordered by s_i.
    pub scores: Vec<f64>,
    /// How the front end leads to the service: as the simulated walk went, or by walks over the same transitions
    /// when visits were solved exactly. `None` where no walk came.
    pub paths: Vec<Option<WalkedPath>>,
}

/// Walks the anomaly behaviour graph from the front end and scores its services by visits. `trace` remembers the steps of
/// the simulated walk, or with the exact solver of the walks that explain.
///
/// # Errors
/// The input does not fit together; see [`AutomapInput`].
///
/// # Complexity
/// O(edges) per iteration of the exact solver, O(steps · log degree) for the simulated walk.
pub fn automap_walk(
    input: &AutomapInput<'_>,
    parameters: &AutomapParameters,
    path_parameters: &PathParameters,
    seed: u64,
    trace: &mut WalkTrace,
) -> Result<AutomapAnswer, Invalid> {
    input.check()?;
    let relevance = relevance::relevance(input.correlations, input.weights);
    let matrix = transition::transition(input, &relevance, parameters.backward);
    let front_end = input.front_end;
    Ok(match parameters.solver {
        Solver::Exact => {
            let visits = exact::visit_shares(&matrix, front_end, parameters.restart);
            AutomapAnswer {
                scores: visit_scores::visit_scores(&visits, &relevance),
                paths: walk_paths(&matrix, front_end, path_parameters, seed, trace),
            }
        }
        Solver::MonteCarlo => {
            let walked =
                monte_carlo::simulate(&matrix, front_end, parameters.restart, parameters.steps, seed, trace);
            AutomapAnswer {
                scores: visit_scores::visit_scores(&walked.visit_shares, &relevance),
                paths: walked.paths,
            }
        }
    })
}

#[cfg(test)]
mod tests;
