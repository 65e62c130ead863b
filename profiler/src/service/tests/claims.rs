//! Diagnoses that walkers claim.

use automap_proto::{
    time::UnixMillis,
    v1::{self, diagnosis_claim_service_client::DiagnosisClaimServiceClient},
};

use std::time::{Duration, Instant};

use super::running::{directory, start};

fn running_at(walker: &str) -> v1::Diagnosis {
    v1::Diagnosis {
        diagnosis_id: "alert-1".into(),
        system: "shop".into(),
        walker: walker.into(),
        state: v1::DiagnosisState::Running.into(),
        request_digest: "told".into(),
        created_at: Some(UnixMillis(7_000).to_wire()),
        alerts: Some(v1::AlertList::default()),
        ..Default::default()
    }
}

#[tokio::test]
async fn what_kills_every_walker_that_takes_it_over_ends() {
    let store = directory();
    let running = start(store.path()).await;
    let mut claims = DiagnosisClaimServiceClient::new(running.channel.clone());
    let lease = Some(prost_types::Duration { seconds: 1, nanos: 0 });
    let mut claim = async |walker: &str| {
        let request = v1::ClaimDiagnosisRequest { diagnosis: Some(running_at(walker)), lease };
        claims.claim_diagnosis(request).await.unwrap().into_inner()
    };
    assert!(claim("w-0").await.claimed);
    let begun = Instant::now();
    let mut claimed = 0;
    let last = loop {
        assert!(begun.elapsed() < Duration::from_secs(120), "{claimed} took it over");
        let answer = claim(&format!("w-{}", claimed + 1)).await;
        claimed += u32::from(answer.claimed);
        let known = answer.diagnosis.unwrap();
        if known.ended_at.is_some() {
            break known;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert_eq!((claimed, last.state()), (3, v1::DiagnosisState::Failed));
    assert!(last.failure.starts_with("4 walkers ended before it did"), "{}", last.failure);
    assert!(!claim("w-9").await.claimed);
    running.stop().await;
}

#[tokio::test]
async fn a_walker_keeps_what_it_claimed_while_it_told_what_it_runs_and_no_other_ends_it() {
    let store = directory();
    let mut running = start(store.path()).await;
    let mut claims = DiagnosisClaimServiceClient::new(running.channel.clone());
    let lease = Some(prost_types::Duration { seconds: 60, nanos: 0 });
    let request = v1::ClaimDiagnosisRequest { diagnosis: Some(running_at("w-1")), lease };
    assert!(claims.claim_diagnosis(request).await.unwrap().into_inner().claimed);
    // Said before the claim was answered, and heard after it.
    let told = v1::RenewClaimsRequest { walker: "w-1".into(), lease, ..Default::default() };
    claims.renew_claims(told).await.unwrap();
    let request = v1::ClaimDiagnosisRequest { diagnosis: Some(running_at("w-2")), lease };
    assert!(!claims.claim_diagnosis(request).await.unwrap().into_inner().claimed);

    let ended = |walker: &str, state: v1::DiagnosisState| v1::Diagnosis {
        state: state.into(),
        ended_at: Some(UnixMillis(8_000).to_wire()),
        ..running_at(walker)
    };
    let mut put = async |diagnosis| {
        let request = v1::PutDiagnosisRequest { diagnosis: Some(diagnosis) };
        running.client.put_diagnosis(request).await
    };
    assert!(put(ended("w-2", v1::DiagnosisState::Cancelled)).await.is_err());
    put(ended("w-1", v1::DiagnosisState::Done)).await.unwrap();
    running.stop().await;
}

#[tokio::test]
async fn a_failure_that_was_kept_without_an_end_is_claimed_and_one_with_an_end_is_not() {
    let store = directory();
    let mut running = start(store.path()).await;
    let mut claims = DiagnosisClaimServiceClient::new(running.channel.clone());
    for (id, ended_at, claimed) in
        [("lost", None, true), ("failed", Some(UnixMillis(8_000).to_wire()), false)]
    {
        let asked = v1::Diagnosis {
            diagnosis_id: id.into(),
            system: "shop".into(),
            walker: "gone".into(),
            state: v1::DiagnosisState::Running.into(),
            created_at: Some(UnixMillis(7_000).to_wire()),
            ..Default::default()
        };
        let kept = v1::Diagnosis { state: v1::DiagnosisState::Failed.into(), ended_at, ..asked.clone() };
        running.client.put_diagnosis(v1::PutDiagnosisRequest { diagnosis: Some(kept) }).await.unwrap();
        let lease = Some(prost_types::Duration { seconds: 60, nanos: 0 });
        let diagnosis = Some(v1::Diagnosis { walker: "other".into(), ..asked });
        let answer = claims.claim_diagnosis(v1::ClaimDiagnosisRequest { diagnosis, lease }).await.unwrap();
        assert_eq!(answer.into_inner().claimed, claimed, "{id}");
    }
    running.stop().await;
}

#[tokio::test]
async fn a_diagnosis_of_alerts_that_kept_no_digest_is_claimed_by_whoever_is_told_the_same_alerts() {
    let store = directory();
    let mut running = start(store.path()).await;
    let mut claims = DiagnosisClaimServiceClient::new(running.channel.clone());
    let kept = v1::Diagnosis {
        diagnosis_id: "alert-1".into(),
        system: "shop".into(),
        walker: "w".into(),
        state: v1::DiagnosisState::Running.into(),
        created_at: Some(UnixMillis(7_000).to_wire()),
        alerts: Some(v1::AlertList::default()),
        ..Default::default()
    };
    running.client.put_diagnosis(v1::PutDiagnosisRequest { diagnosis: Some(kept.clone()) }).await.unwrap();
    let mut claimed = async |asked: v1::Diagnosis| {
        let lease = Some(prost_types::Duration { seconds: 60, nanos: 0 });
        let request = v1::ClaimDiagnosisRequest { diagnosis: Some(asked), lease };
        claims.claim_diagnosis(request).await.unwrap().into_inner().claimed
    };
    let asked = v1::Diagnosis { request_digest: "told".into(), ..kept };
    assert!(!claimed(v1::Diagnosis { alerts: None, ..asked.clone() }).await, "no alert asks for it");
    assert!(claimed(asked.clone()).await);
    assert!(!claimed(v1::Diagnosis { request_digest: "another".into(), ..asked }).await, "it has one now");
    running.stop().await;
}
