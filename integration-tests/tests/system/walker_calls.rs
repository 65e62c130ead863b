//! What tests ask of walkers, whichever they are.

use automap_integration_tests::processes::Service;
use automap_proto::v1::{self, DiagnosisState, walker_service_client::WalkerServiceClient};
use automap_service_kit::{
    client::{self, Channel},
    error::ServiceError,
};

/// A client of a walker.
pub(crate) fn client_of(walker: &Service) -> WalkerServiceClient<Channel> {
    WalkerServiceClient::new(client::channel("address", &walker.address).unwrap())
}

/// The diagnosis of the demo's incident under this id.
pub(crate) fn request(id: &str, seed: u64) -> v1::StartDiagnosisRequest {
    let source = v1::metric_source::Source::Recording("incident".into());
    v1::StartDiagnosisRequest {
        request_id: id.into(),
        diagnosis: Some(v1::DiagnoseRequest {
            source: Some(v1::MetricSource { source: Some(source) }),
            settings: Some(v1::DiagnosisSettings {
                // It cannot do without the graph-builder.
                method: v1::Method::Automap.into(),
                seed,
                ..Default::default()
            }),
            ..Default::default()
        }),
    }
}

/// Starts it.
///
/// # Errors
/// The walker refused.
pub(crate) async fn start(
    walker: &mut WalkerServiceClient<Channel>,
    id: &str,
    seed: u64,
) -> Result<(), ServiceError> {
    let answer = walker.start_diagnosis(request(id, seed)).await?.into_inner();
    assert_eq!(answer.diagnosis_id, id);
    Ok(())
}

/// Diagnoses in one of these states, or in any.
pub(crate) async fn listed(
    walker: &mut WalkerServiceClient<Channel>,
    states: &[DiagnosisState],
) -> Vec<v1::Diagnosis> {
    let request = v1::WalkerServiceListDiagnosesRequest {
        states: states.iter().map(|state| (*state).into()).collect(),
        ..Default::default()
    };
    walker.list_diagnoses(request).await.unwrap().into_inner().diagnoses
}

/// Their ids.
pub(crate) fn ids(diagnoses: &[v1::Diagnosis]) -> Vec<&str> {
    diagnoses.iter().map(|one| one.diagnosis_id.as_str()).collect()
}
