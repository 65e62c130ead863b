//! The other graph-builders, and what it takes to give one of them work.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc, time::Duration};

use automap_proto::{
    frame::MetricFrame,
    frame_stream,
    invalid::Invalid,
    v1::{self, graph_builder_service_client::GraphBuilderServiceClient, put_input_request::Part},
};
use automap_service_kit::{
    client::{Channel, Dialer, fleet::Fleet},
    error::{ErrorCode, ServiceError},
    work,
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use crate::{
    build_id::build_id,
    config::GraphBuilderConfig,
    peer_input::{PeerInput, peer_frame},
};

/// How long a peer may take to say who it is.
const GREETING: Duration = Duration::from_secs(2);
/// Bytes a second with which an input must at least arrive.
const SLOWEST_LINK: f64 = 1e6;
/// Chunks that may wait to be sent.
const BACKLOG: usize = 4;

/// Calls one graph-builder.
pub(super) type PeerClient = GraphBuilderServiceClient<Channel>;

/// The other graph-builders.
#[derive(Debug)]
pub(super) struct Peers {
    fleet: Fleet,
    /// Names this process.
    instance: String,
    /// Whether this pod tests too while others can.
    pub(super) local_helps: bool,
    /// What leaves here, bytes a second.
    pub(super) bytes_per_second: f64,
}

/// Why a peer gets no work.
#[derive(Debug)]
pub(super) enum Refused {
    /// It is this process.
    Myself,
    /// It decides about verdicts in another way.
    OtherBuild(String),
    /// It does not take this input: its limits are too low.
    Unfit(ServiceError),
    /// It cannot be reached, or did not take the input: it may later.
    NotNow(ServiceError),
}

impl Refused {
    /// For what a peer said of an input.
    fn input(error: ServiceError) -> Self {
        // The fields of which a peer says that they are beyond its limits. What else it finds invalid was damaged on its way.
        let is_beyond_limits =
            matches!(error.field(), Some("description.frame" | "description.frame.services"));
        match error.code() {
            ErrorCode::InvalidInput if is_beyond_limits => Self::Unfit(error),
            _ => Self::NotNow(error),
        }
    }
}

impl Peers {
    /// `None` when no peers are configured. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// An address or a certificate cannot be used.
    pub(super) fn new(config: &GraphBuilderConfig, instance: &str) -> Result<Option<Self>, Invalid> {
        let urls = config.peer_urls();
        if urls.is_empty() {
            return Ok(None);
        }
        let dialer = Dialer::new("graph-builder.client", &config.client, &urls)?;
        Ok(Some(Self {
            fleet: dialer.fleet("graph-builder.peers", urls.into_iter())?,
            instance: instance.to_owned(),
            local_helps: config.coordinator_tests,
            bytes_per_second: config.link_mbit as f64 * 125_000.0,
        }))
    }

    /// Who is there now, this pod among them where its own address is.
    pub(super) fn members(&self) -> BTreeMap<SocketAddr, PeerClient> {
        let members = self.fleet.members().into_iter();
        members.map(|(address, channel)| (address, PeerClient::new(channel))).collect()
    }

    /// Makes a peer ready to test shards of an input: it says who it is, and gets the input unless it has it. Answers the
    /// bytes that were sent.
    pub(super) async fn prepare(&self, mut peer: PeerClient, input: &SharedInput) -> Result<u64, Refused> {
        let greeting = v1::CheckPeerRequest { input_hash: input.hash.clone() };
        let answer = within(GREETING, async { peer.check_peer(greeting).await.map_err(ServiceError::from) });
        let known = answer.await.map_err(Refused::NotNow)?.into_inner();
        if known.instance == self.instance {
            return Err(Refused::Myself);
        }
        if known.build != build_id() {
            return Err(Refused::OtherBuild(known.build));
        }
        if known.has_input {
            return Ok(0);
        }
        let time = GREETING + Duration::from_secs_f64(input.bytes() as f64 / SLOWEST_LINK);
        let put = async { peer.put_input(input.messages()).await.map_err(ServiceError::from) };
        let hash = within(time, put).await.map_err(Refused::input)?.into_inner().input_hash;
        if hash != input.hash {
            let damaged = ServiceError::internal("the input was damaged on its way");
            return Err(Refused::NotNow(damaged));
        }
        Ok(input.bytes())
    }
}

async fn within<T>(
    time: Duration,
    call: impl Future<Output = Result<T, ServiceError>>,
) -> Result<T, ServiceError> {
    tokio::time::timeout(time, call).await.unwrap_or_else(|_| {
        Err(ServiceError::new(ErrorCode::Unavailable, format!("no answer within {} s", time.as_secs())))
    })
}

/// The input of a build as it goes to peers.
#[derive(Debug)]
pub(super) struct SharedInput {
    frame: Arc<MetricFrame>,
    hash: String,
}

impl SharedInput {
    /// Takes what the tests need of `frame`.
    pub(super) async fn new(frame: Arc<MetricFrame>, rows: Vec<usize>) -> Result<Self, ServiceError> {
        work::run(move |_| {
            let small = peer_frame(&frame, &rows)?;
            let all: Vec<usize> = (0..rows.len()).collect();
            let hash = PeerInput::new(&small, &all).hash().to_owned();
            Ok(Self { frame: Arc::new(small), hash })
        })
        .await
    }

    pub(super) fn hash(&self) -> &str {
        &self.hash
    }

    /// Samples, bytes.
    pub(super) fn bytes(&self) -> u64 {
        (self.frame.values().len() * size_of::<f64>()) as u64
    }

    /// The messages of one upload, made on a thread of their own at the pace at which they are sent.
    fn messages(&self) -> ReceiverStream<v1::PutInputRequest> {
        let frame = Arc::clone(&self.frame);
        let (sender, receiver) = mpsc::channel(BACKLOG);
        tokio::task::spawn_blocking(move || {
            let rows = vec![v1::RowRange { first: 0, end: frame.grid().samples() as u64 }];
            let description = v1::InputDescription { frame: Some(frame_stream::header(&frame)), rows };
            let chunks = frame_stream::chunks(&frame).map(Part::Chunk);
            for part in std::iter::once(Part::Description(description)).chain(chunks) {
                if sender.blocking_send(v1::PutInputRequest { part: Some(part) }).is_err() {
                    break;
                }
            }
        });
        ReceiverStream::new(receiver)
    }
}

#[cfg(test)]
mod tests {
    use automap_proto::metric::MetricKind;
    use ndarray::Array2;

    use super::*;
    use crate::{
        service::upload::Upload,
        test_frames::{frame_of, key},
    };

    #[test]
    fn only_limits_keep_a_peer_from_an_input_for_good() {
        let series = ["cart", "db", "front"].map(|service| key(service, MetricKind::Cpu, "cpu"));
        let header = frame_stream::header(&frame_of(series.to_vec(), Array2::zeros((3, 60))));
        let refused = |max_bytes, max_services, header: &v1::MetricFrameHeader| {
            let refusal = Upload::new(GREETING, max_bytes, max_services).begin(Some(header)).unwrap_err();
            Refused::input(refusal.into())
        };
        assert!(matches!(refused(1 << 20, 2, &header), Refused::Unfit(_)), "too many services");
        assert!(matches!(refused(100, 3, &header), Refused::Unfit(_)), "too many samples");
        let mut damaged = header.clone();
        damaged.series[0].service = 9;
        assert!(matches!(refused(1 << 20, 3, &damaged), Refused::NotNow(_)));
        let full = ServiceError::new(ErrorCode::Overloaded, "has no room");
        assert!(matches!(Refused::input(full), Refused::NotNow(_)));
    }
}
