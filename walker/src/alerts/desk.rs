//! Which alerts begin a diagnosis, which belong to one that there is, and when it begins. Time is a number that is passed in.

mod seen;

use std::collections::{BTreeMap, VecDeque};

use automap_proto::{
    incident::IncidentContext,
    invalid::Invalid,
    time::UnixMillis,
    v1::{self, DiagnosisState},
};

use self::seen::Seen;
use super::{
    config::AlertsConfig,
    earlier::{Earlier, Past},
    notification::{Alert, hash},
    rules::Target,
};

/// Alerts that are listed with a diagnosis; more are counted.
pub(crate) const MAX_LISTED: usize = 100;
/// How far the clock of whoever fires alerts may be ahead.
const AHEAD_MS: i64 = 5 * 60_000;
/// The time to which `max-per-minute` refers.
const MINUTE_MS: i64 = 60_000;

/// What an alert led to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ruling {
    /// A diagnosis of this id, which begins when it is due.
    Begins(String),
    /// It belongs to a diagnosis that there is.
    Attached(String),
    /// It was told before, and belongs to this diagnosis.
    Known(String),
    /// All that may wait do; it should be sent again.
    Busy,
}

/// A diagnosis that is due.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Due {
    pub(crate) id: String,
    pub(crate) target: Target,
    /// When the first of its alerts came.
    pub(crate) opened: UnixMillis,
    /// When its first alert fired.
    pub(crate) start: UnixMillis,
    /// When its last alert was resolved, where all are.
    pub(crate) end: Option<UnixMillis>,
    pub(crate) alerts: v1::AlertList,
}

/// The alerts of each system and what becomes of them. Bounded in all that it holds, whatever comes.
#[derive(Debug)]
pub(crate) struct Desk {
    settle_ms: i64,
    gather_ms: i64,
    max_age_ms: i64,
    max_waiting: usize,
    max_per_minute: usize,
    /// By system.
    cases: BTreeMap<String, Case>,
    seen: Seen,
    /// Diagnoses that ended without an answer, and the alerts that came while they ran.
    last_words: Vec<(String, v1::AlertList)>,
    /// When the newest diagnoses began.
    begun: VecDeque<UnixMillis>,
}

#[derive(Debug)]
struct Case {
    id: String,
    target: Target,
    opened: UnixMillis,
    /// Alerts that begin from then on belong to another one.
    gathers_to: UnixMillis,
    /// When it is forgotten.
    until: UnixMillis,
    start: UnixMillis,
    due: UnixMillis,
    stage: Stage,
    /// In the order in which they began.
    alerts: BTreeMap<(UnixMillis, String), Alert>,
    left_out: u64,
    /// Whether the diagnosis lacks something that came after it had begun.
    untold: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Waits,
    Runs,
    Ended,
}

impl Desk {
    pub(crate) fn new(config: &AlertsConfig) -> Self {
        let milliseconds = |seconds: u64| i64::try_from(seconds.saturating_mul(1000)).unwrap_or(i64::MAX / 2);
        Self {
            settle_ms: milliseconds(config.settle_seconds),
            gather_ms: milliseconds(config.gather_minutes.saturating_mul(60)),
            max_age_ms: milliseconds(config.max_age_minutes.saturating_mul(60)),
            max_waiting: config.max_waiting,
            max_per_minute: config.max_per_minute,
            cases: BTreeMap::new(),
            seen: Seen::default(),
            last_words: Vec::new(),
            begun: VecDeque::new(),
        }
    }

    /// The diagnosis, begun before, that an alert which fires belongs to, where it is not known how it ended.
    pub(crate) fn belongs_to(
        &self,
        now: UnixMillis,
        group_key: &str,
        target: &Target,
        alert: &Alert,
    ) -> Option<&str> {
        let case = self.cases.get(&target.system);
        let id = match self.seen.unsettled(&key(group_key, target, alert)) {
            Some(unsettled) => unsettled?,
            None => case.filter(|case| case.gathers(now, alert) && case.stage == Stage::Runs)?.id.as_str(),
        };
        let waits = case.is_some_and(|case| case.stage == Stage::Waits && case.id == id);
        Some(id).filter(|_| !waits)
    }

    /// The id of the first diagnosis that an alert asks for which would begin one.
    pub(crate) fn would_begin(
        &self,
        now: UnixMillis,
        group_key: &str,
        target: &Target,
        alert: &Alert,
    ) -> Option<String> {
        let gathered = self.cases.get(&target.system).is_some_and(|case| case.gathers(now, alert));
        let known = gathered || self.seen.of(&key(group_key, target, alert)).is_some();
        let may = !known && check(now, self.max_age_ms, target, alert.starts_at).is_ok();
        may.then(|| first_id(group_key, target, alert))
    }

    /// Takes up a diagnosis of `target` that the desk does not remember. Those of `told`, alerts of the group `group_key`, that
    /// it holds belong to it; further ones do where it was not cancelled.
    pub(crate) fn recall(
        &mut self,
        now: UnixMillis,
        group_key: &str,
        target: &Target,
        told: &[&Alert],
        earlier: Earlier,
    ) {
        let Earlier { id, created, state, alerts, left_out } = earlier;
        let stage = if state == DiagnosisState::Running { Stage::Runs } else { Stage::Ended };
        let alerts: BTreeMap<_, _> = alerts.into_iter().map(|alert| (place(&alert), alert)).collect();
        for alert in told.iter().filter(|alert| alerts.contains_key(&place(alert))) {
            self.seen.insert(key(group_key, target, alert), &id, stage == Stage::Ended);
        }
        let newer = |case: &Case| case.stage == Stage::Waits || !case.is_over(now) && case.opened >= created;
        if state == DiagnosisState::Cancelled || self.cases.get(&target.system).is_some_and(newer) {
            return;
        }
        self.open(Case {
            id,
            target: target.clone(),
            opened: created,
            gathers_to: UnixMillis(created.0 + self.gather_ms),
            until: UnixMillis(now.0 + self.gather_ms),
            start: created,
            due: created,
            stage,
            alerts,
            left_out,
            untold: false,
        });
    }

    /// An alert of the group `group_key` that fires and asks for `target`, where `past` tells which attempt is the next of
    /// diagnoses that failed. O(log n) in what the desk holds.
    ///
    /// # Errors
    /// The alert cannot begin a diagnosis: a name is bad, or it fired too long ago, or in the future.
    pub(crate) fn fired(
        &mut self,
        now: UnixMillis,
        group_key: &str,
        target: Target,
        alert: Alert,
        past: &Past,
    ) -> Result<Ruling, Invalid> {
        let start = alert.starts_at;
        let key = key(group_key, &target, &alert);
        if let Some(id) = self.seen.of(&key) {
            return Ok(Ruling::Known(id.into()));
        }
        check(now, self.max_age_ms, &target, start)?;
        if let Some(case) = self.cases.get_mut(&target.system).filter(|case| case.gathers(now, &alert)) {
            case.attach(alert, self.settle_ms);
            let id = case.id.clone();
            self.seen.insert(key, &id, case.stage == Stage::Ended);
            return Ok(Ruling::Attached(id));
        }
        if self.waiting() >= self.max_waiting {
            return Ok(Ruling::Busy);
        }
        let first = first_id(group_key, &target, &alert);
        let id = past.get(&first).cloned().unwrap_or(first);
        self.seen.insert(key, &id, false);
        let until = UnixMillis(now.0 + self.gather_ms);
        self.open(Case {
            id: id.clone(),
            target,
            opened: now,
            gathers_to: until,
            until,
            start,
            due: UnixMillis(start.0 + self.settle_ms).max(now),
            stage: Stage::Waits,
            alerts: BTreeMap::from([(place(&alert), alert)]),
            left_out: 0,
            untold: false,
        });
        Ok(Ruling::Begins(id))
    }

    /// Makes a case that of its system; what the one before it lacks is still told.
    fn open(&mut self, case: Case) {
        if let Some(before) = self.cases.insert(case.target.system.clone(), case)
            && before.untold
            && before.stage == Stage::Ended
        {
            self.last_words.push((before.id.clone(), before.to_list()));
        }
    }

    /// An alert that is resolved: noted with the diagnosis that it belongs to, if there is one. Never begins anything.
    pub(crate) fn resolved(&mut self, system: &str, alert: &Alert) -> bool {
        let Some(case) = self.cases.get_mut(system) else { return false };
        let Some(known) = case.alerts.get_mut(&place(alert)) else { return false };
        if known.ends_at != alert.ends_at {
            known.ends_at = alert.ends_at;
            case.untold = case.stage != Stage::Waits;
        }
        true
    }

    /// Alerts that Alertmanager left out of a notification which brought something new to `system`.
    pub(crate) fn truncated(&mut self, system: &str, alerts: u64) {
        if let Some(case) = self.cases.get_mut(system).filter(|_| alerts > 0) {
            case.left_out = case.left_out.saturating_add(alerts);
            case.untold = case.stage != Stage::Waits;
        }
    }

    /// The diagnoses that begin now, at most as many as may within a minute, the longest due first.
    pub(crate) fn due(&mut self, now: UnixMillis) -> Vec<Due> {
        while self.begun.front().is_some_and(|begun| begun.0 + MINUTE_MS <= now.0 || *begun > now) {
            self.begun.pop_front();
        }
        let mut ready: Vec<&mut Case> =
            self.cases.values_mut().filter(|case| case.stage == Stage::Waits && case.due <= now).collect();
        ready.sort_by(|one, other| (one.due, &one.id).cmp(&(other.due, &other.id)));
        let room = self.max_per_minute.saturating_sub(self.begun.len());
        let due: Vec<Due> = ready
            .into_iter()
            .take(room)
            .map(|case| {
                case.stage = Stage::Runs;
                case.to_due(now, self.settle_ms)
            })
            .collect();
        self.begun.extend(due.iter().map(|_| now));
        self.forget(now);
        due
    }

    fn case(&mut self, id: &str) -> Option<&mut Case> {
        self.cases.values_mut().find(|case| case.id == id)
    }

    /// Puts a diagnosis back that could not begin, until `due`.
    pub(crate) fn put_back(&mut self, id: &str, due: UnixMillis) {
        if let Some(case) = self.case(id).filter(|case| case.stage == Stage::Runs) {
            case.stage = Stage::Waits;
            case.due = due;
        }
    }

    /// Whether a diagnosis was opened so long ago that it should not be tried any more.
    pub(crate) fn gave_up(&self, id: &str, now: UnixMillis) -> bool {
        !self.cases.values().any(|case| case.id == id && !case.is_over(now))
    }

    /// The diagnosis `id` that begins has another id than it was thought to have.
    pub(crate) fn renamed(&mut self, id: &str, new: &str) {
        if let Some(case) = self.case(id) {
            case.id = new.into();
            self.seen.rename(id, new);
        }
    }

    /// A diagnosis has ended without an answer: nothing belongs to it any more. Where its alerts are told `again`, they begin
    /// another one.
    pub(crate) fn unanswered(&mut self, id: &str, again: bool) {
        let of_it = |case: &&Case| case.id == id && case.stage != Stage::Waits;
        let system = self.cases.values().find(of_it).map(|case| case.target.system.clone());
        if let Some(case) = system.and_then(|system| self.cases.remove(&system))
            && case.untold
        {
            self.last_words.push((case.id.clone(), case.to_list()));
        }
        if again {
            self.seen.forget(id);
        } else {
            self.seen.settle(id);
        }
    }

    /// A diagnosis was answered: what comes now must be added to its record.
    pub(crate) fn answered(&mut self, id: &str) {
        if let Some(case) = self.case(id) {
            case.stage = Stage::Ended;
        }
        self.seen.settle(id);
    }

    /// Diagnoses that have ended and lack alerts, with all alerts that they should have; each is answered once for each change.
    pub(crate) fn untold(&mut self) -> Vec<(String, v1::AlertList)> {
        let lacking = self.cases.values_mut().filter(|case| case.stage == Stage::Ended && case.untold);
        let told = lacking.map(|case| {
            case.untold = false;
            (case.id.clone(), case.to_list())
        });
        std::mem::take(&mut self.last_words).into_iter().chain(told).collect()
    }

    /// Diagnoses that wait to begin.
    pub(crate) fn waiting(&self) -> usize {
        self.cases.values().filter(|case| case.stage == Stage::Waits).count()
    }

    /// Forgets what gathers no more.
    fn forget(&mut self, now: UnixMillis) {
        self.cases.retain(|_, case| {
            case.stage == Stage::Waits || case.untold && case.stage == Stage::Ended || !case.is_over(now)
        });
    }
}

/// An alert among those of a case.
fn place(alert: &Alert) -> (UnixMillis, String) {
    (alert.starts_at, alert.identity.clone())
}

/// What makes an alert the same when it is told again.
fn key(group_key: &str, target: &Target, alert: &Alert) -> String {
    hash([group_key, &target.system, &alert.identity, &alert.starts_at.0.to_string()])
}

/// The id of the first diagnosis that an alert asks for.
fn first_id(group_key: &str, target: &Target, alert: &Alert) -> String {
    format!("alert-{}", hash([group_key, &target.system, &alert.starts_at.0.to_string()]))
}

fn check(now: UnixMillis, max_age_ms: i64, target: &Target, start: UnixMillis) -> Result<(), Invalid> {
    if start.0 > now.0 + AHEAD_MS {
        return Err(Invalid::new("startsAt", "lies in the future; compare the clocks"));
    }
    if start.0 < now.0 - max_age_ms {
        return Err(Invalid::new("startsAt", "lies too far back; see walker.alerts.max-age-minutes"));
    }
    IncidentContext::new(&target.system, &target.front_end, start, None, Vec::new(), None).map(|_| ())
}

impl Case {
    /// Whether an alert that comes at `now` belongs to it.
    fn gathers(&self, now: UnixMillis, alert: &Alert) -> bool {
        self.stage == Stage::Waits || !self.is_over(now) && alert.starts_at < self.gathers_to
    }

    fn is_over(&self, now: UnixMillis) -> bool {
        now >= self.until
    }

    fn attach(&mut self, alert: Alert, settle_ms: i64) {
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

    fn to_list(&self) -> v1::AlertList {
        v1::AlertList { alerts: self.alerts.values().map(Alert::to_wire).collect(), left_out: self.left_out }
    }

    fn to_due(&self, now: UnixMillis, settle_ms: i64) -> Due {
        let all_resolved = self.left_out == 0 && self.alerts.values().all(|alert| alert.ends_at.is_some());
        let last = self.alerts.values().filter_map(|alert| alert.ends_at).max().filter(|_| all_resolved);
        // An incident shorter than a step has no sample of its own.
        let end = last.map(|end| end.max(UnixMillis(self.start.0 + settle_ms)).min(now).max(self.start));
        Due {
            id: self.id.clone(),
            target: self.target.clone(),
            opened: self.opened,
            start: self.start,
            end,
            alerts: self.to_list(),
        }
    }
}

#[cfg(test)]
mod tests;
