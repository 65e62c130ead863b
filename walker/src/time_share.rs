//! A part of the time that the caller allows, for work that the answer can do without.

use automap_service_kit::{
    deadline,
    error::{ErrorCode, ServiceError},
};
use tokio::time::{Instant, timeout_at};

/// Runs `work`, which asks `service`, for at most this share of the time until the deadline of this task; without a
/// deadline to its end.
///
/// # Errors
/// That of the work, or that the share has passed.
pub(crate) async fn within_share<T>(
    service: &str,
    share: f64,
    work: impl Future<Output = Result<T, ServiceError>>,
) -> Result<T, ServiceError> {
    let Some(until) = deadline::share(share) else {
        return work.await;
    };
    let most = until.saturating_duration_since(Instant::now());
    timeout_at(until, work).await.unwrap_or_else(|_| {
        let message = format!("{service}: it did not answer within {:.1} s", most.as_secs_f64());
        Err(ServiceError::new(ErrorCode::DeadlineExceeded, message))
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    async fn slow() -> Result<u8, ServiceError> {
        tokio::time::sleep(Duration::from_secs(9)).await;
        Ok(1)
    }

    #[tokio::test(start_paused = true)]
    async fn work_that_takes_more_than_its_share_leaves_the_rest_to_others() {
        let until = Instant::now() + Duration::from_secs(10);
        let error = deadline::within(until, within_share("graph-builder", 0.5, slow())).await.unwrap_err();
        assert_eq!(error.code(), ErrorCode::DeadlineExceeded);
        assert_eq!(error.message(), "graph-builder: it did not answer within 5.0 s");
        assert_eq!(Instant::now() + Duration::from_secs(5), until);
        assert_eq!(within_share("graph-builder", 0.5, slow()).await, Ok(1), "without a deadline");
    }
}
