//! When a refused caller should try again: a place for each in a queue that nobody has to stand in.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// How long a diagnosis is taken to take before any was seen.
const FIRST_GUESS: Duration = Duration::from_secs(2);

/// Share of the newest duration in the mean.
const NEWEST: f64 = 0.2;

/// Refused callers come a little faster than turns are given back, so that none stays empty while many wait.
const HASTE: f64 = 0.9;

/// Shortest and longest time until a caller is told to come back.
const SHORTEST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(60);

/// How fast turns are given back, and until when callers were told to come back.
#[derive(Debug)]
pub(super) struct Pace {
    at_once: f64,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    mean: Duration,
    /// When the last one of those who were refused comes back.
    last: Option<Instant>,
}

impl Pace {
    /// Of a walker that runs so many diagnoses at once.
    pub(super) fn new(at_once: usize) -> Self {
        Self { at_once: at_once as f64, state: Mutex::new(State { mean: FIRST_GUESS, last: None }) }
    }

    /// A diagnosis took so long.
    pub(super) fn took(&self, duration: Duration) {
        self.change(|state| {
            state.mean = state.mean.mul_f64(1.0 - NEWEST) + duration.mul_f64(NEWEST);
        });
    }

    /// How long a caller who is refused at `now` should stay away: one after the other, as turns are given back.
    pub(super) fn come_back(&self, now: Instant) -> Duration {
        self.change(|state| {
            let between = state.mean.mul_f64(HASTE / self.at_once);
            let before = state.last.map_or(now, |last| last.max(now));
            let at = (before + between).clamp(now + SHORTEST, now + LONGEST);
            state.last = Some(at);
            at - now
        })
    }

    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refused_callers_come_back_one_after_the_other_as_fast_as_turns_are_given_back() {
        let pace = Pace::new(2);
        for _ in 0..100 {
            pace.took(Duration::from_secs(1));
        }
        let now = Instant::now();
        let waits: Vec<Duration> = (0..4).map(|_| pace.come_back(now)).collect();
        for (place, wait) in (1..).zip(&waits) {
            let expected = 0.45 * f64::from(place);
            assert!((wait.as_secs_f64() - expected).abs() < 0.01, "{waits:?}");
        }
        let later = now + Duration::from_secs(30);
        assert!(pace.come_back(later) < Duration::from_secs(1), "those who have come are forgotten");
    }

    #[test]
    fn nobody_is_told_to_hammer_or_to_wait_for_ever() {
        let fast = Pace::new(64);
        (0..100).for_each(|_| fast.took(Duration::from_millis(1)));
        let now = Instant::now();
        assert_eq!(fast.come_back(now), SHORTEST);
        let slow = Pace::new(1);
        (0..100).for_each(|_| slow.took(Duration::from_secs(600)));
        assert_eq!(slow.come_back(now), LONGEST);
        assert_eq!(slow.come_back(now), LONGEST);
    }
}
