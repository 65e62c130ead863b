//! The bootstrap resamples of a graph, tested in shards, here or by peers.

use std::{
    ops::Range,
    sync::{Arc, mpsc::Sender},
};

use automap_proto::{frame::MetricFrame, metric::MetricKind, settings::GraphSettings, v1};
use automap_service_kit::error::ServiceError;
use prost::Message as _;
use rayon::prelude::*;

use super::{
    job::{Delivery, Failure, Job, delivery},
    pair_code,
    peers::PeerClient,
};
use crate::{
    bootstrap::{FrameRows, Resampling, Tally, count_edges},
    build_id::build_id,
    checksum::checksum,
    resample_share::TestsByMetric,
    sharding::resamples::{Connected, ResampleShard},
    stop::{Halt, Stopped},
};

/// The resamples of one graph.
#[derive(Debug, Clone)]
pub(super) struct ResampleJob {
    pub(super) frame: Arc<MetricFrame>,
    pub(super) rows: Vec<usize>,
    pub(super) settings: GraphSettings,
    pub(super) seed: u64,
    /// Of a resample.
    pub(super) most_tests: Option<TestsByMetric>,
}

impl ResampleJob {
    /// Counts the edges of so many resamples on the current rayon pool.
    ///
    /// # Errors
    /// [`Stopped`] when nobody wants the answer any more.
    pub(super) fn count_here(&self, resamples: u32, halt: Halt<'_>) -> Result<Tally, Stopped> {
        count_edges(&self.source(), &self.resampling(halt), resamples)
    }

    fn source(&self) -> FrameRows<'_> {
        FrameRows { frame: &self.frame, rows: &self.rows }
    }

    fn resampling<'a>(&'a self, halt: Halt<'a>) -> Resampling<'a> {
        Resampling { settings: &self.settings, seed: self.seed, most_tests: self.most_tests, halt }
    }

    fn metrics(&self, range: Range<usize>) -> &[MetricKind] {
        &self.settings.metrics()[range]
    }

    fn request(&self, shard: &ResampleShard, input_hash: &str) -> v1::TestResamplesRequest {
        let kinds = self.metrics(shard.metrics.clone());
        let metrics = kinds.iter().map(|kind| kind.to_wire().into()).collect();
        let most_tests = self.most_tests.iter().flat_map(|most| kinds.iter().map(|kind| most[kind.index()]));
        v1::TestResamplesRequest {
            input_hash: input_hash.to_owned(),
            settings: Some(v1::GraphSettings { metrics, ..(&self.settings).into() }),
            first: shard.resamples.start,
            end: shard.resamples.end,
            seed: self.seed,
            most_tests: None,
            most_tests_by_metric: most_tests.collect(),
            build: build_id(),
        }
    }

    /// The pairs of each resample that a peer answered.
    ///
    /// # Errors
    /// What cannot be: the answer was damaged on its way, or is no answer to the request.
    fn read(
        &self,
        shard: &ResampleShard,
        request: &v1::TestResamplesRequest,
        answer: &v1::TestResamplesResponse,
    ) -> Result<Connected, &'static str> {
        if answer.checksum != checksum(request, answer) {
            return Err("its answer or the question was damaged on the way");
        }
        if answer.resamples.len() != shard.resamples.len() {
            return Err("it answered other resamples than it was asked for");
        }
        let services = self.frame.services().len();
        let pairs = answer.resamples.iter().map(|connected| pair_code::from_wire(connected, services));
        let read: Option<Connected> = pairs.map(|pairs| pairs.map(Some)).collect();
        read.ok_or("it answered pairs that cannot be any")
    }
}

/// The resamples of one graph, in shards.
#[derive(Debug)]
pub(super) struct ResampleShards {
    pub(super) job: ResampleJob,
    pub(super) shards: Vec<ResampleShard>,
    /// Gets the number of each shard with what it found.
    pub(super) found: Sender<(usize, Connected)>,
}

#[tonic::async_trait]
impl Job for ResampleShards {
    fn is_of_resamples(&self) -> bool {
        true
    }

    fn here(&self, shard: usize, halt: Halt<'_>) -> Result<Delivery, Stopped> {
        let ResampleShard { resamples, metrics } = self.shards[shard].clone();
        let (source, resampling) = (self.job.source(), self.job.resampling(halt));
        let metrics = self.job.metrics(metrics);
        let found: Connected = resamples
            .into_par_iter()
            .map(|index| resampling.connected(&source, index, metrics))
            .collect::<Result<_, Stopped>>()?;
        Ok(delivery(&self.found, shard, found))
    }

    async fn there(
        &self,
        shard: usize,
        mut peer: PeerClient,
        input_hash: &str,
    ) -> Result<(Delivery, u64), Failure> {
        let asked = &self.shards[shard];
        let request = self.job.request(asked, input_hash);
        let answer = peer.test_resamples(request.clone()).await.map_err(ServiceError::from)?;
        let found = self.job.read(asked, &request, answer.get_ref()).map_err(Failure::untrusted)?;
        Ok((delivery(&self.found, shard, found), request.encoded_len() as u64))
    }
}
