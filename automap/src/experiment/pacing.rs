//! Waiting, with a bar that tells how long it still takes.

use std::time::Duration;

use indicatif::ProgressBar;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{progress::planned_bar, stdout};

/// How often the bar moves.
const TICK: Duration = Duration::from_secs(1);

/// The process was asked to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("interrupted")]
pub struct Interrupted;

/// The pace of an experiment: what was planned to take how long, and how much of it is over.
#[derive(Debug)]
pub struct Pacing {
    bar: ProgressBar,
    stop: CancellationToken,
    left: Duration,
}

impl Pacing {
    /// Begins, with `planned` to wait in all; waiting ends early when `stop` is cancelled.
    pub fn new(planned: Duration, stop: CancellationToken) -> Self {
        Self { bar: planned_bar(planned.as_secs()), stop, left: planned }
    }

    /// Waits for `span` of what was planned, and tells what for.
    ///
    /// # Errors
    /// The process was asked to end.
    pub async fn wait(&mut self, span: Duration, what: &str) -> Result<(), Interrupted> {
        let end = Instant::now() + span;
        while Instant::now() < end {
            let next = end.min(Instant::now() + TICK);
            let before = Instant::now();
            self.show(what);
            tokio::select! {
                () = self.stop.cancelled() => return Err(Interrupted),
                () = tokio::time::sleep_until(next) => {}
            }
            let over = before.elapsed();
            self.left = self.left.saturating_sub(over);
            self.bar.inc(over.as_secs());
        }
        self.check()
    }

    /// Tells what is being done now, of what takes as long as it takes.
    pub fn show(&self, what: &str) {
        self.bar.set_message(format!("{what}; {} left", self.left_in_words()));
    }

    /// Tells something that stays on the screen.
    pub fn note(&self, text: &str) {
        self.bar.suspend(|| stdout::note(text));
    }

    /// # Errors
    /// The process was asked to end.
    pub fn check(&self) -> Result<(), Interrupted> {
        if self.stop.is_cancelled() { Err(Interrupted) } else { Ok(()) }
    }

    /// Waits until the process is asked to end.
    pub async fn stopped(&self) {
        self.stop.cancelled().await;
    }

    /// How much of what was planned is left: `about 12 min`.
    pub fn left_in_words(&self) -> String {
        match self.left.as_secs() {
            seconds if seconds < 90 => format!("about {seconds} s"),
            seconds => format!("about {} min", seconds.div_ceil(60)),
        }
    }
}

impl Drop for Pacing {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn waiting_takes_its_time_and_what_is_left_shrinks() {
        let mut pacing = Pacing::new(Duration::from_secs(300), CancellationToken::new());
        assert_eq!(pacing.left_in_words(), "about 5 min");
        let began = Instant::now();
        pacing.wait(Duration::from_millis(240_500), "settling").await.unwrap();
        assert_eq!(began.elapsed().as_millis() / 100, 2405);
        assert_eq!(pacing.left_in_words(), "about 59 s");
    }

    #[tokio::test(start_paused = true)]
    async fn a_process_that_is_asked_to_end_waits_no_longer() {
        let stop = CancellationToken::new();
        let mut pacing = Pacing::new(Duration::from_secs(3000), stop.clone());
        stop.cancel();
        let began = Instant::now();
        assert_eq!(pacing.wait(Duration::from_secs(1000), "settling").await, Err(Interrupted));
        assert!(began.elapsed() < TICK);
    }

    #[test]
    fn the_last_seconds_are_counted_and_minutes_before() {
        for (seconds, told) in
            [(0, "about 0 s"), (89, "about 89 s"), (90, "about 2 min"), (3601, "about 61 min")]
        {
            let pacing = Pacing::new(Duration::from_secs(seconds), CancellationToken::new());
            assert_eq!(pacing.left_in_words(), told);
        }
    }
}
