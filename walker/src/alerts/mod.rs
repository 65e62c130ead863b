//! Alerts on their way in: Alertmanager's webhook, and the diagnoses that it begins.
//!
//! | module | what it holds |
//! |---|---|
//! | [`config`] | which alerts begin what |
//! | [`notification`], [`nesting`] | a request of Alertmanager, read with limits |
//! | [`rules`] | from labels to what is diagnosed |
//! | [`desk`] | which alerts begin a diagnosis, which belong to one, and when it begins |
//! | [`earlier`] | diagnoses of the past that alerts ask for |
//! | [`webhook`] | the route |
//! | [`beginning`] | diagnoses that are due, and alerts that came too late for them |

mod beginning;
pub mod config;
mod desk;
mod earlier;
mod nesting;
mod notification;
mod rules;
mod webhook;

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use automap_proto::{
    invalid::Invalid,
    time::UnixMillis,
    v1::{self, DiagnosisState},
};
use automap_service_kit::{
    access::{Caller, Role},
    error::{ErrorCode, ServiceError},
};
use serde::Serialize;

use crate::{
    metrics::{AlertOutcome, WalkerMetrics},
    service::claims::is_lost,
    sinks::Kept,
};
pub(crate) use beginning::begin_all;
use config::AlertsConfig;
pub(crate) use desk::MAX_LISTED;
use desk::{Desk, Ruling};
use earlier::Past;
pub(crate) use notification::is_same;
use notification::{Alert, Notification};
use rules::Rules;
pub(crate) use webhook::routes;

/// When an alert that finds no room should come again.
const COME_BACK: Duration = Duration::from_secs(15);
/// Reasons of refusals that are told and logged.
const TOLD: usize = 10;

/// What alerts led to: shared by the route and by the task that begins diagnoses.
#[derive(Debug, Clone)]
pub(crate) struct Alerts {
    rules: Arc<Rules>,
    desk: Arc<Mutex<Desk>>,
    metrics: WalkerMetrics,
}

/// The answer to a notification.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub(crate) struct Receipt {
    /// Diagnoses to which its alerts belong.
    diagnoses: BTreeSet<String>,
    began: usize,
    attached: usize,
    /// Told before.
    known: usize,
    resolved: usize,
    refused: usize,
    /// Why, for some of them.
    reasons: Vec<String>,
    /// Alerts for which there is no room now.
    #[serde(skip)]
    busy: usize,
}

impl Alerts {
    /// # Errors
    /// A rule cannot be used.
    pub(crate) fn new(config: &AlertsConfig, metrics: WalkerMetrics) -> Result<Self, Invalid> {
        Ok(Self {
            rules: Arc::new(Rules::new(&config.rules)?),
            desk: Arc::new(Mutex::new(Desk::new(config))),
            metrics,
        })
    }

    /// Takes a notification of `caller`, where it is known who calls, at the time `now`; `kept` finds diagnoses of the past.
    /// Alerts of systems that he may not have diagnosed are refused.
    ///
    /// # Errors
    /// It cannot be read, none of its alerts can be diagnosed, or there is no room for some of them.
    async fn take<K: Kept>(
        &self,
        caller: Option<&Caller>,
        body: &[u8],
        now: UnixMillis,
        kept: &K,
    ) -> Result<Receipt, ServiceError> {
        if self.rules.is_empty() {
            let message = "no alert begins a diagnosis here; set walker.alerts.rules";
            return Err(ServiceError::new(ErrorCode::NotFound, message));
        }
        let notification = Notification::parse(body).inspect_err(|_| self.metrics.notification_refused())?;
        let past = earlier::look_back(self, &notification, kept, now).await;
        let receipt = self.judge(caller, notification, now, &past);
        if !receipt.reasons.is_empty() {
            tracing::warn!(refused = receipt.refused, reasons = ?receipt.reasons, "alerts cannot be diagnosed");
        }
        if receipt.busy > 0 {
            let message = format!(
                "{} alerts find no room: too many systems wait for a diagnosis (walker.alerts.max-waiting)",
                receipt.busy
            );
            return Err(ServiceError::new(ErrorCode::Unavailable, message).retry_after(COME_BACK));
        }
        let used = receipt.began + receipt.attached + receipt.known + receipt.resolved;
        if used == 0 && receipt.refused > 0 {
            let message =
                format!("none of {} alerts can be diagnosed: {}", receipt.refused, receipt.reasons[0]);
            return Err(Invalid::new("alerts", message).into());
        }
        Ok(receipt)
    }

    /// How a diagnosis stands. Alerts that come after one was done are added to its record; none belongs to one that failed or
    /// was cancelled. Those of one that failed begin another one when they are told again.
    pub(crate) fn ended(&self, diagnosis: &v1::Diagnosis) {
        let (mut desk, id) = (self.desk(), &diagnosis.diagnosis_id);
        match diagnosis.state() {
            DiagnosisState::Done => desk.answered(id),
            // One whose walker is gone has not ended.
            DiagnosisState::Failed if !is_lost(diagnosis) => desk.unanswered(id, true),
            DiagnosisState::Cancelled => desk.unanswered(id, false),
            DiagnosisState::Failed | DiagnosisState::Running | DiagnosisState::Unspecified => {}
        }
    }

    fn judge(
        &self,
        caller: Option<&Caller>,
        notification: Notification,
        now: UnixMillis,
        past: &Past,
    ) -> Receipt {
        let mut receipt = Receipt::default();
        for invalid in &notification.refused {
            self.refuse(&mut receipt, invalid);
        }
        let mut truncated = notification.truncated;
        let mut desk = self.desk();
        for alert in notification.alerts {
            let Some(target) = self.rules.target(&alert.labels) else {
                self.refuse(&mut receipt, &nobodys(&alert));
                continue;
            };
            let denied = caller.and_then(|caller| caller.require(Role::Diagnose, &target.system).err());
            if let Some(error) = denied {
                self.refuse(&mut receipt, &Invalid::new("labels", error.message()));
                continue;
            }
            if alert.ends_at.is_some() {
                desk.resolved(&target.system, &alert);
                receipt.resolved += 1;
                self.metrics.alert(AlertOutcome::Resolved);
                continue;
            }
            let ruling = desk.fired(now, &notification.group_key, target, alert, past);
            let outcome = match ruling {
                Ok(Ruling::Begins(id)) => {
                    receipt.began += 1;
                    desk.truncated(&id, std::mem::take(&mut truncated));
                    receipt.diagnoses.insert(id);
                    AlertOutcome::Began
                }
                Ok(Ruling::Attached(id)) => {
                    receipt.attached += 1;
                    desk.truncated(&id, std::mem::take(&mut truncated));
                    receipt.diagnoses.insert(id);
                    AlertOutcome::Attached
                }
                Ok(Ruling::Known(id)) => {
                    receipt.known += 1;
                    receipt.diagnoses.insert(id);
                    AlertOutcome::Known
                }
                Ok(Ruling::Busy) => {
                    receipt.busy += 1;
                    AlertOutcome::Busy
                }
                Err(invalid) => {
                    self.refuse(&mut receipt, &invalid);
                    continue;
                }
            };
            self.metrics.alert(outcome);
        }
        self.metrics.alerts_waiting(desk.waiting());
        receipt
    }

    fn refuse(&self, receipt: &mut Receipt, invalid: &Invalid) {
        receipt.refused += 1;
        if receipt.reasons.len() < TOLD {
            receipt.reasons.push(invalid.to_string());
        }
        self.metrics.alert(AlertOutcome::Refused);
    }

    fn desk(&self) -> MutexGuard<'_, Desk> {
        // The desk is whole between any two of its methods, so a panic elsewhere leaves nothing to repair.
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An alert that no rule takes, by the names of its labels.
fn nobodys(alert: &Alert) -> Invalid {
    let names: Vec<&str> = alert.labels.keys().map(String::as_str).take(20).collect();
    Invalid::new(
        "labels",
        format!(
            "no rule of walker.alerts.rules finds a system, a front end and a source in {}",
            names.join(", ")
        ),
    )
}

#[cfg(test)]
mod tests;
