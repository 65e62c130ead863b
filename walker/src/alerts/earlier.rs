//! Diagnoses of the past that alerts ask for: those that other walkers ran, or this one before it was started anew.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use automap_proto::{
    time::UnixMillis,
    v1::{self, DiagnosisState},
};
use automap_service_kit::error::ErrorCode;
use futures::{StreamExt as _, stream};
use tokio::time::{Instant, timeout_at};

use super::{
    Alerts,
    desk::Desk,
    notification::{Alert, Notification, digest},
    rules::{Rules, Target},
};
use crate::{service::claims::is_lost, sinks::Kept};

/// Most diagnoses that are begun for the same alerts, where one after the other fails.
const MAX_ATTEMPTS: u32 = 20;
/// Diagnoses of each kind that are asked for with one notification; what became of more is not known.
const LOOKUPS: usize = 64;
/// Of these, at once.
const AT_ONCE: usize = 8;
/// Longest time that all of it may take: Alertmanager waits meanwhile.
pub(super) const PATIENCE: Duration = Duration::from_secs(3);
/// Diagnoses of a walker that is gone which are begun again at once.
const TAKEN_UP: usize = 10;

/// The attempt that is the next of diagnoses which alerts ask for, by the id of the first.
pub(crate) type Past = BTreeMap<String, String>;

/// A diagnosis of the past, as far as alerts need it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Earlier {
    pub(crate) id: String,
    system: String,
    front_end: String,
    pub(crate) created: UnixMillis,
    /// One whose walker is gone runs, for it is to run again, unless somebody wanted it to stop. It failed where there will be
    /// no more attempts.
    pub(crate) state: DiagnosisState,
    /// Those that are listed with it.
    pub(crate) alerts: Vec<Alert>,
    pub(crate) left_out: u64,
}

impl Earlier {
    fn new(known: &v1::Diagnosis) -> Option<Self> {
        let state = match (is_lost(known), known.cancel_asked) {
            (true, true) => DiagnosisState::Cancelled,
            (true, false) => DiagnosisState::Running,
            (false, _) => known.state(),
        };
        let list = known.alerts.as_ref();
        Some(Self {
            id: known.diagnosis_id.clone(),
            system: known.system.clone(),
            front_end: known.front_end.clone(),
            created: UnixMillis::from_wire("created_at", known.created_at).ok()?,
            state,
            alerts: list.iter().flat_map(|list| &list.alerts).cloned().filter_map(Alert::from_wire).collect(),
            left_out: list.map_or(0, |list| list.left_out),
        })
    }

    /// Whether an alert is one of its own. Where its record only counts some, those are taken for it that began after the first
    /// that it lists and before the diagnosis.
    pub(crate) fn has(&self, alert: &Alert) -> bool {
        let first = || self.alerts.iter().map(|one| one.starts_at).min();
        let counted = self.left_out > 0
            && alert.starts_at <= self.created
            && first().is_some_and(|first| first <= alert.starts_at);
        let same = |one: &Alert| one.starts_at == alert.starts_at && one.identity == alert.identity;
        counted || self.alerts.iter().any(same)
    }

    /// What was diagnosed, as the rules tell it now.
    fn target(&self, rules: &Rules) -> Option<Target> {
        let mut targets = self.alerts.iter().filter_map(|alert| rules.target(&alert.labels));
        targets.find(|target| target.system == self.system && target.front_end == self.front_end)
    }
}

/// What tells a diagnosis that alerts began: its id says what makes it the same, whatever else is told of it.
pub(super) fn request_digest(id: &str) -> String {
    digest(["alerts", id])
}

/// Has diagnoses begun again that alerts began and whose walker is gone.
pub(super) fn take_up(alerts: &Alerts, known: &[v1::Diagnosis], now: UnixMillis) {
    let begun = |known: &&v1::Diagnosis| known.request_digest == request_digest(&known.diagnosis_id);
    let lost = known.iter().filter(|known| is_lost(known)).filter(begun).filter_map(Earlier::new);
    let lost = lost.filter(|earlier| earlier.state == DiagnosisState::Running);
    let of = |earlier: Earlier| Some((earlier.target(&alerts.rules)?, earlier));
    for (target, earlier) in lost.filter_map(of).take(TAKEN_UP) {
        tracing::info!(diagnosis = earlier.id, system = earlier.system, "begins again what a walker left");
        alerts.desk().recall(now, "", &target, &[], earlier);
    }
}

/// The id of the attempt after that of `id`, unless there have been enough.
pub(super) fn next_attempt(id: &str) -> Option<String> {
    let (first, number) = match id.rsplit_once('-').and_then(|(first, end)| Some((first, end.parse().ok()?)))
    {
        Some((first, number)) if first.contains('-') && number <= MAX_ATTEMPTS => (first, number),
        _ => (id, 1),
    };
    (number < MAX_ATTEMPTS).then(|| format!("{first}-{}", number + 1))
}

/// Whether a diagnosis ended without an answer, and when. One whose walker is gone has not ended.
pub(super) fn unanswered(known: &v1::Diagnosis) -> Option<UnixMillis> {
    let without = matches!(known.state(), DiagnosisState::Failed | DiagnosisState::Cancelled);
    UnixMillis::from_wire("ended_at", known.ended_at.filter(|_| without)).ok()
}

/// Whether a diagnosis was cancelled that has all of `alerts`: they do not undo that.
pub(super) fn was_cancelled_with(known: &v1::Diagnosis, alerts: &v1::AlertList) -> bool {
    let Some(earlier) = Earlier::new(known) else { return false };
    let mut asking = alerts.alerts.iter().cloned().filter_map(Alert::from_wire);
    earlier.state == DiagnosisState::Cancelled && asking.all(|alert| earlier.has(&alert))
}

/// Tells the desk of `alerts` how diagnoses have ended.
pub(super) async fn hear<K: Kept>(alerts: &Alerts, kept: &K, ids: BTreeSet<String>, deadline: Instant) {
    let ended = |id: String| async move {
        if let Some(known) = find(kept, &id, deadline).await {
            alerts.ended(&known);
        }
    };
    stream::iter(ids).take(LOOKUPS).for_each_concurrent(AT_ONCE, ended).await;
}

/// Tells the desk of `alerts` how diagnoses have ended to which those of a notification belong, and of those that they would
/// begin and that there are; answers the next attempts. What cannot be found out in time is not known.
pub(super) async fn look_back<K: Kept>(
    alerts: &Alerts,
    notification: &Notification,
    kept: &K,
    now: UnixMillis,
) -> Past {
    let deadline = Instant::now() + PATIENCE;
    let firing: Vec<(Target, &Alert)> = notification
        .alerts
        .iter()
        .filter(|alert| alert.ends_at.is_none())
        .filter_map(|alert| Some((alerts.rules.target(&alert.labels)?, alert)))
        .collect();
    let (firing, group) = (&firing, notification.group_key.as_str());
    let begun: BTreeSet<String> = {
        let desk = alerts.desk();
        let of =
            |(target, alert): &(Target, &Alert)| Some(desk.belongs_to(now, group, target, alert)?.to_owned());
        firing.iter().filter_map(of).collect()
    };
    hear(alerts, kept, begun, deadline).await;
    let firsts = firsts(&alerts.desk(), now, group, firing);
    let look_up = |(first, index): (String, usize)| async move {
        let (target, alert) = &firing[index];
        // What was found meanwhile may have it.
        alerts.desk().would_begin(now, group, target, alert)?;
        let (found, next) = attempts(kept, &first, deadline).await;
        let of_system = firing.iter().filter(|(of, _)| of.system == target.system);
        let told: Vec<&Alert> = of_system.map(|(_, alert)| *alert).collect();
        for earlier in found {
            let diagnosed = earlier.target(&alerts.rules);
            alerts.desk().recall(now, group, diagnosed.as_ref().unwrap_or(target), &told, earlier);
        }
        Some((first, next))
    };
    let past: Vec<_> =
        stream::iter(firsts).take(LOOKUPS).map(look_up).buffer_unordered(AT_ONCE).collect().await;
    past.into_iter().flatten().collect()
}

/// The ids of the diagnoses that alerts would begin, each with the place of one that asks for it: that of the earliest alert of
/// each system first, as the others most likely belong to it.
fn firsts(desk: &Desk, now: UnixMillis, group: &str, firing: &[(Target, &Alert)]) -> Vec<(String, usize)> {
    let (mut ranks, mut known, mut firsts) = (BTreeMap::<&str, usize>::new(), BTreeSet::new(), Vec::new());
    for (index, (target, alert)) in firing.iter().enumerate() {
        let Some(first) = desk.would_begin(now, group, target, alert) else { continue };
        if known.insert(first.clone()) {
            let rank = ranks.entry(&target.system).or_default();
            firsts.push((*rank, first, index));
            *rank += 1;
        }
    }
    firsts.sort_by_key(|(rank, ..)| *rank);
    firsts.into_iter().map(|(_, first, index)| (first, index)).collect()
}

/// The diagnoses whose first attempt is `first` that alerts belong to, and the id of the newest attempt or of the next one.
async fn attempts<K: Kept>(kept: &K, first: &str, deadline: Instant) -> (Vec<Earlier>, String) {
    let (mut found, mut id) = (Vec::new(), first.to_owned());
    while let Some(known) = find(kept, &id, deadline).await {
        let next = next_attempt(&id).filter(|_| unanswered(&known).is_some());
        if next.is_none() || known.state() == DiagnosisState::Cancelled {
            found.extend(Earlier::new(&known));
        }
        let Some(next) = next else { break };
        id = next;
    }
    (found, id)
}

/// A diagnosis, where there is one and it is told in time.
async fn find<K: Kept>(kept: &K, id: &str, deadline: Instant) -> Option<v1::Diagnosis> {
    match timeout_at(deadline, kept.kept(id)).await.ok()? {
        Ok(known) => Some(known),
        Err(error) => {
            if error.code() != ErrorCode::NotFound {
                tracing::warn!(diagnosis = id, %error, "what became of the diagnosis of an alert is not known");
            }
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_are_counted_from_the_second_on_and_come_to_an_end() {
        assert_eq!(next_attempt("alert-0f").as_deref(), Some("alert-0f-2"));
        // A hash of digits alone is no count.
        assert_eq!(
            next_attempt("alert-12345678901234567890").as_deref(),
            Some("alert-12345678901234567890-2")
        );
        assert_eq!(next_attempt("alert-0f-9").as_deref(), Some("alert-0f-10"));
        assert_eq!(next_attempt("alert-0f-20"), None);
    }

    #[test]
    fn a_diagnosis_whose_walker_is_gone_has_not_ended() {
        let ended_at = Some(UnixMillis(7000).to_wire());
        let of = |state: DiagnosisState, ended_at| v1::Diagnosis {
            state: state.into(),
            ended_at,
            ..Default::default()
        };
        assert_eq!(unanswered(&of(DiagnosisState::Failed, ended_at)), Some(UnixMillis(7000)));
        assert_eq!(unanswered(&of(DiagnosisState::Cancelled, ended_at)), Some(UnixMillis(7000)));
        assert_eq!(unanswered(&of(DiagnosisState::Done, ended_at)), None);
        assert_eq!(unanswered(&of(DiagnosisState::Failed, None)), None);
    }
}
