//! The threads that compute.

use std::{
    num::NonZero,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread::available_parallelism,
};

use rayon::{ThreadPool, ThreadPoolBuilder};

/// Teams of threads, one for each computation that is under way: a pool that several shared would finish what it began
/// before it took on something new, and a small graph would wait for a large one. Between teams, which are all of the same
/// size, the system shares the cores alike.
#[derive(Debug, Clone)]
pub(super) struct Workers {
    threads: usize,
    /// Teams that computed before and have nothing to do.
    idle: Arc<Mutex<Vec<ThreadPool>>>,
}

impl Workers {
    /// Teams of `threads` threads; 0 means the number of cores.
    pub(super) fn new(threads: usize) -> Self {
        let cores = || available_parallelism().map_or(1, NonZero::get);
        let threads = if threads > 0 { threads } else { cores() };
        Self { threads, idle: Arc::default() }
    }

    /// Threads of a team.
    pub(super) const fn threads(&self) -> usize {
        self.threads
    }

    /// A team for one computation. There are as many as computations are let in at once.
    pub(super) fn team(&self) -> Team {
        let pool = self.lock().pop().or_else(|| {
            let builder = ThreadPoolBuilder::new().num_threads(self.threads);
            match builder.thread_name(|index| format!("graph-{index}")).build() {
                Ok(pool) => Some(pool),
                Err(error) => {
                    let threads = self.threads;
                    tracing::error!(%error, threads, "cannot start threads of my own, sharing those of the process");
                    None
                }
            }
        });
        Team(Arc::new(Seats { pool, threads: self.threads, idle: Arc::clone(&self.idle) }))
    }

    fn lock(&self) -> MutexGuard<'_, Vec<ThreadPool>> {
        // No code panics with the lock held half way through a change.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The threads of one computation. Clones are the same threads.
#[derive(Debug, Clone)]
pub(super) struct Team(Arc<Seats>);

/// Gives its pool back when dropped.
#[derive(Debug)]
struct Seats {
    pool: Option<ThreadPool>,
    threads: usize,
    idle: Arc<Mutex<Vec<ThreadPool>>>,
}

impl Drop for Seats {
    fn drop(&mut self) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).extend(self.pool.take());
    }
}

impl Team {
    /// How many threads compute.
    pub(super) fn threads(&self) -> usize {
        self.0.threads
    }

    /// Runs `compute` on the threads and waits for it.
    pub(super) fn run<T: Send>(&self, compute: impl FnOnce() -> T + Send) -> T {
        match &self.0.pool {
            Some(pool) => pool.install(compute),
            None => compute(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn computations_have_threads_of_their_own_and_hand_them_on() {
        let workers = Workers::new(2);
        let (one, other) = (workers.team(), workers.team());
        let id = |team: &Team| team.run(|| std::thread::current().id());
        // While one computes, the other does not wait.
        let found = one.run(|| std::thread::scope(|scope| scope.spawn(|| id(&other)).join()));
        assert_ne!(found.unwrap(), id(&one));
        assert_eq!(one.run(rayon::current_num_threads), 2);
        drop((one.clone(), other));
        assert_eq!(workers.lock().len(), 1);
        drop(one);
        assert_eq!(workers.lock().len(), 2);
        let _again = workers.team();
        assert_eq!(workers.lock().len(), 1);
    }
}
