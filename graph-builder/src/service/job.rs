//! Work in shards, each of which is done here or by a peer.

use std::{
    fmt::Debug,
    sync::{Arc, atomic::AtomicBool, mpsc::Sender},
    time::Duration,
};

use automap_service_kit::error::{ErrorCode, ServiceError};

use super::peers::PeerClient;
use crate::{
    sharding::worker::{Fault, Millis},
    stop::{Halt, Stopped},
};

/// Rest of an overloaded peer that does not say how long.
const BUSY: Duration = Duration::from_secs(1);

/// What a shard found, on its way to whoever waits for it: called when it is taken, and dropped when it came too late.
pub(super) type Delivery = Box<dyn FnOnce() + Send>;

/// Work whose shards depend on nothing but themselves, so that it does not matter who does them, and how often.
#[tonic::async_trait]
pub(super) trait Job: Debug + Send + Sync {
    /// Whether its shards are resamples; else they are parts of a level.
    fn is_of_resamples(&self) -> bool;

    /// Does a shard on the current rayon pool.
    ///
    /// # Errors
    /// [`Stopped`] when nobody wants it any more.
    fn here(&self, shard: usize, halt: Halt<'_>) -> Result<Delivery, Stopped>;

    /// Has a peer do a shard, and answers it with the bytes that were sent.
    async fn there(
        &self,
        shard: usize,
        peer: PeerClient,
        input_hash: &str,
    ) -> Result<(Delivery, u64), Failure>;
}

/// Why a peer did not do a shard.
#[derive(Debug)]
pub(super) enum Failure {
    /// It has no such input (any more).
    NoInput,
    /// Something else.
    Fault(Fault, String),
}

impl Failure {
    /// It answered what cannot be.
    pub(super) fn untrusted(reason: impl Into<String>) -> Self {
        Self::Fault(Fault::Untrusted, reason.into())
    }
}

impl From<ServiceError> for Failure {
    fn from(error: ServiceError) -> Self {
        let fault = match error.code() {
            ErrorCode::NotFound => return Self::NoInput,
            ErrorCode::Overloaded => {
                let rest = error.retry_delay().unwrap_or(BUSY);
                Fault::Busy(u64::try_from(rest.as_millis()).unwrap_or(Millis::MAX))
            }
            ErrorCode::InvalidInput | ErrorCode::Conflict => Fault::Untrusted,
            _ => Fault::Unreachable,
        };
        Self::Fault(fault, error.to_string())
    }
}

/// Sends what a shard found to a thread that waits for it. Whoever does not listen any more has withdrawn the job.
pub(super) fn delivery<T: Send + 'static>(to: &Sender<(usize, T)>, shard: usize, found: T) -> Delivery {
    let to = to.clone();
    Box::new(move || {
        to.send((shard, found)).ok();
    })
}

/// A job on its way to the exchange.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) job: Arc<dyn Job>,
    /// What each shard is expected to cost, in tests.
    pub(super) costs: Vec<u64>,
    /// Set when nobody wants its shards any more.
    pub(super) withdrawn: Arc<AtomicBool>,
}
