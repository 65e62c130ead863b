//! The RPCs by which walkers share diagnoses. Whatever changes a diagnosis goes through here, one change of one diagnosis
//! at a time.

use std::{
    hash::{BuildHasher as _, RandomState},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use automap_proto::{
    frame::check_name,
    invalid::Invalid,
    time::UnixMillis,
    v1::{self, DiagnosisState},
};
use automap_service_kit::error::{ErrorCode, ServiceError};

use super::{board::Board, told_or_now};
use crate::{diagnosis_record::DiagnosisRecord, record_id::RecordId, store::ProfileStore};

/// Changes of different diagnoses that may wait for the disk at once, so that they share its syncs.
const STRIPES: usize = 64;

/// Shortest and longest time that a walker may keep a diagnosis without a word.
const LEASES: std::ops::RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(3600);

/// How long a diagnosis runs whose walker tells nothing of itself, as those of earlier versions.
const UNNAMED: Duration = Duration::from_secs(3600);

/// How often a diagnosis that alerts began is taken over: what kills every walker that runs it must end. Those of callers
/// begin anew as often as they are asked for.
const MAX_TAKEOVERS: u32 = 3;

/// What walkers told, and who may change which diagnosis now.
#[derive(Debug)]
pub(super) struct Claims {
    board: Mutex<Board>,
    stripes: Vec<Mutex<()>>,
    hasher: RandomState,
}

impl Claims {
    pub(super) fn new(now: UnixMillis) -> Self {
        Self {
            board: Mutex::new(Board::new(Instant::now(), now.0.unsigned_abs())),
            stripes: (0..STRIPES).map(|_| Mutex::default()).collect(),
            hasher: RandomState::new(),
        }
    }

    pub(super) fn board(&self) -> MutexGuard<'_, Board> {
        // Each change of the board is whole when it ends.
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Held from reading a diagnosis to writing what follows from it.
    pub(super) fn changing(&self, id: &RecordId) -> MutexGuard<'_, ()> {
        let stripe = usize::try_from(self.hasher.hash_one(id.as_str()) % STRIPES as u64).unwrap_or_default();
        self.stripes[stripe].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives a diagnosis to the walker that asks, unless another one has it or it has ended.
    pub(super) fn claim(
        &self,
        store: &dyn ProfileStore,
        request: v1::ClaimDiagnosisRequest,
        now: UnixMillis,
    ) -> Result<v1::ClaimDiagnosisResponse, ServiceError> {
        let mut asked = request.diagnosis.ok_or_else(|| Invalid::missing("diagnosis"))?;
        let lease = lease(request.lease)?;
        if asked.walker.is_empty() {
            return Err(Invalid::missing("diagnosis.walker").into());
        }
        if asked.state() != DiagnosisState::Running {
            return Err(Invalid::new("diagnosis.state", "must be running in a claim").into());
        }
        asked.created_at = told_or_now(asked.created_at, now);
        let record = DiagnosisRecord::new(asked)?;
        let _changing = self.changing(record.id());
        let refused = |kept: v1::Diagnosis| {
            let shown = self.board().as_it_stands(kept, Instant::now());
            let diagnosis = Some(v1::Diagnosis { behavior_graph: None, ..shown });
            Ok(v1::ClaimDiagnosisResponse { claimed: false, diagnosis })
        };
        let mut mine = record.into_wire();
        if let Some(known) = store.diagnosis(&RecordId::new("diagnosis_id", &mine.diagnosis_id)?)? {
            let known = known.into_wire();
            let lost = is_lost(&known);
            let ended = has_ended(&known);
            // Earlier versions kept no digest, and what alerts begin is told by its id.
            let older = known.request_digest.is_empty() && known.alerts.is_some() && mine.alerts.is_some();
            let another = !older && known.request_digest != mine.request_digest;
            let lost = lost || self.board().is_lost(&known.diagnosis_id, Instant::now());
            if ended || another || !(lost || known.walker == mine.walker) {
                return refused(known);
            }
            mine.created_at = known.created_at;
            mine.takeovers = known.takeovers.saturating_add(u32::from(known.walker != mine.walker));
            if mine.alerts.is_some() && mine.takeovers > MAX_TAKEOVERS {
                let ended = v1::Diagnosis {
                    state: DiagnosisState::Failed.into(),
                    failure: format!("{} walkers ended before it did; diagnose again", mine.takeovers),
                    ended_at: Some(now.to_wire()),
                    ..known
                };
                store.put_diagnosis(&DiagnosisRecord::new(ended.clone())?)?;
                self.board().end(&ended.diagnosis_id);
                return refused(ended);
            }
        }
        let now = Instant::now();
        let (id, walker) = (mine.diagnosis_id.clone(), mine.walker.clone());
        if !self.board().claim(mine.clone(), &walker, String::new(), now + lease, now) {
            return refused(mine);
        }
        if let Err(error) = store.put_diagnosis(&DiagnosisRecord::new(mine.clone())?) {
            self.board().end(&id);
            return Err(error.into());
        }
        Ok(v1::ClaimDiagnosisResponse { claimed: true, diagnosis: Some(mine) })
    }

    /// Asks whichever walker runs a diagnosis to stop it.
    pub(super) fn request_cancellation(
        &self,
        store: &dyn ProfileStore,
        request: &v1::RequestCancellationRequest,
        now: UnixMillis,
    ) -> Result<v1::RequestCancellationResponse, ServiceError> {
        let id = RecordId::new("diagnosis_id", &request.diagnosis_id)?;
        let _changing = self.changing(&id);
        let known = store.diagnosis(&id)?.map(DiagnosisRecord::into_wire);
        let (held, lost) = {
            let (board, now) = (self.board(), Instant::now());
            (board.holder(id.as_str(), now).is_some(), board.is_lost(id.as_str(), now))
        };
        match known {
            None if !held => {
                return Err(ServiceError::new(ErrorCode::NotFound, format!("there is no diagnosis {id}")));
            }
            None => self.board().cancel(id.as_str()),
            Some(known) if known.state() == DiagnosisState::Cancelled => {}
            Some(known) if known.state() != DiagnosisState::Running => {
                return Err(ServiceError::new(
                    ErrorCode::Conflict,
                    format!("diagnosis {id} has ended already; there is nothing to stop"),
                ));
            }
            // Nobody runs it, so nobody would stop it.
            Some(known) if lost => {
                let ended = v1::Diagnosis {
                    state: DiagnosisState::Cancelled.into(),
                    failure: "it was cancelled after its walker had ended".into(),
                    ended_at: Some(now.to_wire()),
                    ..known
                };
                let news = v1::WatchDiagnosesResponse {
                    diagnosis_id: ended.diagnosis_id.clone(),
                    system: ended.system.clone(),
                    state: ended.state,
                    progress: None,
                };
                store.put_diagnosis(&DiagnosisRecord::new(ended)?)?;
                let mut board = self.board();
                board.end(id.as_str());
                board.tell("", news);
            }
            Some(known) => {
                let asked = v1::Diagnosis { cancel_asked: true, ..known };
                store.put_diagnosis(&DiagnosisRecord::new(asked)?)?;
                self.board().cancel(id.as_str());
            }
        }
        Ok(v1::RequestCancellationResponse {})
    }

    /// Keeps a diagnosis as its walker sent it, unless another one has it by now or it has ended in another way. Beside its
    /// outcome, one that has ended may change: alerts are noted with it.
    pub(super) fn put(
        &self,
        store: &dyn ProfileStore,
        request: v1::PutDiagnosisRequest,
        now: UnixMillis,
    ) -> Result<v1::PutDiagnosisResponse, ServiceError> {
        let mut wire = request.diagnosis.ok_or_else(|| Invalid::missing("diagnosis"))?;
        wire.created_at = told_or_now(wire.created_at, now);
        let id = RecordId::new("diagnosis.diagnosis_id", &wire.diagnosis_id)?;
        let _changing = self.changing(&id);
        let walker = wire.walker.clone();
        if let Some(known) = store.diagnosis(&id)?.map(DiagnosisRecord::into_wire) {
            let runs = known.state() == DiagnosisState::Running;
            let taken_over = match self.board().holder(id.as_str(), Instant::now()) {
                Some(holder) => holder != walker,
                None => !known.walker.is_empty() && known.walker != walker && !runs,
            };
            if taken_over {
                return Err(ServiceError::new(
                    ErrorCode::Conflict,
                    format!("diagnosis {id} was taken over by walker {}", known.walker),
                ));
            }
            if has_ended(&known) && !same_outcome(&known, &wire) {
                return Err(ServiceError::new(
                    ErrorCode::Conflict,
                    format!("diagnosis {id} has ended already, and otherwise than this tells; ask for it"),
                ));
            }
            if runs {
                // It may have been begun by a walker before this one.
                wire.created_at = known.created_at;
            }
        }
        let record = DiagnosisRecord::new(wire)?;
        store.put_diagnosis(&record)?;
        let mut board = self.board();
        if record.wire().state() == DiagnosisState::Running {
            let now = Instant::now();
            board.claim(record.into_wire(), &walker, String::new(), now + UNNAMED, now);
        } else {
            board.end(id.as_str());
        }
        Ok(v1::PutDiagnosisResponse {})
    }
}

/// Whether it is kept as failed without an end: that is how one looks whose walker is gone, kept by a walker of an earlier
/// version.
fn is_lost(kept: &v1::Diagnosis) -> bool {
    kept.state() == DiagnosisState::Failed && kept.ended_at.is_none()
}

/// Whether a diagnosis that is kept has an outcome, which is its last.
pub(super) fn has_ended(kept: &v1::Diagnosis) -> bool {
    kept.state() != DiagnosisState::Running && !is_lost(kept)
}

/// Whether both ended the same way at the same time.
fn same_outcome(kept: &v1::Diagnosis, told: &v1::Diagnosis) -> bool {
    (kept.state, kept.ended_at, &kept.failure) == (told.state, told.ended_at, &told.failure)
}

pub(super) fn lease(wire: Option<prost_types::Duration>) -> Result<Duration, Invalid> {
    let lease = wire.ok_or_else(|| Invalid::missing("lease"))?;
    Duration::try_from(lease)
        .ok()
        .filter(|lease| LEASES.contains(lease))
        .ok_or_else(|| Invalid::new("lease", "must be from 1 second to 1 hour"))
}

/// Checks the name of a system or a front end; empty stands for all.
pub(super) fn optional_name(field: &str, name: String) -> Result<Option<String>, Invalid> {
    if name.is_empty() {
        return Ok(None);
    }
    check_name(field, &name)?;
    Ok(Some(name))
}
