use std::sync::atomic::{AtomicUsize, Ordering};

use automap_service_kit::access::{Proof, Systems};
use prometheus_client::registry::Registry;
use serde_json::json;

use super::{
    config::{AlertRule, FromLabel},
    *,
};

mod several_walkers;

const NOW: UnixMillis = UnixMillis(1_772_360_430_000);

pub(super) fn alerts() -> Alerts {
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

/// When the alert of this name began.
fn start(name: &str) -> String {
    match name {
        "old" => "2026-03-01T06:00:00Z".into(),
        "before" => "2026-03-01T08:00:00Z".into(),
        "late" => "2026-03-01T10:20:29Z".into(),
        "after" => "2026-03-01T10:21:00Z".into(),
        "anew" => "2026-03-01T13:20:00Z".into(),
        _ => name.parse::<u32>().map_or_else(
            |_| "2026-03-01T10:20:00Z".into(),
            |index| format!("2026-03-01T10:20:{:02}.{:03}Z", index / 1000, index % 1000),
        ),
    }
}

fn body(alerts: &[(&str, &str, &str)]) -> Vec<u8> {
    let alert = |(status, namespace, name): &(&str, &str, &str)| {
        json!({
            "status": status, "labels": {"namespace": namespace, "service": "web", "alertname": name},
            "startsAt": start(name), "endsAt": "2026-03-01T13:20:10Z",
        })
    };
    let alerts: Vec<_> = alerts.iter().map(alert).collect();
    json!({"version": "4", "groupKey": "g", "truncatedAlerts": 7, "alerts": alerts}).to_string().into_bytes()
}

/// Diagnoses that are kept, each with how it ended, and how often one was asked for.
#[derive(Debug, Clone, Default)]
struct Store(Arc<Mutex<Vec<v1::Diagnosis>>>, Arc<AtomicUsize>);

impl Store {
    fn put(&self, id: &str, state: DiagnosisState) {
        self.put_of(id, state, &["a"]);
    }

    /// The same with these alerts.
    fn put_of(&self, id: &str, state: DiagnosisState, names: &[&str]) {
        let at = Some(NOW.to_wire());
        let firing: Vec<_> = names.iter().map(|name| ("firing", "shop", *name)).collect();
        let listed = Notification::parse(&body(&firing)).unwrap().alerts;
        let one = v1::Diagnosis {
            diagnosis_id: id.into(),
            system: "shop".into(),
            front_end: "web".into(),
            state: state.into(),
            created_at: at,
            request_digest: earlier::request_digest(id),
            alerts: Some(v1::AlertList { alerts: listed.iter().map(Alert::to_wire).collect(), left_out: 0 }),
            ..Default::default()
        };
        let ended_at = at.filter(|_| state != DiagnosisState::Running);
        let mut all = self.0.lock().unwrap();
        all.retain(|known| known.diagnosis_id != id);
        all.push(v1::Diagnosis { ended_at, ..one });
    }

    /// Changes what is known of the newest diagnosis.
    fn change(&self, change: impl FnOnce(&mut v1::Diagnosis)) -> v1::Diagnosis {
        let mut all = self.0.lock().unwrap();
        let newest = all.last_mut().unwrap();
        change(newest);
        newest.clone()
    }

    /// The walker of the newest diagnosis is gone.
    fn lose(&self) -> v1::Diagnosis {
        self.change(|newest| {
            newest.state = DiagnosisState::Failed.into();
            newest.ended_at = None;
        })
    }

    /// The record of the newest diagnosis counts so many alerts that it does not list.
    fn leave_out(&self, left_out: u64) -> v1::Diagnosis {
        self.change(|newest| newest.alerts.as_mut().unwrap().left_out = left_out)
    }
}

impl Kept for Store {
    async fn kept(&self, id: &str) -> Result<v1::Diagnosis, ServiceError> {
        self.1.fetch_add(1, Ordering::Relaxed);
        let all = self.0.lock().unwrap();
        let found = all.iter().find(|known| known.diagnosis_id == id).cloned();
        found.ok_or_else(|| ServiceError::new(ErrorCode::NotFound, "there is none"))
    }
}

impl Alerts {
    async fn told(&self, store: &Store, name: &str, at: i64) -> (Receipt, String) {
        let receipt =
            self.take(None, &body(&[("firing", "shop", name)]), UnixMillis(at), store).await.unwrap();
        let id = receipt.diagnoses.first().unwrap().clone();
        (receipt, id)
    }
}

#[tokio::test]
async fn alerts_of_a_diagnosis_that_failed_begin_another_one_when_they_are_told_again() {
    let (alerts, store) = (alerts(), Store::default());
    let (receipt, first) = alerts.told(&store, "a", NOW.0).await;
    assert_eq!(receipt.began, 1);
    assert_eq!(alerts.desk().due(UnixMillis(NOW.0 + 60_000)).len(), 1);
    store.put(&first, DiagnosisState::Running);
    assert_eq!(alerts.told(&store, "a", NOW.0 + 60_000).await.0.known, 1, "it runs");
    assert_eq!(alerts.told(&store, "b", NOW.0 + 60_000).await.0.attached, 1, "it runs");
    // It fails: here, or at another walker, which nobody here tells of.
    store.put(&first, DiagnosisState::Failed);
    let (receipt, second) = alerts.told(&store, "a", NOW.0 + 61_000).await;
    assert_eq!((receipt.began, receipt.known, &second), (1, 0, &format!("{first}-2")));
    let untold = alerts.desk().untold(NOW);
    assert_eq!(
        (&untold[0].0, untold[0].1.alerts.len()),
        (&first, 2),
        "what came while it ran is kept with it"
    );
    assert_eq!(alerts.told(&store, "b", NOW.0 + 61_000).await.1, second, "a case of its own");
    assert_eq!(alerts.desk().due(UnixMillis(NOW.0 + 120_000)).len(), 1);
    store.put(&second, DiagnosisState::Done);
    let (receipt, of) = alerts.told(&store, "a", NOW.0 + 121_000).await;
    assert_eq!((receipt.known, receipt.began, of), (1, 0, second));
}

#[tokio::test]
async fn a_walker_that_was_started_anew_says_began_of_what_begins_only() {
    let store = Store::default();
    let first = alerts().told(&store, "a", NOW.0).await.1;
    for (state, began, id) in [
        (DiagnosisState::Running, 0, first.clone()),
        (DiagnosisState::Done, 0, first.clone()),
        (DiagnosisState::Failed, 1, format!("{first}-2")),
    ] {
        store.put(&first, state);
        let anew = alerts();
        let (receipt, of) = anew.told(&store, "a", NOW.0 + 60_000).await;
        assert_eq!((receipt.began, receipt.known, &of), (began, 1 - began, &id), "{state:?}");
        assert_eq!(anew.desk().waiting(), began, "{state:?}");
        let (receipt, of) = anew.told(&store, "b", NOW.0 + 60_000).await;
        assert_eq!((receipt.attached, &of), (1, &id), "{state:?}");
        // What is known of it is known for as long as it gathers alerts.
        let (receipt, later) = anew.told(&store, "c", NOW.0 + 3_600_000).await;
        assert_eq!((receipt.began + receipt.known + receipt.attached, later), (1, id), "{state:?}");
    }
    store.put(&format!("{first}-2"), DiagnosisState::Failed);
    assert_eq!(alerts().told(&store, "a", NOW.0).await.1, format!("{first}-3"));
}

#[tokio::test]
async fn nothing_belongs_to_a_diagnosis_that_was_cancelled_and_its_alerts_do_not_undo_that() {
    let (alerts, store) = (alerts(), Store::default());
    let first = alerts.told(&store, "a", NOW.0).await.1;
    alerts.desk().due(UnixMillis(NOW.0 + 60_000));
    store.put(&first, DiagnosisState::Cancelled);
    let (receipt, of) = alerts.told(&store, "a", NOW.0 + 60_000).await;
    assert_eq!((receipt.known, &of), (1, &first), "somebody wanted it so");
    let (receipt, of) = alerts.told(&store, "b", NOW.0 + 60_000).await;
    assert_eq!((receipt.began, of), (1, format!("{first}-2")));
    // Nor at a walker that was started anew.
    let anew = self::alerts();
    let (receipt, of) = anew.told(&store, "a", NOW.0 + 60_000).await;
    assert_eq!((receipt.known, receipt.began, of), (1, 0, first.clone()));
    let (receipt, of) = anew.told(&store, "b", NOW.0 + 60_000).await;
    assert_eq!((receipt.began, of), (1, format!("{first}-2")));
    // Nor where it is found out when it is to begin.
    let known = store.kept(&first).await.unwrap();
    let of = |names: &[&str]| {
        let firing: Vec<_> = names.iter().map(|name| ("firing", "shop", *name)).collect();
        let alerts = Notification::parse(&body(&firing)).unwrap().alerts;
        v1::AlertList { alerts: alerts.iter().map(Alert::to_wire).collect(), left_out: 0 }
    };
    assert!(earlier::was_cancelled_with(&known, &of(&["a"])));
    assert!(!earlier::was_cancelled_with(&known, &of(&["a", "b"])));
}

#[tokio::test]
async fn alerts_of_two_beginnings_are_not_diagnosed_again_when_another_walker_is_told_hours_later() {
    let later = UnixMillis(NOW.0 + 3 * 3_600_000);
    let both = body(&[("firing", "shop", "a"), ("firing", "shop", "late")]);
    // Whichever was told first, and whether the record lists the other one.
    for (first, listed) in [("a", vec!["a", "late"]), ("a", vec!["a"]), ("late", vec!["late"])] {
        let store = Store::default();
        let id = alerts().told(&store, first, NOW.0).await.1;
        store.put_of(&id, DiagnosisState::Done, &listed);
        let other = alerts();
        let receipt = other.take(None, &both, later, &store).await.unwrap();
        let attached = 2 - listed.len();
        assert_eq!((receipt.began, receipt.known, receipt.attached), (0, listed.len(), attached), "{first}");
        assert_eq!(receipt.diagnoses, BTreeSet::from([id]), "{first}");
        assert_eq!(other.desk().untold(NOW).len(), attached, "what it lacks is noted with it");
        // It is done: nothing more is asked.
        let asked = store.1.load(Ordering::Relaxed);
        assert_eq!(other.take(None, &both, later, &store).await.unwrap().known, 2);
        assert_eq!(store.1.load(Ordering::Relaxed), asked);
        // Another incident.
        assert_eq!(other.told(&store, "anew", later.0).await.0.began, 1);
    }
}

#[tokio::test]
async fn a_notification_is_answered_by_what_became_of_its_alerts() {
    let alerts = alerts();
    let sent = body(&[
        ("firing", "shop", "a"),
        ("firing", "shop", "b"),
        ("resolved", "shop", "a"),
        ("firing", "", "c"),
    ]);
    let store = Store::default();
    let receipt = alerts.take(None, &sent, NOW, &store).await.unwrap();
    assert_eq!((receipt.began, receipt.attached, receipt.resolved, receipt.refused), (1, 1, 1, 1));
    assert_eq!(receipt.diagnoses.len(), 1);
    assert!(receipt.reasons[0].contains("alertname, namespace, service"), "{:?}", receipt.reasons);
    let again = alerts.take(None, &sent, NOW, &store).await.unwrap();
    assert_eq!((again.known, again.began), (2, 0));
    let stranger = Caller::new("books", Proof::Token, Role::Diagnose, Systems::new(&["books".to_owned()]));
    let sent = body(&[("firing", "shop", "d")]);
    let denied = alerts.take(Some(&stranger), &sent, NOW, &store).await.unwrap_err();
    assert_eq!(denied.field(), Some("alerts"), "{denied}");
    let due = alerts.desk().due(UnixMillis(NOW.0 + 60_000));
    assert_eq!((due.len(), due[0].alerts.left_out, due[0].alerts.alerts.len()), (1, 7, 2));
}

#[tokio::test]
async fn what_cannot_be_taken_is_an_error_that_says_whether_to_send_again() {
    let alerts = alerts();
    let store = Store::default();
    let refused = async |sent: &[u8]| alerts.take(None, sent, NOW, &store).await.unwrap_err();
    assert_eq!(refused(b"{").await.code(), ErrorCode::InvalidInput);
    assert_eq!(refused(&body(&[("firing", "", "a")])).await.field(), Some("alerts"));
    let busy = refused(&body(&[("firing", "shop", "a"), ("firing", "books", "a")])).await;
    assert_eq!((busy.code(), busy.retry_delay()), (ErrorCode::Unavailable, Some(COME_BACK)));
    let unset = Alerts::new(&AlertsConfig::default(), WalkerMetrics::new(&mut Registry::default())).unwrap();
    let refused = unset.take(None, &body(&[]), NOW, &store).await.unwrap_err();
    assert_eq!(refused.code(), ErrorCode::NotFound);
}
