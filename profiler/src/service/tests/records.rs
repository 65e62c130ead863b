//! Incidents and diagnoses that are kept and listed.

use automap_proto::{time::UnixMillis, v1};

use super::running::{directory, record, start};
use crate::sample;

#[tokio::test]
async fn an_incident_without_an_id_gets_one_and_is_listed() {
    let store = directory();
    let mut running = start(store.path()).await;
    let client = &mut running.client;
    let mut request = record("");
    request.incident.as_mut().unwrap().recorded_at = None;
    let given = client.record_incident(request).await.unwrap().into_inner().incident_id;
    let found = client.get_incident(v1::GetIncidentRequest { incident_id: given.clone() }).await.unwrap();
    assert!(found.into_inner().incident.unwrap().recorded_at.is_some());
    let page = client.list_incidents(v1::ListIncidentsRequest::default()).await.unwrap().into_inner();
    assert_eq!(page.incidents.len(), 1);
    assert_eq!(page.incidents[0].incident_id, given);
    assert!(page.incidents[0].anomaly_graph.is_none());
    running.stop().await;
}

#[tokio::test]
async fn diagnoses_are_kept_by_id_and_listed_without_graphs_and_sketches() {
    let store = directory();
    let mut running = start(store.path()).await;
    let client = &mut running.client;
    let graph = sample::incident("x", 1, &[]).anomaly_graph;
    let sent = v1::Diagnosis {
        diagnosis_id: "d-1".into(),
        system: "shop".into(),
        state: v1::DiagnosisState::Done.into(),
        created_at: Some(UnixMillis(7_000).to_wire()),
        settings: [("automap.alpha".to_owned(), "0.05".to_owned())].into(),
        behavior_graph: Some(v1::ExplainedGraph { graph, tests: 3, ..Default::default() }),
        sketches: vec![v1::SeriesSketch { points: vec![1.0, 2.0], ..Default::default() }],
        ..Default::default()
    };
    client.put_diagnosis(v1::PutDiagnosisRequest { diagnosis: Some(sent.clone()) }).await.unwrap();
    let kept = client.get_diagnosis(v1::GetDiagnosisRequest { diagnosis_id: "d-1".into() }).await.unwrap();
    assert_eq!(kept.into_inner().diagnosis.unwrap(), sent);
    let page = client.list_diagnoses(v1::ListDiagnosesRequest::default()).await.unwrap().into_inner();
    assert_eq!(page.diagnoses, [v1::Diagnosis { behavior_graph: None, sketches: vec![], ..sent }]);
    running.stop().await;
}
