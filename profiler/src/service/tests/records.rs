//! Incidents and diagnoses that are kept and listed.

use automap_proto::{
    time::UnixMillis,
    v1::{self, diagnosis_claim_service_client::DiagnosisClaimServiceClient},
};

use super::running::{directory, record, start};
use crate::{sample, service::now};

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

#[tokio::test]
async fn what_claims_to_be_of_a_time_to_come_is_of_now() {
    let store = directory();
    let mut running = start(store.path()).await;
    let mut claims = DiagnosisClaimServiceClient::new(running.channel.clone());
    let client = &mut running.client;
    let before = now();
    let hour = UnixMillis(before.0 + 3_600_000).to_wire();
    let years = UnixMillis(before.0 + 100_000_000_000).to_wire();
    let diagnosis = |id: &str, state: v1::DiagnosisState, at| v1::Diagnosis {
        diagnosis_id: id.into(),
        system: "shop".into(),
        walker: "w".into(),
        state: state.into(),
        created_at: Some(at),
        ..Default::default()
    };
    for (name, at) in [("near", hour), ("far", years)] {
        let done = diagnosis(name, v1::DiagnosisState::Done, at);
        client.put_diagnosis(v1::PutDiagnosisRequest { diagnosis: Some(done) }).await.unwrap();
        let mut incident = record(name);
        incident.incident.as_mut().unwrap().recorded_at = Some(at);
        client.record_incident(incident).await.unwrap();
    }
    let lease = Some(prost_types::Duration { seconds: 60, nanos: 0 });
    let claimed = Some(diagnosis("claimed", v1::DiagnosisState::Running, years));
    claims.claim_diagnosis(v1::ClaimDiagnosisRequest { diagnosis: claimed, lease }).await.unwrap();
    let mut times = Vec::new();
    for name in ["near", "far", "claimed"] {
        let request = v1::GetDiagnosisRequest { diagnosis_id: name.into() };
        times.push(client.get_diagnosis(request).await.unwrap().into_inner().diagnosis.unwrap().created_at);
    }
    for name in ["near", "far"] {
        let request = v1::GetIncidentRequest { incident_id: name.into() };
        times.push(client.get_incident(request).await.unwrap().into_inner().incident.unwrap().recorded_at);
    }
    let after = now();
    let times: Vec<UnixMillis> =
        times.into_iter().map(|time| UnixMillis::from_wire("time", time).unwrap()).collect();
    let of_now = |time: &UnixMillis| (before..=after).contains(time);
    assert_eq!(times.iter().map(of_now).collect::<Vec<_>>(), [false, true, true, false, true]);
    running.stop().await;
}
