//! Alerts on their way in: Alertmanager's webhook, and the diagnoses that it begins.
//!
//! | module | what it holds |
//! |---|---|
//! | [`config`] | which alerts begin what |
//! | [`notification`], [`nesting`] | a request of Alertmanager, read with limits |
//! | [`rules`] | from labels to what is diagnosed |
//! | [`desk`] | which alerts begin a diagnosis, which belong to one, and when it begins |
//! | [`webhook`] | the route |
//! | [`beginning`] | diagnoses that are due, and alerts that came too late for them |

mod beginning;
pub mod config;
mod desk;
mod nesting;
mod notification;
mod rules;
mod webhook;

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use automap_proto::{invalid::Invalid, time::UnixMillis};
use automap_service_kit::{
    access::{Caller, Role},
    error::{ErrorCode, ServiceError},
};
use serde::Serialize;

use crate::metrics::{AlertOutcome, WalkerMetrics};
pub(crate) use beginning::begin_all;
use config::AlertsConfig;
pub(crate) use desk::MAX_LISTED;
use desk::{Desk, Ruling};
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

    /// Takes a notification of `caller`, where it is known who calls, at the time `now`. Alerts of systems that he may not have
    /// diagnosed are refused.
    ///
    /// # Errors
    /// It cannot be read, none of its alerts can be diagnosed, or there is no room for some of them.
    fn take(&self, caller: Option<&Caller>, body: &[u8], now: UnixMillis) -> Result<Receipt, ServiceError> {
        if self.rules.is_empty() {
            let message = "no alert begins a diagnosis here; set walker.alerts.rules";
            return Err(ServiceError::new(ErrorCode::NotFound, message));
        }
        let notification = Notification::parse(body).inspect_err(|_| self.metrics.notification_refused())?;
        let receipt = self.judge(caller, notification, now);
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

    /// A diagnosis has ended: alerts that come now must be added to its record.
    pub(crate) fn ended(&self, id: &str) {
        self.desk().ended(id);
    }

    fn judge(&self, caller: Option<&Caller>, notification: Notification, now: UnixMillis) -> Receipt {
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
            let system = target.system.clone();
            let ruling = desk.fired(now, &notification.group_key, target, alert);
            let outcome = match ruling {
                Ok(Ruling::Begins(id)) => {
                    receipt.began += 1;
                    receipt.diagnoses.insert(id);
                    desk.truncated(&system, std::mem::take(&mut truncated));
                    AlertOutcome::Began
                }
                Ok(Ruling::Attached(id)) => {
                    receipt.attached += 1;
                    receipt.diagnoses.insert(id);
                    desk.truncated(&system, std::mem::take(&mut truncated));
                    AlertOutcome::Attached
                }
                Ok(Ruling::Known) => {
                    receipt.known += 1;
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
mod tests {
    use automap_service_kit::access::{Proof, Systems};
    use prometheus_client::registry::Registry;
    use serde_json::json;

    use super::{
        config::{AlertRule, FromLabel},
        *,
    };

    const NOW: UnixMillis = UnixMillis(1_772_360_430_000);

    fn alerts() -> Alerts {
        let label = |name: &str| FromLabel { label: Some(name.into()), ..FromLabel::default() };
        let rule = AlertRule {
            system: label("namespace"),
            front_end: label("service"),
            source: FromLabel { default: Some("prod".into()), ..FromLabel::default() },
            ..AlertRule::default()
        };
        let config = AlertsConfig { rules: vec![rule], max_waiting: 1, ..AlertsConfig::default() };
        Alerts::new(&config, WalkerMetrics::new(&mut Registry::default())).unwrap()
    }

    fn body(alerts: &[(&str, &str, &str)]) -> Vec<u8> {
        let alert = |(status, namespace, name): &(&str, &str, &str)| {
            json!({
                "status": status, "labels": {"namespace": namespace, "service": "web", "alertname": name},
                "startsAt": "2026-03-01T10:20:00Z", "endsAt": "2026-03-01T10:20:10Z",
            })
        };
        let alerts: Vec<_> = alerts.iter().map(alert).collect();
        json!({"version": "4", "groupKey": "g", "truncatedAlerts": 7, "alerts": alerts})
            .to_string()
            .into_bytes()
    }

    #[test]
    fn a_notification_is_answered_by_what_became_of_its_alerts() {
        let alerts = alerts();
        let sent = body(&[
            ("firing", "shop", "a"),
            ("firing", "shop", "b"),
            ("resolved", "shop", "a"),
            ("firing", "", "c"),
        ]);
        let receipt = alerts.take(None, &sent, NOW).unwrap();
        assert_eq!((receipt.began, receipt.attached, receipt.resolved, receipt.refused), (1, 1, 1, 1));
        assert_eq!(receipt.diagnoses.len(), 1);
        assert!(receipt.reasons[0].contains("alertname, namespace, service"), "{:?}", receipt.reasons);
        let again = alerts.take(None, &sent, NOW).unwrap();
        assert_eq!((again.known, again.began), (2, 0));
        let stranger =
            Caller::new("books", Proof::Token, Role::Diagnose, Systems::new(&["books".to_owned()]));
        let denied = alerts.take(Some(&stranger), &body(&[("firing", "shop", "d")]), NOW).unwrap_err();
        assert_eq!(denied.field(), Some("alerts"), "{denied}");
        let due = alerts.desk().due(UnixMillis(NOW.0 + 60_000));
        assert_eq!((due.len(), due[0].alerts.left_out, due[0].alerts.alerts.len()), (1, 7, 2));
    }

    #[test]
    fn what_cannot_be_taken_is_an_error_that_says_whether_to_send_again() {
        let alerts = alerts();
        let refused = |sent: &[u8]| alerts.take(None, sent, NOW).unwrap_err();
        assert_eq!(refused(b"{").code(), ErrorCode::InvalidInput);
        assert_eq!(refused(&body(&[("firing", "", "a")])).field(), Some("alerts"));
        let busy = refused(&body(&[("firing", "shop", "a"), ("firing", "books", "a")]));
        assert_eq!((busy.code(), busy.retry_delay()), (ErrorCode::Unavailable, Some(COME_BACK)));
        let unset =
            Alerts::new(&AlertsConfig::default(), WalkerMetrics::new(&mut Registry::default())).unwrap();
        assert_eq!(unset.take(None, &body(&[]), NOW).unwrap_err().code(), ErrorCode::NotFound);
    }
}
