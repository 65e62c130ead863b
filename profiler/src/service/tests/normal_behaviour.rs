//! Normal behaviour: kept, summed, and subtracted.

use automap_proto::v1;

use super::running::{directory, selector, start, weigh_request};
use crate::sample;

#[tokio::test]
async fn normal_behaviour_is_subtracted_from_the_fifth_window_on() {
    let store = directory();
    let mut running = start(store.path()).await;
    let client = &mut running.client;
    for number in 0..4 {
        let request = v1::AddNormalGraphRequest {
            normal_graph: Some(sample::normal_graph(30 * number)),
            ..Default::default()
        };
        let added = client.add_normal_graph(request.clone()).await.unwrap().into_inner();
        assert_eq!((added.added, i64::from(added.windows)), (true, number + 1));
        assert!(!client.add_normal_graph(request).await.unwrap().into_inner().added);
    }
    let few = client.weigh_metrics(weigh_request()).await.unwrap().into_inner();
    assert_eq!(few.normal_windows, 0);
    assert_eq!(few.anomaly_graph, weigh_request().incident_graph);
    assert_eq!(
        few.warnings,
        ["4 normal windows are known and 5 are needed: no normal behaviour was subtracted"]
    );

    // The fifth comes with the request, beside one that is kept and one of another length.
    let mut long = sample::normal_graph(600);
    long.window_ms = 300_000;
    let request = v1::WeighMetricsRequest {
        normal_graphs: vec![sample::normal_graph(0), sample::normal_graph(300), long],
        ..weigh_request()
    };
    let enough = client.weigh_metrics(request).await.unwrap().into_inner();
    assert_eq!(enough.normal_windows, 5);
    assert_eq!(enough.warnings, ["1 of 3 normal windows have another length than 30 s and were left out"]);
    let anomaly = enough.anomaly_graph.unwrap();
    assert_eq!(anomaly.edges.len(), 2);
    // front -> cart had latency and cpu; normal behaviour has latency (norm 1 against 2 * 1/2) and leaves cpu.
    assert_eq!(anomaly.edges[1].weights, [0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0]);
    let front = &enough.profiles[2];
    assert_eq!(
        front.service_class(),
        v1::ServiceClass::Representational,
        "classes come from normal behaviour"
    );
    assert_eq!(enough.similarity_vector.len(), 180);

    let normal =
        client.get_normal_graph(v1::GetNormalGraphRequest { selector: Some(selector()) }).await.unwrap();
    let normal = normal.into_inner();
    assert_eq!(normal.windows, 4, "windows of a request are not kept");
    assert_eq!(normal.graph.unwrap().edges[0].bit_counts, [4, 0, 0, 0, 0, 0, 0]);
    assert_eq!(normal.profiles[2].weights[0], 0.5);
    running.stop().await;
}

#[tokio::test]
async fn an_incident_that_becomes_known_later_takes_the_graphs_of_its_time_away() {
    let store = directory();
    let mut running = start(store.path()).await;
    let client = &mut running.client;
    for number in 0..6 {
        let normal_graph = Some(sample::normal_graph(900 + 30 * number));
        let request = v1::AddNormalGraphRequest { normal_graph, ..Default::default() };
        client.add_normal_graph(request).await.unwrap();
    }
    let selected = v1::GetNormalGraphRequest { selector: Some(selector()) };
    let normal = client.get_normal_graph(selected.clone()).await.unwrap().into_inner();
    assert_eq!(normal.windows, 6);

    // It begins at 1000 s: in the fourth of them.
    let incident = Some(sample::incident("inc-1", 2_000, &["cart"]));
    client.record_incident(v1::RecordIncidentRequest { incident }).await.unwrap();
    let normal = client.get_normal_graph(selected.clone()).await.unwrap().into_inner();
    assert_eq!((normal.windows, normal.graph.unwrap().edges[0].bit_counts[0]), (3, 3));
    let request = v1::WeighMetricsRequest {
        normal_graphs: vec![sample::normal_graph(870), sample::normal_graph(1_080)],
        ..weigh_request()
    };
    let answer = client.weigh_metrics(request).await.unwrap().into_inner();
    assert!(answer.warnings[0].starts_with("4 normal windows are known and 5 are needed"), "{answer:?}");

    let forgotten = v1::DeleteIncidentRequest { incident_id: "inc-1".into() };
    client.delete_incident(forgotten).await.unwrap();
    let normal = client.get_normal_graph(selected).await.unwrap().into_inner();
    assert_eq!(normal.windows, 6, "they were only left out");
    running.stop().await;
}

#[tokio::test]
async fn without_a_selector_nothing_is_subtracted_and_without_history_all_metrics_weigh_the_same() {
    let store = directory();
    let mut running = start(store.path()).await;
    let request = v1::WeighMetricsRequest { normal: None, ..weigh_request() };
    let answer = running.client.weigh_metrics(request).await.unwrap().into_inner();
    assert_eq!(answer.warnings, [""; 0]);
    assert_eq!(answer.metric_weights, [1.0 / 7.0; 7]);
    assert!(answer.similar.is_empty());
    let unknown = v1::NormalGraphSelector { system: "bank".into(), ..selector() };
    let normal = running.client.get_normal_graph(v1::GetNormalGraphRequest { selector: Some(unknown) }).await;
    assert_eq!(normal.unwrap().into_inner(), v1::GetNormalGraphResponse::default());
    running.stop().await;
}
