//! The RPCs of `ProfilerService`: each decodes its request, has the work done on a blocking thread, and encodes the
//! answer.
//!
//! | module | RPCs |
//! |---|---|
//! | `normals` | AddNormalGraph, GetNormalGraph |
//! | `normal_rows` | AddNormalRows, GetNormalRows, GetBaselines |
//! | `weighing`, `lessons`, `newest` | WeighMetrics, and what it and others know of past incidents |
//! | `incidents` | FindSimilarIncidents, RecordIncident, ConfirmRootCause, GetIncident, ListIncidents, DeleteIncident |
//! | `diagnoses` | GetDiagnosis, ListDiagnoses |
//! | `claims`, `renewal`, `board` | PutDiagnosis, and `DiagnosisClaimService`: which walker runs what |
//! | `transfer` | ExportStore, ImportStore, GetStoreStatistics |

mod board;
mod claims;
mod diagnoses;
mod incidents;
mod lessons;
mod newest;
mod normal_rows;
mod normals;
mod renewal;
#[cfg(test)]
mod tests;
mod transfer;
mod weighing;

use std::{pin::Pin, sync::Arc};

use automap_proto::{invalid::Invalid, time::UnixMillis, v1};
use automap_service_kit::{error::ServiceError, work};
use futures::Stream;
use tonic::{Request, Response, Status, Streaming};

use claims::Claims;
use lessons::Lessons;

use crate::{
    config::ProfilerConfig,
    store::{ProfileStore, listing::ListQuery},
};

type Answer<T> = Result<Response<T>, Status>;

/// The profiler's RPCs.
#[derive(Debug, Clone)]
pub struct ProfilerRpc {
    store: Arc<dyn ProfileStore>,
    config: Arc<ProfilerConfig>,
    lessons: Arc<Lessons>,
    claims: Arc<Claims>,
}

impl ProfilerRpc {
    /// Answers from `store`.
    pub fn new(store: Arc<dyn ProfileStore>, config: ProfilerConfig) -> Self {
        Self {
            store,
            config: Arc::new(config),
            lessons: Arc::default(),
            claims: Arc::new(Claims::new(now())),
        }
    }

    /// Runs `compute` with the store on a blocking thread. A caller that goes away does not stop it: a change that was
    /// begun is finished.
    async fn run<T, F>(&self, compute: F) -> Answer<T>
    where
        T: Send + 'static,
        F: FnOnce(&dyn ProfileStore, &ProfilerConfig) -> Result<T, ServiceError> + Send + 'static,
    {
        let (store, config) = (Arc::clone(&self.store), Arc::clone(&self.config));
        Ok(Response::new(work::run(move |_| compute(store.as_ref(), &config)).await?))
    }
}

#[tonic::async_trait]
impl v1::profiler_service_server::ProfilerService for ProfilerRpc {
    type ExportStoreStream = Pin<Box<dyn Stream<Item = Result<v1::ExportStoreResponse, Status>> + Send>>;

    async fn add_normal_graph(
        &self,
        request: Request<v1::AddNormalGraphRequest>,
    ) -> Answer<v1::AddNormalGraphResponse> {
        let (message, now) = (request.into_inner(), now());
        self.run(move |store, config| normals::add(store, config, &message, now)).await
    }

    async fn get_normal_graph(
        &self,
        request: Request<v1::GetNormalGraphRequest>,
    ) -> Answer<v1::GetNormalGraphResponse> {
        let message = request.into_inner();
        self.run(move |store, config| normals::get(store, config, &message)).await
    }

    async fn add_normal_rows(
        &self,
        request: Request<v1::AddNormalRowsRequest>,
    ) -> Answer<v1::AddNormalRowsResponse> {
        let (message, now) = (request.into_inner(), now());
        self.run(move |store, config| normal_rows::add(store, config, &message, now)).await
    }

    async fn get_normal_rows(
        &self,
        request: Request<v1::GetNormalRowsRequest>,
    ) -> Answer<v1::GetNormalRowsResponse> {
        let (message, now) = (request.into_inner(), now());
        self.run(move |store, config| normal_rows::get(store, config, &message, now)).await
    }

    async fn get_baselines(
        &self,
        request: Request<v1::GetBaselinesRequest>,
    ) -> Answer<v1::GetBaselinesResponse> {
        let (message, now) = (request.into_inner(), now());
        self.run(move |store, config| normal_rows::baselines(store, config, &message, now)).await
    }

    async fn weigh_metrics(
        &self,
        request: Request<v1::WeighMetricsRequest>,
    ) -> Answer<v1::WeighMetricsResponse> {
        let (message, lessons) = (request.into_inner(), Arc::clone(&self.lessons));
        self.run(move |store, config| weighing::weigh(store, config, &lessons, &message)).await
    }

    async fn find_similar_incidents(
        &self,
        request: Request<v1::FindSimilarIncidentsRequest>,
    ) -> Answer<v1::FindSimilarIncidentsResponse> {
        let message = request.into_inner();
        self.run(move |store, _| incidents::find_similar(store, &message)).await
    }

    async fn record_incident(
        &self,
        request: Request<v1::RecordIncidentRequest>,
    ) -> Answer<v1::RecordIncidentResponse> {
        let (message, now) = (request.into_inner(), now());
        let lessons = Arc::clone(&self.lessons);
        self.run(move |store, _| {
            let answer = incidents::record(store, message, now)?;
            lessons.forget(&answer.incident_id);
            Ok(answer)
        })
        .await
    }

    async fn confirm_root_cause(
        &self,
        request: Request<v1::ConfirmRootCauseRequest>,
    ) -> Answer<v1::ConfirmRootCauseResponse> {
        let (message, now) = (request.into_inner(), now());
        self.run(move |store, _| incidents::confirm(store, message, now)).await
    }

    async fn get_incident(
        &self,
        request: Request<v1::GetIncidentRequest>,
    ) -> Answer<v1::GetIncidentResponse> {
        let message = request.into_inner();
        self.run(move |store, _| incidents::get(store, &message)).await
    }

    async fn list_incidents(
        &self,
        request: Request<v1::ListIncidentsRequest>,
    ) -> Answer<v1::ListIncidentsResponse> {
        let message = request.into_inner();
        self.run(move |store, _| incidents::list(store, message)).await
    }

    async fn delete_incident(
        &self,
        request: Request<v1::DeleteIncidentRequest>,
    ) -> Answer<v1::DeleteIncidentResponse> {
        let message = request.into_inner();
        self.run(move |store, _| incidents::delete(store, &message)).await
    }

    async fn put_diagnosis(
        &self,
        request: Request<v1::PutDiagnosisRequest>,
    ) -> Answer<v1::PutDiagnosisResponse> {
        let (message, now, claims) = (request.into_inner(), now(), Arc::clone(&self.claims));
        self.run(move |store, _| claims.put(store, message, now)).await
    }

    async fn get_diagnosis(
        &self,
        request: Request<v1::GetDiagnosisRequest>,
    ) -> Answer<v1::GetDiagnosisResponse> {
        let (message, claims) = (request.into_inner(), Arc::clone(&self.claims));
        self.run(move |store, _| diagnoses::get(store, &claims, &message)).await
    }

    async fn list_diagnoses(
        &self,
        request: Request<v1::ListDiagnosesRequest>,
    ) -> Answer<v1::ListDiagnosesResponse> {
        let (message, claims) = (request.into_inner(), Arc::clone(&self.claims));
        self.run(move |store, _| diagnoses::list(store, &claims, message)).await
    }

    async fn export_store(
        &self,
        _request: Request<v1::ExportStoreRequest>,
    ) -> Answer<Self::ExportStoreStream> {
        Ok(Response::new(transfer::export(Arc::clone(&self.store))))
    }

    async fn import_store(
        &self,
        request: Request<Streaming<v1::ImportStoreRequest>>,
    ) -> Answer<v1::ImportStoreResponse> {
        let (records, mode) = transfer::receive(request.into_inner(), self.config.max_import_mib).await?;
        let lessons = Arc::clone(&self.lessons);
        self.run(move |store, _| {
            let records = store.import(records, mode)?;
            lessons.clear();
            Ok(v1::ImportStoreResponse { records })
        })
        .await
    }

    async fn get_store_statistics(
        &self,
        _request: Request<v1::GetStoreStatisticsRequest>,
    ) -> Answer<v1::GetStoreStatisticsResponse> {
        self.run(|store, _| transfer::statistics(store)).await
    }
}

#[tonic::async_trait]
impl v1::diagnosis_claim_service_server::DiagnosisClaimService for ProfilerRpc {
    async fn claim_diagnosis(
        &self,
        request: Request<v1::ClaimDiagnosisRequest>,
    ) -> Answer<v1::ClaimDiagnosisResponse> {
        let (message, now, claims) = (request.into_inner(), now(), Arc::clone(&self.claims));
        self.run(move |store, _| claims.claim(store, message, now)).await
    }

    async fn renew_claims(
        &self,
        request: Request<v1::RenewClaimsRequest>,
    ) -> Answer<v1::RenewClaimsResponse> {
        let (message, claims) = (request.into_inner(), Arc::clone(&self.claims));
        self.run(move |store, _| claims.renew(store, message)).await
    }

    async fn request_cancellation(
        &self,
        request: Request<v1::RequestCancellationRequest>,
    ) -> Answer<v1::RequestCancellationResponse> {
        let (message, now, claims) = (request.into_inner(), now(), Arc::clone(&self.claims));
        self.run(move |store, _| claims.request_cancellation(store, &message, now)).await
    }
}

/// The wall clock: for times that a caller left out, and to refuse what claims to be of a time to come.
pub(crate) fn now() -> UnixMillis {
    let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    UnixMillis(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
}

/// When something was, as a caller told it; now where that is left out, or is to come by more than clocks differ: it would
/// outlive everything else.
fn told_or_now(told: Option<prost_types::Timestamp>, now: UnixMillis) -> Option<prost_types::Timestamp> {
    /// What clocks and time zones may differ by.
    const SKEW_MS: i64 = 86_400_000;
    /// The beginning of 2024: a clock before it was never set, and is not believed.
    const SET: UnixMillis = UnixMillis(1_704_067_200_000);
    let latest = if now < SET { i64::MAX } else { now.0.saturating_add(SKEW_MS) };
    match told {
        // What is no time is refused by whoever checks the record.
        Some(told) if UnixMillis::from_wire("time", Some(told)).is_ok_and(|at| at.0 > latest) => {
            Some(now.to_wire())
        }
        told => told.or_else(|| Some(now.to_wire())),
    }
}

/// Decodes the fields that the listing requests share.
fn list_query(
    system: String,
    confirmed_only: bool,
    page_size: u32,
    page_token: String,
) -> Result<ListQuery, Invalid> {
    let system = claims::optional_name("system", system)?;
    let page_size = page_size as usize;
    Ok(ListQuery { system, confirmed_only, page_size, page_token, ..ListQuery::default() })
}
