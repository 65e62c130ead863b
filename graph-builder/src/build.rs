//! A behaviour graph from a frame, in one call.

use std::{
    panic::resume_unwind,
    sync::{Arc, Mutex, PoisonError, atomic::AtomicBool},
    thread,
};

use automap_proto::{
    behavior_graph::BehaviorGraph, frame::MetricFrame, invalid::Invalid, load_removal::LoadRemoval,
    metric::MetricKind, settings::GraphSettings,
};

use crate::{
    bootstrap::Tally,
    correlation::Correlation,
    edge_report::EdgeReport,
    edge_tests::{Depth, SkeletonPValues},
    front_end::{FrontEndCorrelations, with_front_end},
    graph::behavior_graph,
    level::Level,
    load_removal::Load,
    prepared::Prepared,
    resample_share::{ResampleShare, TestsByMetric},
    skeleton::{Levels, Skeleton, learn_within},
    standardise::{Standardised, select},
    stop::{Halt, Stopped},
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
    /// What the reader of the graph should know: sentences.
    pub warnings: Vec<String>,
    /// What the levels from 1 on took, by metric type.
    pub levels: Vec<MetricLevel>,
    /// What the tests took of the budget; see [`Skeleton::spent`].
    pub spent: TestsByMetric,
    /// What the tests that tell of edges took of it; see [`SkeletonPValues::spent`].
    pub spent_on_edges: u64,
}

impl BuiltGraph {
    /// What `asked` bootstrap resamples may take of a budget of `max_tests` after the graph and the tests of its edges.
    pub fn resample_share(&self, max_tests: Option<u64>, asked: u32) -> ResampleShare {
        let most = max_tests.map(|most| most.saturating_sub(self.spent_on_edges));
        ResampleShare::new(most, &self.spent, asked)
    }

    /// Tells each edge the share of resamples in which its pair is connected: none where no resample connects it. Where the
    /// budget left nothing for a resample, or the time was up before any was done, edges are told nothing; where there are
    /// fewer of them than were asked for, the graph says so.
    ///
    /// # Errors
    /// A share is none.
    pub fn set_confidences(&mut self, tally: &Tally, share: &ResampleShare) -> Result<(), Invalid> {
        let (done, asked) = (tally.resamples(), share.asked);
        let advice = match done {
            0 => "edges are told no confidence; draw fewer, or raise the budget",
            _ => "the confidence of edges is told from these; draw fewer, or raise the budget",
        };
        if done < share.drawn {
            self.warnings
                .push(format!("the time was up when {done} of {asked} resamples were tested: {advice}"));
        } else if done < asked {
            self.warnings.push(format!("the graph left tests for {done} of {asked} resamples: {advice}"));
        }
        if tally.resamples() == 0 {
            return Ok(());
        }
        let shares = tally.shares();
        let pairs: Vec<(usize, usize)> = self.graph.edges().map(|(from, to, _)| (from, to)).collect();
        for (from, to) in pairs {
            let share = shares.get(&(from.min(to) as u32, from.max(to) as u32)).copied().unwrap_or(0.0);
            self.graph.set_confidence(from, to, share)?;
        }
        Ok(())
    }
}

/// What the tests of one level of one metric type took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MetricLevel {
    /// The metric type.
    pub metric: MetricKind,
    /// The level.
    pub level: Level,
}

/// What bounds a build.
#[derive(Debug, Clone, Copy)]
pub struct Limits<'a> {
    /// Most tests, which the metric types share alike; `None` for as many as it takes.
    pub max_tests: Option<u64>,
    /// What ends it early.
    pub halt: Halt<'a>,
}

impl<'a> Limits<'a> {
    /// As many tests as it takes.
    pub const fn only(halt: Halt<'a>) -> Self {
        Self { max_tests: None, halt }
    }

    /// Most tests of each metric type.
    pub fn most_tests_of_a_metric(&self, settings: &GraphSettings) -> Option<u64> {
        self.max_tests.map(|most| most / settings.metrics().len() as u64)
    }
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

/// What a graph is built from, and how.
#[derive(Debug, Clone, Copy)]
pub struct BuildOrder<'a> {
    /// All samples.
    pub frame: &'a MetricFrame,
    /// Sample indices of the frame.
    pub rows: &'a [usize],
    /// Tests and metric types.
    pub settings: &'a GraphSettings,
    /// Position among the services of the frame of the one whose correlations are wanted.
    pub front_end: Option<usize>,
    /// What bounds the build.
    pub limits: Limits<'a>,
    /// Whether edges tell their tests; see [`edge_tests`](crate::edge_tests).
    pub edge_tests: bool,
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
/// O(7 · services² · rows) for the correlations, and the tests of [`learn`](crate::skeleton::learn) for each metric
/// type.
pub fn build(
    frame: &MetricFrame,
    rows: &[usize],
    settings: &GraphSettings,
    front_end: Option<usize>,
    stop: &AtomicBool,
    progress: &mut (dyn FnMut(LevelDone) + Send),
) -> Result<BuiltGraph, BuildError> {
    let limits = Limits::only(Halt::on(stop));
    build_within(&BuildOrder { frame, rows, settings, front_end, limits, edge_tests: false }, progress)
}

/// The same within a budget of tests, which the metric types share alike, and until the time is up; see
/// [`learn_within`]. The graph tells in its warnings what was cut.
///
/// # Errors
/// [`BuildError::Stopped`] soon after nobody wanted the graph any more.
pub fn build_within(
    order: &BuildOrder<'_>,
    progress: &mut (dyn FnMut(LevelDone) + Send),
) -> Result<BuiltGraph, BuildError> {
    build_spread(order, None, progress)
}

/// Where the tests of a build are made, when that is not the current rayon pool alone.
pub trait Spreading: Sync {
    /// Runs a computation on the threads that compute, and waits for it.
    fn run(&self, compute: &mut (dyn FnMut() + Send));

    /// The tests of one metric type.
    fn levels(&self, metric: MetricKind, prepared: Arc<Prepared>) -> Box<dyn Levels + '_>;
}

/// The same with the tests spread over several machines; the metric types are then worked on side by side, on threads of
/// their own. The graph is the same in every bit.
///
/// # Errors
/// [`BuildError::Stopped`] soon after nobody wanted the graph any more.
pub fn build_spread(
    order: &BuildOrder<'_>,
    spreading: Option<&dyn Spreading>,
    progress: &mut (dyn FnMut(LevelDone) + Send),
) -> Result<BuiltGraph, BuildError> {
    let BuildOrder { frame, rows, settings, limits, .. } = *order;
    let front_end = order.front_end.filter(|index| *index < frame.services().len());
    let work = MetricWork {
        order: BuildOrder { front_end, ..*order },
        load: Load::of(frame, rows, settings),
        max_tests: limits.most_tests_of_a_metric(settings),
    };
    let made = Mutex::new((0_u64, progress));
    // The tests so far are those of all metric types.
    let on_level = |metric: MetricKind, level: usize, further: u64| {
        let mut made = made.lock().unwrap_or_else(PoisonError::into_inner);
        let tests = made.0.saturating_add(further);
        made.0 = tests;
        (made.1)(LevelDone { metric, level, tests });
    };
    let kinds = MetricKind::ALL.into_iter();
    let kinds = kinds.filter(|kind| front_end.is_some() || settings.metrics().contains(kind));
    let metrics: Vec<Result<LearnedMetric, Stopped>> = match spreading {
        None => kinds.map(|metric| work.learn(metric, &on_level)).collect(),
        Some(spreading) => thread::scope(|scope| {
            let (work, on_level) = (&work, &on_level);
            let learn = |metric| move || work.learn_spread(metric, spreading, on_level);
            let threads: Vec<_> = kinds.map(|metric| scope.spawn(learn(metric))).collect();
            let ended = threads.into_iter().map(|thread| thread.join());
            ended.map(|learned| learned.unwrap_or_else(|panic| resume_unwind(panic))).collect()
        }),
    };
    let mut correlations = FrontEndCorrelations::default();
    let (mut skeletons, mut levels, mut tests) = (Vec::new(), Vec::new(), 0);
    let (mut spent, mut spent_on_edges) = (TestsByMetric::default(), 0_u64);
    let mut told = EdgeReport::default();
    for learned in metrics {
        let LearnedMetric { metric, with_front_end, skeleton, p_values } = learned?;
        if let Some(values) = with_front_end {
            correlations[metric.index()] = values;
        }
        if let Some(skeleton) = skeleton {
            tests = skeleton.tests().saturating_add(tests);
            spent[metric.index()] = skeleton.spent();
            levels.extend(skeleton.levels().iter().map(|&level| MetricLevel { metric, level }));
            skeletons.push((metric, skeleton));
        }
        let p_values = p_values.unwrap_or_default();
        spent_on_edges = spent_on_edges.saturating_add(p_values.spent);
        told.add(metric, p_values);
    }
    let mut warnings: Vec<String> = load_warning(&work.load, settings).into_iter().collect();
    warnings.extend(levels.iter().filter_map(|level| cut_warning(*level, work.max_tests)));
    warnings.extend(told.warnings());
    let mut graph = behavior_graph(frame.services(), skeletons)?;
    told.write_into(&mut graph)?;
    let correlations = front_end.map(|_| correlations);
    Ok(BuiltGraph { graph, tests, correlations, warnings, levels, spent, spent_on_edges })
}

/// What the metric types of a build have in common.
struct MetricWork<'a> {
    order: BuildOrder<'a>,
    load: Load,
    /// Of one metric type.
    max_tests: Option<u64>,
}

struct LearnedMetric {
    metric: MetricKind,
    with_front_end: Option<Vec<f64>>,
    skeleton: Option<Skeleton>,
    /// Of its edges, where they are wanted.
    p_values: Option<SkeletonPValues>,
}

/// Told of a metric type, a level that is done, and the tests that it took.
type OnLevel<'a> = dyn Fn(MetricKind, usize, u64) + Sync + 'a;

impl MetricWork<'_> {
    /// One metric type on the current rayon pool.
    fn learn(&self, metric: MetricKind, on_level: &OnLevel<'_>) -> Result<LearnedMetric, Stopped> {
        self.order.limits.halt.check()?;
        let (prepared, with_front_end) = self.prepare(metric);
        let mut learned = LearnedMetric { metric, with_front_end, skeleton: None, p_values: None };
        if let Some(prepared) = prepared {
            let skeleton = self.skeleton(metric, &prepared.at(self.order.settings.alpha()), on_level)?;
            learned.p_values = self.p_values(&prepared, &skeleton)?;
            learned.skeleton = Some(skeleton);
        }
        Ok(learned)
    }

    /// One metric type whose tests are made elsewhere too; the p-values of its edges are a small part of them.
    fn learn_spread(
        &self,
        metric: MetricKind,
        spreading: &dyn Spreading,
        on_level: &OnLevel<'_>,
    ) -> Result<LearnedMetric, Stopped> {
        self.order.limits.halt.check()?;
        let mut found = (None, None);
        spreading.run(&mut || found = self.prepare(metric));
        let (prepared, with_front_end) = found;
        let mut learned = LearnedMetric { metric, with_front_end, skeleton: None, p_values: None };
        if let Some(prepared) = prepared.map(Arc::new) {
            let levels = spreading.levels(metric, Arc::clone(&prepared));
            let skeleton = self.skeleton(metric, &*levels, on_level)?;
            let mut p_values = Ok(None);
            spreading.run(&mut || p_values = self.p_values(&prepared, &skeleton));
            learned.p_values = p_values?;
            learned.skeleton = Some(skeleton);
        }
        Ok(learned)
    }

    fn p_values(&self, prepared: &Prepared, skeleton: &Skeleton) -> Result<Option<SkeletonPValues>, Stopped> {
        let BuildOrder { settings, limits, edge_tests, .. } = self.order;
        let depth = Depth { max_condition: settings.max_condition(), max_tests: self.max_tests };
        edge_tests.then(|| prepared.at(settings.alpha()).edges_of(skeleton, depth, limits.halt)).transpose()
    }

    /// The series made ready for their tests, where the metric type is tested, and the correlations with the front end.
    fn prepare(&self, metric: MetricKind) -> (Option<Prepared>, Option<Vec<f64>>) {
        let BuildOrder { frame, rows, settings, front_end, .. } = self.order;
        let selected = select(frame, rows, metric);
        let mut with_front_end_of_all = None;
        let mut keep = |correlation: &Correlation| {
            with_front_end_of_all = front_end.map(|index| with_front_end(correlation, index));
        };
        let prepared = if !settings.metrics().contains(&metric) {
            keep(&Correlation::new(&Standardised::new(selected)));
            None
        } else if front_end.is_none() {
            Some(Prepared::new(selected, &self.load, settings))
        } else {
            // The correlations with the front end are those of the series as they are.
            Some(Prepared::with_correlation(selected, &self.load, settings, &mut keep))
        };
        (prepared, with_front_end_of_all)
    }

    fn skeleton(
        &self,
        metric: MetricKind,
        levels: &dyn Levels,
        on_level: &OnLevel<'_>,
    ) -> Result<Skeleton, Stopped> {
        let mut before = 0;
        let mut tell = |level, made| {
            on_level(metric, level, made - before);
            before = made;
        };
        let BuildOrder { settings, limits, .. } = self.order;
        learn_within(levels, settings.max_condition(), self.max_tests, limits.halt, &mut tell)
    }
}

/// Where a load was to be removed and there is none.
fn load_warning(load: &Load, settings: &GraphSettings) -> Option<String> {
    let is_missing = settings.load_removal() != LoadRemoval::Off && *load == Load::Nothing;
    is_missing.then(|| {
        format!(
            "the throughput of {} is constant or missing in these rows, and so no load was removed",
            settings.load_service()
        )
    })
}

/// Where a budget cut a level: `max_tests` is what the metric type had.
fn cut_warning(MetricLevel { metric, level }: MetricLevel, max_tests: Option<u64>) -> Option<String> {
    let budget = max_tests.map_or_else(|| "time".into(), |most| format!("{most} tests or the time"));
    let tried = match level.sets_tried {
        u64::MAX => String::new(),
        sets => format!(" after {sets} of their sets"),
    };
    (level.cut_pairs > 0).then(|| {
        format!(
            "{metric}: at level {} the budget of {budget} ended before all was tested: {} of {} pairs keep their \
             edges{tried}; remove the shared load, test less deeply, or raise the budget",
            level.size, level.cut_pairs, level.pairs
        )
    })
}
