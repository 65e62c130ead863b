//! Whether a server has what was acknowledged, whole.

use anyhow::{Context as _, bail, ensure};
use automap_proto::v1::{self, profiler_service_client::ProfilerServiceClient};
use automap_service_kit::client::Channel;
use tonic::{Code, Status};

use super::{
    history::{Allowed, History},
    records::{self, ABSENT, Record},
};

/// How a record was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// In this version, whole.
    Version(u32),
    /// Not there.
    Absent,
    /// The server says that it is damaged.
    Damaged(String),
}

/// Reads a record and recognises its version.
///
/// # Errors
/// It is in no version that was ever written: torn or silently wrong. Or the server failed otherwise.
pub async fn read(client: &mut ProfilerServiceClient<Channel>, record: &Record) -> anyhow::Result<Found> {
    match record {
        Record::Diagnosis(name) => {
            let answer = client.get_diagnosis(v1::GetDiagnosisRequest { diagnosis_id: name.clone() }).await;
            let Some(diagnosis) = present(answer)? else { return Ok(Found::Absent) };
            let diagnosis = match diagnosis {
                Ok(answer) => answer.diagnosis.context("an answer without a diagnosis")?,
                Err(damage) => return Ok(Found::Damaged(damage)),
            };
            let version = diagnosis.version.strip_prefix("version ").and_then(|number| number.parse().ok());
            let version: u32 = version.with_context(|| format!("{name} has no version: {diagnosis:?}"))?;
            ensure!(diagnosis == records::diagnosis(name, version), "{name} is torn: {diagnosis:?}");
            Ok(Found::Version(version))
        }
        Record::Incident(name) => {
            let answer = client.get_incident(v1::GetIncidentRequest { incident_id: name.clone() }).await;
            let Some(incident) = present(answer)? else { return Ok(Found::Absent) };
            let mut incident = match incident {
                Ok(answer) => answer.incident.context("an answer without an incident")?,
                Err(damage) => return Ok(Found::Damaged(damage)),
            };
            let confirmations = std::mem::take(&mut incident.confirmations);
            let version = confirmations.len() as u32;
            let expected: Vec<_> = (1..=version).map(records::confirmation).collect();
            ensure!(confirmations == expected, "{name} has other confirmations: {confirmations:?}");
            let written = records::incident(name);
            ensure!(
                (&incident.context, &incident.anomaly_graph, &incident.profiles, &incident.ranked_services)
                    == (
                        &written.context,
                        &written.anomaly_graph,
                        &written.profiles,
                        &written.ranked_services
                    ),
                "{name} is torn: {incident:?}"
            );
            Ok(Found::Version(version))
        }
        Record::Rows(system) => match present(client.get_normal_rows(records::rows_request(system)).await)? {
            None => Ok(Found::Absent),
            Some(Err(damage)) => Ok(Found::Damaged(damage)),
            Some(Ok(answer)) => {
                let value = answer.services.first().and_then(|rows| rows.series.first()?.values.first());
                let Some(version) = value.map(|value| *value as u32) else { return Ok(Found::Absent) };
                ensure!(answer.services == records::rows(version), "{system} is torn: {answer:?}");
                Ok(Found::Version(version))
            }
        },
        Record::Windows(system) => {
            let selector = v1::NormalGraphSelector {
                system: system.clone(),
                settings: Some(records::settings()),
                window_ms: 30_000,
            };
            let request = v1::GetNormalGraphRequest { selector: Some(selector) };
            match present(client.get_normal_graph(request).await)? {
                None => Ok(Found::Absent),
                Some(Err(damage)) => Ok(Found::Damaged(damage)),
                Some(Ok(answer)) if answer.windows == 0 => Ok(Found::Absent),
                Some(Ok(answer)) => Ok(Found::Version(answer.windows)),
            }
        }
    }
}

/// An answer, a damage, or that there is none.
fn present<T>(answer: Result<tonic::Response<T>, Status>) -> anyhow::Result<Option<Result<T, String>>> {
    match answer {
        Ok(response) => Ok(Some(Ok(response.into_inner()))),
        Err(status) if status.code() == Code::NotFound => Ok(None),
        Err(status) if status.code() == Code::DataLoss => Ok(Some(Err(status.message().into()))),
        Err(status) => Err(status.into()),
    }
}

impl Allowed {
    /// Whether a record may be so.
    pub fn permits(&self, found: &Found) -> bool {
        match found {
            Found::Version(version) => self.versions.contains(version),
            Found::Absent => self.absent || self.versions.contains(&ABSENT),
            Found::Damaged(_) => false,
        }
    }
}

/// Checks that every record is as the history says it must be at `moment`. Answers what each one is.
///
/// # Errors
/// A record was lost, is torn, or is damaged.
pub async fn check(
    client: &mut ProfilerServiceClient<Channel>,
    history: &History,
    moment: u64,
) -> anyhow::Result<Vec<(Record, Found)>> {
    let mut all = Vec::new();
    for (record, allowed) in history.allowed(moment) {
        let found = read(client, record).await?;
        if !allowed.permits(&found) {
            bail!("{record:?} is {found:?} and may be {allowed:?}");
        }
        all.push((record.clone(), found));
    }
    Ok(all)
}
