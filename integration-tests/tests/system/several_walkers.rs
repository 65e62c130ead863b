//! Several walkers that share a profiler: each answers for all, and what one leaves behind another finishes.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use automap_integration_tests::{
    faulty_proxy::{Fault, FaultyProxy},
    processes::{FourProcesses, Service},
    recording,
    setup::Setup,
};
use automap_proto::v1::{
    self, DiagnosisState, diagnose_response::Part, walker_service_client::WalkerServiceClient,
};
use automap_service_kit::{
    client::Channel,
    error::{ErrorCode, ServiceError},
};

use crate::walker_calls::{client_of, ids, listed, request, start};

/// How long anything may take that comes by itself.
const PATIENCE: Duration = Duration::from_secs(120);

/// Two walkers: one that works, and one whose diagnoses get stuck, because nothing of the graph-builder reaches it.
struct Two {
    four: FourProcesses,
    stuck: Service,
    // It has a runtime of its own, which must end outside of any other.
    _silent: FaultyProxy,
}

impl Two {
    fn start(home: &Path) -> Self {
        recording::demo_incident(home).unwrap();
        let setup = Setup::default().set("walker.lease-seconds=15");
        let four = setup.four(home, home).unwrap();
        let silent = FaultyProxy::before(&four.graph_builder.address).unwrap();
        silent.set(Fault::Silence);
        let peers = [&four.collector.address, &silent.address, &four.profiler.address];
        let stuck = setup.walker(home, peers.map(String::as_str)).unwrap();
        Self { four, stuck, _silent: silent }
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Runtime::new().unwrap()
}

/// Asks for a diagnosis until it is as wanted.
async fn until(
    walker: &mut WalkerServiceClient<Channel>,
    id: &str,
    wanted: impl Fn(&v1::Diagnosis) -> bool,
) -> v1::Diagnosis {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let request = v1::WalkerServiceGetDiagnosisRequest { diagnosis_id: id.into() };
        let found = walker.get_diagnosis(request).await.unwrap().into_inner().diagnosis.unwrap();
        if wanted(&found) {
            return found;
        }
        assert!(Instant::now() < deadline, "{id} is still {:?}: {found:?}", found.state());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[test]
fn what_a_killed_walker_leaves_is_finished_once_or_shown_as_failed() {
    let home = tempfile::tempdir().unwrap();
    let Two { four, stuck, _silent } = Two::start(home.path());
    runtime().block_on(kill_and_retry(&four.walker, stuck));
}

async fn kill_and_retry(works: &Service, stuck: Service) {
    let mut works = client_of(works);
    let mut first = client_of(&stuck);
    for id in ["retried", "left"] {
        start(&mut first, id, 1).await.unwrap();
    }
    let known = until(&mut works, "retried", |one| !one.doing.is_empty()).await;
    assert_eq!(known.state(), DiagnosisState::Running);
    assert_eq!(ids(&listed(&mut works, &[DiagnosisState::Running]).await), ["left", "retried"]);

    // The same request may come to any walker; another one may not.
    start(&mut works, "retried", 1).await.unwrap();
    let refused = start(&mut works, "left", 2).await.unwrap_err();
    assert_eq!(
        (refused.code(), refused.field()),
        (ErrorCode::AlreadyExists, Some("request_id")),
        "{refused}"
    );

    stuck.kill().unwrap();
    let done = until(&mut works, "retried", |one| one.state() == DiagnosisState::Done).await;
    assert!(!done.ranking.is_empty() && done.walker != known.walker, "{done:?}");
    assert_eq!(done.created_at, known.created_at, "it is the same diagnosis");
    let left = until(&mut works, "left", |one| one.state() == DiagnosisState::Failed).await;
    assert!(left.failure.contains("its walker ended"), "{}", left.failure);
    assert_eq!(ids(&listed(&mut works, &[DiagnosisState::Failed]).await), ["left"]);
    assert!(listed(&mut works, &[DiagnosisState::Running]).await.is_empty());

    // A retry after that begins it anew, and one more changes nothing.
    start(&mut works, "left", 1).await.unwrap();
    let done = until(&mut works, "left", |one| one.state() == DiagnosisState::Done).await;
    start(&mut works, "left", 1).await.unwrap();
    let again = until(&mut works, "left", |one| one.state() == DiagnosisState::Done).await;
    assert_eq!(again.ended_at, done.ended_at);
    assert_eq!(listed(&mut works, &[]).await.len(), 2);
    let refused = start(&mut works, "left", 2).await.unwrap_err();
    assert_eq!(refused.code(), ErrorCode::AlreadyExists, "{refused}");
}

#[test]
fn any_walker_lists_shows_and_stops_what_another_runs() {
    let home = tempfile::tempdir().unwrap();
    let two = Two::start(home.path());
    runtime().block_on(stop_from_elsewhere(&two.four.walker, &two.stuck));
}

async fn stop_from_elsewhere(watched: &Service, stuck: &Service) {
    let mut works = client_of(watched);
    let mut other = client_of(stuck);
    let watch = v1::WatchDiagnosesRequest::default();
    let mut news = works.watch_diagnoses(watch).await.unwrap().into_inner();
    // Whoever watches hears from then on that the profiler knows of it.
    watched.log_line("hears of other walkers").unwrap();

    start(&mut other, "started", 1).await.unwrap();
    let asked = request("", 1).diagnosis.unwrap();
    let mut answers = other.diagnose(asked).await.unwrap().into_inner();
    let deadline = Instant::now() + PATIENCE;
    let streamed = loop {
        let running = listed(&mut works, &[DiagnosisState::Running]).await;
        if let Some(other) = running.iter().find(|one| one.diagnosis_id != "started") {
            break other.diagnosis_id.clone();
        }
        assert!(Instant::now() < deadline, "{running:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    for id in ["started", streamed.as_str()] {
        let cancel = || v1::CancelDiagnosisRequest { diagnosis_id: id.into() };
        works.cancel_diagnosis(cancel()).await.unwrap();
    }
    let ended = until(&mut works, "started", |one| one.state() != DiagnosisState::Running).await;
    assert_eq!(ended.state(), DiagnosisState::Cancelled, "{ended:?}");
    let cancel = v1::CancelDiagnosisRequest { diagnosis_id: "started".into() };
    works.cancel_diagnosis(cancel).await.unwrap();
    let ended = loop {
        match answers.message().await {
            Ok(Some(message)) => assert!(matches!(message.part, Some(Part::Progress(_))), "{message:?}"),
            Ok(None) => break ServiceError::internal("it ended without an answer and without an error"),
            Err(status) => break ServiceError::from(status),
        }
    };
    assert_eq!(ended.code(), ErrorCode::Cancelled, "{ended}");
    let mut heard = Vec::new();
    while heard.last() != Some(&DiagnosisState::Cancelled) {
        let one = tokio::time::timeout(PATIENCE, news.message()).await.expect("news come").unwrap().unwrap();
        if one.diagnosis_id == "started" {
            heard.push(one.state());
        }
    }
    assert_eq!(heard.first(), Some(&DiagnosisState::Running), "{heard:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn diagnoses_are_found_by_system_front_end_time_and_state() {
    let home = tempfile::tempdir().unwrap();
    recording::demo_incident(home.path()).unwrap();
    let four = FourProcesses::start(home.path(), home.path()).unwrap();
    let mut walker = client_of(&four.walker);
    for id in ["one", "two", "three"] {
        start(&mut walker, id, 1).await.unwrap();
        until(&mut walker, id, |one| one.state() == DiagnosisState::Done).await;
    }
    let all = listed(&mut walker, &[]).await;
    assert_eq!(ids(&all), ["three", "two", "one"]);
    let query = |change: &dyn Fn(&mut v1::WalkerServiceListDiagnosesRequest)| {
        let mut request = v1::WalkerServiceListDiagnosesRequest::default();
        change(&mut request);
        request
    };
    let front_end = all[0].front_end.clone();
    let middle = all[1].created_at;
    let cases: [(v1::WalkerServiceListDiagnosesRequest, &[&str]); 6] = [
        (query(&|request| request.front_end.clone_from(&front_end)), &["three", "two", "one"]),
        (query(&|request| request.front_end = "nobody".into()), &[]),
        (query(&|request| request.system = "nothing".into()), &[]),
        (query(&|request| request.created_from = middle), &["three", "two"]),
        (query(&|request| request.created_before = middle), &["one"]),
        (query(&|request| request.states = vec![DiagnosisState::Failed.into()]), &[]),
    ];
    for (request, wanted) in cases {
        let found = walker.list_diagnoses(request.clone()).await.unwrap().into_inner();
        assert_eq!(ids(&found.diagnoses), wanted, "{request:?}");
        assert_eq!(found.next_page_token, "");
    }
    let mut seen = Vec::new();
    let mut token = String::new();
    loop {
        let request = query(&|request| {
            request.page_size = 2;
            request.page_token.clone_from(&token);
        });
        let page = walker.list_diagnoses(request).await.unwrap().into_inner();
        seen.extend(page.diagnoses.into_iter().map(|one| one.diagnosis_id));
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    assert_eq!(seen, ["three", "two", "one"]);
    for (request, field) in [
        (query(&|request| request.page_token = "feed".into()), "page_token"),
        (query(&|request| request.page_size = 501), "page_size"),
        (query(&|request| request.front_end = "a\u{0}b".into()), "front_end"),
        (query(&|request| request.states = vec![9]), "states"),
        (
            query(&|request| {
                request.created_from = middle;
                request.created_before = middle;
            }),
            "created_before",
        ),
    ] {
        let error = ServiceError::from(walker.list_diagnoses(request).await.unwrap_err());
        assert_eq!((error.code(), error.field()), (ErrorCode::InvalidInput, Some(field)), "{error}");
    }
}
