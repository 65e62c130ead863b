//! The shard of a level that a peer asks to have tested.

use std::sync::atomic::AtomicBool;

use automap_proto::{
    invalid::Invalid,
    metric::MetricKind,
    settings::{Bins, CiTest, GraphSettings},
    v1,
};
use automap_service_kit::error::ServiceError;

use super::workers::Workers;
use crate::{
    bit_matrix::BitMatrix,
    contingency::Statistic,
    fisher_z::FisherZ,
    independence::{IndependenceTest, Verdict},
    partial_correlation::PartialCorrelationTest,
    peer_input::PeerInput,
    skeleton::{Neighbours, neighbours_from_pairs, test_pairs},
    stop::Stopped,
    table_test::TableTest,
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
        let settings = GraphSettings::new(ci_test, request.alpha, level, vec![metric])?.with_bins(bins);
        let mut seen = BitMatrix::new(services);
        let mut adjacency = Vec::with_capacity(request.adjacency.len());
        for (index, pair) in request.adjacency.iter().enumerate() {
            let field = || format!("adjacency[{index}]");
            let (first, second) = (pair.first as usize, pair.second as usize);
            if first >= second || second >= services {
                return Err(Invalid::new(
                    field(),
                    format!("{first}, {second} must ascend and be below {services}, the number of services"),
                ));
            }
            if seen.contains(first, second) {
                return Err(Invalid::new(field(), format!("{first}, {second} stands twice")));
            }
            seen.insert(first, second);
            adjacency.push((pair.first, pair.second));
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
        Ok(Self { metric, settings, level, neighbours: neighbours_from_pairs(services, &adjacency), pairs })
    }

    /// Tests the pairs on the threads of `workers`.
    pub(super) fn test(
        &self,
        input: &PeerInput,
        workers: &Workers,
        stop: &AtomicBool,
    ) -> Result<v1::TestEdgesResponse, ServiceError> {
        let alpha = self.settings.alpha();
        let verdicts = match Statistic::of(self.settings.ci_test()) {
            None => {
                let correlation = input.correlation(self.metric, |compute| workers.run(compute));
                let test = PartialCorrelationTest::new(correlation, FisherZ::new(alpha));
                workers.run(|| self.verdicts(&test, stop))?
            }
            Some(statistic) => {
                let data = input.discretised(self.metric, self.settings.bins());
                workers.run(|| self.verdicts(&TableTest::new(data, statistic, alpha), stop))?
            }
        };
        let tests = verdicts.iter().map(|verdict| verdict.tests).sum();
        let separations = self.pairs.iter().zip(verdicts).filter_map(|(&(first, second), verdict)| {
            verdict.separating_set.map(|separating_set| v1::Separation {
                pair: Some(v1::ServicePair { first, second }),
                separating_set,
            })
        });
        Ok(v1::TestEdgesResponse { separations: separations.collect(), tests })
    }

    /// A level without any test separates no pair.
    fn verdicts<T: IndependenceTest>(&self, test: &T, stop: &AtomicBool) -> Result<Vec<Verdict>, Stopped> {
        match test.level(self.level) {
            Some(level) => test_pairs::<T>(&level, &self.neighbours, &self.pairs, stop),
            None => Ok(vec![Verdict::default(); self.pairs.len()]),
        }
    }
}
