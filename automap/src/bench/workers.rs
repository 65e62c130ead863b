//! The same build spread over worker processes.

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use automap_graph_builder::{GraphBuilderConfig, build::BuiltGraph};
use automap_proto::{
    budget::TestBudget,
    frame::MetricFrame,
    graph_stream::GraphAssembler,
    settings::GraphSettings,
    v1::{self, build_graph_response::Part, graph_builder_service_client::GraphBuilderServiceClient},
};
use automap_service_kit::{client, graph_upload};
use serde::Serialize;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// How long a worker may take to listen.
const PATIENCE: Duration = Duration::from_secs(60);
/// What loopback carries, megabits a second, about.
const LOOPBACK_MBIT: u64 = 10_000;
/// Clock ticks in which Linux counts the time of processes on cores, a second.
const TICKS: f64 = 100.0;
const SELECTION: &str = "bench";

/// What the build cost when workers made its tests.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SpreadFigures {
    /// Worker processes with one thread each. The coordinator makes no test itself.
    pub workers: usize,
    /// From the call to the end of its answer, upload included, seconds.
    pub wall_seconds: f64,
    /// Time on cores of the workers; absent where the system does not tell.
    pub worker_cpu_seconds: Option<f64>,
    /// `wall_seconds` / the `wall_seconds` of the build on threads.
    pub wall_to_threads: f64,
    /// Inputs and shards that were sent.
    pub bytes_shipped: u64,
    /// From the first level that was spread to the first answer of a worker.
    pub seconds_to_first_shard: f64,
    /// Shards that were answered by each worker, the coordinator first.
    pub shards: Vec<u64>,
    /// Of these, shards of resamples.
    pub resample_shards: Vec<u64>,
    /// Shards that were given to another worker while the first still held them.
    pub hedged_shards: u64,
    /// Whether graph and number of tests are those of the build on threads.
    pub same_graph: bool,
}

/// A worker process; killed when dropped.
struct Worker {
    child: Child,
    url: String,
}

impl Worker {
    fn start() -> anyhow::Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .env_clear()
            .args(["serve", "graph-builder", "--log-format", "json"])
            .args(["--set", "graph-builder.server.listen=127.0.0.1:0"])
            // One shard at a time; the next one waits.
            .args(["--set", "graph-builder.threads=1", "--set", "graph-builder.concurrent-builds=1"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .context("cannot start a worker")?;
        let log = child.stderr.take().context("standard error is a pipe")?;
        let mut worker = Self { child, url: String::new() };
        let (sender, lines) = std::sync::mpsc::channel();
        // Reads on after the address was seen, so that the worker never waits for a full pipe.
        std::thread::spawn(move || {
            for line in BufReader::new(log).lines().map_while(Result::ok) {
                sender.send(line).ok();
            }
        });
        let deadline = Instant::now() + PATIENCE;
        while worker.url.is_empty() {
            let line = lines
                .recv_timeout(deadline.saturating_duration_since(Instant::now()))
                .context("a worker did not listen")?;
            let line: serde_json::Value = serde_json::from_str(&line).unwrap_or_default();
            let fields = &line["fields"];
            if let (Some("listening"), Some(address)) =
                (fields["message"].as_str(), fields["address"].as_str())
            {
                worker.url = format!("http://{address}");
            }
        }
        Ok(worker)
    }

    /// Time on cores until now, seconds.
    fn cpu_seconds(&self) -> Option<f64> {
        let text = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).ok()?;
        // The name, in parentheses, may hold anything.
        let (_, fields) = text.rsplit_once(") ")?;
        let mut ticks = fields.split(' ').skip(11).take(2).map(str::parse::<f64>);
        Some((ticks.next()?.ok()? + ticks.next()?.ok()?) / TICKS)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to kill.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// A graph of all rows of a frame that is to be built.
#[derive(Debug)]
pub struct Spreading {
    /// The frame.
    pub frame: Arc<MetricFrame>,
    /// How it is tested.
    pub settings: GraphSettings,
    /// How much testing it may take.
    pub budget: TestBudget,
    /// Bootstrap resamples.
    pub resamples: u32,
    /// Seeds them.
    pub seed: u64,
}

/// Builds a graph with that many worker processes, and compares it with the one `built` on threads in `threads_wall`
/// seconds, its resamples included.
///
/// # Errors
/// A worker cannot be started, or the build failed.
pub async fn bench(
    asked: &Spreading,
    workers: usize,
    built: &BuiltGraph,
    threads_wall: f64,
) -> anyhow::Result<SpreadFigures> {
    let frame = &asked.frame;
    let running: Vec<Worker> = (0..workers).map(|_| Worker::start()).collect::<Result<_, _>>()?;
    let urls: Vec<&str> = running.iter().map(|worker| worker.url.as_str()).collect();
    let config = GraphBuilderConfig {
        peers: urls.join(","),
        coordinator_tests: false,
        threads: workers,
        link_mbit: LOOPBACK_MBIT,
        max_tests: 0,
        ..GraphBuilderConfig::default()
    };
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    let shutdown = CancellationToken::new();
    let coordinator = tokio::spawn(automap_graph_builder::serve(listener, config, shutdown.clone()));

    let description = v1::GraphDescription {
        settings: Some((&asked.settings).into()),
        selections: vec![v1::RowSelection {
            name: SELECTION.into(),
            rows: vec![v1::RowRange { first: 0, end: frame.grid().samples() as u64 }],
            resamples: asked.resamples,
            edge_tests: false,
        }],
        budget: asked.budget.to_wire(),
        seed: asked.seed,
        ..v1::GraphDescription::default()
    };
    let mut client = GraphBuilderServiceClient::new(client::channel("graph-builder", &url)?);
    let begin = Instant::now();
    let requests = graph_upload::requests(Arc::clone(frame), description);
    let mut answer = client.build_graph(requests).await?.into_inner();
    let (mut assembler, mut spread) = (GraphAssembler::default(), v1::SpreadStatistics::default());
    while let Some(message) = answer.message().await? {
        let Some(part) = message.part else { continue };
        if let Part::Graph(header) = &part {
            spread = header.spread.clone().unwrap_or_default();
        }
        assembler.push(part)?;
    }
    let wall_seconds = begin.elapsed().as_secs_f64();
    let worker_cpu_seconds = running.iter().map(Worker::cpu_seconds).sum::<Option<f64>>();
    shutdown.cancel();
    coordinator.await.context("the coordinator panicked")??;
    let graph = assembler.finish()?.remove(SELECTION).context("the coordinator answered without a graph")?;
    ensure!(graph.graph.services() == built.graph.services(), "the coordinator answered another graph");
    Ok(SpreadFigures {
        workers,
        wall_seconds,
        worker_cpu_seconds,
        wall_to_threads: wall_seconds / threads_wall,
        bytes_shipped: spread.bytes_shipped,
        seconds_to_first_shard: spread.seconds_to_first_shard,
        shards: spread.workers.iter().map(|worker| worker.shards).collect(),
        resample_shards: spread.workers.iter().map(|worker| worker.resample_shards).collect(),
        hedged_shards: spread.hedged_shards,
        same_graph: graph.graph == built.graph && graph.tests == built.tests,
    })
}
