//! SIGKILL at random moments while clients write, while the server opens again, and while it ends, which is when it
//! writes a checkpoint and drops the journal before it.

use std::{
    path::Path,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use anyhow::Context as _;
use automap_proto::v1::profiler_service_client::ProfilerServiceClient;
use automap_service_kit::client::Channel;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

use super::{
    audit::{self, Found},
    history::now,
    load::{Life, Writer},
    profiler,
};

/// Clients that write at once.
const WRITERS: usize = 4;
/// The server is killed within this time after it began to serve.
const LONGEST_LIFE: Duration = Duration::from_millis(700);
/// Or later, on a machine that has much else to do: when it has acknowledged so many writes, or fewer, by chance.
const MOST_AWAITED: usize = 16;
/// How long they are waited for.
const PATIENCE: Duration = Duration::from_secs(60);
/// One kill in so many is followed by another while the server opens, and so is one in so many of these.
const KILLS_PER_ONE_WHILE_OPENING: u32 = 3;
/// One kill in so many comes shortly after the server was asked to end.
const KILLS_PER_ONE_WHILE_ENDING: u32 = 3;
/// How shortly.
const LONGEST_END: Duration = Duration::from_millis(60);
/// After so many kills the clients begin with new records, so that what must be checked does not grow for ever.
const KILLS_PER_GENERATION: usize = 25;

/// What happened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Kills under load, each followed by a reopen that succeeded.
    pub kills: usize,
    /// Kills besides, of a server that opened what a kill had left and did not listen yet.
    pub kills_while_opening: usize,
    /// Of the kills under load, those of a server that had been asked to end before.
    pub kills_while_ending: usize,
    /// Writes that were acknowledged.
    pub acknowledged: usize,
    /// Records read and found as they must be, over all reopens.
    pub checked: usize,
}

/// Kills the server `kills` times under load in a store below `home`, and a share of these times again while it opens.
/// Checks after each reopen that every acknowledged write is there, whole, and tells `checked` what there was so far.
///
/// # Errors
/// A record was lost or torn, or a reopen failed.
pub async fn run(home: &Path, kills: usize, seed: u64, checked: impl Fn(&Report)) -> anyhow::Result<Report> {
    let store = home.join("store");
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut report = Report::default();
    let mut writers: Vec<Writer> = Vec::new();
    let mut opening = Instant::now();
    let mut service = profiler::start(home, &store, &[])?;
    let mut opens_in = opening.elapsed();
    for kill in 0..kills {
        if kill % KILLS_PER_GENERATION == 0 {
            let named =
                |index| Writer::new(&format!("k{kill}-{index}"), seed ^ (kill * WRITERS + index) as u64);
            writers = (0..WRITERS).map(named).collect();
        }
        let life = Arc::new(Life::default());
        let mut running = Vec::new();
        for mut writer in writers.drain(..) {
            let (client, life) = (profiler::connect(&service)?, Arc::clone(&life));
            running.push(tokio::spawn(async move {
                let ended = writer.run(client, usize::MAX, &life).await;
                (writer, ended)
            }));
        }
        let length = random.random_range(0..LONGEST_LIFE.as_micros() as u64);
        tokio::time::sleep(Duration::from_micros(length)).await;
        let (awaited, began) = (random.random_range(0..=MOST_AWAITED), Instant::now());
        while life.acknowledged.load(Ordering::SeqCst) < awaited && began.elapsed() < PATIENCE {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        life.killed.store(true, Ordering::SeqCst);
        if random.random_range(0..KILLS_PER_ONE_WHILE_ENDING) == 0 {
            service.signal("TERM")?;
            tokio::time::sleep(LONGEST_END.mul_f64(random.random_range(0.0..1.0))).await;
            report.kills_while_ending += 1;
        }
        service.kill()?;
        for task in running {
            let (writer, ended) = task.await?;
            ended.context("the server refused a write, or was gone before it was killed")?;
            writers.push(writer);
        }
        while random.random_range(0..KILLS_PER_ONE_WHILE_OPENING) == 0 {
            let after = opens_in.mul_f64(random.random_range(0.0..1.0));
            let early = profiler::kill_after(home, &store, after).with_context(|| {
                format!("killed {after:?} after it began to open, after kill {}", kill + 1)
            })?;
            report.kills_while_opening += usize::from(early);
        }
        opening = Instant::now();
        service = profiler::start(home, &store, &[]).with_context(|| format!("after kill {}", kill + 1))?;
        opens_in = opening.elapsed();
        report.kills += 1;
        let mut client = profiler::connect(&service)?;
        for writer in &mut writers {
            report.acknowledged += writer.take_acknowledged();
            report.checked +=
                settle(&mut client, writer).await.with_context(|| format!("after kill {}", kill + 1))?;
        }
        checked(&report);
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
