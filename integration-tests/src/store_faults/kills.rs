//! SIGKILL at random moments while clients write.

use std::{path::Path, time::Duration};

use anyhow::Context as _;
use automap_proto::v1::profiler_service_client::ProfilerServiceClient;
use automap_service_kit::client::Channel;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

use super::{
    audit::{self, Found},
    history::now,
    load::Writer,
    profiler,
};

/// Clients that write at once.
const WRITERS: usize = 4;
/// The server is killed within this time after it began to serve.
const LONGEST_LIFE: Duration = Duration::from_millis(700);
/// After so many kills the clients begin with new records, so that what must be checked does not grow for ever.
const KILLS_PER_GENERATION: usize = 25;

/// What happened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Kills, each followed by a reopen that succeeded.
    pub kills: usize,
    /// Writes that were acknowledged.
    pub acknowledged: usize,
    /// Records read and found as they must be, over all reopens.
    pub checked: usize,
}

/// Kills the server `kills` times under load in a store below `home`, and checks after each reopen that every
/// acknowledged write is there, whole.
///
/// # Errors
/// A record was lost or torn, or a reopen failed.
pub async fn run(home: &Path, kills: usize, seed: u64) -> anyhow::Result<Report> {
    let store = home.join("store");
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut report = Report::default();
    let mut writers: Vec<Writer> = Vec::new();
    let mut service = profiler::start(home, &store, &[])?;
    for kill in 0..kills {
        if kill % KILLS_PER_GENERATION == 0 {
            let named =
                |index| Writer::new(&format!("k{kill}-{index}"), seed ^ (kill * WRITERS + index) as u64);
            writers = (0..WRITERS).map(named).collect();
        }
        let mut running = Vec::new();
        for mut writer in writers.drain(..) {
            let client = profiler::connect(&service)?;
            running.push(tokio::spawn(async move {
                let ended = writer.run(client, usize::MAX).await;
                (writer, ended)
            }));
        }
        let life = random.random_range(0..LONGEST_LIFE.as_micros() as u64);
        tokio::time::sleep(Duration::from_micros(life)).await;
        service.kill()?;
        for task in running {
            let (writer, ended) = task.await?;
            ended.context("the server refused a write")?;
            writers.push(writer);
        }
        service = profiler::start(home, &store, &[]).with_context(|| format!("after kill {}", kill + 1))?;
        report.kills += 1;
        let mut client = profiler::connect(&service)?;
        for writer in &mut writers {
            report.acknowledged += writer.take_acknowledged();
            report.checked +=
                settle(&mut client, writer).await.with_context(|| format!("after kill {}", kill + 1))?;
        }
    }
    service.terminate()?;
    Ok(report)
}

/// Checks what a writer wrote on a server that was opened again, and notes what became of the writes in the air. Answers
/// how many records there were.
///
/// # Errors
/// A record was lost or is torn.
pub(super) async fn settle(
    client: &mut ProfilerServiceClient<Channel>,
    writer: &mut Writer,
) -> anyhow::Result<usize> {
    let found = audit::check(client, &writer.history, now()).await?;
    for (record, found) in &found {
        let version = match found {
            Found::Version(version) => Some(*version),
            Found::Absent | Found::Damaged(_) => None,
        };
        writer.history.settle(record, version);
    }
    Ok(found.len())
}
