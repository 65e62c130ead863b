//! What is refused, and the service goes on.

use automap_proto::v1;
use automap_service_kit::error::{ErrorCode, ServiceError};

use super::running::{code, confirm, directory, field, record, selector, start, weigh_request};
use crate::sample;

#[tokio::test]
async fn hostile_requests_are_refused_by_field_and_the_service_goes_on() {
    let store = directory();
    let mut running = start(store.path()).await;
    let client = &mut running.client;
    let edge =
        |from, to| v1::BehaviorEdge { from, to, bit_counts: vec![1; 7], ..v1::BehaviorEdge::default() };
    let graph = |edges| Some(v1::BehaviorGraph { services: vec!["cart".into(), "front".into()], edges });
    let nan = v1::BehaviorEdge { bit_counts: vec![], weights: vec![f64::NAN; 7], ..edge(0, 1) };
    for (request, wanted) in [
        (v1::WeighMetricsRequest { incident_graph: None, ..weigh_request() }, "incident_graph"),
        (v1::WeighMetricsRequest { system: String::new(), ..weigh_request() }, "system"),
        (v1::WeighMetricsRequest { front_end: "fromt".into(), ..weigh_request() }, "front_end"),
        (v1::WeighMetricsRequest { neighbours: 101, ..weigh_request() }, "neighbours"),
        (
            v1::WeighMetricsRequest { exclude_incident_id: "a b".into(), ..weigh_request() },
            "exclude_incident_id",
        ),
        (
            v1::WeighMetricsRequest { incident_graph: graph(vec![edge(0, u32::MAX)]), ..weigh_request() },
            "incident_graph.edges[0]",
        ),
        (
            v1::WeighMetricsRequest {
                incident_graph: graph(vec![edge(0, 1), edge(0, 1)]),
                ..weigh_request()
            },
            "incident_graph.edges[1]",
        ),
        (
            v1::WeighMetricsRequest { incident_graph: graph(vec![nan]), ..weigh_request() },
            "incident_graph.edges[0]",
        ),
        (
            v1::WeighMetricsRequest {
                normal: Some(v1::NormalGraphSelector { window_ms: 0, ..selector() }),
                ..weigh_request()
            },
            "normal.window_ms",
        ),
        (
            v1::WeighMetricsRequest {
                normal: Some(v1::NormalGraphSelector { system: "bank".into(), ..selector() }),
                ..weigh_request()
            },
            "normal.system",
        ),
        (
            v1::WeighMetricsRequest {
                normal: None,
                normal_graphs: vec![sample::normal_graph(0)],
                ..weigh_request()
            },
            "normal",
        ),
        (
            v1::WeighMetricsRequest {
                normal_graphs: vec![v1::NormalGraph { system: "bank".into(), ..sample::normal_graph(0) }],
                ..weigh_request()
            },
            "normal_graphs[0]",
        ),
        (
            v1::WeighMetricsRequest {
                normal_graphs: vec![sample::normal_graph(0), v1::NormalGraph::default()],
                ..weigh_request()
            },
            "normal_graphs[1].window",
        ),
    ] {
        assert_eq!(field(client.weigh_metrics(request).await), wanted);
    }
    assert_eq!(field(client.add_normal_graph(v1::AddNormalGraphRequest::default()).await), "normal_graph");
    assert_eq!(field(client.record_incident(v1::RecordIncidentRequest::default()).await), "incident");
    let confirmed =
        v1::RecordIncidentRequest { incident: Some(sample::confirmed_incident("x", 1, &["db"], &["db"])) };
    assert_eq!(field(client.record_incident(confirmed).await), "incident.confirmations");
    let similar = v1::FindSimilarIncidentsRequest { system: "shop".into(), limit: 101, ..Default::default() };
    assert_eq!(field(client.find_similar_incidents(similar).await), "anomaly_graph");
    assert_eq!(field(client.put_diagnosis(v1::PutDiagnosisRequest::default()).await), "diagnosis");
    let many = v1::ListIncidentsRequest { page_size: 501, ..Default::default() };
    assert_eq!(field(client.list_incidents(many).await), "page_size");
    let token = v1::ListDiagnosesRequest { page_token: "feed".into(), ..Default::default() };
    assert_eq!(field(client.list_diagnoses(token).await), "page_token");
    assert!(client.weigh_metrics(weigh_request()).await.is_ok());
    running.stop().await;
}

#[tokio::test]
async fn unknown_ids_are_not_found_and_wrong_causes_are_corrected() {
    let store = directory();
    let mut running = start(store.path()).await;
    let client = &mut running.client;
    let incident = v1::GetIncidentRequest { incident_id: "nope".into() };
    assert_eq!(code(client.get_incident(incident).await), ErrorCode::NotFound);
    let diagnosis = v1::GetDiagnosisRequest { diagnosis_id: "nope".into() };
    assert_eq!(code(client.get_diagnosis(diagnosis).await), ErrorCode::NotFound);
    assert_eq!(code(client.confirm_root_cause(confirm("nope", &["db"])).await), ErrorCode::NotFound);
    client.record_incident(record("inc-1")).await.unwrap();
    let error = ServiceError::from(client.confirm_root_cause(confirm("inc-1", &["carl"])).await.unwrap_err());
    assert_eq!(error.field(), Some("confirmation.root_causes[0]"));
    assert!(error.message().contains("did you mean cart?"), "{error}");
    running.stop().await;
}
