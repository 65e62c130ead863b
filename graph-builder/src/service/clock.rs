//! When the time of a graph is up.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::task::JoinHandle;

/// Sets a flag when its time is over, unless it is dropped before; by default it never does.
#[derive(Debug, Default)]
pub(super) struct Clock {
    flag: Arc<AtomicBool>,
    running: Option<JoinHandle<()>>,
}

impl Clock {
    /// Runs from now on. Must be called within a tokio runtime.
    pub(super) fn ending_after(time: Duration) -> Self {
        let flag = Arc::new(AtomicBool::new(false));
        let up = Arc::clone(&flag);
        let running = tokio::spawn(async move {
            tokio::time::sleep(time).await;
            up.store(true, Ordering::Relaxed);
        });
        Self { flag, running: Some(running) }
    }

    /// Whether the time is over.
    pub(super) fn flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.flag)
    }
}

impl Drop for Clock {
    fn drop(&mut self) {
        if let Some(running) = &self.running {
            running.abort();
        }
    }
}
