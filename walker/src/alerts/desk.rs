//! Which alerts begin a diagnosis, which belong to one that there is, and when it begins. Time is a number that is passed in.

mod case;
mod seen;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use automap_proto::{
    incident::IncidentContext,
    invalid::Invalid,
    time::UnixMillis,
    v1::{self, DiagnosisState},
};

use self::{
    case::{Case, Stage, place},
    seen::Seen,
};
use super::{
    config::AlertsConfig,
    earlier::{Earlier, Past},
    notification::{Alert, hash},
    rules::Target,
};

/// Alerts that are listed with a diagnosis; more are counted.
pub(crate) const MAX_LISTED: usize = 100;
/// Cases beyond which no diagnosis of the past is taken up; its alerts wait as new ones do.
const MAX_CASES: usize = 1 << 12;
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
    /// Whether it began before this walker knew of it, so that another one may run it.
    pub(crate) recalled: bool,
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
    /// By system, in the order in which they came here.
    cases: BTreeMap<String, Vec<Case>>,
    seen: Seen,
    /// Diagnoses of the past that have not ended, each with the time from which on it is begun again. That changes nothing while
    /// its walker lives.
    taken_up: Vec<(UnixMillis, Due)>,
    /// When the newest diagnoses began.
    begun: VecDeque<UnixMillis>,
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
            taken_up: Vec::new(),
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
        let cases = self.cases.get(&target.system).map_or(&[][..], Vec::as_slice);
        let id = match self.seen.unsettled(&key(group_key, target, alert)) {
            Some(unsettled) => unsettled?,
            None => {
                let gathers = cases.iter().rfind(|case| case.gathers(now, alert))?;
                Some(gathers).filter(|case| case.stage == Stage::Runs)?.id.as_str()
            }
        };
        let waits = cases.iter().any(|case| case.stage == Stage::Waits && case.id == id);
        Some(id).filter(|_| !waits)
    }

    /// The id of the first diagnosis that an alert asks for which would begin one, or which began so long before those that it
    /// could belong to that it may have one of its own.
    pub(crate) fn would_begin(
        &self,
        now: UnixMillis,
        group_key: &str,
        target: &Target,
        alert: &Alert,
    ) -> Option<String> {
        let near =
            |case: &Case| case.gathers(now, alert) && alert.starts_at.0 >= case.start.0 - self.gather_ms;
        let gathered = self.cases.get(&target.system).is_some_and(|cases| cases.iter().any(near));
        let known = gathered || self.seen.of(&key(group_key, target, alert)).is_some();
        let may = !known && check(now, self.max_age_ms, target, alert.starts_at).is_ok();
        may.then(|| first_id(group_key, target, alert))
    }

    /// Takes up a diagnosis of `target` that the desk does not remember. Those of `told`, alerts of the group `group_key`, that
    /// it has belong to it; further ones do that began about when its own did, where it was not cancelled. One that has not
    /// ended is due at once: whoever has the claim runs it, now or when its walker is gone.
    pub(crate) fn recall(
        &mut self,
        now: UnixMillis,
        group_key: &str,
        target: &Target,
        told: &[&Alert],
        earlier: Earlier,
    ) {
        if self.cases.values().map(Vec::len).sum::<usize>() >= MAX_CASES {
            return;
        }
        let runs = earlier.state == DiagnosisState::Running;
        for alert in told.iter().filter(|alert| earlier.has(alert)) {
            self.seen.insert(key(group_key, target, alert), &earlier.id, !runs);
        }
        if earlier.state == DiagnosisState::Cancelled {
            return;
        }
        let until = UnixMillis(now.0 + self.gather_ms);
        if let Some(case) = self.case(&earlier.id) {
            case.until = case.until.max(until);
            return;
        }
        let Earlier { id, created, alerts, left_out, .. } = earlier;
        let start = alerts.iter().map(|alert| alert.starts_at).min().unwrap_or(created);
        let mut case = Case {
            id,
            target: target.clone(),
            opened: created,
            gathers: UnixMillis(start.0 - self.gather_ms)..UnixMillis(created.0 + self.gather_ms),
            until,
            start,
            due: now,
            stage: if runs { Stage::Runs } else { Stage::Ended },
            alerts: alerts.into_iter().map(|alert| (place(&alert), alert)).collect(),
            left_out,
            untold: false,
            tell_from: UnixMillis(i64::MIN),
        };
        if runs {
            self.taken_up.push((now, Due { recalled: true, ..case.to_due(now, self.settle_ms) }));
        }
        // Its record counts them already.
        case.left_out = 0;
        self.open(case);
    }

    /// An alert of the group `group_key` that fires and asks for `target`, where `past` tells which attempt is the next of
    /// diagnoses that failed. O(log n) in what the desk holds, and linear in the cases of one system.
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
        let mut cases = self.cases.get_mut(&target.system).into_iter().flatten();
        if let Some(case) = cases.rfind(|case| case.gathers(now, &alert)) {
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
            gathers: UnixMillis(i64::MIN)..until,
            until,
            start,
            due: UnixMillis(start.0 + self.settle_ms).max(now),
            stage: Stage::Waits,
            alerts: BTreeMap::from([(place(&alert), alert)]),
            left_out: 0,
            untold: false,
            tell_from: UnixMillis(i64::MIN),
        });
        Ok(Ruling::Begins(id))
    }

    fn open(&mut self, case: Case) {
        self.cases.entry(case.target.system.clone()).or_default().push(case);
    }

    /// An alert that is resolved: noted with the diagnosis that it belongs to, if there is one. Never begins anything.
    pub(crate) fn resolved(&mut self, system: &str, alert: &Alert) -> bool {
        let place = place(alert);
        let mut cases = self.cases.get_mut(system).into_iter().flatten();
        let Some(case) = cases.rfind(|case| case.alerts.contains_key(&place)) else { return false };
        if let Some(known) = case.alerts.get_mut(&place)
            && known.ends_at != alert.ends_at
        {
            known.ends_at = alert.ends_at;
            case.untold = case.stage != Stage::Waits;
        }
        true
    }

    /// Alerts that Alertmanager left out of a notification which brought something new to the diagnosis `id`.
    pub(crate) fn truncated(&mut self, id: &str, alerts: u64) {
        if alerts > 0
            && let Some(case) = self.case(id)
        {
            case.left_out = case.left_out.saturating_add(alerts);
            case.untold = case.stage != Stage::Waits;
        }
    }

    /// The diagnoses that begin now: those of the past, and at most as many new ones as may within a minute, the longest due
    /// first.
    pub(crate) fn due(&mut self, now: UnixMillis) -> Vec<Due> {
        while self.begun.front().is_some_and(|begun| begun.0 + MINUTE_MS <= now.0 || *begun > now) {
            self.begun.pop_front();
        }
        let cases = self.cases.values_mut().flatten();
        let mut ready: Vec<&mut Case> =
            cases.filter(|case| case.stage == Stage::Waits && case.due <= now).collect();
        ready.sort_by(|one, other| (one.due, &one.id).cmp(&(other.due, &other.id)));
        let room = self.max_per_minute.saturating_sub(self.begun.len());
        let recalled = self.taken_up.extract_if(.., |(from, _)| *from <= now);
        let mut due: Vec<Due> = recalled.map(|(_, due)| due).collect();
        for case in ready.into_iter().take(room) {
            case.stage = Stage::Runs;
            due.push(case.to_due(now, self.settle_ms));
            self.begun.push_back(now);
        }
        self.forget(now);
        due
    }

    fn case(&mut self, id: &str) -> Option<&mut Case> {
        let mut cases = self.cases.values_mut().flatten();
        cases.rfind(|case| case.id == id && case.stage != Stage::Unanswered)
    }

    /// Puts a diagnosis back that could not begin, until `due`.
    pub(crate) fn put_back(&mut self, id: &str, due: UnixMillis) {
        if let Some(case) = self.case(id).filter(|case| case.stage == Stage::Runs) {
            case.stage = Stage::Waits;
            case.due = due;
        }
    }

    /// Puts a diagnosis of the past back that could not begin, until `from`. It goes on to be one that runs.
    pub(crate) fn put_back_recalled(&mut self, due: Due, from: UnixMillis) {
        self.taken_up.push((from, due));
    }

    /// Whether a diagnosis was opened so long ago that it should not be tried any more.
    pub(crate) fn gave_up(&self, id: &str, now: UnixMillis) -> bool {
        !self.cases.values().flatten().any(|case| case.id == id && !case.is_over(now))
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
        if let Some(case) = self.case(id).filter(|case| case.stage != Stage::Waits) {
            case.stage = Stage::Unanswered;
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
    pub(crate) fn untold(&mut self, now: UnixMillis) -> Vec<(String, v1::AlertList)> {
        let lacking = self.cases.values_mut().flatten().filter(|case| case.is_lacking(now));
        let told = lacking.map(|case| {
            case.untold = false;
            (case.id.clone(), case.to_list())
        });
        told.collect()
    }

    /// What the diagnosis `id` lacks was not added to its record: it is answered again from `from` on.
    pub(crate) fn still_untold(&mut self, id: &str, from: UnixMillis) {
        for case in self.cases.values_mut().flatten().filter(|case| case.id == id) {
            (case.untold, case.tell_from) = (true, from);
        }
    }

    /// Diagnoses of which it is not known that they have ended, and that lack alerts.
    pub(crate) fn awaited(&self) -> BTreeSet<String> {
        let cases = self.cases.values().flatten();
        cases.filter(|case| case.untold && case.stage == Stage::Runs).map(|case| case.id.clone()).collect()
    }

    /// Diagnoses that wait to begin.
    pub(crate) fn waiting(&self) -> usize {
        self.cases.values().flatten().filter(|case| case.stage == Stage::Waits).count()
    }

    /// Forgets what is of no more use.
    fn forget(&mut self, now: UnixMillis) {
        self.cases.retain(|_, cases| {
            cases.retain(|case| case.is_of_use(now));
            !cases.is_empty()
        });
    }
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

#[cfg(test)]
mod tests;
