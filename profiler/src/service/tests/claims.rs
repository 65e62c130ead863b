//! Diagnoses that walkers claim.

use automap_proto::{
    time::UnixMillis,
    v1::{self, diagnosis_claim_service_client::DiagnosisClaimServiceClient},
};

use super::running::{directory, start};

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
