//! A service on a loopback port, and what a caller does.

use automap_graph_builder::config::GraphBuilderConfig;
use automap_proto::{
    behavior_graph::BehaviorGraph,
    frame::MetricFrame,
    frame_stream,
    settings::GraphSettings,
    v1::{
        self, build_graph_request::Part as BuildPart, build_graph_response::Part as AnswerPart,
        graph_builder_service_client::GraphBuilderServiceClient,
    },
};
use automap_service_kit::{
    client::{self, Channel},
    error::ServiceError,
};
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::linear_gaussian::shared_load;

pub(crate) type Client = GraphBuilderServiceClient<Channel>;

/// A running service; it ends when this is dropped.
pub(crate) struct Running {
    pub(crate) client: Client,
    pub(crate) url: String,
    _shutdown: DropGuard,
}

pub(crate) async fn start(config: GraphBuilderConfig) -> Running {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let shutdown = CancellationToken::new();
    tokio::spawn(automap_graph_builder::serve(listener, config, shutdown.clone()));
    let url = format!("http://{address}");
    Running { client: connect(&url), url, _shutdown: shutdown.drop_guard() }
}

pub(crate) fn connect(url: &str) -> Client {
    Client::new(client::channel("test", url).unwrap())
}

/// Defaults, one build at a time and nobody waiting.
pub(crate) fn narrow() -> GraphBuilderConfig {
    GraphBuilderConfig { concurrent_builds: 1, queued_builds: 0, ..GraphBuilderConfig::default() }
}

pub(crate) fn rows(first: u64, end: u64) -> Vec<v1::RowRange> {
    vec![v1::RowRange { first, end }]
}

pub(crate) fn selection(name: &str, rows: Vec<v1::RowRange>) -> v1::RowSelection {
    v1::RowSelection { name: name.into(), rows, ..v1::RowSelection::default() }
}

pub(crate) fn description(frame: &MetricFrame) -> v1::GraphDescription {
    v1::GraphDescription {
        frame: Some(frame_stream::header(frame)),
        settings: Some((&GraphSettings::default()).into()),
        selections: vec![v1::RowSelection {
            name: "incident".into(),
            rows: rows(0, frame.grid().samples() as u64),
            ..v1::RowSelection::default()
        }],
        front_end: frame.services()[0].clone(),
        ..v1::GraphDescription::default()
    }
}

pub(crate) fn request(part: BuildPart) -> v1::BuildGraphRequest {
    v1::BuildGraphRequest { part: Some(part) }
}

/// The messages of a whole upload.
pub(crate) fn upload(description: v1::GraphDescription, frame: &MetricFrame) -> Vec<v1::BuildGraphRequest> {
    let chunks = frame_stream::chunks(frame).map(|chunk| request(BuildPart::Chunk(chunk)));
    [request(BuildPart::Description(description))].into_iter().chain(chunks).collect()
}

/// A graph as it arrived.
pub(crate) struct Received {
    pub(crate) header: v1::GraphHeader,
    pub(crate) edges: Vec<v1::BehaviorEdge>,
    pub(crate) edge_messages: usize,
}

impl Received {
    pub(crate) fn graph(&self) -> BehaviorGraph {
        BehaviorGraph::try_from(&v1::BehaviorGraph {
            services: self.header.services.clone(),
            edges: self.edges.clone(),
        })
        .unwrap()
    }
}

#[derive(Default)]
pub(crate) struct Answer {
    pub(crate) graphs: Vec<Received>,
    pub(crate) progress: Vec<v1::GraphProgress>,
    pub(crate) throughput: Vec<v1::ThroughputFit>,
}

pub(crate) async fn call(
    client: &Client,
    messages: Vec<v1::BuildGraphRequest>,
) -> Result<Answer, ServiceError> {
    let mut stream = client.clone().build_graph(futures::stream::iter(messages)).await?.into_inner();
    let mut answer = Answer::default();
    while let Some(message) = stream.message().await? {
        match message.part.unwrap() {
            AnswerPart::Progress(progress) => answer.progress.push(progress),
            AnswerPart::Graph(header) => {
                answer.graphs.push(Received { header, edges: Vec::new(), edge_messages: 0 })
            }
            AnswerPart::Edges(part) => {
                let graph = answer.graphs.last_mut().unwrap();
                graph.edges.extend(part.edges);
                graph.edge_messages += 1;
            }
            AnswerPart::Throughput(part) => answer.throughput.push(part),
        }
    }
    Ok(answer)
}

pub(crate) async fn assert_still_serves(client: &Client) {
    let frame = shared_load(4, 60, 1.0, 1).frame();
    let answer = call(client, upload(description(&frame), &frame)).await.unwrap();
    assert_eq!(answer.graphs.len(), 1);
}
