//! The diagnoses that this walker runs: who they are, how to stop them, and news of them.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use automap_proto::v1::{self, DiagnosisStage, DiagnosisState};
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;

use crate::listener::Listener;

/// News that a slow watcher may lag behind before it misses some.
const NEWS_BACKLOG: usize = 1024;

/// The running diagnoses.
#[derive(Debug, Clone)]
pub(crate) struct Registry {
    running: Arc<Mutex<BTreeMap<String, Running>>>,
    news: broadcast::Sender<v1::WatchDiagnosesResponse>,
}

#[derive(Debug, Clone)]
struct Running {
    system: String,
    cancel: CancellationToken,
}

/// A running diagnosis; leaves the registry when dropped.
#[derive(Debug)]
pub(crate) struct Entry {
    id: String,
    system: String,
    registry: Registry,
    /// Cancelled when the diagnosis must stop.
    pub(crate) cancel: CancellationToken,
    ended: AtomicBool,
}

impl Registry {
    pub(crate) fn new() -> Self {
        Self { running: Arc::default(), news: broadcast::Sender::new(NEWS_BACKLOG) }
    }

    /// Enters a diagnosis, or answers `None` when one of that id runs already.
    pub(crate) fn enter(&self, id: &str, system: &str) -> Option<Entry> {
        let mut running = self.lock();
        if running.contains_key(id) {
            return None;
        }
        let cancel = CancellationToken::new();
        running.insert(id.into(), Running { system: system.into(), cancel: cancel.clone() });
        drop(running);
        let entry = Entry {
            id: id.into(),
            system: system.into(),
            registry: self.clone(),
            cancel,
            ended: AtomicBool::new(false),
        };
        entry.tell(DiagnosisState::Running, None);
        Some(entry)
    }

    /// The system of a running diagnosis.
    pub(crate) fn running_system(&self, id: &str) -> Option<String> {
        self.lock().get(id).map(|running| running.system.clone())
    }

    /// Stops a running diagnosis; false when there is none of that id.
    pub(crate) fn cancel(&self, id: &str) -> bool {
        self.lock().get(id).map(|running| running.cancel.cancel()).is_some()
    }

    /// News from now on.
    pub(crate) fn watch(&self) -> broadcast::Receiver<v1::WatchDiagnosesResponse> {
        self.news.subscribe()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Running>> {
        // The map is whole between any two statements, so a panic elsewhere leaves nothing to repair.
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    /// Tells watchers; nobody may be listening, and that is no fault.
    pub(crate) fn tell(&self, state: DiagnosisState, progress: Option<v1::DiagnosisProgress>) {
        let news = v1::WatchDiagnosesResponse {
            diagnosis_id: self.id.clone(),
            system: self.system.clone(),
            state: state.into(),
            progress,
        };
        self.registry.news.send(news).ok();
    }

    /// Tells how it ended, once; an entry that is dropped without an end was cancelled.
    pub(crate) fn end(&self, state: DiagnosisState) {
        if !self.ended.swap(true, Ordering::Relaxed) {
            self.tell(state, None);
        }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.end(DiagnosisState::Cancelled);
        self.registry.lock().remove(&self.id);
    }
}

/// Puts progress on the stream of a caller who listens.
pub(crate) type ToCaller<'a> = &'a (dyn Fn(v1::DiagnosisProgress) + Send + Sync);

/// Hands progress to watchers and, where there is one, to the caller.
pub(crate) struct Reporter<'a> {
    pub(crate) entry: &'a Entry,
    pub(crate) to_caller: Option<ToCaller<'a>>,
}

impl Listener for Reporter<'_> {
    fn progress(&self, stage: DiagnosisStage, detail: String) {
        let progress = v1::DiagnosisProgress { stage: stage.into(), detail };
        if let Some(to_caller) = self.to_caller {
            to_caller(progress.clone());
        }
        self.entry.tell(DiagnosisState::Running, Some(progress));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_runs_once_and_leaves_when_it_ends() {
        let registry = Registry::new();
        let mut news = registry.watch();
        let entry = registry.enter("a", "shop").unwrap();
        assert!(registry.enter("a", "shop").is_none());
        assert_eq!(registry.running_system("a").as_deref(), Some("shop"));
        assert!(registry.cancel("a") && entry.cancel.is_cancelled());
        drop(entry);
        assert!(!registry.cancel("a") && registry.enter("a", "shop").is_some());
        assert_eq!(news.try_recv().unwrap().diagnosis_id, "a");
    }
}
