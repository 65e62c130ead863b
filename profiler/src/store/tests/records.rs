//! What is kept, listed and found again.

use super::*;

#[test]
fn everything_survives_a_reopen_in_the_same_process_at_once() {
    let directory = tempfile::tempdir().unwrap();
    for _ in 0..3 {
        filled(&directory).close().unwrap();
    }
    let store = open(&directory);
    let kept = store.incident(&id("inc-1")).unwrap().unwrap();
    assert_eq!(kept.confirmations.len(), 3);
    assert_eq!(kept.profile, incident("inc-1", 100).profile);
    assert_eq!(similar(&store, true, None), ["inc-1"]);
    assert_eq!(similar(&store, false, None), ["inc-1", "inc-2"]);
    assert_eq!(store.normal_sum(&selector(), &[], &AbnormalTimes::default()).unwrap().windows(), 2);
    assert_eq!(store.diagnosis(&id("d-1")).unwrap(), Some(diagnosis("d-1", 100, 3)));
    assert_eq!(store.incident(&id("inc-3")).unwrap(), None);
}

#[test]
fn a_closed_store_answers_that_it_is_closed() {
    let directory = tempfile::tempdir().unwrap();
    let store = filled(&directory);
    store.close().unwrap();
    store.close().unwrap();
    assert_eq!(store.incident(&id("inc-1")).unwrap_err(), StoreError::Closed);
}

#[test]
fn a_second_opener_is_refused_while_the_first_goes_on() {
    let directory = tempfile::tempdir().unwrap();
    let store = filled(&directory);
    let error = SledStore::open(directory.path(), StoreOptions { cache_mib: 8, ..StoreOptions::default() })
        .unwrap_err();
    assert!(matches!(error, StoreError::InUse(_)), "{error}");
    assert!(store.incident(&id("inc-1")).unwrap().is_some());
}

#[test]
fn a_deleted_incident_is_gone_from_everywhere() {
    let directory = tempfile::tempdir().unwrap();
    let store = filled(&directory);
    store.delete_incident(&id("inc-1")).unwrap();
    assert!(matches!(store.delete_incident(&id("inc-1")), Err(StoreError::NotFound(_))));
    store.close().unwrap();
    let store = open(&directory);
    assert_eq!(store.incident(&id("inc-1")).unwrap(), None);
    assert_eq!(similar(&store, false, None), ["inc-2"]);
    assert_eq!(list(&store, &ListQuery::default()).0, ["inc-2"]);
    assert_eq!(store.statistics().unwrap().records["incidents"], 1);
}

#[test]
fn the_same_normal_window_is_kept_once_also_after_a_reopen() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(&directory);
    let add = |kept: &SledStore, start| kept.add_normal_window(&window(start)).unwrap();
    assert_eq!(add(&store, 0), AddedWindow { added: true, windows: 1 });
    assert_eq!(add(&store, 0), AddedWindow { added: false, windows: 1 });
    store.close().unwrap();
    let reopened = open(&directory);
    assert_eq!(add(&reopened, 0), AddedWindow { added: false, windows: 1 });
    assert_eq!(add(&reopened, 30), AddedWindow { added: true, windows: 2 });
    let sum = reopened.normal_sum(&selector(), &[window(30), window(60)], &AbnormalTimes::default()).unwrap();
    assert_eq!(sum.windows(), 3);
    assert_eq!(sum.graph().edge(2, 0).unwrap().counts(), Some(&[3, 0, 0, 0, 0, 0, 0]));
    assert_eq!(
        reopened.normal_sum(&selector(), &[], &AbnormalTimes::default()).unwrap().windows(),
        2,
        "those beside are not kept"
    );
}

#[test]
fn windows_of_other_systems_settings_and_lengths_are_not_added() {
    let directory = tempfile::tempdir().unwrap();
    let store = filled(&directory);
    let other = |change: &dyn Fn(&mut v1::NormalGraph)| {
        let mut wire = sample::normal_graph(300);
        change(&mut wire);
        store.add_normal_window(&NormalWindow::try_from(&wire).unwrap()).unwrap()
    };
    let alone = AddedWindow { added: true, windows: 1 };
    assert_eq!(other(&|wire| wire.system = "bank".into()), alone);
    assert_eq!(other(&|wire| wire.settings.as_mut().unwrap().alpha = 0.01), alone);
    assert_eq!(other(&|wire| wire.window_ms = 100_000), alone);
    assert_eq!(store.normal_sum(&selector(), &[], &AbnormalTimes::default()).unwrap().windows(), 2);
    let settings = GraphSettings::new(Default::default(), 0.01, 3, vec![]).unwrap();
    let stricter =
        NormalSelector { group: NormalGroup { system: "shop".into(), settings }, window_ms: 30_000 };
    assert_eq!(store.normal_sum(&stricter, &[], &AbnormalTimes::default()).unwrap().windows(), 1);
}

#[test]
fn confirmations_are_kept_as_history_and_the_last_one_counts() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(&directory);
    store.record_incident(&incident("inc-1", 100)).unwrap();
    assert_eq!(similar(&store, true, None), [""; 0], "an unconfirmed incident does not count");
    store.confirm(&id("inc-1"), confirmation(&["cart"])).unwrap();
    let found = store.confirm(&id("inc-1"), confirmation(&["db", "front"])).unwrap();
    assert_eq!(found.confirmations, [confirmation(&["cart"]), confirmation(&["db", "front"])]);
    assert_eq!(found.verdict().unwrap().root_causes, ["db", "front"]);
    assert_eq!(similar(&store, true, None), ["inc-1"]);
    assert_eq!(similar(&store, true, Some("inc-1")), [""; 0]);
    store.confirm(&id("inc-1"), confirmation(&[])).unwrap();
    assert_eq!(similar(&store, true, None), [""; 0], "a rejected diagnosis does not vote");
    let confirmed = ListQuery { confirmed_only: true, ..ListQuery::default() };
    assert_eq!(list(&store, &confirmed).0, [""; 0]);
    store.confirm(&id("inc-1"), confirmation(&["db"])).unwrap();
    assert_eq!(list(&store, &confirmed).0, ["inc-1"]);
}

#[test]
fn a_root_cause_must_be_a_service_of_a_known_incident() {
    let directory = tempfile::tempdir().unwrap();
    let store = filled(&directory);
    let error = store.confirm(&id("inc-1"), confirmation(&["carts"])).unwrap_err();
    assert!(
        matches!(&error, StoreError::Invalid(invalid) if invalid.field() == "confirmation.root_causes[0]")
    );
    assert!(error.to_string().contains("did you mean cart?"), "{error}");
    assert_eq!(store.incident(&id("inc-1")).unwrap().unwrap().confirmations.len(), 1);
    let error = store.confirm(&id("inc-9"), confirmation(&["db"])).unwrap_err();
    assert!(matches!(error, StoreError::NotFound(_)), "{error}");
}

#[test]
fn an_incident_recorded_again_is_replaced_and_keeps_its_confirmations() {
    let directory = tempfile::tempdir().unwrap();
    let store = filled(&directory);
    let mut again = incident("inc-1", 900);
    again.ranked_services.reverse();
    store.record_incident(&again).unwrap();
    let kept = store.incident(&id("inc-1")).unwrap().unwrap();
    assert_eq!(kept.ranked_services, again.ranked_services);
    assert_eq!(kept.confirmations, [confirmation(&["db"])]);
    let all = ListQuery::default();
    assert_eq!(list(&store, &all).0, ["inc-1", "inc-2"], "listed once, under its new time");
    let mut foreign = sample::incident("inc-1", 900, &["db"]);
    foreign.context.as_mut().unwrap().system = "bank".into();
    let error = store.record_incident(&PastIncident::try_from(&foreign).unwrap()).unwrap_err();
    assert!(matches!(error, StoreError::Conflict(_)), "{error}");
}

#[test]
fn pages_follow_each_other_newest_first_and_per_system() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(&directory);
    for number in 0..7 {
        store.record_incident(&incident(&format!("inc-{number}"), 100 * (number % 4))).unwrap();
    }
    let mut bank = sample::incident("bank-1", 5_000, &["db"]);
    bank.context.as_mut().unwrap().system = "bank".into();
    store.record_incident(&PastIncident::try_from(&bank).unwrap()).unwrap();
    let mut query = ListQuery { page_size: 3, ..ListQuery::default() };
    let (mut seen, mut pages) = (Vec::new(), 0);
    loop {
        let (names, token) = list(&store, &query);
        seen.extend(names);
        pages += 1;
        if token.is_empty() {
            break;
        }
        query.page_token = token;
    }
    assert_eq!(pages, 3);
    assert_eq!(seen, ["bank-1", "inc-3", "inc-2", "inc-6", "inc-1", "inc-5", "inc-0", "inc-4"]);
    let shop = ListQuery { system: Some("shop".into()), ..ListQuery::default() };
    assert_eq!(list(&store, &shop).0.len(), 7);
    let foreign = ListQuery { page_token: query.page_token, ..shop };
    assert!(matches!(store.list_incidents(&foreign), Err(StoreError::Invalid(_))));
    let listed = store.list_incidents(&ListQuery::default()).unwrap().records.remove(0);
    assert!(listed.profile.is_none() && listed.correlations[0].is_empty(), "listings are without bulk");
}

#[test]
fn a_diagnosis_replaces_its_earlier_state_and_is_listed_without_its_graph() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(&directory);
    // Far more than one part, then less, then no graph at all.
    for services in [3_000, 200] {
        let sent = diagnosis("d-1", 100, services);
        store.put_diagnosis(&sent).unwrap();
        assert_eq!(store.diagnosis(&id("d-1")).unwrap(), Some(sent));
    }
    store.put_diagnosis(&diagnosis("d-2", 50, 1)).unwrap();
    let page = store.list_diagnoses(&ListQuery::default(), &|_| true).unwrap();
    assert_eq!(page.records.iter().map(|found| found.id().as_str()).collect::<Vec<_>>(), ["d-1", "d-2"]);
    assert!(page.records.iter().all(|found| found.wire().behavior_graph.is_none()));
    let mut bare = diagnosis("d-1", 100, 1).into_wire();
    bare.behavior_graph = None;
    let bare = DiagnosisRecord::new(bare).unwrap();
    store.put_diagnosis(&bare).unwrap();
    assert_eq!(store.diagnosis(&id("d-1")).unwrap(), Some(bare));
}

#[test]
fn incidents_over_the_same_services_are_compared_service_by_service() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(&directory);
    let changed = |name: &str, edge: (u32, u32)| {
        let mut wire = sample::incident(name, 1, &["db"]);
        let graph = wire.anomaly_graph.as_mut().unwrap();
        (graph.edges[0].from, graph.edges[0].to) = edge;
        PastIncident::try_from(&wire).unwrap()
    };
    // By classes alone "moved" equals "same", and would come first by name.
    store.record_incident(&changed("moved", (1, 2))).unwrap();
    store.record_incident(&changed("same", (0, 1))).unwrap();
    let found = similar(&store, false, None);
    assert_eq!(found, ["same", "moved"]);
}

#[test]
fn of_many_who_add_the_same_window_at_once_one_does() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(&directory);
    let added = std::thread::scope(|scope| {
        let threads: Vec<_> =
            (0..8).map(|_| scope.spawn(|| store.add_normal_window(&window(0)).unwrap().added)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).filter(|&added| added).count()
    });
    assert_eq!(added, 1);
    assert_eq!(store.normal_sum(&selector(), &[], &AbnormalTimes::default()).unwrap().windows(), 1);
}

#[test]
fn a_directory_of_other_files_is_refused_and_left_as_it_was() {
    let directory = tempfile::tempdir().unwrap();
    let notes = directory.path().join("db");
    std::fs::write(&notes, "notes").unwrap();
    let error = SledStore::open(directory.path(), StoreOptions { cache_mib: 8, ..StoreOptions::default() })
        .unwrap_err()
        .to_string();
    assert!(error.contains("other files"), "{error}");
    assert_eq!(std::fs::read_to_string(notes).unwrap(), "notes");
}
