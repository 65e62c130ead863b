//! A graph-builder that does wrong as a peer.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use automap_graph_builder::{
    checksum::checksum, config::GraphBuilderConfig, policy::POLICY, service::GraphBuilderService,
};
use automap_proto::v1::{
    self,
    graph_builder_service_server::{GraphBuilderService as Rpc, GraphBuilderServiceServer},
};
use automap_service_kit::server::{self, ServerConfig};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming, service::Routes};

use super::Pod;

/// What it does wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Misbehaviour {
    /// It runs another build.
    OtherBuild,
    /// Its answers are damaged on the way.
    Garbage,
    /// Its separating sets and pairs cannot be any.
    WrongSets,
    /// It claims so many tests.
    Claims(u64),
    /// Its tests take nothing of the budget.
    Undercharges,
    /// Every shard fails.
    Fails,
    /// Inputs arrive damaged.
    DamagesInputs,
    /// It never answers a shard.
    Hangs,
    /// It takes a second longer for each shard.
    Slow,
    /// It refuses every second shard.
    Overloaded,
    /// It forgets its inputs now and then.
    Forgets,
}

struct Faulty {
    inner: GraphBuilderService,
    misbehaviour: Misbehaviour,
    calls: Arc<AtomicUsize>,
}

/// Starts one.
pub(super) async fn misbehaving(misbehaviour: Misbehaviour) -> Pod {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let shutdown = CancellationToken::new();
    let config = GraphBuilderConfig { threads: 1, ..GraphBuilderConfig::default() };
    let inner = GraphBuilderService::new(&config).unwrap();
    let service = GraphBuilderServiceServer::new(Faulty { inner, misbehaviour, calls: Arc::default() });
    let ending = shutdown.clone();
    tokio::spawn(async move {
        let config = ServerConfig::default();
        server::serve(listener, &config, &POLICY, Routes::new(service), ending).await
    });
    Pod { url, _shutdown: shutdown.drop_guard() }
}

impl Faulty {
    /// What it does instead of testing.
    async fn misbehave(&self) -> Result<(), Status> {
        let is_odd = self.calls.fetch_add(1, Ordering::Relaxed) % 2 == 1;
        match self.misbehaviour {
            Misbehaviour::Fails => Err(Status::unavailable("on purpose")),
            Misbehaviour::Hangs => std::future::pending().await,
            Misbehaviour::Slow => {
                tokio::time::sleep(Duration::from_secs(1)).await;
                Ok(())
            }
            Misbehaviour::Overloaded if is_odd => Err(Status::resource_exhausted("on purpose")),
            Misbehaviour::Forgets if is_odd => Err(Status::not_found("on purpose")),
            _ => Ok(()),
        }
    }
}

#[tonic::async_trait]
impl Rpc for Faulty {
    type BuildGraphStream = <GraphBuilderService as Rpc>::BuildGraphStream;

    async fn build_graph(
        &self,
        request: Request<Streaming<v1::BuildGraphRequest>>,
    ) -> Result<Response<Self::BuildGraphStream>, Status> {
        self.inner.build_graph(request).await
    }

    async fn put_input(
        &self,
        request: Request<Streaming<v1::PutInputRequest>>,
    ) -> Result<Response<v1::PutInputResponse>, Status> {
        let mut answer = self.inner.put_input(request).await?;
        if self.misbehaviour == Misbehaviour::DamagesInputs {
            answer.get_mut().input_hash = "0".repeat(64);
        }
        Ok(answer)
    }

    async fn test_edges(
        &self,
        request: Request<v1::TestEdgesRequest>,
    ) -> Result<Response<v1::TestEdgesResponse>, Status> {
        self.misbehave().await?;
        let asked = request.get_ref().clone();
        let mut answer = self.inner.test_edges(request).await?;
        match self.misbehaviour {
            Misbehaviour::Garbage => answer.get_mut().tests ^= 1 << 40,
            Misbehaviour::WrongSets => {
                // A set of one service too many, with everything else in order.
                let separation = v1::Separation {
                    pair: Some(v1::ServicePair { first: 0, second: 1 }),
                    separating_set: (2..3 + asked.level).collect(),
                };
                let answer = answer.get_mut();
                answer.separations = vec![separation];
                answer.checksum = checksum(&asked, answer);
            }
            Misbehaviour::Claims(tests) => {
                let answer = answer.get_mut();
                (answer.tests, answer.spent) = (tests, tests);
                answer.checksum = checksum(&asked, answer);
            }
            Misbehaviour::Undercharges => {
                let answer = answer.get_mut();
                answer.spent = 0;
                answer.checksum = checksum(&asked, answer);
            }
            _ => {}
        }
        Ok(answer)
    }

    async fn test_resamples(
        &self,
        request: Request<v1::TestResamplesRequest>,
    ) -> Result<Response<v1::TestResamplesResponse>, Status> {
        self.misbehave().await?;
        let asked = request.get_ref().clone();
        let mut answer = self.inner.test_resamples(request).await?;
        match self.misbehaviour {
            Misbehaviour::Garbage => answer.get_mut().checksum ^= 1 << 40,
            Misbehaviour::WrongSets => {
                // A pair of a service that there is not, with everything else in order.
                let answer = answer.get_mut();
                answer.resamples[0] = v1::ConnectedPairs {
                    pairs: vec![v1::ServicePair { first: 0, second: 1 << 20 }],
                    ..v1::ConnectedPairs::default()
                };
                answer.checksum = checksum(&asked, answer);
            }
            _ => {}
        }
        Ok(answer)
    }

    async fn check_peer(
        &self,
        request: Request<v1::CheckPeerRequest>,
    ) -> Result<Response<v1::CheckPeerResponse>, Status> {
        let mut answer = self.inner.check_peer(request).await?;
        if self.misbehaviour == Misbehaviour::OtherBuild {
            answer.get_mut().build = "0.0.1/0".into();
        }
        Ok(answer)
    }
}
