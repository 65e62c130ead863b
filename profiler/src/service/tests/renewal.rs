//! Diagnoses that end while their walker tells that it runs them.

use automap_proto::{
    time::UnixMillis,
    v1::{self, DiagnosisState, diagnosis_claim_service_client::DiagnosisClaimServiceClient},
};
use automap_service_kit::{client::Channel, error::ErrorCode};
use tonic::Status;

use super::running::{Running, code, directory, start};

const LEASE: Option<prost_types::Duration> = Some(prost_types::Duration { seconds: 60, nanos: 0 });

fn running(id: &str) -> v1::Diagnosis {
    v1::Diagnosis {
        diagnosis_id: id.into(),
        system: "shop".into(),
        walker: "w-1".into(),
        state: DiagnosisState::Running.into(),
        created_at: Some(UnixMillis(7_000).to_wire()),
        ..Default::default()
    }
}

fn ended(id: &str, state: DiagnosisState, at: i64) -> v1::Diagnosis {
    v1::Diagnosis { state: state.into(), ended_at: Some(UnixMillis(at).to_wire()), ..running(id) }
}

fn news(id: &str, state: DiagnosisState) -> v1::WatchDiagnosesResponse {
    v1::WatchDiagnosesResponse {
        diagnosis_id: id.into(),
        system: "shop".into(),
        state: state.into(),
        progress: None,
    }
}

/// What walker `w-1` tells.
async fn renew(
    profiler: &Running,
    running: Vec<v1::Diagnosis>,
    news: Vec<v1::WatchDiagnosesResponse>,
) -> v1::RenewClaimsResponse {
    let running = running
        .into_iter()
        .map(|diagnosis| v1::RunningDiagnosis { diagnosis: Some(diagnosis), progress: None })
        .collect();
    let told = v1::RenewClaimsRequest { walker: "w-1".into(), lease: LEASE, running, news, position: 0 };
    claims(profiler).renew_claims(told).await.unwrap().into_inner()
}

fn claims(profiler: &Running) -> DiagnosisClaimServiceClient<Channel> {
    DiagnosisClaimServiceClient::new(profiler.channel.clone())
}

async fn put(profiler: &Running, diagnosis: v1::Diagnosis) -> Result<(), Status> {
    let request = v1::PutDiagnosisRequest { diagnosis: Some(diagnosis) };
    profiler.client.clone().put_diagnosis(request).await.map(drop)
}

async fn get(profiler: &Running, id: &str) -> Result<v1::Diagnosis, Status> {
    let request = v1::GetDiagnosisRequest { diagnosis_id: id.into() };
    Ok(profiler.client.clone().get_diagnosis(request).await?.into_inner().diagnosis.unwrap())
}

#[tokio::test]
async fn one_that_is_not_recorded_is_gone_with_the_news_of_its_end() {
    let store = directory();
    let profiler = start(store.path()).await;
    renew(&profiler, vec![running("a")], vec![]).await;
    assert_eq!(get(&profiler, "a").await.unwrap().state(), DiagnosisState::Running);
    renew(&profiler, vec![], vec![news("a", DiagnosisState::Done)]).await;
    assert_eq!(code(get(&profiler, "a").await), ErrorCode::NotFound);
    let listed = profiler.client.clone().list_diagnoses(v1::ListDiagnosesRequest::default()).await.unwrap();
    assert!(listed.into_inner().diagnoses.is_empty());
    profiler.stop().await;
}

#[tokio::test]
async fn news_end_neither_one_that_began_again_nor_one_of_another_walker() {
    let store = directory();
    let profiler = start(store.path()).await;
    renew(&profiler, vec![running("a")], vec![news("a", DiagnosisState::Failed)]).await;
    assert_eq!(get(&profiler, "a").await.unwrap().state(), DiagnosisState::Running);
    let other = v1::RenewClaimsRequest {
        walker: "w-2".into(),
        lease: LEASE,
        news: vec![news("a", DiagnosisState::Failed)],
        ..Default::default()
    };
    claims(&profiler).renew_claims(other).await.unwrap();
    assert_eq!(get(&profiler, "a").await.unwrap().state(), DiagnosisState::Running);
    // Claimed before the news of an end that could not be kept were heard.
    let request = v1::ClaimDiagnosisRequest { diagnosis: Some(running("b")), lease: LEASE };
    assert!(claims(&profiler).claim_diagnosis(request).await.unwrap().into_inner().claimed);
    renew(&profiler, vec![], vec![news("b", DiagnosisState::Failed)]).await;
    let request = v1::ClaimDiagnosisRequest {
        diagnosis: Some(v1::Diagnosis { walker: "w-2".into(), ..running("b") }),
        lease: LEASE,
    };
    assert!(!claims(&profiler).claim_diagnosis(request).await.unwrap().into_inner().claimed);
    profiler.stop().await;
}

#[tokio::test]
async fn one_that_has_ended_is_not_claimed_again_by_what_was_told_before() {
    let store = directory();
    let profiler = start(store.path()).await;
    let request = v1::ClaimDiagnosisRequest { diagnosis: Some(running("a")), lease: LEASE };
    assert!(claims(&profiler).claim_diagnosis(request).await.unwrap().into_inner().claimed);
    put(&profiler, ended("a", DiagnosisState::Done, 8_000)).await.unwrap();
    let answer = renew(&profiler, vec![running("a")], vec![]).await;
    assert!(answer.cancelled.is_empty(), "it is ending");
    // Whoever has a claim may change the diagnosis.
    let another = v1::Diagnosis { walker: "w-2".into(), ..ended("b", DiagnosisState::Done, 8_000) };
    put(&profiler, another).await.unwrap();
    assert_eq!(renew(&profiler, vec![running("b")], vec![]).await.cancelled, ["b"]);
    let kept = get(&profiler, "b").await.unwrap();
    put(&profiler, kept).await.unwrap();
    profiler.stop().await;
}

#[tokio::test]
async fn a_walker_that_returns_after_its_diagnosis_was_cancelled_stops_it_and_changes_nothing() {
    let store = directory();
    let profiler = start(store.path()).await;
    put(&profiler, ended("a", DiagnosisState::Cancelled, 8_000)).await.unwrap();
    assert_eq!(renew(&profiler, vec![running("a")], vec![]).await.cancelled, ["a"]);
    for other in
        [ended("a", DiagnosisState::Done, 9_000), ended("a", DiagnosisState::Cancelled, 9_000), running("a")]
    {
        assert_eq!(code(put(&profiler, other).await), ErrorCode::Conflict);
    }
    let kept = get(&profiler, "a").await.unwrap();
    assert_eq!(kept, ended("a", DiagnosisState::Cancelled, 8_000));
    let noted = v1::Diagnosis { alerts: Some(v1::AlertList { left_out: 3, ..Default::default() }), ..kept };
    put(&profiler, noted.clone()).await.unwrap();
    assert_eq!(get(&profiler, "a").await.unwrap(), noted);
    profiler.stop().await;
}
