//! The shard of a level that a peer asks to have tested.

use std::sync::atomic::AtomicBool;

use automap_proto::{
    invalid::Invalid,
    load_removal::LoadRemoval,
    metric::MetricKind,
    settings::{Bins, CiTest, GraphSettings},
    v1,
};
use automap_service_kit::error::ServiceError;

use super::workers::Team;
use crate::{
    peer_input::PeerInput,
    set_range::SetRange,
    sharding::skeleton_code,
    skeleton::{LevelTask, Levels as _, Neighbours, neighbours_from_pairs},
    stop::Halt,
};

/// Deepest level of a shard. No run gets there: a pair that reaches level 64 has outlived all C(64, 32) > 10¹⁸ sets of
/// level 32, and buffers grow with the level.
const MAX_LEVEL: usize = 64;

/// A valid call of TestEdges.
#[derive(Debug)]
pub(super) struct Shard {
    metric: MetricKind,
    settings: GraphSettings,
    level: usize,
    part: SetRange,
    neighbours: Neighbours,
    pairs: Vec<(u32, u32)>,
}

impl Shard {
    /// Checks a request against an input of `services` services.
    pub(super) fn new(request: &v1::TestEdgesRequest, services: usize) -> Result<Self, Invalid> {
        let metric = MetricKind::from_wire("metric", request.metric)?;
        let level = request.level as usize;
        if level > MAX_LEVEL {
            return Err(Invalid::new("level", format!("is {level}; at most {MAX_LEVEL} can be tested")));
        }
        let ci_test = CiTest::from_wire("ci_test", request.ci_test)?;
        let bins = Bins::from_wire("bins", request.bins)?;
        let removal = LoadRemoval::from_wire("load_removal", request.load_removal)?;
        let settings = GraphSettings::new(ci_test, request.alpha, level, vec![metric])?
            .with_bins(bins)
            .with_load_removal(removal, &request.load_service)?;
        let adjacency = adjacency(request, services)?;
        let pairs = asked_pairs(request, &adjacency)?;
        let most = if request.most_sets == 0 { u64::MAX } else { request.most_sets };
        let part = SetRange { skip: request.skip_sets, most };
        Ok(Self {
            metric,
            settings,
            level,
            part,
            neighbours: neighbours_from_pairs(services, &adjacency),
            pairs,
        })
    }

    /// Tests the pairs on the threads of `team`.
    pub(super) fn test(
        &self,
        input: &PeerInput,
        team: &Team,
        stop: &AtomicBool,
    ) -> Result<v1::TestEdgesResponse, ServiceError> {
        let prepared = input.prepared(self.metric, &self.settings, |prepare| team.run(prepare));
        let task = LevelTask {
            size: self.level,
            neighbours: &self.neighbours,
            pairs: &self.pairs,
            part: self.part,
            expected_tests: 0,
        };
        let verdicts = team.run(|| prepared.at(self.settings.alpha()).test(&task, Halt::on(stop)))?;
        let tests = verdicts.iter().map(|verdict| verdict.tests).sum();
        let spent = verdicts.iter().map(|verdict| verdict.spent).sum();
        let cut = (0..).zip(&verdicts).filter_map(|(position, verdict)| verdict.is_cut.then_some(position));
        let cut = cut.collect();
        let separations = self.pairs.iter().zip(verdicts).filter_map(|(&(first, second), verdict)| {
            verdict.separating_set.map(|separating_set| v1::Separation {
                pair: Some(v1::ServicePair { first, second }),
                separating_set,
            })
        });
        Ok(v1::TestEdgesResponse { separations: separations.collect(), tests, spent, cut, checksum: 0 })
    }
}

/// The skeleton as it stood when the level began.
fn adjacency(request: &v1::TestEdgesRequest, services: usize) -> Result<Vec<(u32, u32)>, Invalid> {
    if !request.adjacency_bits.is_empty() {
        if !request.adjacency.is_empty() {
            return Err(Invalid::new("adjacency_bits", "stands beside adjacency; give one of them"));
        }
        return skeleton_code::from_bits(&request.adjacency_bits, services).ok_or_else(|| {
            Invalid::new(
                "adjacency_bits",
                format!(
                    "has {} bytes, or bits beyond the pairs of {services} services",
                    request.adjacency_bits.len()
                ),
            )
        });
    }
    let pairs: Vec<(u32, u32)> = request.adjacency.iter().map(|pair| (pair.first, pair.second)).collect();
    match skeleton_code::first_bad_pair(&pairs, services) {
        None => Ok(pairs),
        Some(index) => {
            let (first, second) = pairs[index];
            Err(Invalid::new(
                format!("adjacency[{index}]"),
                format!(
                    "{first}, {second} must ascend, be below {services}, the number of services, and stand once"
                ),
            ))
        }
    }
}

/// The pairs to test.
fn asked_pairs(request: &v1::TestEdgesRequest, adjacency: &[(u32, u32)]) -> Result<Vec<(u32, u32)>, Invalid> {
    if let Some(range) = &request.pairs {
        let (first, end) = (usize::try_from(range.first).ok(), usize::try_from(range.end).ok());
        let asked = first.zip(end).and_then(|(first, end)| adjacency.get(first..end));
        return asked.map(<[_]>::to_vec).ok_or_else(|| {
            Invalid::new(
                "pairs",
                format!("go from {} to {} where adjacency has {}", range.first, range.end, adjacency.len()),
            )
        });
    }
    let mut is_asked = vec![false; adjacency.len()];
    let mut pairs = Vec::with_capacity(request.shard.len());
    for (index, &position) in request.shard.iter().enumerate() {
        let field = || format!("shard[{index}]");
        let asked = is_asked.get_mut(position as usize).ok_or_else(|| {
            Invalid::new(field(), format!("is {position} where adjacency has {} pairs", adjacency.len()))
        })?;
        if *asked {
            return Err(Invalid::new(field(), format!("asks for pair {position} again")));
        }
        *asked = true;
        pairs.push(adjacency[position as usize]);
    }
    Ok(pairs)
}
