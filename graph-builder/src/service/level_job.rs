//! A level whose pairs are tested in shards, here or by peers.

use std::{
    collections::BTreeSet,
    ops::Range,
    sync::{Arc, mpsc::Sender},
};

use automap_proto::{metric::MetricKind, settings::GraphSettings, v1};
use automap_service_kit::error::ServiceError;
use bytes::Bytes;
use prost::Message as _;

use super::{
    job::{Delivery, Failure, Job, delivery},
    pair_code::{BYTES_PER_PAIR, MOST_SKELETON_BYTES},
    peers::PeerClient,
};
use crate::{
    build_id::build_id,
    checksum::checksum,
    independence::Verdict,
    prepared::Prepared,
    set_range::SetRange,
    sharding::skeleton_code,
    skeleton::{LevelTask, Levels as _, Neighbours, pairs_of},
    stop::{Halt, Stopped},
};

/// A level in shards.
#[derive(Debug)]
pub(super) struct LevelShards {
    pub(super) level: LevelJob,
    /// The pairs of each shard.
    pub(super) ranges: Vec<Range<usize>>,
    /// Most tests of each shard.
    pub(super) most_tests: Vec<u64>,
    /// Gets the number of each shard with its verdicts.
    pub(super) verdicts: Sender<(usize, Vec<Verdict>)>,
}

#[tonic::async_trait]
impl Job for LevelShards {
    fn is_of_resamples(&self) -> bool {
        false
    }

    fn here(&self, shard: usize, halt: Halt<'_>) -> Result<Delivery, Stopped> {
        let verdicts = self.level.test(self.ranges[shard].clone(), halt)?;
        Ok(delivery(&self.verdicts, shard, verdicts))
    }

    async fn there(
        &self,
        shard: usize,
        mut peer: PeerClient,
        input_hash: &str,
    ) -> Result<(Delivery, u64), Failure> {
        let range = self.ranges[shard].clone();
        let request = self.level.request(&range, input_hash);
        let answer = peer.test_edges(request.clone()).await.map_err(ServiceError::from)?;
        let verdicts = self.level.read(range, self.most_tests[shard], &request, answer.get_ref());
        let verdicts = verdicts.map_err(Failure::untrusted)?;
        Ok((delivery(&self.verdicts, shard, verdicts), request.encoded_len() as u64))
    }
}

/// What the shards of a level have in common.
#[derive(Debug)]
pub(super) struct LevelJob {
    prepared: Arc<Prepared>,
    settings: GraphSettings,
    metric: MetricKind,
    size: usize,
    neighbours: Neighbours,
    pairs: Vec<(u32, u32)>,
    /// Positions of `pairs` in the skeleton; `None` when they are all of it.
    positions: Option<Vec<u32>>,
    part: SetRange,
    skeleton: SkeletonCode,
}

/// The skeleton as it goes to peers.
#[derive(Debug)]
enum SkeletonCode {
    Bits(Bytes),
    Pairs(Vec<v1::ServicePair>),
}

impl LevelJob {
    /// `None` when the skeleton is too large for a message.
    pub(super) fn new(
        prepared: Arc<Prepared>,
        settings: &GraphSettings,
        metric: MetricKind,
        task: &LevelTask<'_>,
    ) -> Option<Self> {
        let all: Vec<(u32, u32)> = pairs_of(task.neighbours).collect();
        let (as_pairs, as_bits) =
            (all.len() * BYTES_PER_PAIR, skeleton_code::bytes_for(task.neighbours.len()));
        if as_pairs.min(as_bits) > MOST_SKELETON_BYTES {
            return None;
        }
        let skeleton = if as_pairs < as_bits {
            SkeletonCode::Pairs(
                all.iter().map(|&(first, second)| v1::ServicePair { first, second }).collect(),
            )
        } else {
            SkeletonCode::Bits(skeleton_code::to_bits(task.neighbours).into())
        };
        let position = |pair: &(u32, u32)| all.binary_search(pair).ok().and_then(|at| u32::try_from(at).ok());
        let positions = (task.pairs.len() < all.len())
            .then(|| task.pairs.iter().map(position).collect::<Option<Vec<u32>>>());
        Some(Self {
            prepared,
            settings: settings.clone(),
            metric,
            size: task.size,
            neighbours: task.neighbours.clone(),
            pairs: task.pairs.to_vec(),
            positions: match positions {
                Some(positions) => Some(positions?),
                None => None,
            },
            part: task.part,
            skeleton,
        })
    }

    /// Bytes that go along with each shard.
    pub(super) fn shard_bytes(&self) -> usize {
        match &self.skeleton {
            SkeletonCode::Bits(bits) => bits.len(),
            SkeletonCode::Pairs(pairs) => pairs.len() * BYTES_PER_PAIR,
        }
    }

    /// Tests a shard on the current rayon pool.
    fn test(&self, shard: Range<usize>, halt: Halt<'_>) -> Result<Vec<Verdict>, Stopped> {
        let task = LevelTask {
            size: self.size,
            neighbours: &self.neighbours,
            pairs: &self.pairs[shard],
            part: self.part,
            expected_tests: 0,
        };
        self.prepared.at(self.settings.alpha()).test(&task, halt)
    }

    /// The question to a peer that has the input with that hash.
    fn request(&self, shard: &Range<usize>, input_hash: &str) -> v1::TestEdgesRequest {
        let (adjacency, adjacency_bits) = match &self.skeleton {
            SkeletonCode::Bits(bits) => (Vec::new(), bits.clone()),
            SkeletonCode::Pairs(pairs) => (pairs.clone(), Bytes::new()),
        };
        let (positions, pairs) = match &self.positions {
            Some(positions) => (positions[shard.clone()].to_vec(), None),
            None => (Vec::new(), Some(v1::PairRange { first: shard.start as u64, end: shard.end as u64 })),
        };
        v1::TestEdgesRequest {
            input_hash: input_hash.to_owned(),
            metric: self.metric.to_wire().into(),
            ci_test: self.settings.ci_test().to_wire().into(),
            alpha: self.settings.alpha(),
            level: u32::try_from(self.size).unwrap_or(u32::MAX),
            adjacency,
            shard: positions,
            bins: self.settings.bins().count() as u32,
            load_removal: self.settings.load_removal().to_wire().into(),
            load_service: self.settings.load_service().to_owned(),
            skip_sets: self.part.skip,
            most_sets: if self.part.most == u64::MAX { 0 } else { self.part.most },
            adjacency_bits,
            pairs,
            build: build_id(),
        }
    }

    /// The verdicts that a peer answered, in the order of the shard; all tests count for the first.
    ///
    /// # Errors
    /// What cannot be: the answer was damaged on its way, or is no answer to the request.
    fn read(
        &self,
        shard: Range<usize>,
        most_tests: u64,
        request: &v1::TestEdgesRequest,
        answer: &v1::TestEdgesResponse,
    ) -> Result<Vec<Verdict>, &'static str> {
        if answer.checksum != checksum(request, answer) {
            return Err("its answer or the question was damaged on the way");
        }
        if answer.spent > most_tests {
            return Err("it claims more tests than its pairs have sets");
        }
        if answer.tests > answer.spent {
            return Err("it claims less work than tests");
        }
        let pairs = &self.pairs[shard];
        let mut verdicts = vec![Verdict::default(); pairs.len()];
        let mut next = 0;
        for separation in &answer.separations {
            let wanted = separation.pair.as_ref().map(|pair| (pair.first, pair.second));
            let found = pairs[next..].iter().position(|pair| Some(*pair) == wanted);
            let position = next + found.ok_or("it answered about pairs that it was not asked about")?;
            if !self.can_separate(pairs[position], &separation.separating_set) {
                return Err("it answered a separating set that cannot be one");
            }
            verdicts[position].separating_set = Some(separation.separating_set.clone());
            next = position + 1;
        }
        let cut: BTreeSet<u32> = answer.cut.iter().copied().collect();
        for position in cut {
            let verdict =
                verdicts.get_mut(position as usize).filter(|verdict| verdict.separating_set.is_none());
            verdict.ok_or("it left pairs that it was not asked about, or had separated")?.is_cut = true;
        }
        if let Some(first) = verdicts.first_mut() {
            (first.tests, first.spent) = (answer.tests, answer.spent);
        }
        Ok(verdicts)
    }

    fn can_separate(&self, pair: (u32, u32), set: &[u32]) -> bool {
        let is_among = |end: u32| {
            let neighbours = &self.neighbours[end as usize];
            set.iter().all(|member| neighbours.binary_search(member).is_ok())
        };
        set.len() == self.size
            && set.windows(2).all(|two| two[0] < two[1])
            && !set.contains(&pair.0)
            && !set.contains(&pair.1)
            && (is_among(pair.0) || is_among(pair.1))
    }
}
