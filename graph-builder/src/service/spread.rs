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
    exchange::Means,
    job::{Batch, Job},
    level_job::{LevelJob, LevelShards},
    pair_code::MOST_SKELETON_BYTES,
    resample_job::{ResampleJob, ResampleShards},
};
use crate::{
    bootstrap::Tally,
    build::{MetricLevel, Spreading},
    independence::Verdict,
    prepared::Prepared,
    sharding::{
        cost::{self, Prospect},
        resamples::{self, Gathering, ResampleShard},
        skeleton_code,
    },
    skeleton::{LevelTask, Levels, Neighbours},
    stop::{Halt, Stopped},
    test_estimate::pair_sets,
};

/// How often a thread that waits for shards looks whether they are still wanted.
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

impl Spread<'_> {
    /// What so many seconds of a core would have to ship.
    fn prospect(&self, core_seconds: f64) -> Prospect {
        Prospect {
            core_seconds,
            threads: self.means.team.threads(),
            input_bytes: self.input_bytes.load(Ordering::Relaxed),
            shard_bytes: 0,
            workers: self.means.peers.members().len(),
            bytes_per_second: self.means.peers.bytes_per_second,
        }
    }

    /// Has the shards of a job done, each of which costs what `costs` says, and hands on what they found, in whatever order
    /// they come, until all have come or the time is up.
    fn exchange<T>(
        &self,
        job: impl Job + 'static,
        costs: Vec<u64>,
        found: &blocking::Receiver<(usize, T)>,
        halt: Halt<'_>,
        mut take: impl FnMut(usize, T),
    ) -> Result<(), Stopped> {
        let withdrawn = Arc::new(AtomicBool::new(false));
        let mut left = costs.len();
        let batch = Batch { job: Arc::new(job), costs, withdrawn: Arc::clone(&withdrawn) };
        self.batches.blocking_send(batch).map_err(|_| Stopped)?;
        self.input_bytes.store(0, Ordering::Relaxed);
        while left > 0 && !halt.is_time_up() {
            match found.recv_timeout(LOOK) {
                Ok((shard, found)) => {
                    take(shard, found);
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
        Ok(())
    }

    /// Counts the edges of `resamples` resamples of a graph whose levels were these, when spreading them pays; `None` when
    /// it does not.
    ///
    /// # Errors
    /// [`Stopped`] when nobody wants the answer any more.
    pub(super) fn count_edges(
        &self,
        job: &ResampleJob,
        resamples: u32,
        levels: &[MetricLevel],
        halt: Halt<'_>,
    ) -> Result<Option<Tally>, Stopped> {
        let (services, metrics) = (job.frame.services().len(), job.settings.metrics());
        let bytes = skeleton_code::bytes_for(services);
        let correlations = cost::seconds_of_correlations(services, job.rows.len());
        let seconds_of = |metric: &MetricKind| {
            let own = levels.iter().filter(|level| level.metric == *metric);
            correlations + cost::seconds_of_tests(own.map(|level| level.level.tests).sum())
        };
        let seconds: Vec<f64> = metrics.iter().map(seconds_of).collect();
        let of_all = seconds.iter().sum::<f64>() * f64::from(resamples);
        let prospect = Prospect { shard_bytes: bytes as u64, ..self.prospect(of_all) };
        if bytes > MOST_SKELETON_BYTES || !prospect.pays() {
            return Ok(None);
        }
        let most = u32::try_from(MOST_SKELETON_BYTES / bytes.max(1)).unwrap_or(u32::MAX);
        let shards = resamples::cut(resamples, metrics.len(), prospect.shards(), most);
        let cost = |shard: &ResampleShard| {
            let one = seconds[shard.metrics.clone()].iter().sum::<f64>();
            cost::tests_of_seconds(one * shard.resamples.len() as f64)
        };
        let costs = shards.iter().map(cost).collect();
        let (sender, receiver) = blocking::channel();
        let mut gathering = Gathering::new(metrics.len());
        let parts = ResampleShards { job: job.clone(), shards: shards.clone(), found: sender };
        self.exchange(parts, costs, &receiver, halt, |shard, found| gathering.take(&shards[shard], found))?;
        Ok(Some(gathering.finish()))
    }
}

impl Spreading for Spread<'_> {
    fn run(&self, compute: &mut (dyn FnMut() + Send)) {
        self.means.team.run(compute);
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
        self.spread.means.team.run(|| compute(&self.prepared.at(alpha)))
    }

    /// The level, its shards and what each of them costs, when spreading it pays.
    fn shards(&self, task: &LevelTask<'_>) -> Option<(LevelJob, Vec<Range<usize>>, Vec<u64>)> {
        let mut prospect = self.spread.prospect(cost::seconds_of_tests(task.expected_tests));
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
        let costs = ranges.iter().map(cost).collect();
        Some((job, ranges, costs))
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
        let Some((level, ranges, costs)) = self.shards(task) else {
            return self.here(|levels| levels.test(task, halt));
        };
        let (sender, receiver) = blocking::channel();
        let places = ranges.clone();
        let job = LevelShards { level, ranges, most_tests: costs.clone(), verdicts: sender };
        // A pair that was not looked at in time is cut.
        let mut verdicts = vec![Verdict { is_cut: true, ..Verdict::default() }; task.pairs.len()];
        self.spread.exchange(job, costs, &receiver, halt, |shard, found: Vec<Verdict>| {
            let place = &mut verdicts[places[shard].clone()];
            place.iter_mut().zip(found).for_each(|(slot, verdict)| *slot = verdict);
        })?;
        Ok(verdicts)
    }
}
