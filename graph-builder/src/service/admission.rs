//! How many calls are in the house, and how many of them compute.

use std::{sync::Arc, time::Duration};

use automap_service_kit::error::{ErrorCode, ServiceError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// When a refused caller should try again.
const RETRY_AFTER: Duration = Duration::from_secs(2);

/// Bounds memory by the calls that are let in, and load by those that compute.
#[derive(Debug)]
pub(super) struct Admission {
    places: Arc<Semaphore>,
    turns: Arc<Semaphore>,
    limit: usize,
}

/// The right to send a frame and to wait for a turn; given back when dropped.
#[derive(Debug)]
pub(super) struct Place {
    _permit: OwnedSemaphorePermit,
    turns: Arc<Semaphore>,
}

impl Admission {
    /// `concurrent` calls compute while `queued` more upload, wait, or send their answers.
    pub(super) fn new(concurrent: usize, queued: usize) -> Self {
        let turns = concurrent.clamp(1, Semaphore::MAX_PERMITS);
        let limit = turns.saturating_add(queued).min(Semaphore::MAX_PERMITS);
        Self { places: Arc::new(Semaphore::new(limit)), turns: Arc::new(Semaphore::new(turns)), limit }
    }

    /// A place, if one is free.
    pub(super) fn enter(&self) -> Result<Place, ServiceError> {
        match Arc::clone(&self.places).try_acquire_owned() {
            Ok(permit) => Ok(Place {
                _permit: permit,
                turns: Arc::clone(&self.turns),
            }),
            Err(_) => Err(ServiceError::new(
                ErrorCode::Overloaded,
                format!(
                    "all {} places for calls are taken; try again later, or raise queued-builds of the graph-builder",
                    self.limit
                ),
            )
            .retry_after(RETRY_AFTER)),
        }
    }
}

impl Place {
    /// Waits for the right to compute; calls take turns in the order in which they asked.
    pub(super) async fn turn(&self) -> Result<OwnedSemaphorePermit, ServiceError> {
        Arc::clone(&self.turns)
            .acquire_owned()
            .await
            .map_err(|_| ServiceError::internal("the queue for computing was closed"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn beyond_the_queue_callers_are_told_to_come_back() {
        let admission = Admission::new(1, 1);
        let first = admission.enter().unwrap();
        let turn = first.turn().await.unwrap();
        let second = admission.enter().unwrap();
        assert_eq!(admission.enter().unwrap_err().code(), ErrorCode::Overloaded);
        let waiting = tokio::time::timeout(Duration::from_millis(20), second.turn()).await;
        assert!(waiting.is_err());
        drop((turn, first));
        let _turn = second.turn().await.unwrap();
        admission.enter().unwrap();
    }
}
