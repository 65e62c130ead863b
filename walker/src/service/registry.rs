//! The diagnoses that this walker runs: who they are, how to stop them, and news of them.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use automap_proto::{
    incident::IncidentContext,
    v1::{self, DiagnosisState},
};
use tokio::sync::{broadcast, watch};
use tokio_util::sync::CancellationToken;

use crate::{listener::Listener, memory::now};

/// News that a slow watcher may lag behind before it misses some.
const NEWS_BACKLOG: usize = 1024;

/// Diagnoses that could not be kept which are remembered; each may have megabytes.
const UNKEPT: usize = 64;

/// Shortest time between two reports of one stage.
const BETWEEN: Duration = Duration::from_millis(100);

/// Takes a diagnosis that has ended; short, for the end waits for it.
pub(crate) type OnEnd = Box<dyn Fn(&Arc<v1::Diagnosis>) + Send + Sync>;

/// Takes every diagnosis that ends here, once it is set.
#[derive(Clone, Default)]
struct EndHook(Arc<OnceLock<OnEnd>>);

impl fmt::Debug for EndHook {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("EndHook").field("is_set", &self.0.get().is_some()).finish()
    }
}

/// The running diagnoses.
#[derive(Debug, Clone)]
pub(crate) struct Registry {
    running: Arc<Mutex<BTreeMap<String, Running>>>,
    /// What happens here.
    own: broadcast::Sender<v1::WatchDiagnosesResponse>,
    /// What happens here and at other walkers.
    news: broadcast::Sender<v1::WatchDiagnosesResponse>,
    /// Diagnoses that ended here and could not be kept.
    unkept: Arc<Mutex<VecDeque<v1::Diagnosis>>>,
    end_hook: EndHook,
}

/// A running diagnosis as others see it.
#[derive(Debug, Clone)]
pub(crate) struct Running {
    /// What is known of it.
    pub(crate) outline: v1::Diagnosis,
    /// What it is at.
    pub(crate) progress: Option<v1::DiagnosisProgress>,
    cancel: CancellationToken,
    /// Whether it has begun, as opposed to finding out whether it may.
    begun: bool,
    /// Whether it will run, or follow the one of another walker.
    accepted: watch::Receiver<bool>,
}

impl Running {
    /// Waits until it is known whether it will run; false when it was given up.
    pub(crate) async fn settled(mut self) -> bool {
        self.accepted.wait_for(|accepted| *accepted).await.is_ok()
    }
}

/// A running diagnosis; leaves the registry when dropped.
#[derive(Debug)]
pub(crate) struct Entry {
    id: String,
    registry: Registry,
    /// Cancelled when the diagnosis must stop.
    pub(crate) cancel: CancellationToken,
    accepted: watch::Sender<bool>,
    ended: AtomicBool,
}

impl Registry {
    pub(crate) fn new() -> Self {
        Self {
            running: Arc::default(),
            own: broadcast::Sender::new(NEWS_BACKLOG),
            news: broadcast::Sender::new(NEWS_BACKLOG),
            unkept: Arc::default(),
            end_hook: EndHook::default(),
        }
    }

    /// Enters a diagnosis that is about to begin, or answers the one of that id that is here already.
    pub(crate) fn enter(&self, outline: v1::Diagnosis) -> Result<Entry, Box<Running>> {
        let mut running = self.lock();
        if let Some(known) = running.get(&outline.diagnosis_id) {
            return Err(Box::new(known.clone()));
        }
        let (id, cancel) = (outline.diagnosis_id.clone(), CancellationToken::new());
        let (accepted, receiver) = watch::channel(false);
        let entered =
            Running { outline, progress: None, cancel: cancel.clone(), begun: false, accepted: receiver };
        running.insert(id.clone(), entered);
        drop(running);
        Ok(Entry { id, registry: self.clone(), cancel, accepted, ended: AtomicBool::new(false) })
    }

    /// A running diagnosis.
    pub(crate) fn running(&self, id: &str) -> Option<Running> {
        self.lock().get(id).filter(|running| running.begun).cloned()
    }

    /// All running diagnoses, as other walkers are told of them.
    ///
    /// Without their alerts, which the claim has told: those of a few storms would fill the message.
    pub(crate) fn all_running(&self) -> Vec<v1::RunningDiagnosis> {
        let running = self.lock();
        let begun = running.values().filter(|running| running.begun);
        begun
            .map(|running| v1::RunningDiagnosis {
                diagnosis: Some(v1::Diagnosis { alerts: None, ..running.outline.clone() }),
                progress: running.progress.clone(),
            })
            .collect()
    }

    /// Whether anything runs here or waits to be kept.
    pub(crate) fn has_work(&self) -> bool {
        self.lock().values().any(|running| running.begun) || !self.unkept().is_empty()
    }

    /// Stops a running diagnosis; false when there is none of that id.
    pub(crate) fn cancel(&self, id: &str) -> bool {
        self.lock().get(id).filter(|running| running.begun).map(|running| running.cancel.cancel()).is_some()
    }

    /// What happens here from now on.
    pub(crate) fn watch_own(&self) -> broadcast::Receiver<v1::WatchDiagnosesResponse> {
        self.own.subscribe()
    }

    /// Whether anybody watches.
    pub(crate) fn is_watched(&self) -> bool {
        self.news.receiver_count() > 0
    }

    /// Tells watchers what happened at other walkers.
    pub(crate) fn relay(&self, news: Vec<v1::WatchDiagnosesResponse>) {
        for one in news {
            self.news.send(one).ok();
        }
    }

    /// Remembers a diagnosis that could not be kept; the oldest give way.
    pub(crate) fn remember_unkept(&self, diagnosis: v1::Diagnosis) {
        let mut unkept = self.unkept();
        unkept.retain(|known| known.diagnosis_id != diagnosis.diagnosis_id);
        unkept.push_back(diagnosis);
        while unkept.len() > UNKEPT {
            unkept.pop_front();
        }
    }

    /// A diagnosis that could not be kept.
    pub(crate) fn unkept_of(&self, id: &str) -> Option<v1::Diagnosis> {
        self.unkept().iter().find(|known| known.diagnosis_id == id).cloned()
    }

    /// The oldest of those that could not be kept.
    pub(crate) fn oldest_unkept(&self) -> Option<v1::Diagnosis> {
        self.unkept().front().cloned()
    }

    /// It is kept by now, or never will be.
    pub(crate) fn forget_unkept(&self, id: &str) {
        self.unkept().retain(|known| known.diagnosis_id != id);
    }

    fn unkept(&self) -> MutexGuard<'_, VecDeque<v1::Diagnosis>> {
        self.unkept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// News from now on.
    pub(crate) fn watch(&self) -> broadcast::Receiver<v1::WatchDiagnosesResponse> {
        self.news.subscribe()
    }

    /// Hands every diagnosis that ends here from now on to `hook`, once each; the first call counts.
    pub(crate) fn on_end(&self, hook: OnEnd) {
        self.end_hook.0.get_or_init(|| hook);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Running>> {
        // The map is whole between any two statements, so a panic elsewhere leaves nothing to repair.
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells watchers; nobody may be listening, and that is no fault.
    fn tell(&self, outline: &v1::Diagnosis, state: DiagnosisState, progress: Option<v1::DiagnosisProgress>) {
        let news = v1::WatchDiagnosesResponse {
            diagnosis_id: outline.diagnosis_id.clone(),
            system: outline.system.clone(),
            state: state.into(),
            progress,
        };
        self.own.send(news.clone()).ok();
        self.news.send(news).ok();
    }
}

impl Entry {
    /// It will run here, or follow the one of another walker.
    pub(crate) fn accept(&self) {
        self.accepted.send_replace(true);
    }

    /// It begins: watchers are told.
    pub(crate) fn begin(&self) {
        self.accept();
        self.update(|running| running.begun = true, None);
    }

    /// System and front end are known now.
    pub(crate) fn identify(&self, system: &str, front_end: &str) {
        let mut running = self.registry.lock();
        if let Some(running) = running.get_mut(&self.id) {
            running.outline.system = system.into();
            running.outline.front_end = front_end.into();
        }
    }

    /// What it is at now.
    pub(crate) fn progress(&self, progress: v1::DiagnosisProgress) {
        self.update(|running| running.progress = Some(progress.clone()), Some(progress.clone()));
    }

    fn update(&self, change: impl FnOnce(&mut Running), progress: Option<v1::DiagnosisProgress>) {
        let mut running = self.registry.lock();
        let Some(running) = running.get_mut(&self.id) else { return };
        change(running);
        self.registry.tell(&running.outline, DiagnosisState::Running, progress);
    }

    /// What is known of it.
    pub(crate) fn outline(&self) -> v1::Diagnosis {
        self.registry.lock().get(&self.id).map(|running| running.outline.clone()).unwrap_or_default()
    }

    /// Tells how it ended, once.
    pub(crate) fn end(&self, diagnosis: &v1::Diagnosis) {
        if self.ended.swap(true, Ordering::Relaxed) {
            return;
        }
        // Whoever hears of the end finds what was kept and counted.
        self.registry.lock().remove(&self.id);
        if let Some(hook) = self.registry.end_hook.0.get() {
            hook(&Arc::new(diagnosis.clone()));
        }
        self.registry.tell(diagnosis, diagnosis.state(), None);
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        if self.ended.load(Ordering::Relaxed) {
            return;
        }
        match self.registry.running(&self.id) {
            Some(left) => self.end(&ended(left.outline, DiagnosisState::Cancelled, "its caller left")),
            None => drop(self.registry.lock().remove(&self.id)),
        }
    }
}

/// A diagnosis that ended without an answer.
pub(crate) fn ended(outline: v1::Diagnosis, state: DiagnosisState, failure: &str) -> v1::Diagnosis {
    let ended_at = Some(now().to_wire());
    v1::Diagnosis { state: state.into(), failure: failure.into(), ended_at, ..outline }
}

/// Puts progress on the stream of a caller who listens.
pub(crate) type ToCaller<'a> = &'a (dyn Fn(v1::DiagnosisProgress) + Send + Sync);

/// Hands progress to watchers and, where there is one, to the caller.
pub(crate) struct Reporter<'a> {
    entry: &'a Entry,
    to_caller: Option<ToCaller<'a>>,
    /// The stage that was told last, and when.
    last: Mutex<Option<(i32, Instant)>>,
}

impl<'a> Reporter<'a> {
    pub(crate) fn new(entry: &'a Entry, to_caller: Option<ToCaller<'a>>) -> Self {
        Self { entry, to_caller, last: Mutex::new(None) }
    }

    /// Whether a stage may be told of now: a new one at once, the same one not too often.
    fn is_due(&self, stage: i32, now: Instant) -> bool {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let soon = last.is_some_and(|(told, at)| told == stage && now < at + BETWEEN);
        if !soon {
            *last = Some((stage, now));
        }
        !soon
    }
}

impl Listener for Reporter<'_> {
    fn report(&self, progress: v1::DiagnosisProgress) {
        if !self.is_due(progress.stage, Instant::now()) {
            return;
        }
        if let Some(to_caller) = self.to_caller {
            to_caller(progress.clone());
        }
        self.entry.progress(progress);
    }

    fn identified(&self, context: &IncidentContext) {
        self.entry.identify(context.system(), context.front_end());
    }
}

#[cfg(test)]
mod tests;
