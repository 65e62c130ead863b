//! Another try of calls that may be repeated without harm.

use std::time::Duration;

use backon::{ExponentialBuilder, Retryable as _};
use tokio::time::Instant;

use crate::{
    deadline,
    error::{ErrorCode, ServiceError},
};

/// Shortest pause before the second try; doubles with each further one, and each is lengthened by chance, so that callers
/// that failed together do not come back together.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// Longest pause that is not asked for.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// A call that took this long to fail met no passing fault.
const PASSING: Duration = Duration::from_secs(5);

/// Calls up to `attempts` times while the fault may pass: the service cannot be reached, or it is overloaded. A service
/// that says when to come back is believed. No try begins that the deadline of this task would cut off.
///
/// # Errors
/// The error of the last try.
pub async fn idempotent<T, F, Call>(attempts: usize, call: F) -> Result<T, ServiceError>
where
    F: FnMut() -> Call,
    Call: Future<Output = Result<T, ServiceError>>,
{
    let backoff = ExponentialBuilder::default()
        .with_min_delay(FIRST_PAUSE)
        .with_max_delay(LONGEST_PAUSE)
        .with_max_times(attempts.saturating_sub(1))
        .with_jitter();
    let began = Instant::now();
    let until = deadline::current();
    call.retry(backoff)
        .when(move |error| match error.code() {
            ErrorCode::Unavailable => began.elapsed() < PASSING,
            // It answered at once, and says when it has time.
            ErrorCode::Overloaded => error.retry_delay().is_some(),
            _ => false,
        })
        .adjust(move |error: &ServiceError, pause| {
            // Chance goes on top of what is asked for: the next try of those that were refused together differs.
            let pause = pause? + error.retry_delay().unwrap_or_default();
            let in_time = until.is_none_or(|until| Instant::now() + pause < until);
            in_time.then_some(pause)
        })
        .notify(|error, pause| tracing::debug!(%error, ?pause, "trying again"))
        .await
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    async fn tries(
        attempts: usize,
        errors: &[ServiceError],
    ) -> (Result<usize, ServiceError>, usize, Duration) {
        let count = Cell::new(0);
        let began = Instant::now();
        let answer = idempotent(attempts, || {
            let now = count.get();
            count.set(now + 1);
            let answer = errors.get(now).cloned().map_or(Ok(now), Err);
            async move { answer }
        })
        .await;
        (answer, count.get(), began.elapsed())
    }

    fn error(code: ErrorCode) -> ServiceError {
        ServiceError::new(code, "as the test wants it")
    }

    #[tokio::test(start_paused = true)]
    async fn passing_faults_are_tried_again_and_others_are_not() {
        let down = error(ErrorCode::Unavailable);
        let (answer, count, _) = tries(3, &[down.clone(), down.clone()]).await;
        assert_eq!((answer, count), (Ok(2), 3));
        let (answer, count, _) = tries(3, &[down.clone(), down.clone(), down.clone()]).await;
        assert_eq!((answer, count), (Err(down.clone()), 3));
        let (_, count, _) = tries(1, &[down]).await;
        assert_eq!(count, 1);
        for code in
            [ErrorCode::InvalidInput, ErrorCode::Internal, ErrorCode::Overloaded, ErrorCode::DeadlineExceeded]
        {
            assert_eq!(tries(3, &[error(code)]).await.1, 1, "{code:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn pauses_grow_with_jitter_and_a_hint_is_believed() {
        let down = error(ErrorCode::Unavailable);
        let (_, _, took) = tries(3, &[down.clone(), down.clone(), down.clone()]).await;
        assert!(took >= FIRST_PAUSE * 3 && took <= FIRST_PAUSE * 6, "{took:?}");
        let busy = error(ErrorCode::Overloaded).retry_after(Duration::from_secs(4));
        let (answer, count, took) = tries(2, &[busy]).await;
        assert_eq!((answer, count), (Ok(1), 2));
        assert!(took >= Duration::from_secs(4) && took < Duration::from_secs(5), "{took:?}");
        let busy = error(ErrorCode::Overloaded).retry_after(Duration::from_secs(10));
        let (answer, count, _) = tries(4, &[busy.clone(), busy.clone(), busy]).await;
        assert_eq!((answer, count), (Ok(3), 4), "however long it has been so");
    }

    #[tokio::test(start_paused = true)]
    async fn no_try_begins_that_the_deadline_would_cut_off() {
        let until = Instant::now() + Duration::from_millis(50);
        let down = error(ErrorCode::Unavailable);
        let (_, count, _) = deadline::within(until, tries(3, &[down])).await;
        assert_eq!(count, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_service_that_hung_is_not_waited_for_twice() {
        let count = Cell::new(0);
        let answer = idempotent(3, || {
            count.set(count.get() + 1);
            async {
                tokio::time::sleep(Duration::from_secs(20)).await;
                Err::<(), _>(error(ErrorCode::Unavailable))
            }
        })
        .await;
        assert!(answer.is_err());
        assert_eq!(count.get(), 1);
    }
}
