//! A collector on a loopback port, its recordings, and what a client does.

use std::{fs, path::PathBuf, time::Duration};

use automap_collector::{config::CollectorConfig, layout::RecordingDescription};
use automap_proto::{
    frame::MetricFrame,
    frame_stream::PartAssembler,
    v1::{self, collect_recording_request::Part, collector_service_client::CollectorServiceClient},
};
use automap_service_kit::{
    client::{self, Channel},
    error::ServiceError,
    server::ServeError,
};
use bytes::Bytes;
use futures::{Stream, StreamExt as _, stream};
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;
use tonic::Status;

const INCIDENT: &str = r#"{"system": "shop", "front_end": "web", "anomaly_start": 300, "step_seconds": 60}"#;

pub(crate) struct Running {
    pub(crate) client: CollectorServiceClient<Channel>,
    pub(crate) url: String,
    pub(crate) root: tempfile::TempDir,
    shutdown: CancellationToken,
    server: JoinHandle<Result<(), ServeError>>,
}

pub(crate) type Collected = (MetricFrame, v1::FrameSummary);

impl Running {
    pub(crate) async fn start() -> Self {
        Self::with(|config, root| config.recordings_root = Some(root)).await
    }

    pub(crate) async fn with(adjust: impl FnOnce(&mut CollectorConfig, PathBuf)) -> Self {
        let root = tempfile::tempdir().unwrap();
        let shop = root.path().join("shop-1");
        fs::create_dir(&shop).unwrap();
        fs::write(shop.join("metrics.csv"), recording(9, 0)).unwrap();
        fs::write(shop.join("incident.json"), INCIDENT).unwrap();
        fs::write(shop.join("label.json"), "{}").unwrap();
        fs::write(shop.join("call_graph.csv"), "caller,callee\nweb,cart\n").unwrap();
        let mut config = CollectorConfig::default();
        adjust(&mut config, root.path().to_owned());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let shutdown = CancellationToken::new();
        let server = tokio::spawn(automap_collector::serve(listener, config, shutdown.clone()));
        Self {
            client: CollectorServiceClient::new(client::channel("test", &url).unwrap()),
            url,
            root,
            shutdown,
            server,
        }
    }

    pub(crate) async fn upload(
        &self,
        messages: impl Stream<Item = v1::CollectRecordingRequest> + Send + 'static,
    ) -> Result<Collected, ServiceError> {
        let answer = self.client.clone().collect_recording(messages).await?;
        assemble(answer.into_inner().map(|response| response.map(|message| message.part))).await
    }

    pub(crate) async fn collect(&self, request: v1::CollectFrameRequest) -> Result<Collected, ServiceError> {
        let answer = self.client.clone().collect_frame(request).await?;
        assemble(answer.into_inner().map(|response| response.map(|message| message.part))).await
    }

    /// A good upload, to show that the service goes on; then a shutdown without calls left behind.
    pub(crate) async fn still_works_and_stops(self) {
        let (frame, _) = self.upload(stream::iter(messages(&recording(9, 0)))).await.unwrap();
        assert_eq!(frame.grid().samples(), 9);
        drop(self.client);
        self.shutdown.cancel();
        tokio::time::timeout(Duration::from_secs(120), self.server).await.unwrap().unwrap().unwrap();
    }
}

async fn assemble(
    mut parts: impl Stream<Item = Result<Option<v1::FramePart>, Status>> + Unpin,
) -> Result<Collected, ServiceError> {
    let mut whole = PartAssembler::new(1 << 30);
    while let Some(message) = parts.next().await {
        whole.push(message?)?;
    }
    let answer = whole.finish()?;
    Ok((answer.frame, answer.summary))
}

/// A metrics file of `rows` minutes with `extra` services beside web and cart.
pub(crate) fn recording(rows: usize, extra: usize) -> String {
    let columns: String = (0..extra).map(|index| format!(",extra-{index}_cpu")).collect();
    let mut csv = format!("timestamp,web_latency,web_throughput,cart_cpu{columns}\n");
    for row in 0..rows {
        let padding = ",0.123456".repeat(extra);
        csv.push_str(&format!("{},0.5,{row},0.25{padding}\n", row * 60));
    }
    csv
}

pub(crate) fn description() -> v1::CollectRecordingRequest {
    let wire = v1::RecordingDescription::from(&RecordingDescription::default());
    v1::CollectRecordingRequest { part: Some(Part::Description(wire)) }
}

pub(crate) fn data(bytes: &[u8]) -> v1::CollectRecordingRequest {
    v1::CollectRecordingRequest { part: Some(Part::Data(Bytes::copy_from_slice(bytes))) }
}

pub(crate) fn messages(csv: &str) -> Vec<v1::CollectRecordingRequest> {
    let pieces = csv.as_bytes().chunks(1 << 20).map(data);
    std::iter::once(description()).chain(pieces).collect()
}

pub(crate) fn named(name: &str) -> Option<v1::MetricSource> {
    Some(v1::MetricSource { source: Some(v1::metric_source::Source::Recording(name.into())) })
}

pub(crate) fn request(name: &str) -> v1::CollectFrameRequest {
    v1::CollectFrameRequest { source: named(name), ..Default::default() }
}
