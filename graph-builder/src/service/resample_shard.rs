//! The bootstrap resamples that a peer asks to have tested.

use std::{ops::Range, sync::atomic::AtomicBool};

use automap_proto::{
    invalid::Invalid,
    metric::{METRIC_COUNT, MetricKind},
    settings::GraphSettings,
    v1,
};
use automap_service_kit::error::ServiceError;
use rayon::prelude::*;

use super::{
    description::MAX_RESAMPLES,
    pair_code::{self, MOST_SKELETON_BYTES},
    workers::Team,
};
use crate::{
    bootstrap::Resampling,
    peer_input::PeerInput,
    resample_share::TestsByMetric,
    sharding::skeleton_code,
    stop::{Halt, Stopped},
};

/// A valid call of TestResamples.
#[derive(Debug)]
pub(super) struct AskedResamples {
    settings: GraphSettings,
    resamples: Range<u32>,
    seed: u64,
    most_tests: Option<TestsByMetric>,
}

impl AskedResamples {
    /// Checks a request against an input of `services` services.
    pub(super) fn new(request: &v1::TestResamplesRequest, services: usize) -> Result<Self, Invalid> {
        let settings = request.settings.as_ref().ok_or_else(|| Invalid::missing("settings"))?;
        let settings = GraphSettings::try_from(settings).map_err(|invalid| invalid.within("settings"))?;
        let resamples = request.first..request.end;
        if resamples.is_empty() || resamples.end > MAX_RESAMPLES {
            return Err(Invalid::new(
                "end",
                format!(
                    "is {} where first is {}; ask for at least one of {MAX_RESAMPLES} resamples",
                    request.end, request.first
                ),
            ));
        }
        let bytes = skeleton_code::bytes_for(services).saturating_mul(resamples.len());
        if bytes > MOST_SKELETON_BYTES {
            return Err(Invalid::new(
                "end",
                format!(
                    "asks for {} resamples of {services} services, whose pairs may not fit into a message; ask for fewer",
                    resamples.len()
                ),
            ));
        }
        Ok(Self { settings, resamples, seed: request.seed, most_tests: most_tests(request)? })
    }

    /// Tests them on the threads of `team`.
    pub(super) fn test(
        &self,
        input: &PeerInput,
        team: &Team,
        stop: &AtomicBool,
    ) -> Result<v1::TestResamplesResponse, ServiceError> {
        let resampling = Resampling {
            settings: &self.settings,
            seed: self.seed,
            most_tests: self.most_tests,
            halt: Halt::on(stop),
        };
        let metrics = self.settings.metrics();
        let test = |index| {
            let connected = resampling.connected(input, index, metrics)?;
            // Without a clock there is no time that could be up.
            Ok(pair_code::to_wire(&connected.unwrap_or_default(), input.services()))
        };
        let tested = || self.resamples.clone().into_par_iter().map(test).collect::<Result<_, Stopped>>();
        Ok(v1::TestResamplesResponse { resamples: team.run(tested)?, checksum: 0 })
    }
}

/// What a resample may take, in whichever of the two ways it is said.
fn most_tests(request: &v1::TestResamplesRequest) -> Result<Option<TestsByMetric>, Invalid> {
    let asked = &request.most_tests_by_metric;
    if asked.is_empty() {
        return Ok(request.most_tests.map(|most| [most; METRIC_COUNT]));
    }
    if request.most_tests.is_some() {
        return Err(Invalid::new("most_tests", "is given beside most_tests_by_metric; give only the latter"));
    }
    let metrics = request.settings.as_ref().map(|settings| settings.metrics.as_slice()).unwrap_or_default();
    if asked.len() != metrics.len() {
        return Err(Invalid::new(
            "most_tests_by_metric",
            format!("are {} where settings name {} metrics; give one for each", asked.len(), metrics.len()),
        ));
    }
    let mut most_tests = TestsByMetric::default();
    for (&metric, &most) in metrics.iter().zip(asked) {
        most_tests[MetricKind::from_wire("settings.metrics", metric)?.index()] = most;
    }
    Ok(Some(most_tests))
}
