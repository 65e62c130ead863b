//! How fast an upload must come. It holds a thread here and a turn of its walker, and a client that hangs, or sends a byte
//! now and then, would hold them for as long as a call may take.

use std::time::Duration;

use automap_service_kit::error::{ErrorCode, ServiceError};
use tokio::time::Instant;

/// Slowest pace over the whole upload, bytes a second: less than any network gives.
const SLOWEST: u64 = 4096;

/// The pace of one upload.
#[derive(Debug)]
pub(crate) struct Pace {
    patience: Duration,
    began: Instant,
    last: Instant,
    bytes: u64,
}

impl Pace {
    /// An upload begins that may stand still, and lag behind the slowest pace, for so long.
    pub(crate) fn begin(patience: Duration) -> Self {
        let now = Instant::now();
        Self { patience, began: now, last: now, bytes: 0 }
    }

    /// More came, of which so long was not the caller's time.
    pub(crate) fn brought(&mut self, bytes: usize, not_the_callers: Duration) {
        self.bytes = self.bytes.saturating_add(bytes as u64);
        self.began += not_the_callers;
        self.last = Instant::now();
    }

    /// When the next bytes must be here.
    pub(crate) fn next_by(&self) -> Instant {
        let slowest = Duration::from_secs_f64(self.bytes as f64 / SLOWEST as f64);
        (self.last + self.patience).min(self.began + self.patience + slowest)
    }

    /// What the caller of an upload that did not come in time is told.
    pub(crate) fn too_slow(&self) -> ServiceError {
        let message = if self.last.elapsed() >= self.patience {
            format!(
                "the upload brought nothing for {} s; send the file without pauses",
                self.patience.as_secs()
            )
        } else {
            let seconds = self.began.elapsed().as_secs();
            format!(
                "the upload brought {} bytes in {seconds} s; send the file at {SLOWEST} bytes/s or more",
                self.bytes
            )
        };
        ServiceError::new(ErrorCode::DeadlineExceeded, message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How long an upload lasts that brings so many bytes every so many seconds, at most so many times; and what it is told.
    async fn lasts(bytes: usize, every: u64, times: usize) -> (Duration, Option<String>) {
        let mut pace = Pace::begin(Duration::from_secs(60));
        let began = Instant::now();
        for _ in 0..times {
            let comes = Instant::now() + Duration::from_secs(every);
            if comes > pace.next_by() {
                tokio::time::sleep_until(pace.next_by()).await;
                return (began.elapsed(), Some(pace.too_slow().message().to_owned()));
            }
            tokio::time::sleep_until(comes).await;
            pace.brought(bytes, Duration::ZERO);
        }
        (began.elapsed(), None)
    }

    #[tokio::test(start_paused = true)]
    async fn an_upload_that_stands_still_or_drips_is_given_up_on_and_a_slow_one_is_not() {
        let (lasted, told) = lasts(1 << 20, 90, 9).await;
        assert_eq!(lasted, Duration::from_secs(60));
        assert!(told.unwrap().contains("nothing for 60 s"));
        let (lasted, told) = lasts(1, 7, 1000).await;
        assert!(lasted >= Duration::from_secs(60) && lasted < Duration::from_secs(61), "{lasted:?}");
        assert!(told.unwrap().contains("brought 8 bytes in 60 s"));
        assert_eq!(lasts(8 * 4096, 8, 1000).await, (Duration::from_secs(8000), None));
    }

    #[tokio::test(start_paused = true)]
    async fn the_time_of_the_parser_is_not_the_callers() {
        let mut pace = Pace::begin(Duration::from_secs(60));
        tokio::time::advance(Duration::from_secs(500)).await;
        pace.brought(4096, Duration::from_secs(500));
        assert_eq!(pace.next_by().saturating_duration_since(Instant::now()), Duration::from_secs(60));
    }
}
