//! What stresses a process from within.

use std::{
    fs::{self, OpenOptions},
    hint::black_box,
    io,
    os::unix::fs::FileExt as _,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::Context as _;
use rustix::time::ClockId;
use tokio::task::{JoinHandle, spawn_blocking};

use crate::{
    conditions::{DiskConditions, ProcessConditions},
    process_usage::cpu_time,
};

/// The period in which the kernel gives a container its share of cpu.
const PERIOD: Duration = Duration::from_millis(100);

/// The file of the disk stress is written round and round, in pieces.
const PIECE_BYTES: usize = 256 << 10;
const PIECES: u64 = 128;

/// The stress of a process. Dropped, it ends; memory is given back, threads end at their next piece.
#[derive(Debug)]
pub(super) struct Stress {
    data: PathBuf,
    present: ProcessConditions,
    memory: Vec<u8>,
    cpu: Option<CpuStress>,
    disk: Option<DiskStress>,
}

impl Stress {
    /// No stress yet; that of the disk will be in `data`.
    pub(super) fn in_directory(data: PathBuf) -> Self {
        Self { data, present: ProcessConditions::default(), memory: Vec::new(), cpu: None, disk: None }
    }

    /// Makes the stress what `wanted` says; it is so when this returns.
    pub(super) async fn become_of(&mut self, wanted: &ProcessConditions) -> anyhow::Result<()> {
        if wanted.memory_megabytes != self.present.memory_megabytes {
            self.memory = Vec::new();
            let bytes = usize::try_from(wanted.memory_megabytes * 1_000_000)?;
            // Written, for pages that are only promised take no memory.
            self.memory = spawn_blocking(move || black_box(vec![1; bytes])).await?;
        }
        if wanted.cpu_cores != self.present.cpu_cores {
            self.cpu = (wanted.cpu_cores > 0.0).then(|| CpuStress::start(PERIOD.mul_f64(wanted.cpu_cores)));
        }
        let rate = wanted.disk.megabytes_per_second;
        if rate != self.present.disk.megabytes_per_second {
            if let Some(running) = self.disk.take() {
                running.end().await?;
            }
            if rate > 0.0 {
                self.disk = Some(DiskStress::start(self.data.join("stress.data"), &wanted.disk));
            }
        }
        self.present = *wanted;
        Ok(())
    }
}

/// Computes for a part of each period on the thread that serves requests. A container whose processes take more than its
/// limit is stopped for the rest of each period, with all that is in it: requests wait just so.
#[derive(Debug)]
struct CpuStress(JoinHandle<()>);

impl CpuStress {
    fn start(busy: Duration) -> Self {
        Self(tokio::spawn(async move {
            loop {
                let (started, begun) = (Instant::now(), cpu_time(ClockId::ThreadCPUTime));
                let mut number = 1_u64;
                // On a machine that has less than it wants it takes longer, but not for ever.
                while cpu_time(ClockId::ThreadCPUTime).saturating_sub(begun) < busy
                    && started.elapsed() < PERIOD
                {
                    for _ in 0..1000 {
                        number = black_box(number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1));
                    }
                }
                tokio::time::sleep(PERIOD.saturating_sub(started.elapsed())).await;
            }
        }))
    }
}

impl Drop for CpuStress {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Writes and reads a file, and has what was written reach the disk.
#[derive(Debug)]
struct DiskStress {
    ending: Arc<AtomicBool>,
    task: JoinHandle<io::Result<()>>,
}

impl DiskStress {
    fn start(path: PathBuf, conditions: &DiskConditions) -> Self {
        let ending = Arc::<AtomicBool>::default();
        let told = Arc::clone(&ending);
        let pause = Duration::from_secs_f64(PIECE_BYTES as f64 / (conditions.megabytes_per_second * 1e6));
        Self { ending, task: spawn_blocking(move || write_and_read(path, pause, &told)) }
    }

    async fn end(mut self) -> anyhow::Result<()> {
        self.ending.store(true, Ordering::Relaxed);
        (&mut self.task).await?.context("the disk stress broke off")
    }
}

impl Drop for DiskStress {
    fn drop(&mut self) {
        self.ending.store(true, Ordering::Relaxed);
    }
}

fn write_and_read(path: PathBuf, pause: Duration, ending: &AtomicBool) -> io::Result<()> {
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(&path)?;
    let mut piece = vec![1; PIECE_BYTES];
    let started = Instant::now();
    for turn in 0.. {
        if ending.load(Ordering::Relaxed) {
            break;
        }
        let place = u64::from(turn) % PIECES * PIECE_BYTES as u64;
        file.write_all_at(&piece, place)?;
        if turn % 16 == 15 {
            file.sync_data()?;
        }
        file.read_exact_at(&mut piece, place)?;
        let due = pause.saturating_mul(turn + 1);
        std::thread::sleep(due.saturating_sub(started.elapsed()).min(PERIOD * 10));
    }
    fs::remove_file(path)
}
