//! What walkers make of diagnoses that others ran, or that they ran before they were started anew.

use super::*;

/// A storm of one system, of which a diagnosis lists as many as there is room for.
fn storm() -> (Vec<String>, Vec<u8>) {
    let names: Vec<String> = (0..500_u32).map(|index| (index * 50).to_string()).collect();
    let all: Vec<_> = names.iter().map(|name| ("firing", "shop", name.as_str())).collect();
    let body = body(&all);
    (names, body)
}

#[tokio::test]
async fn a_storm_is_found_by_walkers_that_were_started_anew_and_is_counted_once() {
    let (names, storm) = storm();
    let store = Store::default();
    let receipt = alerts().take(None, &storm, NOW, &store).await.unwrap();
    let listed: Vec<&str> = names.iter().take(MAX_LISTED).map(String::as_str).collect();
    store.put_of(receipt.diagnoses.first().unwrap(), DiagnosisState::Done, &listed);
    store.leave_out(400);
    for _ in 0..3 {
        store.1.store(0, Ordering::Relaxed);
        let anew = alerts();
        let later = UnixMillis(NOW.0 + 3_600_000);
        let again = anew.take(None, &storm, later, &store).await.unwrap();
        assert_eq!((again.began, again.known, again.attached), (0, 500, 0));
        assert_eq!(again.diagnoses, receipt.diagnoses);
        assert!(store.1.load(Ordering::Relaxed) <= 8, "once it is found, no more is asked");
        assert!(anew.desk().untold(NOW).is_empty(), "its record has all");
        assert_eq!(anew.told(&store, "after", later.0).await.0.attached, 1);
        // It is one more than is listed, and seven more were truncated.
        let untold = anew.desk().untold(NOW);
        let list = &untold[0].1;
        assert_eq!((untold.len(), list.alerts.len(), list.left_out), (1, MAX_LISTED, 8));
    }
}

#[tokio::test]
async fn a_storm_whose_diagnosis_was_cancelled_stays_so_at_any_walker() {
    let (names, storm) = storm();
    let store = Store::default();
    let receipt = alerts().take(None, &storm, NOW, &store).await.unwrap();
    let first = receipt.diagnoses.first().unwrap().clone();
    let listed: Vec<&str> = names.iter().take(MAX_LISTED).map(String::as_str).collect();
    store.put_of(&first, DiagnosisState::Cancelled, &listed);
    let known = store.leave_out(400);
    let anew = alerts();
    let again = anew.take(None, &storm, UnixMillis(NOW.0 + 60_000), &store).await.unwrap();
    assert_eq!((again.began, again.known, again.diagnoses), (0, 500, BTreeSet::from([first.clone()])));
    assert_eq!(anew.told(&store, "after", NOW.0 + 60_000).await.0.began, 1);
    // Nor where it is found out when it is to begin.
    let of = |body: &[u8]| v1::AlertList {
        alerts: Notification::parse(body).unwrap().alerts.iter().map(Alert::to_wire).collect(),
        left_out: 0,
    };
    assert!(earlier::was_cancelled_with(&known, &of(&storm)));
    assert!(!earlier::was_cancelled_with(&known, &of(&body(&[("firing", "shop", "after")]))));
    assert!(!earlier::was_cancelled_with(&known, &of(&body(&[("firing", "shop", "before")]))));
}

#[tokio::test]
async fn a_diagnosis_takes_no_alerts_that_began_long_before_its_own() {
    let store = Store::default();
    let before = alerts().told(&store, "before", NOW.0).await.1;
    store.put_of(&before, DiagnosisState::Done, &["before"]);
    store.change(|newest| newest.created_at = Some(UnixMillis(NOW.0 - 2 * 3_600_000).to_wire()));
    let first = alerts().told(&store, "a", NOW.0).await.1;
    store.put(&first, DiagnosisState::Done);
    let later = NOW.0 + 3 * 3_600_000;
    // One of the past, and one that this walker began.
    for (name, began) in [("a", 0), ("anew", 1)] {
        let anew = alerts();
        assert_eq!(anew.told(&store, name, later).await.0.began, began);
        let (receipt, of) = anew.told(&store, "before", later + 120_000).await;
        assert_eq!((receipt.known, of), (1, before.clone()), "{name}");
        assert!(anew.desk().untold(NOW).is_empty(), "{name}");
    }
    // One that nobody diagnosed begins its own.
    let anew = alerts();
    anew.told(&store, "a", later).await;
    let (receipt, of) = anew.told(&store, "old", later + 120_000).await;
    assert!(receipt.began == 1 && of != first && of != before);
}

#[tokio::test]
async fn a_diagnosis_that_another_walker_runs_is_had_by_whoever_is_told_when_that_walker_goes() {
    for lost in [false, true] {
        let store = Store::default();
        let first = alerts().told(&store, "a", NOW.0).await.1;
        store.put_of(&first, DiagnosisState::Running, &["a", "late"]);
        store.leave_out(3);
        if lost {
            store.lose();
        }
        let other = alerts();
        let (receipt, of) = other.told(&store, "a", NOW.0 + 60_000).await;
        assert_eq!((receipt.known, &of), (1, &first), "lost: {lost}");
        // Whoever begins it waits for the claim.
        let due = other.desk().due(UnixMillis(NOW.0 + 60_000));
        let list = &due[0].alerts;
        assert_eq!((due.len(), &due[0].id, list.alerts.len(), list.left_out), (1, &first, 2, 3));
        assert_eq!((due[0].target.system.as_str(), due[0].start.0), ("shop", NOW.0 - 30_000));
        // Nobody tells who has the claim, and it goes on to be one that may run elsewhere.
        other.desk().put_back_recalled(due[0].clone(), UnixMillis(NOW.0 + 65_000));
        assert!(other.desk().due(UnixMillis(NOW.0 + 64_999)).is_empty());
        assert_eq!(other.desk().due(UnixMillis(NOW.0 + 65_000)), due);
        assert!(due[0].recalled);
        store.lose();
        assert_eq!(other.told(&store, "a", NOW.0 + 120_000).await.0.known, 1);
        assert_eq!(other.told(&store, "b", NOW.0 + 120_000).await.0.attached, 1);
        assert!(other.desk().due(UnixMillis(NOW.0 + 120_000)).is_empty(), "once");
        assert!(other.desk().untold(NOW).is_empty(), "its record is left alone");
        // What came while it ran is kept with it when it has failed.
        store.put(&first, DiagnosisState::Failed);
        assert_eq!(other.told(&store, "a", NOW.0 + 180_000).await.1, format!("{first}-2"));
        assert_eq!(other.desk().untold(NOW).len(), 1);
    }
}

#[tokio::test]
async fn what_a_walker_left_is_begun_again_without_being_told() {
    let store = Store::default();
    let first = alerts().told(&store, "a", NOW.0).await.1;
    store.put(&first, DiagnosisState::Running);
    let lost = store.lose();
    let of = |change: &dyn Fn(&mut v1::Diagnosis)| {
        let mut changed = lost.clone();
        change(&mut changed);
        let other = alerts();
        earlier::take_up(&other, &[changed], NOW);
        other.desk().due(NOW)
    };
    assert!(of(&|one| one.ended_at = Some(NOW.to_wire())).is_empty(), "it ended");
    assert!(of(&|one| one.state = DiagnosisState::Running.into()).is_empty(), "it runs");
    assert!(of(&|one| one.cancel_asked = true).is_empty(), "somebody wanted it to stop");
    assert!(of(&|one| one.request_digest = "0f".into()).is_empty(), "a caller began it");
    assert!(of(&|one| one.alerts.as_mut().unwrap().alerts[0].labels.clear()).is_empty(), "no rule takes it");
    assert!(of(&|one| one.front_end = "other".into()).is_empty(), "rules have changed");

    let other = alerts();
    earlier::take_up(&other, std::slice::from_ref(&lost), NOW);
    earlier::take_up(&other, std::slice::from_ref(&lost), NOW);
    let due = other.desk().due(NOW);
    assert_eq!((due.len(), &due[0].id, due[0].start.0), (1, &first, NOW.0 - 30_000));
    store.put(&first, DiagnosisState::Running);
    let (receipt, of) = other.told(&store, "b", NOW.0 + 1000).await;
    assert_eq!((receipt.attached, of), (1, first));
}

#[tokio::test]
async fn a_diagnosis_whose_walker_is_gone_has_not_ended_for_its_alerts() {
    let (alerts, store) = (alerts(), Store::default());
    let first = alerts.told(&store, "a", NOW.0).await.1;
    alerts.desk().due(UnixMillis(NOW.0 + 60_000));
    store.put(&first, DiagnosisState::Running);
    assert_eq!(alerts.told(&store, "b", NOW.0 + 60_000).await.0.attached, 1);
    store.lose();
    let (receipt, of) = alerts.told(&store, "a", NOW.0 + 60_000).await;
    assert_eq!((receipt.known, &of), (1, &first));
    assert!(alerts.desk().untold(NOW).is_empty(), "its record is left alone");
    // Unless somebody wanted it to stop.
    store.change(|newest| newest.cancel_asked = true);
    let anew = self::alerts();
    let (receipt, of) = anew.told(&store, "a", NOW.0 + 60_000).await;
    assert_eq!((receipt.known, of), (1, first));
    assert!(anew.desk().due(UnixMillis(NOW.0 + 60_000)).is_empty());
}
