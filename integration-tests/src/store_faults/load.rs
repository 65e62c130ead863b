//! Clients that write, each to records of its own, until the server is gone.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use automap_proto::v1::{self, profiler_service_client::ProfilerServiceClient};
use automap_service_kit::client::Channel;
use rand::{Rng as _, RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use tonic::{Code, Status};

use super::{
    history::History,
    records::{self, ABSENT, Record},
};

/// Diagnoses that one client writes again and again.
const DIAGNOSES: u32 = 6;

/// What clients and whoever kills their server tell each other.
#[derive(Debug, Default)]
pub struct Life {
    /// From now on the server may be gone.
    pub killed: AtomicBool,
    /// Writes that it acknowledged.
    pub acknowledged: AtomicUsize,
}

/// One client.
#[derive(Debug)]
pub struct Writer {
    name: String,
    random: ChaCha8Rng,
    incidents: u32,
    acknowledged: usize,
    /// What it wrote.
    pub history: History,
}

impl Writer {
    /// A client whose records begin with `name`.
    pub fn new(name: &str, seed: u64) -> Self {
        Self {
            name: name.into(),
            random: ChaCha8Rng::seed_from_u64(seed),
            incidents: 0,
            acknowledged: 0,
            history: History::default(),
        }
    }

    /// Writes until the server is killed, or `most` writes were acknowledged.
    ///
    /// # Errors
    /// The server refused a write, or could not be reached before it was killed.
    pub async fn run(
        &mut self,
        mut client: ProfilerServiceClient<Channel>,
        most: usize,
        life: &Life,
    ) -> Result<(), Status> {
        for _ in 0..most {
            let (record, version) = self.next();
            self.history.ask(&record, version);
            match write(&mut client, &record, version).await {
                Ok(()) => {
                    self.acknowledged += 1;
                    life.acknowledged.fetch_add(1, Ordering::SeqCst);
                    self.history.acknowledge(&record);
                }
                Err(status) if is_gone(&status) && life.killed.load(Ordering::SeqCst) => return Ok(()),
                Err(status) => return Err(status),
            }
        }
        Ok(())
    }

    /// Acknowledged writes since this was asked last.
    pub const fn take_acknowledged(&mut self) -> usize {
        std::mem::replace(&mut self.acknowledged, 0)
    }

    fn next(&mut self) -> (Record, u32) {
        let next_version =
            |history: &History, record: &Record| match history.last(record).map(|last| last.version) {
                None | Some(ABSENT) => 1,
                Some(version) => version + 1,
            };
        match self.random.random_range(0..12) {
            0..4 => {
                let number = self.random.next_u32() % DIAGNOSES;
                let record = Record::Diagnosis(format!("{}-d{number}", self.name));
                let version = next_version(&self.history, &record);
                (record, version)
            }
            4..6 => {
                let record = Record::Windows(format!("{}-w", self.name));
                let version = next_version(&self.history, &record);
                (record, version)
            }
            6..8 => {
                self.incidents += 1;
                (Record::Incident(format!("{}-i{}", self.name, self.incidents)), 0)
            }
            10..12 => {
                let record = Record::Rows(format!("{}-r", self.name));
                let version = next_version(&self.history, &record);
                (record, version)
            }
            // Among the youngest, so that some are confirmed many times, and the old ones stay as they are.
            choice if self.incidents > 0 => {
                let youngest = self.incidents.min(5);
                let number = self.incidents - self.random.next_u32() % youngest;
                let record = Record::Incident(format!("{}-i{number}", self.name));
                match self.history.last(&record).map(|last| last.version) {
                    Some(ABSENT) | None => self.next(),
                    Some(_) if choice == 9 && self.random.next_u32().is_multiple_of(8) => (record, ABSENT),
                    Some(version) => (record, version + 1),
                }
            }
            _ => self.next(),
        }
    }
}

/// Whether the server is gone, as opposed to refusing: a store that fails is told with the same codes, but what a server
/// answers brings headers along.
pub fn is_gone(status: &Status) -> bool {
    status.metadata().is_empty()
        && matches!(status.code(), Code::Unavailable | Code::Unknown | Code::Cancelled)
}

/// Writes one version.
///
/// # Errors
/// The server refused or is gone.
pub async fn write(
    client: &mut ProfilerServiceClient<Channel>,
    record: &Record,
    version: u32,
) -> Result<(), Status> {
    match record {
        Record::Diagnosis(name) => {
            let diagnosis = Some(records::diagnosis(name, version));
            client.put_diagnosis(v1::PutDiagnosisRequest { diagnosis }).await.map(drop)
        }
        Record::Windows(system) => {
            let normal_graph = Some(records::window(system, version));
            client
                .add_normal_graph(v1::AddNormalGraphRequest { normal_graph, ..Default::default() })
                .await
                .map(drop)
        }
        Record::Rows(system) => {
            let services = records::rows(version);
            let request = v1::AddNormalRowsRequest { system: system.clone(), services, ..Default::default() };
            client.add_normal_rows(request).await.map(drop)
        }
        Record::Incident(name) if version == 0 => {
            let incident = Some(records::incident(name));
            client.record_incident(v1::RecordIncidentRequest { incident }).await.map(drop)
        }
        Record::Incident(name) if version == ABSENT => {
            client.delete_incident(v1::DeleteIncidentRequest { incident_id: name.clone() }).await.map(drop)
        }
        Record::Incident(name) => {
            let confirmation = Some(records::confirmation(version));
            let request = v1::ConfirmRootCauseRequest { incident_id: name.clone(), confirmation };
            client.confirm_root_cause(request).await.map(drop)
        }
    }
}
