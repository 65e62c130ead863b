//! Diagnoses of the past: found, listed, explained, confirmed.

use automap_proto::{
    invalid::{Invalid, did_you_mean},
    ranking::RankedService,
    v1,
};
use automap_service_kit::{
    access::{Caller, audit},
    error::{ErrorCode, ServiceError},
};

use super::{
    WalkerRpc,
    access::{no_diagnosis, shown_to},
};
use crate::explain;

impl WalkerRpc {
    /// A diagnosis that the profiler keeps, if it does.
    pub(super) async fn stored(&self, id: &str) -> Result<Option<v1::Diagnosis>, ServiceError> {
        let request = v1::GetDiagnosisRequest { diagnosis_id: id.into() };
        let answer = self.peers.ask_profiler(request, |mut profiler, request| async move {
            profiler.get_diagnosis(request).await
        });
        match answer.await {
            Ok(answer) => Ok(answer.diagnosis),
            Err(error) if error.code() == ErrorCode::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// A diagnosis that is kept or runs here.
    pub(super) async fn find(&self, id: &str) -> Result<v1::Diagnosis, ServiceError> {
        if let Some(running) = self.registry.running(id) {
            let doing = running.progress.map(|progress| progress.detail).unwrap_or_default();
            return Ok(v1::Diagnosis { doing, ..running.outline });
        }
        let stored = self.stored(id).await;
        match self.registry.unkept_of(id) {
            // What this walker remembers is newer than what is kept.
            Some(unkept) => Ok(unkept),
            None => stored?.ok_or_else(|| no_diagnosis(id)),
        }
    }

    /// The same, where the caller may know of it.
    pub(super) async fn find_for(&self, caller: &Caller, id: &str) -> Result<v1::Diagnosis, ServiceError> {
        shown_to(caller, self.find(id).await?)
    }

    /// A page of what the caller may know of: one of whoever may know of some systems may hold fewer than it has room for.
    pub(super) async fn list(
        &self,
        caller: &Caller,
        request: v1::WalkerServiceListDiagnosesRequest,
    ) -> Result<v1::WalkerServiceListDiagnosesResponse, ServiceError> {
        if !request.system.is_empty() {
            caller.require_system(&request.system)?;
        }
        if request.page_token.is_empty() && self.registry.has_work() {
            // Those that began a moment ago belong to the list; without the profiler there is none.
            self.tell_running(Vec::new(), 0).await.ok();
        }
        let request = v1::ListDiagnosesRequest {
            system: request.system,
            page_size: request.page_size,
            page_token: request.page_token,
            front_end: request.front_end,
            created_from: request.created_from,
            created_before: request.created_before,
            states: request.states,
        };
        let page =
            self.peers
                .ask_profiler(request, |mut profiler, request| async move {
                    profiler.list_diagnoses(request).await
                })
                .await?;
        let mut diagnoses = page.diagnoses;
        diagnoses.retain(|diagnosis| caller.systems().contains(&diagnosis.system));
        Ok(v1::WalkerServiceListDiagnosesResponse { diagnoses, next_page_token: page.next_page_token })
    }

    pub(super) async fn explain(
        &self,
        caller: &Caller,
        request: v1::ExplainServiceRequest,
    ) -> Result<v1::ExplainServiceResponse, ServiceError> {
        let diagnosis = self.find_for(caller, &request.diagnosis_id).await?;
        let ranked =
            diagnosis.ranking.iter().find(|ranked| ranked.service == request.service).ok_or_else(|| {
                let names = diagnosis.ranking.iter().map(|ranked| ranked.service.as_str());
                let hint = did_you_mean(&request.service, names)
                    .map_or_else(String::new, |near| format!("; did you mean {near}?"));
                Invalid::new("service", format!("{} is not in the ranking{hint}", request.service))
            })?;
        let mut sentences = explain::sentences(&RankedService::try_from(ranked)?);
        sentences.extend(explain::what_would_differ(&request.service, &diagnosis.counterfactuals));
        Ok(v1::ExplainServiceResponse { ranked: Some(ranked.clone()), sentences })
    }

    /// Keeps what the caller says of an incident, under the name that he proved where he did.
    pub(super) async fn confirm(
        &self,
        caller: &Caller,
        request: v1::WalkerServiceConfirmRootCauseRequest,
    ) -> Result<v1::WalkerServiceConfirmRootCauseResponse, ServiceError> {
        let diagnosis = self.find_for(caller, &request.diagnosis_id).await?;
        if diagnosis.incident_id.is_empty() {
            return Err(ServiceError::new(
                ErrorCode::Conflict,
                format!("diagnosis {} is not done or was not recorded", diagnosis.diagnosis_id),
            ));
        }
        let mut confirmation = request.confirmation;
        if let (Some(said), Some(name)) = (&mut confirmation, caller.proved_name()) {
            said.confirmed_by = name.into();
        }
        let causes = confirmation.as_ref().map(|said| said.root_causes.join(", ")).unwrap_or_default();
        let object =
            format!("incident {} of diagnosis {}: [{causes}]", diagnosis.incident_id, diagnosis.diagnosis_id);
        let request = v1::ConfirmRootCauseRequest { incident_id: diagnosis.incident_id, confirmation };
        let incident = self.peers.confirm(request).await?.incident;
        audit::record(caller, "confirmed", &object);
        Ok(v1::WalkerServiceConfirmRootCauseResponse { incident })
    }
}
