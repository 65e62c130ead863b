//! Graphs whose tests are spread over graph-builder processes.

mod faults;
mod leaving;
mod limits;
mod names;

use std::{path::Path, time::Duration};

use automap_integration_tests::processes::Service;
use automap_proto::{
    frame::{MetricFrame, SeriesKey},
    frame_stream,
    graph_stream::{BuiltGraph, GraphAssembler},
    metric::MetricKind,
    settings::{CiTest, GraphSettings},
    time::{TimeGrid, UnixMillis},
    v1::{
        self, build_graph_request::Part, build_graph_response::Part as AnswerPart,
        graph_builder_service_client::GraphBuilderServiceClient,
    },
};
use automap_service_kit::client;
use ndarray::Array2;
use tonic::Status;

type Streaming = tonic::Streaming<v1::BuildGraphResponse>;

const SERVICES: usize = 56;
const SAMPLES: usize = 240;
/// So close to 1 that hardly any set separates a pair: the load is as heavy as it can be.
const ALPHA: f64 = 0.999;
/// Resamples of a graph: enough to take about as long as its levels.
const RESAMPLES: u32 = 2;
/// Longer than anything takes that others keep from the cores.
const PATIENCE: Duration = Duration::from_secs(600);
/// One computation at a time on one thread; further ones wait.
const ONE_THREAD: &str = "threads = 1\nconcurrent-builds = 1\n";

/// Numbers from a seed (SplitMix64).
struct Draws(u64);

impl Draws {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        bits ^ (bits >> 31)
    }

    /// From −1 to 1, about bell-shaped.
    fn noise(&mut self) -> f64 {
        (0..4).map(|_| (self.next() >> 11) as f64 / (1_u64 << 52) as f64 - 1.0).sum::<f64>() / 2.0
    }
}

/// Services that all follow one load.
fn heavy() -> MetricFrame {
    shared_load(SERVICES, &[MetricKind::Cpu, MetricKind::Io])
}

fn shared_load(services: usize, metrics: &[MetricKind]) -> MetricFrame {
    let mut draws = Draws(1);
    let load: Vec<f64> = (0..SAMPLES).map(|_| draws.noise()).collect();
    let (mut keys, mut values) = (Vec::new(), Array2::zeros((services * metrics.len(), SAMPLES)));
    for (series, mut row) in values.rows_mut().into_iter().enumerate() {
        let metric = metrics[series % metrics.len()];
        let service = format!("s{:04}", series / metrics.len());
        keys.push(SeriesKey { service, metric, name: metric.name().into() });
        for (cell, load) in row.iter_mut().zip(&load) {
            *cell = 5.0 + 2.5 * load + draws.noise();
        }
    }
    MetricFrame::new(TimeGrid::new(UnixMillis(0), 5_000, SAMPLES).unwrap(), keys, values).unwrap()
}

fn worker(home: &Path, name: &str) -> Service {
    let home = home.join(name);
    std::fs::create_dir_all(&home).unwrap();
    let configuration =
        format!("[graph-builder]\n{ONE_THREAD}[graph-builder.server]\nlisten = \"127.0.0.1:0\"\n");
    Service::start(&home, "graph-builder", &configuration).unwrap()
}

fn coordinator(home: &Path, name: &str, workers: &[&Service]) -> Service {
    let peers: Vec<&str> = workers.iter().map(|worker| worker.address.as_str()).collect();
    coordinator_of(home, name, &peers)
}

fn coordinator_of(home: &Path, name: &str, peers: &[&str]) -> Service {
    let home = home.join(name);
    std::fs::create_dir_all(&home).unwrap();
    let configuration = format!(
        "[graph-builder]\n{ONE_THREAD}max-tests = 0\nlink-mbit = 1000000\npeers = {:?}\n\
         [graph-builder.server]\nlisten = \"127.0.0.1:0\"\n",
        peers.join(",")
    );
    Service::start(&home, "graph-builder", &configuration).unwrap()
}

struct Answer {
    graph: BuiltGraph,
    spread: Option<v1::SpreadStatistics>,
}

impl Answer {
    fn shards_of_workers(&self) -> u64 {
        let workers = self.spread.iter().flat_map(|spread| &spread.workers);
        workers.filter(|worker| !worker.address.is_empty()).map(|worker| worker.shards).sum()
    }

    /// Shards of resamples, by anybody.
    fn resample_shards(&self) -> u64 {
        self.spread.iter().flat_map(|spread| &spread.workers).map(|worker| worker.resample_shards).sum()
    }

    /// What must not depend on who made the tests, as bytes.
    fn bytes(&self) -> String {
        format!("{} {:?}", self.graph.tests, v1::BehaviorGraph::from(&self.graph.graph))
    }
}

/// Asks for a graph; `resamples` tell how sure its edges are.
async fn ask(service: &Service, frame: &MetricFrame, resamples: u32) -> Result<Streaming, Status> {
    let settings = GraphSettings::new(CiTest::FisherZ, ALPHA, 3, vec![]).unwrap();
    let description = v1::GraphDescription {
        frame: Some(frame_stream::header(frame)),
        settings: Some((&settings).into()),
        selections: vec![v1::RowSelection {
            name: "all".into(),
            rows: vec![v1::RowRange { first: 0, end: SAMPLES as u64 }],
            resamples,
            edge_tests: true,
        }],
        ..v1::GraphDescription::default()
    };
    let parts =
        std::iter::once(Part::Description(description)).chain(frame_stream::chunks(frame).map(Part::Chunk));
    let messages: Vec<_> = parts.map(|part| v1::BuildGraphRequest { part: Some(part) }).collect();
    let mut client = GraphBuilderServiceClient::new(client::channel("test", &service.address).unwrap());
    Ok(client.build_graph(futures::stream::iter(messages)).await?.into_inner())
}

async fn build(service: &Service, frame: &MetricFrame, resamples: u32) -> Answer {
    let call = async {
        let mut answer = ask(service, frame, resamples).await.unwrap();
        let (mut assembler, mut spread) = (GraphAssembler::default(), None);
        while let Some(message) = answer.message().await.unwrap() {
            let part = message.part.unwrap();
            if let AnswerPart::Graph(header) = &part {
                spread = header.spread.clone();
            }
            assembler.push(part).unwrap();
        }
        Answer { graph: assembler.finish().unwrap().remove("all").unwrap(), spread }
    };
    tokio::time::timeout(PATIENCE, call).await.expect("a build hangs")
}

#[tokio::test(flavor = "multi_thread")]
async fn one_two_three_and_five_workers_build_the_same_bytes() {
    let (home, frame) = (tempfile::tempdir().unwrap(), heavy());
    let alone = build(&coordinator(home.path(), "alone", &[]), &frame, RESAMPLES).await;
    assert!(alone.spread.is_none() && alone.graph.tests > 30_000_000, "{}", alone.graph.tests);
    let workers: Vec<Service> = (0..5).map(|index| worker(home.path(), &format!("worker-{index}"))).collect();
    for count in [1, 2, 3, 5] {
        let some: Vec<&Service> = workers[..count].iter().collect();
        let pod = coordinator(home.path(), &format!("with-{count}"), &some);
        let answer = build(&pod, &frame, RESAMPLES).await;
        assert!(answer.shards_of_workers() > 0 && answer.resample_shards() > 0, "{:?}", answer.spread);
        assert_eq!(answer.bytes(), alone.bytes(), "{count} workers");
    }
}
