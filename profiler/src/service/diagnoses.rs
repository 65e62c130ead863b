//! RPCs about diagnoses.

use automap_proto::{invalid::Invalid, time::UnixMillis, v1};
use automap_service_kit::error::{ErrorCode, ServiceError};

use super::list_query;
use crate::{diagnosis_record::DiagnosisRecord, record_id::RecordId, store::ProfileStore};

pub(super) fn put(
    store: &dyn ProfileStore,
    request: v1::PutDiagnosisRequest,
    now: UnixMillis,
) -> Result<v1::PutDiagnosisResponse, ServiceError> {
    let mut wire = request.diagnosis.ok_or_else(|| Invalid::missing("diagnosis"))?;
    wire.created_at = wire.created_at.or_else(|| Some(now.to_wire()));
    store.put_diagnosis(&DiagnosisRecord::new(wire)?)?;
    Ok(v1::PutDiagnosisResponse {})
}

pub(super) fn get(
    store: &dyn ProfileStore,
    request: &v1::GetDiagnosisRequest,
) -> Result<v1::GetDiagnosisResponse, ServiceError> {
    let id = RecordId::new("diagnosis_id", &request.diagnosis_id)?;
    let diagnosis = store.diagnosis(&id)?.ok_or_else(|| {
        ServiceError::new(
            ErrorCode::NotFound,
            format!("there is no diagnosis {id}; ListDiagnoses names those there are"),
        )
    })?;
    Ok(v1::GetDiagnosisResponse { diagnosis: Some(diagnosis.into_wire()) })
}

pub(super) fn list(
    store: &dyn ProfileStore,
    request: v1::ListDiagnosesRequest,
) -> Result<v1::ListDiagnosesResponse, ServiceError> {
    let query = list_query(request.system, false, request.page_size, request.page_token)?;
    let page = store.list_diagnoses(&query)?;
    let listed = |record: DiagnosisRecord| v1::Diagnosis { sketches: Vec::new(), ..record.into_wire() };
    Ok(v1::ListDiagnosesResponse {
        diagnoses: page.records.into_iter().map(listed).collect(),
        next_page_token: page.next_page_token,
    })
}
