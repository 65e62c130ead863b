//! What confirmed incidents teach, and which are alike.

use automap_proto::v1;

use super::running::{confirm, directory, record, start, weigh_request};
use crate::sample;

#[tokio::test]
async fn a_confirmed_incident_teaches_the_weights_and_neither_a_rejected_nor_an_excluded_one_does() {
    let store = directory();
    let mut running = start(store.path()).await;
    let client = &mut running.client;
    client.record_incident(record("inc-1")).await.unwrap();
    let uniform = [1.0 / 7.0; 7];
    let unconfirmed = client.weigh_metrics(weigh_request()).await.unwrap().into_inner();
    assert_eq!(unconfirmed.metric_weights, uniform);

    let confirmed = client.confirm_root_cause(confirm("inc-1", &["db"])).await.unwrap().into_inner();
    assert!(confirmed.incident.unwrap().confirmations[0].confirmed_at.is_some(), "the time is filled in");
    let taught = client.weigh_metrics(weigh_request()).await.unwrap().into_inner();
    // P = 1, and c(db, front, .) is .4 in latency and .2 in cpu.
    for (weight, wanted) in taught.metric_weights.iter().zip([2.0 / 3.0, 0.0, 0.0, 1.0 / 3.0, 0.0, 0.0, 0.0])
    {
        assert!((weight - wanted).abs() < 1e-12);
    }
    assert_eq!(taught.similar.len(), 1);
    assert_eq!(taught.similar[0].root_causes, ["db"]);
    assert_eq!((taught.similar[0].similarity, taught.similar[0].precision), (1.0, 1.0));

    let excluded = v1::WeighMetricsRequest { exclude_incident_id: "inc-1".into(), ..weigh_request() };
    assert_eq!(client.weigh_metrics(excluded).await.unwrap().into_inner().metric_weights, uniform);
    client.confirm_root_cause(confirm("inc-1", &[])).await.unwrap();
    assert_eq!(client.weigh_metrics(weigh_request()).await.unwrap().into_inner().metric_weights, uniform);
    running.stop().await;
}

#[tokio::test]
async fn confirmed_incidents_teach_weights_of_evidence_and_the_excluded_one_does_not() {
    let home = directory();
    let service = start(home.path()).await;
    let mut client = service.client.clone();
    for index in 0..6 {
        let id = format!("inc-{index}");
        let incident = Some(sample::incident(&id, index, &["db", "cart", "front"]));
        client.record_incident(v1::RecordIncidentRequest { incident }).await.unwrap();
        let learned = client.weigh_metrics(weigh_request()).await.unwrap().into_inner().learned_weights;
        assert_eq!(learned.map(|weights| weights.incidents), (index >= 5).then_some(5), "{index}");
        let confirmed = v1::Confirmation { metric: 4, confirmed_at: None, ..sample::confirmation(&["db"]) };
        let request = v1::ConfirmRootCauseRequest { incident_id: id, confirmation: Some(confirmed) };
        client.confirm_root_cause(request).await.unwrap();
    }
    let all = client.weigh_metrics(weigh_request()).await.unwrap().into_inner();
    let learned = all.learned_weights.unwrap();
    assert_eq!(learned.incidents, 6);
    // db shows 3 of cpu, cart 1 of it and 2 of latency: cpu tells, latency misleads.
    let weight = |metric: i32| learned.weights.iter().find(|one| one.metric == metric).unwrap().weight;
    assert!(weight(4) > 1.0 && weight(1) < 1.0, "{learned:?}");
    assert_eq!((all.similar[0].root_causes.as_slice(), all.similar[0].metric), (&["db".to_owned()][..], 4));

    let excluded = v1::WeighMetricsRequest { exclude_incident_id: "inc-3".into(), ..weigh_request() };
    let without = client.weigh_metrics(excluded).await.unwrap().into_inner().learned_weights.unwrap();
    assert_eq!(without.incidents, 5);
    let elsewhere = v1::WeighMetricsRequest { system: "bank".into(), normal: None, ..weigh_request() };
    let elsewhere = client.weigh_metrics(elsewhere).await.unwrap().into_inner();
    assert_eq!(elsewhere.learned_weights, None, "another system");
    service.stop().await;

    let reopened = start(home.path()).await;
    let again = reopened.client.clone().weigh_metrics(weigh_request()).await.unwrap().into_inner();
    assert_eq!(again.learned_weights, Some(learned), "what was learned outlives the process");
    reopened.stop().await;
}

#[tokio::test]
async fn similar_incidents_are_found_with_and_without_confirmation() {
    let store = directory();
    let mut running = start(store.path()).await;
    let client = &mut running.client;
    for name in ["b", "a", "c"] {
        client.record_incident(record(name)).await.unwrap();
    }
    client.confirm_root_cause(confirm("c", &["db"])).await.unwrap();
    let sent = sample::incident("x", 1, &[]);
    let request = v1::FindSimilarIncidentsRequest {
        system: "shop".into(),
        anomaly_graph: sent.anomaly_graph,
        profiles: sent.profiles,
        ..Default::default()
    };
    let mut names = async |request: v1::FindSimilarIncidentsRequest| -> Vec<String> {
        let answer = client.find_similar_incidents(request).await.unwrap().into_inner();
        answer.similar.into_iter().map(|found| found.incident_id).collect()
    };
    assert_eq!(names(request.clone()).await, ["a", "b", "c"]);
    assert_eq!(names(v1::FindSimilarIncidentsRequest { limit: 2, ..request.clone() }).await, ["a", "b"]);
    let exclude = v1::FindSimilarIncidentsRequest { exclude_incident_id: "a".into(), ..request.clone() };
    assert_eq!(names(exclude).await, ["b", "c"]);
    assert_eq!(names(v1::FindSimilarIncidentsRequest { confirmed_only: true, ..request }).await, ["c"]);
    running.stop().await;
}
