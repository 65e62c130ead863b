use super::*;

fn outline(id: &str) -> v1::Diagnosis {
    v1::Diagnosis { diagnosis_id: id.into(), system: "shop".into(), ..v1::Diagnosis::default() }
}

#[test]
fn an_id_runs_once_and_leaves_when_it_ends() {
    let registry = Registry::new();
    let mut news = registry.watch();
    let entry = registry.enter(outline("a")).unwrap();
    entry.begin();
    assert_eq!(registry.enter(outline("a")).unwrap_err().outline.system, "shop");
    assert_eq!(registry.running("a").unwrap().outline.system, "shop");
    assert!(registry.cancel("a") && entry.cancel.is_cancelled());
    drop(entry);
    assert!(!registry.cancel("a") && registry.enter(outline("a")).is_ok());
    assert_eq!(news.try_recv().unwrap().diagnosis_id, "a");
}

#[tokio::test]
async fn who_asks_for_the_same_hears_whether_it_will_run() {
    let registry = Registry::new();
    let first = registry.enter(outline("a")).unwrap();
    let second = registry.enter(outline("a")).unwrap_err();
    drop(first);
    assert!(!second.settled().await, "whoever asked first left");
    let first = registry.enter(outline("a")).unwrap();
    let second = registry.enter(outline("a")).unwrap_err();
    first.accept();
    assert!(second.settled().await);
    assert!(registry.running("a").is_none(), "it has not begun");
}

#[test]
fn other_walkers_are_not_told_alerts_every_second() {
    let registry = Registry::new();
    let alerts = Some(v1::AlertList { alerts: vec![v1::Alert::default()], left_out: 3 });
    let entry = registry.enter(v1::Diagnosis { alerts: alerts.clone(), ..outline("a") }).unwrap();
    entry.begin();
    let told = registry.all_running();
    assert!(told.len() == 1 && told[0].diagnosis.as_ref().unwrap().alerts.is_none(), "{told:?}");
    assert_eq!(registry.running("a").unwrap().outline.alerts, alerts);
}

#[test]
fn a_stage_is_told_at_once_and_then_not_too_often() {
    let registry = Registry::new();
    let entry = registry.enter(outline("a")).unwrap();
    let reporter = Reporter::new(&entry, None);
    let now = Instant::now();
    let due = [(1, 0), (1, 50), (1, 100), (2, 110), (1, 120)]
        .map(|(stage, ms)| reporter.is_due(stage, now + Duration::from_millis(ms)));
    assert_eq!(due, [true, false, true, true, true]);
}

#[test]
fn every_end_is_told_once_and_what_never_began_has_none() {
    let registry = Registry::new();
    let (sender, ends) = std::sync::mpsc::channel();
    registry.on_end(Box::new(move |ended| sender.send(Arc::clone(ended)).unwrap()));
    drop(registry.enter(outline("never")).unwrap());
    let left = registry.enter(outline("left")).unwrap();
    left.begin();
    drop(left);
    let done = registry.enter(outline("done")).unwrap();
    done.begin();
    done.end(&ended(outline("done"), DiagnosisState::Done, ""));
    drop(done);
    let ends: Vec<_> = ends.try_iter().map(|end| (end.diagnosis_id.clone(), end.state())).collect();
    assert_eq!(
        ends,
        [("left".to_owned(), DiagnosisState::Cancelled), ("done".to_owned(), DiagnosisState::Done)]
    );
}
