//! Diagnoses of the past that alerts ask for: those that other walkers ran, or this one before it was started anew.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use automap_proto::{
    time::UnixMillis,
    v1::{self, DiagnosisState},
};
use automap_service_kit::error::{ErrorCode, ServiceError};
use futures::{StreamExt as _, stream};
use tokio::time::{Instant, timeout_at};

use super::{
    Alerts,
    notification::{Alert, Notification},
    rules::Target,
};
use crate::sinks::Kept;

/// Most diagnoses that are begun for the same alerts, where one after the other fails.
const MAX_ATTEMPTS: u32 = 20;
/// Diagnoses of each kind that are asked for with one notification; what became of more is not known.
const LOOKUPS: usize = 64;
/// Of these, at once.
const AT_ONCE: usize = 8;
/// Longest time that all of it may take: Alertmanager waits meanwhile.
const PATIENCE: Duration = Duration::from_secs(3);

/// What there is already of a diagnosis that alerts ask for, by the id of its first attempt.
pub(crate) type Past = BTreeMap<String, Earlier>;

/// Attempts of the past at a diagnosis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Earlier {
    /// One runs, or was done; or so many failed that there will be no more.
    Is { id: String, created: UnixMillis, done: bool },
    /// All failed or were cancelled; the next one is this.
    Next(String),
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

/// Tells the desk of `alerts` how diagnoses have ended to which those of a notification belong, and answers what there is of
/// those that they would begin. What cannot be found out in time is not known.
pub(super) async fn look_back<K: Kept>(
    alerts: &Alerts,
    notification: &Notification,
    kept: &K,
    now: UnixMillis,
) -> Past {
    let deadline = Instant::now() + PATIENCE;
    let look_up = |id: String| async move { find(kept, &id, deadline).await.ok().flatten() };
    let firing: Vec<(Target, &Alert)> = notification
        .alerts
        .iter()
        .filter(|alert| alert.ends_at.is_none())
        .filter_map(|alert| Some((alerts.rules.target(&alert.labels)?, alert)))
        .collect();
    let group = &notification.group_key;
    let begun: BTreeSet<String> = {
        let desk = alerts.desk();
        let of =
            |(target, alert): &(Target, &Alert)| Some(desk.belongs_to(now, group, target, alert)?.to_owned());
        firing.iter().filter_map(of).collect()
    };
    let found: Vec<_> =
        stream::iter(begun).take(LOOKUPS).map(look_up).buffer_unordered(AT_ONCE).collect().await;
    for known in found.into_iter().flatten() {
        alerts.ended(&known);
    }
    let firsts: BTreeSet<String> = {
        let desk = alerts.desk();
        firing.iter().filter_map(|(target, alert)| desk.would_begin(now, group, target, alert)).collect()
    };
    let attempts = |first: String| async move {
        let earlier = attempts(kept, &first, deadline).await?;
        Some((first, earlier))
    };
    let past: Vec<_> =
        stream::iter(firsts).take(LOOKUPS).map(attempts).buffer_unordered(AT_ONCE).collect().await;
    past.into_iter().flatten().collect()
}

/// What there is of a diagnosis whose first attempt is `first`.
async fn attempts<K: Kept>(kept: &K, first: &str, deadline: Instant) -> Option<Earlier> {
    let mut id = first.to_owned();
    loop {
        let Ok(found) = find(kept, &id, deadline).await else {
            // Whoever begins it finds out.
            return (id != first).then_some(Earlier::Next(id));
        };
        let Some(known) = found else {
            return (id != first).then_some(Earlier::Next(id));
        };
        let lost = known.state() == DiagnosisState::Failed && unanswered(&known).is_none();
        if lost {
            return Some(Earlier::Next(id));
        }
        let next = next_attempt(&id).filter(|_| unanswered(&known).is_some());
        let Some(next) = next else {
            let created = UnixMillis::from_wire("created_at", known.created_at).ok()?;
            return Some(Earlier::Is { id, created, done: known.state() != DiagnosisState::Running });
        };
        id = next;
    }
}

/// A diagnosis, where there is one.
async fn find<K: Kept>(kept: &K, id: &str, deadline: Instant) -> Result<Option<v1::Diagnosis>, ServiceError> {
    match timeout_at(deadline, kept.kept(id)).await {
        Ok(Ok(known)) => Ok(Some(known)),
        Ok(Err(error)) if error.code() == ErrorCode::NotFound => Ok(None),
        Ok(Err(error)) => {
            tracing::warn!(diagnosis = id, %error, "what became of the diagnosis of an alert is not known");
            Err(error)
        }
        Err(_) => Err(ServiceError::new(ErrorCode::DeadlineExceeded, "profiler: it does not answer")),
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
