//! Diagnoses that are due are begun, those that a walker left are begun again, and alerts that came too late for them are
//! added to their records.

use std::time::Duration;

use automap_proto::{
    time::UnixMillis,
    v1::{self, metric_source::Source},
};
use automap_service_kit::error::ErrorCode;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

use super::{
    Alerts,
    desk::Due,
    earlier::{self, next_attempt, request_digest, unanswered, was_cancelled_with},
};
use crate::{
    memory::now,
    service::{WalkerRpc, run::Unclaimed},
};

/// How often it is looked up what is due.
const TICK: Duration = Duration::from_millis(250);
/// Until the next try of a diagnosis that could not begin, milliseconds.
const AGAIN_MS: i64 = 5000;
/// What a walker left is begun again for so long after it was begun first, milliseconds.
const LEFT_MS: i64 = 60 * 60_000;
/// Longest time between two looks at what walkers left.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// Longest time until the profiler has told what there is of that.
const PATIENCE: Duration = Duration::from_secs(10);

/// Begins what alerts ask for, until `shutdown`. What waits then is lost: Alertmanager tells it again after its
/// `repeat_interval`, and the same id makes sure that nothing is diagnosed twice.
pub(crate) async fn begin_all(alerts: Alerts, walker: WalkerRpc, shutdown: CancellationToken) {
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut looks = interval((walker.lease() * 2).min(LONGEST_PAUSE));
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = shutdown.cancelled() => break,
            _ = ticks.tick() => step(&alerts, &walker),
            _ = looks.tick(), if !alerts.rules.is_empty() => {
                walker.started.spawn(look_around(alerts.clone(), walker.clone()));
            }
        }
    }
    let waiting = alerts.desk().waiting();
    if waiting > 0 {
        tracing::warn!(waiting, "ends with diagnoses that alerts asked for and that had not begun");
    }
}

fn step(alerts: &Alerts, walker: &WalkerRpc) {
    let (due, untold) = {
        let mut desk = alerts.desk();
        (desk.due(now()), desk.untold(now()))
    };
    alerts.metrics.alerts_waiting(alerts.desk().waiting());
    for due in due {
        walker.started.spawn(begin(alerts.clone(), walker.clone(), due));
    }
    for (id, list) in untold {
        let (alerts, walker) = (alerts.clone(), walker.clone());
        walker.started.clone().spawn(async move {
            match walker.note_alerts(&id, list).await {
                Ok(true) => return,
                Ok(false) => tracing::debug!(diagnosis = id, "its record takes no alerts yet"),
                Err(error) => {
                    tracing::warn!(diagnosis = id, %error, "alerts could not be added to a diagnosis; they will be");
                }
            }
            alerts.desk().still_untold(&id, UnixMillis(now().0 + AGAIN_MS));
        });
    }
}

/// Hears how diagnoses have ended that other walkers ran, and begins those again whose walker is gone.
async fn look_around(alerts: Alerts, walker: WalkerRpc) {
    let awaited = alerts.desk().awaited();
    earlier::hear(&alerts, &walker, awaited, Instant::now() + earlier::PATIENCE).await;
    let leases = i64::try_from(walker.lease().as_millis()).unwrap_or(i64::MAX).saturating_mul(4);
    let lost = walker.lost_since(UnixMillis(now().0.saturating_sub(LEFT_MS.max(leases))));
    match timeout(PATIENCE, lost).await {
        Ok(Ok(lost)) => earlier::take_up(&alerts, &lost, now()),
        Ok(Err(error)) => tracing::debug!(%error, "what other walkers left is not known"),
        Err(_) => tracing::debug!("what other walkers left was not told in time"),
    }
}

async fn begin(alerts: Alerts, walker: WalkerRpc, due: Due) {
    let (mut id, system, opened) = (due.id.clone(), due.target.system.clone(), due.opened);
    let unclaimed = if due.recalled { Unclaimed::Waits } else { Unclaimed::Begins };
    let recalled = due.recalled.then(|| due.clone());
    let request = request(due);
    let error = loop {
        match walker.begin(id.clone(), request_digest(&id), request.clone(), unclaimed).await {
            Ok(None) => {
                tracing::info!(diagnosis = id, system, "an alert began a diagnosis");
                return;
            }
            Ok(Some(known)) => {
                // One that was cancelled stays so for the alerts that it has. One that failed after its alerts had come here
                // too was begun for them.
                let over = unanswered(&known).is_some_and(|ended| ended < opened);
                let stays = request.alerts.as_ref().is_some_and(|alerts| was_cancelled_with(&known, alerts));
                let next = next_attempt(&id).filter(|_| over && !stays);
                let Some(next) = next else {
                    let state = known.state().as_str_name();
                    tracing::info!(
                        diagnosis = id,
                        system,
                        state,
                        "the diagnosis of an alert has ended before"
                    );
                    alerts.ended(&known);
                    return;
                };
                alerts.desk().renamed(&id, &next);
                id = next;
            }
            Err(error) => break error,
        }
    };
    let passes = matches!(
        error.code(),
        ErrorCode::Unavailable | ErrorCode::Overloaded | ErrorCode::DeadlineExceeded | ErrorCode::Cancelled
    );
    let mut desk = alerts.desk();
    if passes && !desk.gave_up(&id, now()) {
        tracing::info!(diagnosis = id, %error, "a diagnosis that an alert asks for is tried again");
        let then = UnixMillis(now().0 + AGAIN_MS);
        match recalled {
            Some(due) => desk.put_back_recalled(Due { id, ..due }, then),
            None => desk.put_back(&id, then),
        }
    } else if passes && recalled.is_some() {
        // It may run elsewhere. Where its walker is gone it is taken up once more when the profiler tells so.
        tracing::warn!(diagnosis = id, system, %error, "who has the diagnosis of an alert is not known");
    } else {
        let code = error.code().reason();
        tracing::error!(diagnosis = id, system, code, reason = %error, "a diagnosis that an alert asks for could not begin");
        desk.unanswered(&id, true);
    }
}

fn request(due: Due) -> v1::DiagnoseRequest {
    let Due { target, start, end, alerts, .. } = due;
    let query = v1::QuerySource { name: target.source, preset: target.preset, step: None };
    v1::DiagnoseRequest {
        source: Some(v1::MetricSource { source: Some(Source::Query(query)) }),
        context: Some(v1::IncidentContext {
            system: target.system,
            front_end: target.front_end,
            anomaly_start: Some(start.to_wire()),
            anomaly_end: end.map(UnixMillis::to_wire),
            // An alert comes after its incident began.
            late_alert: true,
            ..v1::IncidentContext::default()
        }),
        alerts: Some(alerts),
        ..v1::DiagnoseRequest::default()
    }
}

#[cfg(test)]
mod tests {
    use super::{super::tests::alerts, *};
    use crate::config::WalkerConfig;

    /// A diagnosis that another walker has, as the profiler tells of it when that walker is gone.
    fn left(at: UnixMillis) -> v1::Diagnosis {
        let labels = [("namespace", "shop"), ("service", "web"), ("alertname", "a")];
        let alert = v1::Alert {
            labels: labels.map(|(name, value)| (name.into(), value.into())).into(),
            starts_at: Some(at.to_wire()),
            ..v1::Alert::default()
        };
        v1::Diagnosis {
            diagnosis_id: "alert-0f".into(),
            system: "shop".into(),
            front_end: "web".into(),
            state: v1::DiagnosisState::Failed.into(),
            created_at: Some(at.to_wire()),
            request_digest: request_digest("alert-0f"),
            alerts: Some(v1::AlertList { alerts: vec![alert], left_out: 0 }),
            ..v1::Diagnosis::default()
        }
    }

    #[tokio::test]
    async fn what_another_walker_may_run_waits_until_it_is_told_who_has_it() {
        let nowhere = WalkerConfig {
            profiler: "http://127.0.0.1:1".into(),
            lease_seconds: 1,
            ..WalkerConfig::default()
        };
        let walker = WalkerRpc::new(nowhere, CancellationToken::new()).unwrap();
        let (alerts, at) = (alerts(), now());
        earlier::take_up(&alerts, &[left(at)], at);
        let due = alerts.desk().due(at);
        assert!(due.len() == 1 && due[0].recalled, "{due:?}");
        begin(alerts.clone(), walker.clone(), due[0].clone()).await;
        assert!(walker.started.is_empty(), "nothing runs here");
        assert!(alerts.desk().due(now()).is_empty(), "it waits");
        let again = alerts.desk().due(UnixMillis(now().0 + AGAIN_MS));
        assert_eq!(again, due);
        // One that this walker was asked for begins all the same.
        let own = Due { id: "alert-1f".into(), recalled: false, ..due[0].clone() };
        begin(alerts.clone(), walker.clone(), own).await;
        assert!(!walker.started.is_empty());
    }
}
