//! Computing the graphs of a call and streaming them to its caller.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64},
    },
    time::Duration,
};

use automap_proto::{
    behavior_graph::BehaviorGraph,
    budget::TestBudget,
    metric::MetricKind,
    v1::{self, build_graph_response::Part},
};
use automap_service_kit::{
    error::{ErrorCode, ServiceError},
    telemetry::sizes,
    work,
};
use tokio::sync::mpsc::{Sender, channel};
use tracing::{Instrument as _, field::Empty};

use super::{
    admission::Place,
    clock::Clock,
    description::{GraphTask, Selection},
    exchange::{Exchange, Means},
    job::Batch,
    metrics::BuildMetrics,
    peers::Peers,
    resample_job::ResampleJob,
    spread::Spread,
    workers::{Team, Workers},
};
use crate::{
    build::{BuildError, BuildOrder, BuiltGraph, LevelDone, Limits, MetricLevel, build_spread, build_within},
    stop::{Halt, Stopped},
    throughput::{ThroughputFit, throughput_fit},
};

/// Edges of one message: about 20 bytes each, or 200 with their tests.
const EDGES_PER_MESSAGE: usize = 4_000;
/// Levels whose shards may wait to be taken: those of all metric types.
const BATCHES: usize = MetricKind::ALL.len();
/// R² values of one message.
const FITS_PER_MESSAGE: usize = (1 << 20) / size_of::<f64>();

/// The answer to one call.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) task: Arc<GraphTask>,
    pub(super) workers: Workers,
    pub(super) patience: Duration,
    /// Most tests of a graph, whatever its caller allows.
    pub(super) max_tests: Option<u64>,
    /// Who may help.
    pub(super) peers: Option<Arc<Peers>>,
    pub(super) metrics: BuildMetrics,
    pub(super) sender: Sender<v1::BuildGraphResponse>,
}

impl Answer {
    /// Computes and sends everything. When the caller goes away, the computation stops.
    ///
    /// # Errors
    /// The computation failed, or the caller no longer takes its answer.
    pub(super) async fn run(self, place: Place) -> Result<(), ServiceError> {
        let caller = self.sender.clone();
        tokio::select! {
            biased;
            sent = self.send_all(&place) => sent,
            () = caller.closed() => Err(gone()),
        }
    }

    async fn send_all(&self, place: &Place) -> Result<(), ServiceError> {
        let (mut edges, mut tests) = (0, 0);
        for (index, selection) in self.task.selections.iter().enumerate() {
            let span = tracing::info_span!(
                "build",
                automap.rows = selection.rows.count(),
                automap.edges = Empty,
                automap.tests = Empty
            );
            let (built, spread) = self.compute_graph(place, index).instrument(span.clone()).await?;
            span.in_scope(|| sizes::record_graphs(1, built.graph.edges().len(), built.tests));
            edges += built.graph.edges().len();
            tests += built.tests;
            self.metrics.graphs.inc();
            self.metrics.tests.inc_by(built.tests);
            self.send_graph(selection, &built, spread).await?;
        }
        sizes::record_graphs(self.task.selections.len(), edges, tests);
        if self.task.throughput_rows.is_some() {
            let fit = self.compute_throughput(place).await?;
            self.send_throughput(&fit).await?;
        }
        Ok(())
    }

    async fn compute_graph(
        &self,
        place: &Place,
        index: usize,
    ) -> Result<(BuiltGraph, Option<v1::SpreadStatistics>), ServiceError> {
        let turn = place.turn().await?;
        let (task, team, sender) = (Arc::clone(&self.task), self.workers.team(), self.sender.clone());
        let max_tests = self.max_tests();
        let clock = self.clock();
        let means = self.means(&team);
        let (batches, exchange) = self.exchange(index, clock.flag(), means.clone());
        let time_up = clock.flag();
        let built = work::run(move |stop| {
            let _turn = turn;
            let selection = &task.selections[index];
            let rows = selection.rows.rows();
            let mut report = |done: LevelDone| {
                // A caller that does not take its progress misses some of it: no thread of the pool may wait here.
                let _ = sender.try_send(progress(&selection.name, done));
            };
            let limits = Limits { max_tests, halt: Halt::on(stop).or_at(&time_up) };
            let (frame, settings) = (&task.frame, &selection.settings);
            let order = BuildOrder {
                frame,
                rows: &rows,
                settings,
                front_end: task.front_end,
                limits,
                edge_tests: selection.edge_tests,
            };
            let spread = match (&means, batches) {
                (Some(means), Some(batches)) => {
                    let series = frame.services().len() * MetricKind::ALL.len();
                    let input_bytes = AtomicU64::new((series * rows.len() * size_of::<f64>()) as u64);
                    Some(Spread { means, settings, batches, input_bytes })
                }
                _ => None,
            };
            let mut built = match &spread {
                Some(spread) => build_spread(&order, Some(spread), &mut report),
                None => team.run(|| build_within(&order, &mut report)),
            }?;
            if selection.resamples > 0 {
                let share = built.resample_share(max_tests, selection.resamples);
                let job = ResampleJob {
                    frame: Arc::clone(frame),
                    rows,
                    settings: settings.clone(),
                    seed: task.seed,
                    most_tests: share.most_tests,
                };
                let (resamples, halt) = (share.drawn, limits.halt);
                let spread_out = spread
                    .as_ref()
                    .map(|spread| spread.count_edges(&job, resamples, &built.levels, halt))
                    .transpose()?;
                let tally = match spread_out.flatten() {
                    Some(tally) => tally,
                    None => team.run(|| job.count_here(resamples, halt))?,
                };
                built.set_confidences(&tally, &share)?;
            }
            Ok(built)
        });
        // Whichever of the two fails stops the other.
        tokio::try_join!(built, exchange)
    }

    /// How tests are spread, where peers are configured: there may be some later.
    fn means(&self, team: &Team) -> Option<Means> {
        let peers = Arc::clone(self.peers.as_ref()?);
        Some(Means { peers, team: team.clone() })
    }

    /// Where the shards of a graph are sent, and what works them off.
    fn exchange(
        &self,
        index: usize,
        time_up: Arc<AtomicBool>,
        means: Option<Means>,
    ) -> (
        Option<Sender<Batch>>,
        impl Future<Output = Result<Option<v1::SpreadStatistics>, ServiceError>> + use<>,
    ) {
        let (sender, batches) = channel(BATCHES);
        let sender = means.is_some().then_some(sender);
        let (frame, rows) = (Arc::clone(&self.task.frame), self.task.selections[index].rows.rows());
        let work = async move {
            match means {
                Some(means) => Exchange::new(means, time_up).run(frame, rows, batches).await,
                None => Ok(None),
            }
        };
        (sender, work)
    }

    /// What the caller allows, and no more than the configuration.
    fn max_tests(&self) -> Option<u64> {
        match self.task.budget {
            TestBudget::Tests(tests) => Some(self.max_tests.map_or(tests, |most| most.min(tests))),
            _ => self.max_tests,
        }
    }

    /// Runs from now on.
    fn clock(&self) -> Clock {
        match self.task.budget {
            TestBudget::Time(time) => Clock::ending_after(time),
            _ => Clock::default(),
        }
    }

    async fn compute_throughput(&self, place: &Place) -> Result<ThroughputFit, ServiceError> {
        let turn = place.turn().await?;
        let (task, team) = (Arc::clone(&self.task), self.workers.team());
        work::run(move |_| {
            let _turn = turn;
            let rows = task.throughput_rows.as_ref().map(|ranges| ranges.rows()).unwrap_or_default();
            Ok(team.run(|| throughput_fit(&task.frame, &rows)))
        })
        .await
    }

    async fn send_graph(
        &self,
        selection: &Selection,
        built: &BuiltGraph,
        spread: Option<v1::SpreadStatistics>,
    ) -> Result<(), ServiceError> {
        let mut header = header(&selection.name, selection.rows.count(), built);
        header.warnings.extend(spread.iter().flat_map(|spread| spread.workers.iter().filter_map(trouble)));
        header.spread = spread;
        self.send(Part::Graph(header)).await?;
        for edges in edge_parts(&built.graph) {
            self.send(Part::Edges(edges)).await?;
        }
        Ok(())
    }

    async fn send_throughput(&self, fit: &ThroughputFit) -> Result<(), ServiceError> {
        let names = self.task.frame.services();
        let mut services: Vec<String> = fit.services.iter().map(|&service| names[service].clone()).collect();
        let mut parts = fit.r_squared.chunks(FITS_PER_MESSAGE);
        // The first part is sent even when there is no pair: it names the services.
        let mut values = parts.next().unwrap_or_default();
        loop {
            self.send(Part::Throughput(v1::ThroughputFit {
                services: std::mem::take(&mut services),
                r_squared: values.iter().flat_map(|value| value.to_le_bytes()).collect(),
            }))
            .await?;
            match parts.next() {
                Some(next) => values = next,
                None => return Ok(()),
            }
        }
    }

    async fn send(&self, part: Part) -> Result<(), ServiceError> {
        let message = v1::BuildGraphResponse { part: Some(part) };
        match tokio::time::timeout(self.patience, self.sender.send(message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(gone()),
            Err(_) => Err(ServiceError::new(
                ErrorCode::DeadlineExceeded,
                format!(
                    "the answer was not taken for {} s; read it as it comes, or raise patience-seconds of the \
                     graph-builder",
                    self.patience.as_secs()
                ),
            )),
        }
    }
}

fn gone() -> ServiceError {
    ServiceError::new(ErrorCode::Cancelled, "the caller went away before its answer was complete")
}

fn progress(selection: &str, done: LevelDone) -> v1::BuildGraphResponse {
    v1::BuildGraphResponse {
        part: Some(Part::Progress(v1::GraphProgress {
            selection: selection.into(),
            metric: done.metric.to_wire().into(),
            level: u32::try_from(done.level).unwrap_or(u32::MAX),
            tests: done.tests,
        })),
    }
}

fn header(selection: &str, samples: usize, built: &BuiltGraph) -> v1::GraphHeader {
    let correlations = built.correlations.iter().flat_map(|by_metric| {
        MetricKind::ALL.into_iter().zip(by_metric).map(|(metric, absolute)| v1::FrontEndCorrelation {
            metric: metric.to_wire().into(),
            absolute: absolute.clone(),
        })
    });
    v1::GraphHeader {
        selection: selection.into(),
        services: built.graph.services().to_vec(),
        tests: built.tests,
        edge_count: built.graph.edges().len() as u64,
        samples: samples as u64,
        correlations: correlations.collect(),
        warnings: built.warnings.clone(),
        levels: built.levels.iter().map(statistics).collect(),
        spread: None,
    }
}

/// What went wrong with a worker, in a sentence.
fn trouble(worker: &v1::WorkerStatistics) -> Option<String> {
    let v1::WorkerStatistics { address, failures, timeouts, dismissed, .. } = worker;
    if !dismissed.is_empty() {
        return Some(format!(
            "the graph-builder at {address} got no work: {dismissed}; others did its share"
        ));
    }
    (failures + timeouts > 0).then(|| {
        format!(
            "the graph-builder at {address} failed {failures} times and was late {timeouts} times: others did that work"
        )
    })
}

fn statistics(MetricLevel { metric, level }: &MetricLevel) -> v1::LevelStatistics {
    v1::LevelStatistics {
        metric: metric.to_wire().into(),
        level: u32::try_from(level.size).unwrap_or(u32::MAX),
        pairs: level.pairs as u64,
        most_tests: level.most_tests,
        expected_tests: level.expected_tests,
        tests: level.tests,
        cut_pairs: level.cut_pairs as u64,
        sets_tried: level.sets_tried,
    }
}

fn edge_parts(graph: &BehaviorGraph) -> impl Iterator<Item = v1::GraphEdges> + Send + '_ {
    let mut edges = graph.edges_to_wire();
    std::iter::from_fn(move || {
        let part: Vec<v1::BehaviorEdge> = edges.by_ref().take(EDGES_PER_MESSAGE).collect();
        (!part.is_empty()).then_some(v1::GraphEdges { edges: part })
    })
}

impl From<Stopped> for ServiceError {
    fn from(stopped: Stopped) -> Self {
        Self::new(ErrorCode::Cancelled, stopped.to_string())
    }
}

impl From<BuildError> for ServiceError {
    fn from(error: BuildError) -> Self {
        match error {
            BuildError::Stopped(stopped) => stopped.into(),
            BuildError::Invalid(invalid) => Self::internal(invalid.to_string()),
        }
    }
}
