//! SIGKILL while a server imports: what a store holds afterwards is all of the import or nothing of it.
//!
//! Each kill meets a copy of one store that shares records with the import, some in an older version. Half of the kills
//! come at a random time, the other half when the journal has grown by a random share of what the import adds, so that
//! they fall into the write itself.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use automap_proto::v1::{self, profiler_service_client::ProfilerServiceClient};
use automap_service_kit::client::Channel;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde::Serialize;
use tokio::task::JoinHandle;
use tokio_stream::StreamExt as _;
use tonic::Status;

use super::{copy_all, load, profiler, records::Record};
use crate::processes::Service;

/// Diagnoses that the store has.
const DIAGNOSES: usize = 30;
/// Diagnoses of the import: the first of them replace those of the store.
const IMPORTED: usize = 300;
/// Incidents of both.
const INCIDENTS: usize = 20;
/// The version of the store's diagnoses.
const OLD: u32 = 1;
/// The version of those of the import, of some 3 KiB each.
const NEW: u32 = 3;
/// How long the journal is watched for the share at which the server is killed.
const PATIENCE: Duration = Duration::from_secs(60);

type Client = ProfilerServiceClient<Channel>;

/// What happened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Kills, each followed by a reopen that succeeded.
    pub kills: usize,
    /// Stores that held nothing of the import.
    pub unchanged: usize,
    /// Stores that held all of it.
    pub whole: usize,
    /// Of those, imports that had been acknowledged.
    pub acknowledged: usize,
    /// Records of the import.
    pub records: usize,
}

/// Kills the server `kills` times while it imports.
///
/// # Errors
/// A store held a part of the import, or lacked one that was acknowledged, or could not be opened again.
pub async fn run(home: &Path, kills: usize, seed: u64) -> anyhow::Result<Report> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let (template, source) = (home.join("template"), home.join("source"));
    let before = write_store(home, &template, DIAGNOSES, OLD).await?;
    let import = write_store(home, &source, IMPORTED, NEW).await?;
    let mut report = Report { records: import.len() - 1, ..Report::default() };

    // Once without a kill: how long it takes, what the journal gains and what the store holds then.
    let store = home.join("store");
    copy_all(&template, &store)?;
    let service = profiler::start(home, &store, &[])?;
    let at_first = journal_bytes(&store)?;
    let began = Instant::now();
    start_import(&service, &import)?.await??;
    let takes = began.elapsed();
    let gained = journal_bytes(&store)?.saturating_sub(at_first);
    let after = read_store(&mut profiler::connect(&service)?).await?;
    service.terminate()?;
    ensure!(after != before && gained > 0, "the import changes nothing, or not in the journal");

    for kill in 0..kills {
        fs::remove_dir_all(&store)?;
        copy_all(&template, &store)?;
        let service = profiler::start(home, &store, &[])?;
        let at_first = journal_bytes(&store)?;
        let running = start_import(&service, &import)?;
        let share: f64 = random.random_range(0.0..1.0);
        if kill % 2 == 0 {
            tokio::time::sleep(takes.mul_f64(1.2 * share)).await;
        } else {
            let (least, began) = (at_first + (gained as f64 * share) as u64, Instant::now());
            while journal_bytes(&store)? <= least && !running.is_finished() && began.elapsed() < PATIENCE {
                std::hint::spin_loop();
            }
        }
        service.kill()?;
        let acknowledged = match running.await? {
            Ok(()) => true,
            Err(status) if load::is_gone(&status) => false,
            Err(status) => return Err(status).context("the server refused the import"),
        };
        let service =
            profiler::start(home, &store, &[]).with_context(|| format!("after kill {}", kill + 1))?;
        let found = read_store(&mut profiler::connect(&service)?).await?;
        service.terminate()?;
        ensure!(found == before || found == after, "kill {}: the store holds a part of the import", kill + 1);
        ensure!(
            !acknowledged || found == after,
            "kill {}: an import that was acknowledged is lost",
            kill + 1
        );
        report.kills += 1;
        report.unchanged += usize::from(found == before);
        report.whole += usize::from(found == after);
        report.acknowledged += usize::from(acknowledged);
    }
    Ok(report)
}

/// Fills a new store and answers what it holds.
async fn write_store(
    home: &Path,
    store: &Path,
    diagnoses: usize,
    version: u32,
) -> anyhow::Result<Vec<v1::StoreRecord>> {
    let service = profiler::start(home, store, &[])?;
    let mut client = profiler::connect(&service)?;
    for number in 0..diagnoses {
        load::write(&mut client, &Record::Diagnosis(format!("d-{number}")), version).await?;
    }
    for number in 0..INCIDENTS {
        load::write(&mut client, &Record::Incident(format!("i-{number}")), 0).await?;
    }
    let held = read_store(&mut client).await?;
    service.terminate()?;
    Ok(held)
}

/// Everything that a store holds, with the record that ends an export.
async fn read_store(client: &mut Client) -> anyhow::Result<Vec<v1::StoreRecord>> {
    let answers = client.export_store(v1::ExportStoreRequest::default()).await?.into_inner();
    let records: Vec<_> = answers.collect::<Result<_, _>>().await?;
    records.into_iter().map(|answer| answer.record.context("each answer has a record")).collect()
}

fn start_import(
    service: &Service,
    records: &[v1::StoreRecord],
) -> anyhow::Result<JoinHandle<Result<(), Status>>> {
    let mut client = profiler::connect(service)?;
    let requests: Vec<_> = records
        .iter()
        .map(|record| v1::ImportStoreRequest {
            record: Some(record.clone()),
            mode: v1::ImportMode::Replace.into(),
        })
        .collect();
    Ok(tokio::spawn(async move { client.import_store(tokio_stream::iter(requests)).await.map(drop) }))
}

/// Bytes of the journal of a store, whichever files they are in.
fn journal_bytes(store: &Path) -> anyhow::Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(store.join("journal"))? {
        let path = entry?.path();
        if path.extension().is_some_and(|known| known == "journal") {
            // A checkpoint may just have taken its place.
            bytes += fs::metadata(&path).map_or(0, |found| found.len());
        }
    }
    Ok(bytes)
}
