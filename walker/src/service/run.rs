//! Running diagnoses: turns, cancellation, and what is told and kept at the end.

use automap_proto::v1::{self, DiagnosisState};
use automap_service_kit::{
    error::{ErrorCode, ServiceError},
    telemetry,
};
use tracing::{Instrument as _, field::Empty};

use super::{
    WalkerRpc,
    admission::{For, Place},
    claims::{is_lost, same_request},
    registry::{Entry, Reporter, ToCaller, ended},
};
use crate::{listener::Listener, memory::now, order::Order, pipeline};

/// What becomes of a diagnosis where the profiler does not tell who has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unclaimed {
    /// It begins here, and other walkers do not know of it.
    Begins,
    /// It waits, for another walker may run it.
    Waits,
}

/// What a diagnosis ends with.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) diagnosis: v1::Diagnosis,
    /// The steps of the simulated walks, where they are wanted.
    pub(super) walk: Vec<v1::WalkSteps>,
}

impl WalkerRpc {
    /// Runs an order to its end; a caller who listens hears of its progress.
    pub(super) async fn run(
        &self,
        order: Order,
        to_caller: Option<ToCaller<'_>>,
    ) -> Result<Answer, ServiceError> {
        let entry = self.registry.enter(self.outline(&order)).map_err(|known| {
            let id = known.outline.diagnosis_id;
            ServiceError::new(ErrorCode::Conflict, format!("diagnosis {id} runs already"))
        })?;
        let place = self.admission.place(For::Caller).map(Some);
        self.run_entered(order, &entry, to_caller, place).await
    }

    /// Starts an order on its own; the same request under the same id starts nothing more, here or at another walker. One
    /// whose walker has gone begins anew. Without the profiler `unclaimed` says what becomes of it. Answers the diagnosis of
    /// that id where it has ended already.
    ///
    /// # Errors
    /// Another request has that id, it waits for the profiler, or too many wait for their turn: then nothing is known of it, and
    /// it may be asked for again.
    pub(super) async fn start(
        &self,
        order: Order,
        digest: String,
        unclaimed: Unclaimed,
    ) -> Result<Option<Box<v1::Diagnosis>>, ServiceError> {
        let asked = v1::Diagnosis { request_digest: digest, ..self.outline(&order) };
        let entry = loop {
            match self.registry.enter(asked.clone()) {
                Ok(entry) => break entry,
                Err(known) => {
                    same_request(&known.outline, &asked)?;
                    // Whoever asked first may leave, or be refused, before it is certain that it will run.
                    if known.settled().await {
                        return Ok(None);
                    }
                }
            }
        };
        let place = self.admission.place(For::Later)?;
        let elsewhere = match self.claim(entry.outline()).await {
            Ok(None) => false,
            Ok(Some(known)) => {
                same_request(&known, &asked)?;
                if known.state() != DiagnosisState::Running && !is_lost(&known) {
                    return Ok(Some(Box::new(known)));
                }
                true
            }
            Err(error) if error.field().is_some() || unclaimed == Unclaimed::Waits => return Err(error),
            Err(error) => {
                tracing::warn!(diagnosis = order.diagnosis_id, %error, "other walkers do not know of a diagnosis");
                false
            }
        };
        let walker = self.clone();
        entry.accept();
        // The call ends now, and the diagnosis goes on.
        let span = telemetry::continue_trace(tracing::info_span!(parent: None, "started"));
        let diagnosing = async move {
            let mut place = Some(place);
            if elsewhere {
                // What another walker runs waits for no turn here.
                drop(place.take());
                tokio::select! {
                    inherited = walker.inherit(entry.outline()) => if !inherited { return },
                    () = walker.shutdown.cancelled() => return,
                }
            }
            // How it ended is kept and told.
            walker.run_entered(order, &entry, None, Ok(place)).await.ok();
        };
        self.started.spawn(diagnosing.instrument(span));
        Ok(None)
    }

    /// Runs what has entered the registry, in its place or, where it has none, in the next one that is free.
    async fn run_entered(
        &self,
        order: Order,
        entry: &Entry,
        to_caller: Option<ToCaller<'_>>,
        place: Result<Option<Place>, ServiceError>,
    ) -> Result<Answer, ServiceError> {
        entry.begin();
        let (id, awaited) =
            (order.diagnosis_id.clone(), if to_caller.is_some() { For::Caller } else { For::Later });
        let reporter = Reporter::new(entry, to_caller);
        let span = tracing::info_span!(
            "diagnosis",
            automap.diagnosis_id = order.diagnosis_id,
            automap.method = order.method.name(),
            automap.services = Empty,
            automap.series = Empty,
            automap.rows = Empty,
            automap.frame_bytes = Empty,
            automap.graphs = Empty,
            automap.edges = Empty,
            automap.tests = Empty,
        );
        let answer = tokio::select! {
            answer = self.in_turn(order, place, entry.outline(), &reporter).instrument(span.clone()) => answer,
            () = entry.cancel.cancelled() => {
                Err(ServiceError::new(ErrorCode::Cancelled, "the diagnosis was cancelled"))
            }
        };
        match &answer {
            Ok(answer) => {
                tracing::info!(parent: &span, "diagnosed");
                entry.end(&answer.diagnosis);
            }
            Err(error) => {
                telemetry::mark_failed(&span, error);
                let outline = entry.outline();
                // A caller is told by the answer.
                if awaited == For::Later && state_after(error) == DiagnosisState::Failed {
                    let (system, code) = (&outline.system, error.code().reason());
                    tracing::warn!(parent: &span, diagnosis = id, system, code, reason = %error, "a diagnosis failed");
                }
                let mut ended = ended(outline, state_after(error), &error.to_string());
                // Whoever started it comes to look.
                if awaited == For::Later
                    && let Err(error) = self.keep(ended.clone()).await
                {
                    tracing::error!(diagnosis = id, %error, "the end of a diagnosis could not be kept");
                    self.remember(&error, ended.clone());
                    if error.code() == ErrorCode::Conflict {
                        ended = self.outcome_of_own(&id).await.unwrap_or_else(|| taken_over(ended));
                    }
                }
                entry.end(&ended);
            }
        }
        answer
    }

    /// Waits for a turn, then diagnoses and keeps the answer where it is wanted.
    async fn in_turn(
        &self,
        order: Order,
        place: Result<Option<Place>, ServiceError>,
        outline: v1::Diagnosis,
        reporter: &dyn Listener,
    ) -> Result<Answer, ServiceError> {
        let place = match place? {
            Some(place) => place,
            None => self.admission.next_place(For::Later).await?,
        };
        let answer = place.answer();
        let _turn = self.admission.turn(place).await?;
        let record = order.record;
        let created_at = order.created_at;
        let max_frame_bytes = self.config.server.max_frame_bytes();
        let pipeline::Finished { mut diagnosis, memory_answers, walk } =
            pipeline::diagnose(&self.peers, max_frame_bytes, order, reporter).await?;
        diagnosis.created_at = Some(created_at.to_wire());
        diagnosis.ended_at = Some(now().to_wire());
        diagnosis.walker = self.name.to_string();
        diagnosis.request_digest.clone_from(&outline.request_digest);
        if record && memory_answers {
            if let Err(error) = self.keep(diagnosis.clone()).await {
                if error.code() == ErrorCode::Conflict {
                    match self.outcome_of_own(&diagnosis.diagnosis_id).await {
                        Some(known) if known.state() == DiagnosisState::Cancelled => {
                            return Err(ServiceError::new(ErrorCode::Cancelled, known.failure));
                        }
                        None if answer == For::Later => {
                            tracing::warn!(diagnosis = diagnosis.diagnosis_id, %error, "a diagnosis is another walker's");
                            return Ok(Answer { diagnosis: taken_over(outline), walk: Vec::new() });
                        }
                        _ => {}
                    }
                }
                diagnosis.warnings.push(format!("the diagnosis was not kept: {error}"));
                self.remember(&error, diagnosis.clone());
            }
        } else if answer == For::Later {
            self.registry.remember_unkept(diagnosis.clone());
        }
        Ok(Answer { diagnosis, walk })
    }

    /// Remembers a diagnosis that was not kept for a reason that passes.
    fn remember(&self, error: &ServiceError, diagnosis: v1::Diagnosis) {
        if !matches!(error.code(), ErrorCode::Conflict | ErrorCode::InvalidInput) {
            self.registry.remember_unkept(diagnosis);
        }
    }

    /// How a diagnosis of this walker has ended already: somebody cancelled it while this walker was not heard of, or its answer was
    /// kept before it was cancelled.
    async fn outcome_of_own(&self, id: &str) -> Option<v1::Diagnosis> {
        let known = self.stored(id).await.ok().flatten()?;
        let ended = known.state() != DiagnosisState::Running && !is_lost(&known);
        (ended && *known.walker == *self.name).then_some(known)
    }

    /// Keeps what could not be kept when it ended.
    pub(super) async fn keep_late(&self) {
        while let Some(diagnosis) = self.registry.oldest_unkept() {
            let id = diagnosis.diagnosis_id.clone();
            match self.keep(diagnosis).await {
                Err(error) if !matches!(error.code(), ErrorCode::Conflict | ErrorCode::InvalidInput) => {
                    return;
                }
                Err(error) => tracing::error!(diagnosis = id, %error, "a diagnosis could not be kept"),
                Ok(()) => tracing::info!(diagnosis = id, "a diagnosis is kept at last"),
            }
            self.registry.forget_unkept(&id);
        }
    }

    /// What is known of a diagnosis that is about to begin.
    fn outline(&self, order: &Order) -> v1::Diagnosis {
        v1::Diagnosis { walker: self.name.to_string(), ..outline(order) }
    }

    /// Keeps a diagnosis in the profiler.
    pub(super) async fn keep(&self, diagnosis: v1::Diagnosis) -> Result<(), ServiceError> {
        let request = v1::PutDiagnosisRequest { diagnosis: Some(diagnosis) };
        self.peers
            .ask_profiler(
                request,
                |mut profiler, request| async move { profiler.put_diagnosis(request).await },
            )
            .await?;
        Ok(())
    }
}

/// A diagnosis that another walker has: that one tells how it ends, and for this one its walker is gone.
fn taken_over(diagnosis: v1::Diagnosis) -> v1::Diagnosis {
    v1::Diagnosis { state: DiagnosisState::Failed.into(), ended_at: None, ..diagnosis }
}

/// The state in which an error leaves a diagnosis.
fn state_after(error: &ServiceError) -> DiagnosisState {
    match error.code() {
        ErrorCode::Cancelled => DiagnosisState::Cancelled,
        _ => DiagnosisState::Failed,
    }
}

/// The system of a diagnosis that failed before its source could name it.
const UNKNOWN_SYSTEM: &str = "unknown";

/// A diagnosis that has just begun.
fn outline(order: &Order) -> v1::Diagnosis {
    let context = order.context.as_ref();
    v1::Diagnosis {
        diagnosis_id: order.diagnosis_id.clone(),
        system: context.map_or(UNKNOWN_SYSTEM, |known| known.system()).into(),
        front_end: context.map(|known| known.front_end().into()).unwrap_or_default(),
        method: order.method.to_wire().into(),
        seed: order.seed,
        state: DiagnosisState::Running.into(),
        created_at: Some(order.created_at.to_wire()),
        version: env!("CARGO_PKG_VERSION").into(),
        alerts: order.alerts.clone(),
        ..v1::Diagnosis::default()
    }
}
