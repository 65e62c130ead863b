//! Computing the graphs of a call and streaming them to its caller.

use std::{sync::Arc, time::Duration};

use automap_proto::{
    behavior_graph::{BehaviorGraph, edge_to_wire},
    metric::MetricKind,
    v1::{self, build_graph_response::Part},
};
use automap_service_kit::{
    error::{ErrorCode, ServiceError},
    telemetry::sizes,
    work,
};
use tokio::sync::mpsc::Sender;
use tracing::{Instrument as _, field::Empty};

use super::{
    admission::Place,
    description::{GraphTask, Selection},
    workers::Workers,
};
use crate::{
    build::{BuildError, BuiltGraph, LevelDone, build},
    stop::Stopped,
    throughput::{ThroughputFit, throughput_fit},
};

/// Edges of one message: about 20 bytes each.
const EDGES_PER_MESSAGE: usize = 10_000;
/// R² values of one message.
const FITS_PER_MESSAGE: usize = (1 << 20) / size_of::<f64>();

/// The answer to one call.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) task: Arc<GraphTask>,
    pub(super) workers: Workers,
    pub(super) patience: Duration,
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
            let built = self.compute_graph(place, index).instrument(span.clone()).await?;
            span.in_scope(|| sizes::record_graphs(1, built.graph.edges().len(), built.tests));
            edges += built.graph.edges().len();
            tests += built.tests;
            self.send_graph(selection, &built).await?;
        }
        sizes::record_graphs(self.task.selections.len(), edges, tests);
        if self.task.throughput_rows.is_some() {
            let fit = self.compute_throughput(place).await?;
            self.send_throughput(&fit).await?;
        }
        Ok(())
    }

    async fn compute_graph(&self, place: &Place, index: usize) -> Result<BuiltGraph, ServiceError> {
        let turn = place.turn().await?;
        let (task, workers, sender) = (Arc::clone(&self.task), self.workers.clone(), self.sender.clone());
        work::run(move |stop| {
            let _turn = turn;
            let selection = &task.selections[index];
            let rows = selection.rows.rows();
            let mut report = |done: LevelDone| {
                // A caller that does not take its progress misses some of it: no thread of the pool may wait here.
                let _ = sender.try_send(progress(&selection.name, done));
            };
            workers
                .run(|| build(&task.frame, &rows, &selection.settings, task.front_end, stop, &mut report))
                .map_err(ServiceError::from)
        })
        .await
    }

    async fn compute_throughput(&self, place: &Place) -> Result<ThroughputFit, ServiceError> {
        let turn = place.turn().await?;
        let (task, workers) = (Arc::clone(&self.task), self.workers.clone());
        work::run(move |_| {
            let _turn = turn;
            let rows = task.throughput_rows.as_ref().map(|ranges| ranges.rows()).unwrap_or_default();
            Ok(workers.run(|| throughput_fit(&task.frame, &rows)))
        })
        .await
    }

    async fn send_graph(&self, selection: &Selection, built: &BuiltGraph) -> Result<(), ServiceError> {
        let samples = selection.rows.count();
        self.send(Part::Graph(header(&selection.name, samples, built))).await?;
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
    }
}

fn edge_parts(graph: &BehaviorGraph) -> impl Iterator<Item = v1::GraphEdges> + Send + '_ {
    let mut edges = graph.edges();
    std::iter::from_fn(move || {
        let part: Vec<v1::BehaviorEdge> = edges
            .by_ref()
            .take(EDGES_PER_MESSAGE)
            .map(|(from, to, weights)| edge_to_wire(from, to, weights))
            .collect();
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
