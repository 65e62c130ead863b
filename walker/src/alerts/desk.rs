//! Which alerts begin a diagnosis, which belong to one that there is, and when it begins. Time is a number that is passed in.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use automap_proto::{incident::IncidentContext, invalid::Invalid, time::UnixMillis, v1};

use super::{
    config::AlertsConfig,
    notification::{Alert, hash},
    rules::Target,
};

/// Alerts that are listed with a diagnosis; more are counted.
pub(crate) const MAX_LISTED: usize = 100;
/// Alerts that are remembered as known, however many come.
const MAX_SEEN: usize = 1 << 14;
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
    /// It was told before.
    Known,
    /// All that may wait do; it should be sent again.
    Busy,
}

/// A diagnosis that is due.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Due {
    pub(crate) id: String,
    pub(crate) target: Target,
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
    /// When the newest diagnoses began.
    begun: VecDeque<UnixMillis>,
}

#[derive(Debug)]
struct Case {
    id: String,
    target: Target,
    opened: UnixMillis,
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

/// The newest keys, and the order in which they came.
#[derive(Debug, Default)]
struct Seen {
    known: BTreeSet<String>,
    order: VecDeque<String>,
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
            begun: VecDeque::new(),
        }
    }

    /// An alert of the group `group_key` that fires and asks for `target`. O(log n) in what the desk holds.
    ///
    /// # Errors
    /// The alert cannot begin a diagnosis: a name is bad, or it fired too long ago, or in the future.
    pub(crate) fn fired(
        &mut self,
        now: UnixMillis,
        group_key: &str,
        target: Target,
        alert: Alert,
    ) -> Result<Ruling, Invalid> {
        let start = alert.starts_at;
        let key = hash([group_key, &target.system, &alert.identity, &start.0.to_string()]);
        if self.seen.known.contains(&key) {
            return Ok(Ruling::Known);
        }
        check(now, self.max_age_ms, &target, start)?;
        let gathers = |case: &Case| case.stage == Stage::Waits || now.0 < case.opened.0 + self.gather_ms;
        if let Some(case) = self.cases.get_mut(&target.system).filter(|case| gathers(case)) {
            case.attach(alert, self.settle_ms);
            let id = case.id.clone();
            self.seen.insert(key);
            return Ok(Ruling::Attached(id));
        }
        if self.waiting() >= self.max_waiting {
            return Ok(Ruling::Busy);
        }
        let id = format!("alert-{}", hash([group_key, &target.system, &start.0.to_string()]));
        let case = Case {
            id: id.clone(),
            opened: now,
            start,
            due: UnixMillis(start.0 + self.settle_ms).max(now),
            stage: Stage::Waits,
            alerts: BTreeMap::from([((start, alert.identity.clone()), alert)]),
            left_out: 0,
            untold: false,
            target,
        };
        self.cases.insert(case.target.system.clone(), case);
        self.seen.insert(key);
        Ok(Ruling::Begins(id))
    }

    /// An alert that is resolved: noted with the diagnosis that it belongs to, if there is one. Never begins anything.
    pub(crate) fn resolved(&mut self, system: &str, alert: &Alert) -> bool {
        let Some(case) = self.cases.get_mut(system) else { return false };
        let Some(known) = case.alerts.get_mut(&(alert.starts_at, alert.identity.clone())) else {
            return false;
        };
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

    /// Puts a diagnosis back that could not begin, until `due`.
    pub(crate) fn put_back(&mut self, system: &str, due: UnixMillis) {
        if let Some(case) = self.cases.get_mut(system).filter(|case| case.stage == Stage::Runs) {
            case.stage = Stage::Waits;
            case.due = due;
        }
    }

    /// Whether the diagnosis of `system` was opened so long ago that it should not be tried any more.
    pub(crate) fn gave_up(&mut self, system: &str, now: UnixMillis) -> bool {
        let Some(case) = self.cases.get(system) else { return true };
        let over = now.0 >= case.opened.0 + self.gather_ms;
        if over {
            self.cases.remove(system);
        }
        over
    }

    /// A diagnosis has ended: what comes now must be added to its record.
    pub(crate) fn ended(&mut self, id: &str) {
        if let Some(case) = self.cases.values_mut().find(|case| case.id == id) {
            case.stage = Stage::Ended;
        }
    }

    /// Ended diagnoses that lack alerts, with all alerts that they should have; each is answered once for each change.
    pub(crate) fn untold(&mut self) -> Vec<(String, v1::AlertList)> {
        let lacking = self.cases.values_mut().filter(|case| case.stage == Stage::Ended && case.untold);
        lacking
            .map(|case| {
                case.untold = false;
                (case.id.clone(), case.to_list())
            })
            .collect()
    }

    /// Diagnoses that wait to begin.
    pub(crate) fn waiting(&self) -> usize {
        self.cases.values().filter(|case| case.stage == Stage::Waits).count()
    }

    /// Forgets what gathers no more.
    fn forget(&mut self, now: UnixMillis) {
        let gather_ms = self.gather_ms;
        self.cases.retain(|_, case| {
            let over = now.0 >= case.opened.0 + gather_ms;
            case.stage == Stage::Waits || case.untold && case.stage == Stage::Ended || !over
        });
    }
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
    fn attach(&mut self, alert: Alert, settle_ms: i64) {
        if self.stage == Stage::Waits && alert.starts_at < self.start {
            self.start = alert.starts_at;
            self.due = self.due.min(UnixMillis(self.start.0 + settle_ms)).max(self.opened);
        }
        let key = (alert.starts_at, alert.identity.clone());
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
            start: self.start,
            end,
            alerts: self.to_list(),
        }
    }
}

impl Seen {
    fn insert(&mut self, key: String) {
        if !self.known.insert(key.clone()) {
            return;
        }
        self.order.push_back(key);
        if self.order.len() > MAX_SEEN
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: i64 = 1_800_000_000_000;

    fn desk(change: impl FnOnce(&mut AlertsConfig)) -> Desk {
        let mut config = AlertsConfig { settle_seconds: 30, ..AlertsConfig::default() };
        change(&mut config);
        Desk::new(&config)
    }

    fn target(system: &str) -> Target {
        Target {
            system: system.into(),
            front_end: "web".into(),
            source: "prod".into(),
            preset: String::new(),
        }
    }

    fn alert(name: &str, start: i64) -> Alert {
        Alert {
            identity: name.into(),
            labels: BTreeMap::from([("alertname".into(), name.into())]),
            starts_at: UnixMillis(start),
            ends_at: None,
            generator_url: String::new(),
        }
    }

    fn fired(desk: &mut Desk, at: i64, system: &str, name: &str, start: i64) -> Ruling {
        desk.fired(UnixMillis(at), "group", target(system), alert(name, start)).unwrap()
    }

    #[test]
    fn an_alert_begins_one_diagnosis_when_it_has_settled_however_often_it_is_told() {
        let mut desk = desk(|_| ());
        let Ruling::Begins(id) = fired(&mut desk, NOW, "shop", "slow", NOW - 5000) else { panic!() };
        assert_eq!(fired(&mut desk, NOW, "shop", "slow", NOW - 5000), Ruling::Known);
        assert!(desk.due(UnixMillis(NOW + 24_999)).is_empty());
        let due = desk.due(UnixMillis(NOW + 25_000));
        assert_eq!((due.len(), &due[0].id, due[0].start, due[0].end), (1, &id, UnixMillis(NOW - 5000), None));
        assert!(desk.due(UnixMillis(NOW + 26_000)).is_empty());
        // Hours later Alertmanager repeats it.
        assert_eq!(fired(&mut desk, NOW + 14_400_000, "shop", "slow", NOW - 5000), Ruling::Known);
        // It fired anew: another incident.
        let again = fired(&mut desk, NOW + 14_400_000, "shop", "slow", NOW + 14_399_000);
        assert!(matches!(again, Ruling::Begins(other) if other != id));
    }

    #[test]
    fn the_id_is_that_of_group_system_and_start_whichever_walker_is_told() {
        let id = |group: &str, name: &str, start: i64| {
            desk(|_| ()).fired(UnixMillis(NOW), group, target("shop"), alert(name, start)).unwrap()
        };
        assert_eq!(id("a", "slow", NOW), id("a", "other", NOW));
        assert_ne!(id("a", "slow", NOW), id("b", "slow", NOW));
        assert_ne!(id("a", "slow", NOW), id("a", "slow", NOW - 1));
    }

    #[test]
    fn further_alerts_of_a_system_are_attached_before_and_after_it_begins() {
        let mut desk = desk(|_| ());
        let Ruling::Begins(id) = fired(&mut desk, NOW, "shop", "a", NOW) else { panic!() };
        assert_eq!(fired(&mut desk, NOW + 1000, "shop", "b", NOW - 60_000), Ruling::Attached(id.clone()));
        assert!(matches!(fired(&mut desk, NOW + 1000, "books", "c", NOW), Ruling::Begins(_)));
        let due = desk.due(UnixMillis(NOW + 1000));
        assert_eq!(due.len(), 1, "the earlier alert has settled already");
        assert_eq!((due[0].start, due[0].alerts.alerts.len()), (UnixMillis(NOW - 60_000), 2));
        assert_eq!(fired(&mut desk, NOW + 2000, "shop", "d", NOW), Ruling::Attached(id.clone()));
        assert!(desk.untold().is_empty(), "it runs");
        desk.ended(&id);
        let untold = desk.untold();
        assert_eq!((untold.len(), untold[0].1.alerts.len()), (1, 3));
        assert!(desk.untold().is_empty());
    }

    #[test]
    fn a_storm_of_one_system_is_one_diagnosis_and_of_many_a_bounded_number() {
        let mut storm = desk(|_| ());
        for index in 0..500_i64 {
            fired(&mut storm, NOW + index, "shop", &format!("alert-{index}"), NOW);
        }
        let due = storm.due(UnixMillis(NOW + 60_000));
        assert_eq!((due.len(), due[0].alerts.alerts.len(), due[0].alerts.left_out), (1, MAX_LISTED, 400));

        let mut many = desk(|config| (config.max_waiting, config.max_per_minute) = (20, 5));
        let rulings: Vec<Ruling> = (0..500_i64)
            .map(|index| fired(&mut many, NOW, &format!("system-{index}"), "slow", NOW - 60_000))
            .collect();
        assert_eq!(rulings.iter().filter(|ruling| matches!(ruling, Ruling::Begins(_))).count(), 20);
        assert_eq!(rulings.iter().filter(|ruling| **ruling == Ruling::Busy).count(), 480);
        assert_eq!(many.due(UnixMillis(NOW)).len(), 5);
        assert_eq!(many.due(UnixMillis(NOW + 59_999)).len(), 0);
        assert_eq!(many.due(UnixMillis(NOW + 60_000)).len(), 5);
        // What was refused is taken when it is sent again.
        assert!(matches!(
            fired(&mut many, NOW + 60_000, "system-499", "slow", NOW - 60_000),
            Ruling::Begins(_)
        ));
    }

    #[test]
    fn resolved_ends_the_window_of_what_has_not_begun_and_begins_nothing() {
        let mut desk = desk(|_| ());
        let mut gone = alert("slow", NOW);
        gone.ends_at = Some(UnixMillis(NOW + 35_000));
        assert!(!desk.resolved("shop", &gone));
        assert!(desk.due(UnixMillis(NOW + 90_000)).is_empty());
        fired(&mut desk, NOW, "shop", "slow", NOW);
        fired(&mut desk, NOW, "shop", "other", NOW);
        assert!(desk.resolved("shop", &gone));
        let mut other = alert("other", NOW);
        other.ends_at = Some(UnixMillis(NOW + 10_000));
        assert!(desk.resolved("shop", &other));
        let due = desk.due(UnixMillis(NOW + 40_000));
        assert_eq!(due[0].end, Some(UnixMillis(NOW + 35_000)));
        // Later it is noted with the diagnosis.
        desk.ended(&due[0].id);
        other.ends_at = Some(UnixMillis(NOW + 50_000));
        assert!(desk.resolved("shop", &other));
        assert_eq!(desk.untold().len(), 1);
    }

    #[test]
    fn alerts_that_cannot_be_diagnosed_are_refused_and_leave_no_trace() {
        let mut desk = desk(|_| ());
        let mut refused = |target: Target, start: i64| {
            let refused = desk.fired(UnixMillis(NOW), "g", target, alert("slow", start));
            refused.unwrap_err().field().to_owned()
        };
        assert_eq!(refused(target("shop"), NOW + 600_000), "startsAt");
        assert_eq!(refused(target("shop"), NOW - 25 * 3_600_000), "startsAt");
        assert_eq!(refused(target("shop\n"), NOW), "system");
        assert_eq!(refused(target(&"x".repeat(10_000)), NOW), "system");
        assert_eq!((desk.waiting(), desk.seen.order.len()), (0, 0));
    }

    #[test]
    fn what_could_not_begin_is_tried_again_until_it_is_too_old() {
        let mut desk = desk(|_| ());
        fired(&mut desk, NOW, "shop", "slow", NOW);
        assert_eq!(desk.due(UnixMillis(NOW + 30_000)).len(), 1);
        desk.put_back("shop", UnixMillis(NOW + 35_000));
        assert_eq!(desk.due(UnixMillis(NOW + 34_000)).len(), 0);
        assert_eq!(desk.due(UnixMillis(NOW + 35_000)).len(), 1);
        assert!(!desk.gave_up("shop", UnixMillis(NOW + 36_000)));
        assert!(desk.gave_up("shop", UnixMillis(NOW + 600_000)));
        assert!(desk.cases.is_empty());
    }

    proptest! {
        #[test]
        fn whatever_comes_little_is_held_and_no_system_runs_twice_at_once(
            steps in proptest::collection::vec((0_i64..4000, 0_u8..40, 0_u8..30, 0_i64..90_000), 1..400),
        ) {
            let mut desk = desk(|config| (config.max_waiting, config.gather_minutes) = (8, 1));
            let (mut now, mut opened) = (NOW, BTreeMap::<String, i64>::new());
            for (pause, system, name, age) in steps {
                now += pause;
                let system = format!("s{system}");
                if let Ruling::Begins(_) = fired(&mut desk, now, &system, &name.to_string(), now - age) {
                    let last = opened.insert(system, now);
                    prop_assert!(last.is_none_or(|last| now - last >= MINUTE_MS));
                }
                let due = desk.due(UnixMillis(now));
                prop_assert!(due.iter().all(|due| due.start.0 + 30_000 <= now));
                prop_assert!(desk.waiting() <= 8 && desk.begun.len() <= 10);
            }
        }
    }
}
