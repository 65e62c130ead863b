//! The threads that compute.

use std::sync::Arc;

use rayon::{ThreadPool, ThreadPoolBuilder};

/// A pool of threads that all calls share: each spreads over all of them, and they take turns within levels.
#[derive(Debug, Clone)]
pub(super) struct Workers(Option<Arc<ThreadPool>>);

impl Workers {
    /// Starts `threads` threads; 0 means the number of cores.
    pub(super) fn new(threads: usize) -> Self {
        let pool = ThreadPoolBuilder::new()
            .num_threads(threads)
            .thread_name(|index| format!("graph-{index}"))
            .build();
        match pool {
            Ok(pool) => Self(Some(Arc::new(pool))),
            Err(error) => {
                tracing::error!(%error, threads, "cannot start threads of my own, sharing those of the process");
                Self(None)
            }
        }
    }

    /// How many threads compute.
    pub(super) fn threads(&self) -> usize {
        self.0.as_ref().map_or_else(rayon::current_num_threads, |pool| pool.current_num_threads())
    }

    /// Runs `compute` on the pool and waits for it.
    pub(super) fn run<T: Send>(&self, compute: impl FnOnce() -> T + Send) -> T {
        match &self.0 {
            Some(pool) => pool.install(compute),
            None => compute(),
        }
    }
}
