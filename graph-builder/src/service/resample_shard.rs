//! The bootstrap resamples that a peer asks to have tested.

use std::{ops::Range, sync::atomic::AtomicBool};

use automap_proto::{invalid::Invalid, settings::GraphSettings, v1};
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
    sharding::skeleton_code,
    stop::{Halt, Stopped},
};

/// A valid call of TestResamples.
#[derive(Debug)]
pub(super) struct AskedResamples {
    settings: GraphSettings,
    resamples: Range<u32>,
    seed: u64,
    most_tests: Option<u64>,
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
        Ok(Self { settings, resamples, seed: request.seed, most_tests: request.most_tests })
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
