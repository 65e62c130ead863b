//! The tests of one build, here and at peers.

use std::{
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc as blocking,
    },
    time::Duration,
};

use automap_proto::{metric::MetricKind, settings::GraphSettings};
use tokio::sync::mpsc;

use super::{
    exchange::{Batch, Means, Shards},
    level_job::LevelJob,
};
use crate::{
    build::Spreading,
    independence::Verdict,
    prepared::Prepared,
    sharding::cost::{self, Prospect},
    skeleton::{LevelTask, Levels, Neighbours},
    stop::{Halt, Stopped},
    test_estimate::pair_sets,
};

/// How often a thread that waits for verdicts looks whether they are still wanted.
const LOOK: Duration = Duration::from_millis(50);

/// The tests of one build: those of levels that pay go to an exchange, the others are made here.
#[derive(Debug)]
pub(super) struct Spread<'a> {
    pub(super) means: &'a Means,
    pub(super) settings: &'a GraphSettings,
    pub(super) batches: mpsc::Sender<Batch>,
    /// What peers need before their first shard, until it was sent.
    pub(super) input_bytes: AtomicU64,
}

impl Spreading for Spread<'_> {
    fn run(&self, compute: &mut (dyn FnMut() + Send)) {
        self.means.workers.run(compute);
    }

    fn levels(&self, metric: MetricKind, prepared: Arc<Prepared>) -> Box<dyn Levels + '_> {
        Box::new(SpreadLevels { spread: self, metric, prepared })
    }
}

/// The tests of one metric type.
struct SpreadLevels<'a> {
    spread: &'a Spread<'a>,
    metric: MetricKind,
    prepared: Arc<Prepared>,
}

impl SpreadLevels<'_> {
    fn here<T: Send>(&self, compute: impl FnOnce(&dyn Levels) -> T + Send) -> T {
        let alpha = self.spread.settings.alpha();
        self.spread.means.workers.run(|| compute(&self.prepared.at(alpha)))
    }

    /// The level as a job with its shards, when spreading it pays.
    fn batch(&self, task: &LevelTask<'_>) -> Option<(LevelJob, Shards)> {
        let mut prospect = Prospect {
            tests: task.expected_tests,
            threads: self.spread.means.workers.threads(),
            input_bytes: self.spread.input_bytes.load(Ordering::Relaxed),
            shard_bytes: 0,
            workers: self.spread.means.peers.members().len(),
            bytes_per_second: self.spread.means.peers.bytes_per_second,
        };
        // Cheap, and says no to most levels.
        if !prospect.pays() {
            return None;
        }
        let job = LevelJob::new(Arc::clone(&self.prepared), self.spread.settings, self.metric, task)?;
        prospect.shard_bytes = job.shard_bytes() as u64;
        if !prospect.pays() {
            return None;
        }
        let own = pair_sets(task.neighbours, task.pairs, task.size);
        let weights: Vec<u64> = own.iter().map(|pair| pair.tests.min(task.part.most)).collect();
        let cost = |range: &Range<usize>| {
            weights[range.clone()].iter().fold(0_u64, |sum, weight| sum.saturating_add(*weight))
        };
        let ranges = cost::cut(&weights, prospect.shards());
        let shards = ranges.into_iter().map(|range| (range.clone(), cost(&range))).collect();
        Some((job, shards))
    }
}

impl Levels for SpreadLevels<'_> {
    fn level_zero(&self, halt: Halt<'_>) -> Result<(Neighbours, u64), Stopped> {
        self.here(|levels| levels.level_zero(halt))
    }

    fn has_level(&self, size: usize) -> bool {
        self.here(|levels| levels.has_level(size))
    }

    fn test(&self, task: &LevelTask<'_>, halt: Halt<'_>) -> Result<Vec<Verdict>, Stopped> {
        let Some((job, shards)) = self.batch(task) else {
            return self.here(|levels| levels.test(task, halt));
        };
        let (sender, receiver) = blocking::channel();
        let withdrawn = Arc::new(AtomicBool::new(false));
        let places: Vec<Range<usize>> = shards.iter().map(|(range, _)| range.clone()).collect();
        let batch = Batch { job: Arc::new(job), shards, verdicts: sender, withdrawn: Arc::clone(&withdrawn) };
        self.spread.batches.blocking_send(batch).map_err(|_| Stopped)?;
        self.spread.input_bytes.store(0, Ordering::Relaxed);
        // A pair that was not looked at in time is cut.
        let mut verdicts = vec![Verdict { is_cut: true, ..Verdict::default() }; task.pairs.len()];
        let mut left = places.len();
        while left > 0 && !halt.is_time_up() {
            match receiver.recv_timeout(LOOK) {
                Ok((position, found)) => {
                    let place = &mut verdicts[places[position].clone()];
                    place.iter_mut().zip(found).for_each(|(slot, verdict)| *slot = verdict);
                    left -= 1;
                }
                Err(blocking::RecvTimeoutError::Timeout) => {}
                // The exchange is gone, and with it the caller.
                Err(blocking::RecvTimeoutError::Disconnected) => return Err(Stopped),
            }
            if halt.is_stopped() {
                withdrawn.store(true, Ordering::Relaxed);
                return Err(Stopped);
            }
        }
        withdrawn.store(true, Ordering::Relaxed);
        Ok(verdicts)
    }
}
