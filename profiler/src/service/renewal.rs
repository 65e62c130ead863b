//! What walkers tell again and again: what they run, and what ended there.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use automap_proto::{
    invalid::Invalid,
    v1::{self, DiagnosisState},
};
use automap_service_kit::error::ServiceError;

use super::claims::{Claims, has_ended, lease};
use crate::{
    diagnosis_record::DiagnosisRecord,
    record_id::RecordId,
    store::{ProfileStore, error::StoreError},
};

/// Most running diagnoses of one walker.
const MAX_RUNNING: usize = 1 << 17;

/// A diagnosis that a walker says it runs.
struct Told {
    record: DiagnosisRecord,
    doing: String,
}

/// What of the claims of a walker was renewed.
struct Renewal<'a> {
    claims: &'a Claims,
    walker: &'a str,
    lease: Duration,
    /// Those that it must stop.
    refused: Vec<String>,
}

impl Claims {
    /// Keeps what a walker runs with it, and tells it what happened elsewhere.
    pub(super) fn renew(
        &self,
        store: &dyn ProfileStore,
        request: v1::RenewClaimsRequest,
    ) -> Result<v1::RenewClaimsResponse, ServiceError> {
        let v1::RenewClaimsRequest { walker, lease: wanted, running, news, position } = request;
        let lease = lease(wanted)?;
        if walker.is_empty() {
            return Err(Invalid::missing("walker").into());
        }
        if running.len() > MAX_RUNNING {
            return Err(Invalid::new("running", format!("are more than {MAX_RUNNING}")).into());
        }
        let mut told = Vec::with_capacity(running.len());
        for one in running {
            let mut outline = one.diagnosis.ok_or_else(|| Invalid::missing("running.diagnosis"))?;
            outline.behavior_graph = None;
            let record = DiagnosisRecord::new(outline).map_err(|error| error.within("running"))?;
            told.push(Told {
                record,
                doing: one.progress.map(|progress| progress.detail).unwrap_or_default(),
            });
        }
        let ids: Vec<String> = told.iter().map(|one| one.record.id().as_str().to_owned()).collect();
        let running: BTreeSet<&str> = ids.iter().map(String::as_str).collect();
        let mut renewal = Renewal { claims: self, walker: &walker, lease, refused: Vec::new() };
        let unheard = renewal.keep_known(told, &running);
        for one in unheard {
            renewal.keep_unheard(store, one)?;
        }
        let is_end = |state| {
            matches!(state, DiagnosisState::Done | DiagnosisState::Failed | DiagnosisState::Cancelled)
        };
        let ended = news.iter().filter(|one| is_end(one.state()));
        for one in ended.filter(|one| !running.contains(one.diagnosis_id.as_str())) {
            renewal.end(store, &one.diagnosis_id);
        }
        let mut cancelled = renewal.refused;
        let mut board = self.board();
        for one in news {
            board.tell(&walker, one);
        }
        board.tell_of_lost(Instant::now());
        let (news, position) = board.news_for(&walker, position);
        cancelled.extend(board.cancelled(running));
        Ok(v1::RenewClaimsResponse { cancelled, news, position })
    }
}

impl Renewal<'_> {
    /// Renews what the board knows, and answers the rest.
    fn keep_known(&mut self, told: Vec<Told>, running: &BTreeSet<&str>) -> Vec<Told> {
        let now = Instant::now();
        let mut board = self.claims.board();
        board.keep_only(self.walker, running, now);
        let mut unheard = Vec::new();
        for one in told {
            if !board.knows(one.record.id().as_str()) {
                unheard.push(one);
                continue;
            }
            let id = one.record.id().as_str().to_owned();
            if !board.claim(one.record.into_wire(), self.walker, one.doing, now + self.lease, now) {
                self.refused.push(id);
            }
        }
        unheard
    }

    /// Gives a diagnosis of which this process has not heard to the walker that runs it. Meanwhile it may have ended, here or
    /// before the start, or somebody may have asked to stop it.
    fn keep_unheard(&mut self, store: &dyn ProfileStore, one: Told) -> Result<(), ServiceError> {
        let id = one.record.id().clone();
        let _changing = self.claims.changing(&id);
        let kept = match store.diagnosis(&id) {
            Ok(kept) => kept.map(DiagnosisRecord::into_wire),
            // What its walker tells stands, and no others are kept from being renewed.
            Err(error @ StoreError::Damaged { .. }) => {
                tracing::error!(diagnosis = id.as_str(), %error, "a diagnosis that runs cannot be read");
                None
            }
            Err(error) => return Err(error.into()),
        };
        if let Some(kept) = kept.as_ref().filter(|kept| has_ended(kept)) {
            // Its own answer has come; it need not be told to stop what it is about to end.
            if kept.state() != DiagnosisState::Done || kept.walker != self.walker {
                self.refused.push(id.as_str().to_owned());
            }
            return Ok(());
        }
        let now = Instant::now();
        let mut board = self.claims.board();
        if !board.claim(one.record.into_wire(), self.walker, one.doing, now + self.lease, now) {
            self.refused.push(id.as_str().to_owned());
        }
        if kept.is_some_and(|kept| kept.cancel_asked) {
            board.cancel(id.as_str());
        }
        Ok(())
    }

    /// Ends the claim of a diagnosis that ended at the walker. Where it is kept as running its end could not be kept yet, and it
    /// stays with the walker.
    fn end(&self, store: &dyn ProfileStore, id: &str) {
        let Ok(id) = RecordId::new("news.diagnosis_id", id) else { return };
        if !self.claims.board().is_claimed_by(id.as_str(), self.walker) {
            return;
        }
        let _changing = self.claims.changing(&id);
        // One that cannot be read keeps no others from being renewed.
        let Ok(kept) = store.diagnosis(&id) else { return };
        if kept.is_some_and(|kept| kept.wire().state() == DiagnosisState::Running) {
            return;
        }
        let mut board = self.claims.board();
        if board.is_claimed_by(id.as_str(), self.walker) {
            board.end(id.as_str());
        }
    }
}
