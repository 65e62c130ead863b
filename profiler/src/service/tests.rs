//! The service over a real loopback listener.

use std::path::Path;

use automap_proto::{
    settings::GraphSettings,
    time::UnixMillis,
    v1::{self, profiler_service_client::ProfilerServiceClient},
};
use automap_service_kit::{
    client::{self, Channel},
    error::{ErrorCode, ServiceError},
    server::{ServeError, ServerConfig},
};
use tempfile::TempDir;
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;
use tonic::Status;

use crate::{ProfilerConfig, open_store, sample, serve};

struct Running {
    client: ProfilerServiceClient<Channel>,
    shutdown: CancellationToken,
    task: JoinHandle<Result<(), ServeError>>,
}

fn config(path: &Path) -> ProfilerConfig {
    ProfilerConfig {
        path: path.to_owned(),
        server: ServerConfig::on_port(0),
        max_import_mib: 1,
        ..ProfilerConfig::default()
    }
}

async fn start(path: &Path) -> Running {
    let config = config(path);
    let store = open_store(&config).await.unwrap();
    let listener = TcpListener::bind(config.server.listen).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let shutdown = CancellationToken::new();
    let task = tokio::spawn(serve(listener, store, config, shutdown.clone()));
    let channel = client::channel("profiler", &url).unwrap();
    Running { client: ProfilerServiceClient::new(channel), shutdown, task }
}

impl Running {
    async fn stop(self) {
        self.shutdown.cancel();
        self.task.await.unwrap().unwrap();
    }
}

fn directory() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn field<T: std::fmt::Debug>(answer: Result<T, Status>) -> String {
    let error = ServiceError::from(answer.unwrap_err());
    assert_eq!(error.code(), ErrorCode::InvalidInput, "{error}");
    error.field().unwrap_or_default().to_owned()
}

fn code<T: std::fmt::Debug>(answer: Result<T, Status>) -> ErrorCode {
    ServiceError::from(answer.unwrap_err()).code()
}

fn selector() -> v1::NormalGraphSelector {
    v1::NormalGraphSelector {
        system: "shop".into(),
        settings: Some((&GraphSettings::default()).into()),
        window_ms: 30_000,
    }
}

/// The sample incident weighed with normal behaviour.
fn weigh_request() -> v1::WeighMetricsRequest {
    v1::WeighMetricsRequest {
        system: "shop".into(),
        front_end: "front".into(),
        incident_graph: sample::incident("x", 1, &[]).anomaly_graph,
        normal: Some(selector()),
        ..Default::default()
    }
}

fn record(name: &str) -> v1::RecordIncidentRequest {
    v1::RecordIncidentRequest { incident: Some(sample::incident(name, 100, &["cart", "db", "front"])) }
}

fn confirm(name: &str, root_causes: &[&str]) -> v1::ConfirmRootCauseRequest {
    v1::ConfirmRootCauseRequest {
        incident_id: name.into(),
        confirmation: Some(v1::Confirmation { confirmed_at: None, ..sample::confirmation(root_causes) }),
    }
}

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

async fn export(client: &mut ProfilerServiceClient<Channel>) -> Vec<v1::StoreRecord> {
    let mut stream = client.export_store(v1::ExportStoreRequest {}).await.unwrap().into_inner();
    let mut records = Vec::new();
    while let Some(message) = stream.message().await.unwrap() {
        records.push(message.record.unwrap());
    }
    records
}

async fn import(
    client: &mut ProfilerServiceClient<Channel>,
    records: Vec<v1::StoreRecord>,
) -> Result<u64, Status> {
    let requests = records.into_iter().map(|record| v1::ImportStoreRequest { record: Some(record), mode: 0 });
    let requests = futures::stream::iter(requests.collect::<Vec<_>>());
    client.import_store(requests).await.map(|answer| answer.into_inner().records)
}

#[tokio::test]
async fn a_store_moves_to_another_service_whole_or_not_at_all() {
    let (from, into) = (directory(), directory());
    let mut source = start(from.path()).await;
    source.client.record_incident(record("inc-1")).await.unwrap();
    source.client.confirm_root_cause(confirm("inc-1", &["db"])).await.unwrap();
    let request =
        v1::AddNormalGraphRequest { normal_graph: Some(sample::normal_graph(0)), ..Default::default() };
    source.client.add_normal_graph(request).await.unwrap();
    let records = export(&mut source.client).await;
    let weighed = source.client.weigh_metrics(weigh_request()).await.unwrap().into_inner();

    let mut target = start(into.path()).await;
    let empty = export(&mut target.client).await;
    assert_eq!(empty.len(), 1, "only the end");
    let mut corrupted = records.clone();
    corrupted[1].value[10] ^= 1;
    assert_eq!(field(import(&mut target.client, corrupted).await), "records[1].value");
    assert_eq!(field(import(&mut target.client, records[..2].to_vec()).await), "records");
    let huge = vec![v1::StoreRecord { key: vec![1], value: vec![0; 600 << 10] }; 2];
    assert_eq!(code(import(&mut target.client, huge).await), ErrorCode::Overloaded);
    assert_eq!(export(&mut target.client).await, empty, "nothing was changed");

    assert_eq!(import(&mut target.client, records.clone()).await.unwrap(), records.len() as u64 - 1);
    assert_eq!(export(&mut target.client).await, records);
    assert_eq!(target.client.weigh_metrics(weigh_request()).await.unwrap().into_inner(), weighed);
    target.client.confirm_root_cause(confirm("inc-1", &["cart"])).await.unwrap();
    assert_eq!(code(import(&mut target.client, records).await), ErrorCode::Conflict);
    source.stop().await;
    target.stop().await;
}

#[tokio::test]
async fn the_store_can_be_opened_again_as_soon_as_serve_returns() {
    let store = directory();
    for round in 0..3 {
        let mut running = start(store.path()).await;
        running.client.record_incident(record(&format!("inc-{round}"))).await.unwrap();
        let page =
            running.client.list_incidents(v1::ListIncidentsRequest::default()).await.unwrap().into_inner();
        assert_eq!(page.incidents.len(), round + 1);
        running.stop().await;
    }
}

#[tokio::test]
async fn a_store_in_use_is_a_clear_refusal_to_start() {
    let store = directory();
    let running = start(store.path()).await;
    let error = open_store(&config(store.path())).await.err().unwrap().to_string();
    assert!(error.contains("field `profiler.path`"), "{error}");
    assert!(error.contains("in use by another process"), "{error}");
    running.stop().await;
}
