//! Diagnoses that are started without waiting for the answer: who may be told that one will run.

use std::{net::TcpListener, time::Duration};

use automap_integration_tests::setup::Setup;
use automap_proto::v1::{self, DiagnosisState};
use automap_service_kit::error::{ErrorCode, ServiceError};

use crate::walker_calls::{client_of, ids, listed, start};

/// How long anything may take that comes by itself.
const PATIENCE: Duration = Duration::from_secs(120);
/// Until it is looked for again.
const PAUSE: Duration = Duration::from_millis(20);

#[tokio::test(flavor = "multi_thread")]
async fn what_finds_no_room_in_the_queue_is_refused_and_may_be_asked_for_again() {
    let home = tempfile::tempdir().unwrap();
    // It takes connections and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let four = Setup::default()
        .set("walker.concurrent-diagnoses=1")
        .set("walker.queued-diagnoses=1")
        .set(format!("walker.collector=http://{}", silent.local_addr().unwrap()))
        .four(home.path(), home.path())
        .unwrap();
    let mut walker = client_of(&four.walker);
    start(&mut walker, "runs", 1).await.unwrap();
    start(&mut walker, "waits", 1).await.unwrap();
    // The same again takes no second place.
    start(&mut walker, "waits", 1).await.unwrap();
    let refused = start(&mut walker, "later", 1).await.unwrap_err();
    assert_eq!(refused.code(), ErrorCode::Overloaded, "{refused}");
    assert!(refused.message().contains("walker.queued-diagnoses"), "{refused}");
    assert!(refused.retry_delay().is_some(), "{refused:?}");
    let request = v1::WalkerServiceGetDiagnosisRequest { diagnosis_id: "later".into() };
    let unknown = ServiceError::from(walker.get_diagnosis(request).await.unwrap_err());
    assert_eq!(unknown.code(), ErrorCode::NotFound, "{unknown}");

    let cancel = |id: &str| v1::CancelDiagnosisRequest { diagnosis_id: id.into() };
    walker.cancel_diagnosis(cancel("waits")).await.unwrap();
    let ended = async {
        while ids(&listed(&mut walker, &[DiagnosisState::Cancelled]).await) != ["waits"] {
            tokio::time::sleep(PAUSE).await;
        }
        // Its place is free when its record says that it has ended, or just after.
        while let Err(error) = start(&mut walker, "later", 1).await {
            assert_eq!(error.code(), ErrorCode::Overloaded, "{error}");
            tokio::time::sleep(PAUSE).await;
        }
    };
    tokio::time::timeout(PATIENCE, ended).await.expect("a place is free");
    let mut running = listed(&mut walker, &[DiagnosisState::Running]).await;
    running.sort_by(|one, other| one.diagnosis_id.cmp(&other.diagnosis_id));
    assert_eq!(ids(&running), ["later", "runs"]);
}
