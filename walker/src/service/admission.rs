//! Who may diagnose now, who may wait for a turn, and who is told to come back.
//!
//! A caller who waits sees the wait in his answer, so few may wait: the next is better refused at once than answered
//! late. Diagnoses without a caller, as those of a burst of alerts, may queue up for long; so that callers do not stand
//! behind them, these take half of the turns at most.

use std::{sync::Arc, time::Instant};

use automap_service_kit::error::{ErrorCode, ServiceError};
use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore, SemaphorePermit};

use super::pace::Pace;
use crate::config::WalkerConfig;

/// Most diagnoses that may run or wait, whatever the configuration says.
const MAX_DIAGNOSES: usize = 1 << 16;

/// Diagnoses at once for each core, unless configured: each waits part of its time for its peers and for the disk.
const PER_CORE: usize = 2;

/// Who waits for a diagnosis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum For {
    /// A caller, until it is there.
    Caller,
    /// Nobody: its answer is looked up later.
    Later,
}

/// The places of a walker.
#[derive(Debug)]
pub(super) struct Admission {
    at_once: usize,
    /// Places of callers and of started diagnoses, running ones included.
    rooms: [usize; 2],
    turns: Semaphore,
    callers: Arc<Semaphore>,
    started: Arc<Semaphore>,
    started_turns: Semaphore,
    pace: Pace,
}

/// The right to wait for a turn and to run in it; given back when dropped.
#[derive(Debug)]
pub(super) struct Place {
    answer: For,
    _held: OwnedSemaphorePermit,
}

impl Place {
    /// Who waits for the diagnosis.
    pub(super) fn answer(&self) -> For {
        self.answer
    }
}

/// The right to diagnose; given back when dropped.
#[derive(Debug)]
pub(super) struct Turn<'a> {
    began: Instant,
    pace: &'a Pace,
    _held: [Option<SemaphorePermit<'a>>; 2],
    _place: Place,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.pace.took(self.began.elapsed());
    }
}

impl Admission {
    /// Places as configured on a machine with so many cores.
    pub(super) fn new(config: &WalkerConfig, cores: usize) -> Self {
        let at_once =
            if config.concurrent_diagnoses == 0 { PER_CORE * cores } else { config.concurrent_diagnoses };
        let at_once = at_once.clamp(1, MAX_DIAGNOSES);
        let waiting = config.waiting_callers.unwrap_or(at_once.div_ceil(2));
        let rooms = [waiting, config.queued_diagnoses].map(|queue| at_once + queue.min(MAX_DIAGNOSES));
        Self {
            at_once,
            rooms,
            turns: Semaphore::new(at_once),
            callers: Arc::new(Semaphore::new(rooms[0])),
            started: Arc::new(Semaphore::new(rooms[1])),
            started_turns: Semaphore::new(at_once.div_ceil(2)),
            pace: Pace::new(at_once),
        }
    }

    /// Diagnoses that run and that wait now, as far as they can be told at one instant.
    pub(super) fn load(&self) -> (usize, usize) {
        let running = self.at_once.saturating_sub(self.turns.available_permits());
        let taken = |room: usize, places: &Semaphore| room.saturating_sub(places.available_permits());
        let all = taken(self.rooms[0], &self.callers) + taken(self.rooms[1], &self.started);
        (running, all.saturating_sub(running))
    }

    /// A place to wait in.
    ///
    /// # Errors
    /// All are taken.
    pub(super) fn place(&self, answer: For) -> Result<Place, ServiceError> {
        let setting = match answer {
            For::Caller => "waiting-callers",
            For::Later => "queued-diagnoses",
        };
        let taken = Arc::clone(self.places(answer)).try_acquire_owned();
        taken.map(|held| Place { answer, _held: held }).map_err(|_| {
            let message =
                format!("too many diagnoses run and wait; try again later, or raise walker.{setting}");
            ServiceError::new(ErrorCode::Overloaded, message).retry_after(self.pace.come_back(Instant::now()))
        })
    }

    /// Waits for a place, for what must not be refused any more.
    ///
    /// # Errors
    /// None while the walker lives.
    pub(super) async fn next_place(&self, answer: For) -> Result<Place, ServiceError> {
        let held = Arc::clone(self.places(answer)).acquire_owned().await.map_err(closed)?;
        Ok(Place { answer, _held: held })
    }

    fn places(&self, answer: For) -> &Arc<Semaphore> {
        match answer {
            For::Caller => &self.callers,
            For::Later => &self.started,
        }
    }

    /// Waits for a turn, in the order of asking.
    ///
    /// # Errors
    /// None while the walker lives.
    pub(super) async fn turn(&self, place: Place) -> Result<Turn<'_>, ServiceError> {
        let started = match place.answer {
            For::Caller => None,
            For::Later => Some(self.started_turns.acquire().await.map_err(closed)?),
        };
        let held = [Some(self.turns.acquire().await.map_err(closed)?), started];
        Ok(Turn { began: Instant::now(), pace: &self.pace, _held: held, _place: place })
    }
}

fn closed(_: AcquireError) -> ServiceError {
    ServiceError::internal("the queue for diagnoses was closed")
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    async fn asked(admission: &Admission, answer: For) -> Result<Turn<'_>, ServiceError> {
        admission.turn(admission.place(answer)?).await
    }

    fn admission(at_once: usize, waiting: Option<usize>, queued: usize) -> Admission {
        let config = WalkerConfig {
            concurrent_diagnoses: at_once,
            waiting_callers: waiting,
            queued_diagnoses: queued,
            ..WalkerConfig::default()
        };
        Admission::new(&config, 4)
    }

    #[tokio::test]
    async fn callers_beyond_those_who_may_wait_are_told_to_come_back() {
        let admission = admission(1, Some(1), 0);
        let turn = asked(&admission, For::Caller).await.unwrap();
        let mut waits = Box::pin(asked(&admission, For::Caller));
        assert!(waits.as_mut().now_or_never().is_none());
        let refused = asked(&admission, For::Caller).await.unwrap_err();
        assert_eq!(refused.code(), ErrorCode::Overloaded);
        let next = asked(&admission, For::Caller).await.unwrap_err();
        assert!(refused.retry_delay().is_some() && next.retry_delay() > refused.retry_delay(), "{next:?}");
        assert!(refused.message().contains("walker.waiting-callers"), "{refused}");
        drop(turn);
        drop(waits.await.unwrap());
        assert!(asked(&admission, For::Caller).now_or_never().is_some());
    }

    #[tokio::test]
    async fn a_queue_of_started_diagnoses_leaves_turns_to_callers() {
        let admission = admission(2, None, 100);
        let _runs = asked(&admission, For::Later).await.unwrap();
        let mut queued: Vec<_> = (0..50).map(|_| Box::pin(asked(&admission, For::Later))).collect();
        assert!(queued.iter_mut().all(|one| one.as_mut().now_or_never().is_none()));
        assert!(asked(&admission, For::Caller).now_or_never().is_some_and(|turn| turn.is_ok()));
        assert_eq!(admission.load(), (1, 50));
    }

    #[tokio::test]
    async fn what_may_not_be_refused_waits_for_a_place() {
        let admission = admission(1, None, 0);
        let place = admission.place(For::Later).unwrap();
        let refused = admission.place(For::Later).unwrap_err();
        assert!(refused.message().contains("walker.queued-diagnoses"), "{refused}");
        let mut next = Box::pin(admission.next_place(For::Later));
        assert!(next.as_mut().now_or_never().is_none());
        drop(admission.turn(place).await.unwrap());
        assert_eq!(next.await.unwrap().answer(), For::Later);
    }

    #[tokio::test]
    async fn unless_configured_two_run_for_each_core_and_half_as_many_callers_wait() {
        let admission = admission(0, None, 0);
        let mut turns: Vec<_> = (0..12).map(|_| Box::pin(asked(&admission, For::Caller))).collect();
        let held: Vec<_> = turns.iter_mut().map(|turn| turn.as_mut().now_or_never()).collect();
        let now: Vec<bool> = held.iter().map(Option::is_some).collect();
        assert_eq!(now, [[true; 8].as_slice(), &[false; 4]].concat());
        assert!(asked(&admission, For::Caller).await.is_err());
    }
}
