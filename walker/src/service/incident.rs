//! What is remembered of an incident beside its diagnosis.

use automap_proto::v1;
use automap_service_kit::error::{ErrorCode, ServiceError};

use super::WalkerRpc;

impl WalkerRpc {
    /// An incident that the profiler remembers, with what engineers said of it, if it does.
    pub(crate) async fn incident(&self, id: &str) -> Result<Option<v1::Incident>, ServiceError> {
        let request = v1::GetIncidentRequest { incident_id: id.into() };
        let answer = self
            .peers
            .ask_profiler(
                request,
                |mut profiler, request| async move { profiler.get_incident(request).await },
            )
            .await;
        match answer {
            Ok(answer) => Ok(answer.incident),
            Err(error) if error.code() == ErrorCode::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}
