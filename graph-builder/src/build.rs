//! A behaviour graph from a frame, in one call.

use std::sync::atomic::AtomicBool;

use automap_proto::{
    behavior_graph::BehaviorGraph, frame::MetricFrame, invalid::Invalid, metric::MetricKind,
    settings::GraphSettings,
};

use crate::{
    contingency::Statistic,
    correlation::Correlation,
    discretise::Discretised,
    fisher_z::FisherZ,
    front_end::{FrontEndCorrelations, with_front_end},
    graph::behavior_graph,
    partial_correlation::PartialCorrelationTest,
    skeleton::learn,
    standardise::{Standardised, select},
    stop::{Stopped, poll},
    table_test::TableTest,
};

/// A level of one metric type is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LevelDone {
    /// The metric type.
    pub metric: MetricKind,
    /// Size of its conditioning sets.
    pub level: usize,
    /// Tests made so far, over all metric types.
    pub tests: u64,
}

/// A behaviour graph and what fell off on the way.
#[derive(Debug, Clone, PartialEq)]
pub struct BuiltGraph {
    /// G(V, E, W) over all services of the frame.
    pub graph: BehaviorGraph,
    /// Conditional independence tests made.
    pub tests: u64,
    /// Correlations with the front end, where one was named.
    pub correlations: Option<FrontEndCorrelations>,
}

/// No graph was built.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BuildError {
    /// The caller asked to stop.
    #[error(transparent)]
    Stopped(#[from] Stopped),
    /// The graph type refused what was built.
    #[error(transparent)]
    Invalid(#[from] Invalid),
}

/// Builds the behaviour graph of the given rows (section 2).
///
/// `rows` are sample indices of the frame; `front_end` is a position in its services, for the correlations, which
/// are computed for all seven metric types whatever `settings` tests. `progress` is told each finished level of
/// each metric type, from a thread of the current rayon pool. With fewer than four rows the graph has no edge.
///
/// # Errors
/// [`BuildError::Stopped`] soon after `stop` was set.
///
/// # Complexity
/// O(7 · services² · rows) for the correlations, and the tests of [`learn`] for each metric type.
pub fn build(
    frame: &MetricFrame,
    rows: &[usize],
    settings: &GraphSettings,
    front_end: Option<usize>,
    stop: &AtomicBool,
    progress: &mut (dyn FnMut(LevelDone) + Send),
) -> Result<BuiltGraph, BuildError> {
    let front_end = front_end.filter(|index| *index < frame.services().len());
    let mut correlations = FrontEndCorrelations::default();
    let mut skeletons = Vec::new();
    let mut tests = 0;
    for metric in MetricKind::ALL {
        let is_tested = settings.metrics().contains(&metric);
        if !is_tested && front_end.is_none() {
            continue;
        }
        poll(stop)?;
        let standardised = Standardised::new(select(frame, rows, metric));
        let correlation = Correlation::new(&standardised);
        if let Some(index) = front_end {
            correlations[metric.index()] = with_front_end(&correlation, index);
        }
        if is_tested {
            let before = tests;
            let on_level = &mut |level, made| progress(LevelDone { metric, level, tests: before + made });
            let most = settings.max_condition();
            let skeleton = match Statistic::of(settings.ci_test()) {
                None => {
                    let fisher_z = FisherZ::new(settings.alpha());
                    learn(&PartialCorrelationTest::new(&correlation, fisher_z), most, stop, on_level)?
                }
                Some(statistic) => {
                    let data = Discretised::new(&standardised, settings.bins());
                    learn(&TableTest::new(&data, statistic, settings.alpha()), most, stop, on_level)?
                }
            };
            tests += skeleton.tests();
            skeletons.push((metric, skeleton));
        }
    }
    Ok(BuiltGraph {
        graph: behavior_graph(frame.services(), skeletons)?,
        tests,
        correlations: front_end.map(|_| correlations),
    })
}
