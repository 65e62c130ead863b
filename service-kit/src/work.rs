//! Computation off the async threads that stops when its caller is gone.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use tracing::Span;

use crate::error::{ErrorCode, ServiceError};

/// Sets the flag when dropped: hold it where the caller's presence is known.
#[derive(Debug, Default)]
pub struct StopOnDrop(Arc<AtomicBool>);

impl StopOnDrop {
    /// The flag that the computation polls.
    pub fn flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.0)
    }
}

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Runs `compute` on a blocking thread. When the returned future is dropped, the flag that `compute` got is set.
///
/// # Errors
/// What `compute` answers, or an internal error when it panicked.
pub async fn run<T, F>(compute: F) -> Result<T, ServiceError>
where
    T: Send + 'static,
    F: FnOnce(&AtomicBool) -> Result<T, ServiceError> + Send + 'static,
{
    let stop = StopOnDrop::default();
    let flag = stop.flag();
    let call = Span::current();
    match tokio::task::spawn_blocking(move || call.in_scope(|| compute(&flag))).await {
        Ok(answer) => answer,
        Err(error) if error.is_cancelled() => {
            Err(ServiceError::new(ErrorCode::Cancelled, "the server is stopping"))
        }
        Err(error) => {
            tracing::error!(%error, "a computation panicked");
            Err(ServiceError::internal("a computation failed; the log of this service says where"))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::mpsc, time::Duration};

    use super::*;

    #[tokio::test]
    async fn a_dropped_call_stops_its_computation() {
        let (stopped, seen) = mpsc::channel();
        let call = run(move |stop| {
            while !stop.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(1));
            }
            stopped.send(()).map_err(|error| ServiceError::internal(error.to_string()))
        });
        assert!(tokio::time::timeout(Duration::from_millis(20), call).await.is_err());
        seen.recv_timeout(Duration::from_secs(30)).unwrap();
    }

    #[tokio::test]
    async fn a_panic_is_an_internal_error_and_not_the_end() {
        let error = run::<(), _>(|_| panic!("on purpose")).await.unwrap_err();
        assert_eq!(error.code(), ErrorCode::Internal);
        assert_eq!(run(|_| Ok(7)).await, Ok(7));
    }
}
