//! A diagnosis as the desk knows it, and the alerts that belong to it.

use std::{collections::BTreeMap, ops::Range};

use automap_proto::{time::UnixMillis, v1};

use super::{Alert, Due, MAX_LISTED, Target};

/// How long a diagnosis is remembered for the sake of alerts that its record lacks, when nothing more belongs to it.
const LATEST_MS: i64 = 60 * 60_000;

#[derive(Debug)]
pub(super) struct Case {
    pub(super) id: String,
    pub(super) target: Target,
    pub(super) opened: UnixMillis,
    /// Alerts that begin then belong to it.
    pub(super) gathers: Range<UnixMillis>,
    /// From then on none does.
    pub(super) until: UnixMillis,
    pub(super) start: UnixMillis,
    pub(super) due: UnixMillis,
    pub(super) stage: Stage,
    /// In the order in which they began.
    pub(super) alerts: BTreeMap<(UnixMillis, String), Alert>,
    pub(super) left_out: u64,
    /// Whether the diagnosis lacks something that came after it had begun.
    pub(super) untold: bool,
    /// Its record is not asked to take that before.
    pub(super) tell_from: UnixMillis,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    Waits,
    /// Here or at another walker.
    Runs,
    Ended,
    /// It ended without an answer: no alert belongs to it.
    Unanswered,
}

/// An alert among those of a case.
pub(super) fn place(alert: &Alert) -> (UnixMillis, String) {
    (alert.starts_at, alert.identity.clone())
}

impl Case {
    /// Whether an alert that comes at `now` belongs to it.
    pub(super) fn gathers(&self, now: UnixMillis, alert: &Alert) -> bool {
        match self.stage {
            Stage::Waits => true,
            Stage::Runs | Stage::Ended => !self.is_over(now) && self.gathers.contains(&alert.starts_at),
            Stage::Unanswered => false,
        }
    }

    pub(super) fn is_over(&self, now: UnixMillis) -> bool {
        now >= self.until
    }

    /// Whether it is to be remembered.
    pub(super) fn is_of_use(&self, now: UnixMillis) -> bool {
        match self.stage {
            Stage::Waits => true,
            Stage::Runs | Stage::Ended => !self.is_over(now) || self.may_be_told(now),
            Stage::Unanswered => self.may_be_told(now),
        }
    }

    fn may_be_told(&self, now: UnixMillis) -> bool {
        self.untold && now.0 < self.until.0 + LATEST_MS
    }

    /// Whether its record lacks alerts and may have them added.
    pub(super) fn is_lacking(&self, now: UnixMillis) -> bool {
        self.untold && self.tell_from <= now && matches!(self.stage, Stage::Ended | Stage::Unanswered)
    }

    pub(super) fn attach(&mut self, alert: Alert, settle_ms: i64) {
        if self.stage == Stage::Waits && alert.starts_at < self.start {
            self.start = alert.starts_at;
            self.due = self.due.min(UnixMillis(self.start.0 + settle_ms)).max(self.opened);
        }
        let key = place(&alert);
        // The same alert comes with each group that it belongs to.
        if self.alerts.contains_key(&key) {
            return;
        }
        if self.alerts.len() < MAX_LISTED {
            self.alerts.insert(key, alert);
        } else {
            self.left_out = self.left_out.saturating_add(1);
        }
        self.untold = self.stage != Stage::Waits;
    }

    pub(super) fn to_list(&self) -> v1::AlertList {
        v1::AlertList { alerts: self.alerts.values().map(Alert::to_wire).collect(), left_out: self.left_out }
    }

    pub(super) fn to_due(&self, now: UnixMillis, settle_ms: i64) -> Due {
        let all_resolved = self.left_out == 0 && self.alerts.values().all(|alert| alert.ends_at.is_some());
        let last = self.alerts.values().filter_map(|alert| alert.ends_at).max().filter(|_| all_resolved);
        // An incident shorter than a step has no sample of its own.
        let end = last.map(|end| end.max(UnixMillis(self.start.0 + settle_ms)).min(now).max(self.start));
        Due {
            id: self.id.clone(),
            target: self.target.clone(),
            recalled: false,
            opened: self.opened,
            start: self.start,
            end,
            alerts: self.to_list(),
        }
    }
}
