//! Power failures while clients write, and after kills and restarts.
//!
//! The server runs under `shim.c`, which tells every change to its files and every sync in their order, and lets it make no
//! other change. Several lives follow each other in one store, each ended by SIGKILL at a random operation. Then the disk is
//! acted out again, up to random moments, without what was not synced by then; on what is left the real server is started,
//! and everything that was acknowledged by that moment must be there.

use std::{
    fs,
    os::unix::process::ExitStatusExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, ensure};
use rand::{RngExt as _, SeedableRng as _, seq::IndexedRandom as _};
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

use super::{
    audit,
    history::History,
    kills,
    load::{self, Life, Writer},
    profiler,
    recorded_disk::{self, Event, Mercy, RecordedDisk},
};

const SHIM: &str = include_str!("shim.c");
/// Clients that write at once.
const WRITERS: usize = 3;
const SIGKILL: i32 = 9;
/// A life ends before so many operations on files.
const LONGEST_LIFE: u64 = 1_500;

/// What happened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Lives of the server that was recorded.
    pub lives: usize,
    /// Operations that were recorded.
    pub operations: usize,
    /// Of these, rooms taken for files.
    pub allocations: usize,
    /// Writes that were acknowledged.
    pub writes_acknowledged: usize,
    /// Power failures, each followed by a reopen that succeeded.
    pub power_failures: usize,
    /// Records read and found as they must be.
    pub checked: usize,
}

/// Compiles the shim into `home`.
///
/// # Errors
/// There is no C compiler, or it refused.
pub fn compile_shim(home: &Path) -> anyhow::Result<PathBuf> {
    let (source, library) = (home.join("shim.c"), home.join("shim.so"));
    fs::write(&source, SHIM)?;
    let output = Command::new("cc")
        .args(["-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror", "-o"])
        .args([&library, &source])
        .args(["-ldl", "-lpthread"])
        .output()
        .context("cannot run the C compiler `cc`")?;
    ensure!(output.status.success(), "cc: {}", String::from_utf8_lossy(&output.stderr));
    Ok(library)
}

/// Records `lives` of a server under load below `home`, and acts out `failures` power failures.
///
/// # Errors
/// A record was lost or torn, or a reopen failed; the state that the failure left stays in `home`.
pub async fn run(home: &Path, lives: usize, failures: usize, seed: u64) -> anyhow::Result<Report> {
    let home = &home.canonicalize()?;
    let shim = compile_shim(home)?;
    let (disk, log) = (home.join("disk"), home.join("operations"));
    fs::create_dir(&disk)?;
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut report = Report { lives, ..Report::default() };
    let mut writers: Vec<Writer> =
        (0..WRITERS).map(|index| Writer::new(&format!("p{index}"), seed ^ index as u64)).collect();
    for life in 0..lives {
        let last = random.random_range(LONGEST_LIFE / 10..LONGEST_LIFE).to_string();
        let lived = live(home, &shim, &last, &mut writers, life % 4 == 3).await;
        if lived.is_err() {
            // A change that the shim does not tell of ends the process: that is why, then.
            recorded_disk::events(&log)?;
        }
        lived.with_context(|| format!("in life {}", life + 1))?;
    }
    let mut history = History::default();
    for writer in &mut writers {
        report.writes_acknowledged += writer.take_acknowledged();
        history.extend(writer.history.clone());
    }
    let events = recorded_disk::events(&log)?;
    report.operations = events.len();
    report.allocations = events.iter().filter(|event| event.allocates()).count();
    let mut moments: Vec<usize> = (0..failures).map(|_| random.random_range(0..=events.len())).collect();
    moments.sort_unstable();
    let mut acted = RecordedDisk::new(&disk)?;
    let mut done = 0;
    for (number, moment) in moments.into_iter().enumerate() {
        for event in &events[done..moment] {
            acted.apply(event)?;
        }
        done = moment;
        let mercy =
            [Mercy::Nothing, Mercy::Chance(seed ^ number as u64), Mercy::Chance(!seed ^ number as u64)];
        let mercy = *mercy.choose(&mut random).context("there are some")?;
        let left = home.join(format!("left-{number}"));
        acted.after_power_failure(mercy, &left)?;
        report.checked += examine(home, &left, &history, events.get(moment)).await.with_context(|| {
            format!("power failed before operation {moment}, {mercy:?}: {}", left.display())
        })?;
        report.power_failures += 1;
        fs::remove_dir_all(&left)?;
    }
    Ok(report)
}

/// One life of the recorded server: it is opened, checked, written to, and ends by its own hand or by SIGTERM.
async fn live(
    home: &Path,
    shim: &Path,
    last_operation: &str,
    writers: &mut Vec<Writer>,
    gently: bool,
) -> anyhow::Result<()> {
    let text = |path: &Path| path.to_str().map(str::to_owned).context("a path that is text");
    let environment = [
        ("LD_PRELOAD", text(shim)?),
        ("AUTOMAP_SHIM_ROOT", text(&home.join("disk"))?),
        ("AUTOMAP_SHIM_LOG", text(&home.join("operations"))?),
        ("AUTOMAP_SHIM_KILL_AFTER", last_operation.to_owned()),
    ];
    let environment: Vec<(&str, &str)> =
        environment.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let service = match profiler::start(home, &home.join("disk/store"), &environment) {
        Ok(service) => service,
        // It may be killed before it listens: that is a life, too.
        Err(error) if format!("{error:#}").contains("signal: 9") => return Ok(()),
        Err(error) => return Err(error),
    };
    let mut running = Vec::new();
    for mut writer in writers.drain(..) {
        let mut client = profiler::connect(&service)?;
        running.push(tokio::spawn(async move {
            // What is in the air is known once the server can be asked; it may be gone by then.
            let outcome = match kills::settle(&mut client, &mut writer).await {
                Err(error) if error.downcast_ref::<tonic::Status>().is_some_and(load::is_gone) => Ok(()),
                Err(error) => Err(error),
                Ok(_) => {
                    let most = if gently { 40 } else { usize::MAX };
                    // The server kills itself: when, nobody knows before.
                    let life = Life { killed: true.into(), ..Life::default() };
                    writer.run(client, most, &life).await.map_err(anyhow::Error::new)
                }
            };
            (writer, outcome)
        }));
    }
    for task in running {
        let (writer, outcome) = task.await?;
        writers.push(writer);
        outcome?;
    }
    if gently {
        return service.terminate().map(drop);
    }
    let ended = service.ended()?;
    ensure!(ended.signal() == Some(SIGKILL), "the server ended by {ended}");
    Ok(())
}

/// Starts a server on what is left, and checks it.
async fn examine(home: &Path, left: &Path, history: &History, next: Option<&Event>) -> anyhow::Result<usize> {
    let store = left.join("store");
    let service = profiler::start(home, &store, &[])?;
    let mut client = profiler::connect(&service)?;
    let moment = next.map_or(u64::MAX, |event| event.at);
    let found = audit::check(&mut client, history, moment).await?;
    service.kill()?;
    Ok(found.len())
}
