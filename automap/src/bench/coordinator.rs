//! `automap bench coordinator`: how the spreading of tests over peers bears faults, simulated over many seeds.

use automap_graph_builder::sharding::simulation::{self, Run};
use clap::Args;
use serde::Serialize;

use crate::{arguments::AnswerFormat, failure::Failure, stdout};

/// Arguments of `bench coordinator`.
#[derive(Debug, Args)]
pub struct CoordinatorArgs {
    /// Simulated clusters.
    #[arg(long, value_name = "N", default_value_t = 1000)]
    pub seeds: u64,
    /// Seed of the first one.
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// How the figures are printed.
    #[arg(long, value_enum, default_value_t)]
    pub output: AnswerFormat,
}

/// What all runs together found.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Summary {
    /// Simulated clusters.
    pub seeds: u64,
    /// Shards, each answered exactly once.
    pub shards: usize,
    /// Bootstrap resamples, counted as they are without workers.
    pub resamples: u64,
    /// Workers beside the one of the coordinator.
    pub workers: usize,
    /// Faults that workers had.
    pub faults: usize,
    /// Shards that were given to another worker while the first still held them.
    pub hedges: u64,
    /// Runs that were faster than the coordinator alone.
    pub faster: u64,
    /// Simulated time of all runs, seconds.
    pub simulated_seconds: f64,
}

/// Runs the command.
///
/// # Errors
/// The coordinator broke one of its promises; the message names the seed.
pub fn run(args: &CoordinatorArgs) -> Result<(), Failure> {
    let mut summary = Summary::default();
    for seed in args.seed..args.seed.saturating_add(args.seeds) {
        let run = simulation::run(seed).map_err(anyhow::Error::msg)?;
        summary.add(&run);
    }
    match args.output {
        AnswerFormat::Json => stdout::print_json(&summary),
        AnswerFormat::Table => stdout::print(&format!(
            "{} simulated clusters with {} workers that had {} faults: each of {} shards was answered once, {} resamples were \
             counted as without workers, {} shards were hedged, {} runs were faster than the coordinator alone; {:.0} simulated seconds\n",
            summary.seeds,
            summary.workers,
            summary.faults,
            summary.shards,
            summary.resamples,
            summary.hedges,
            summary.faster,
            summary.simulated_seconds,
        )),
    }
}

impl Summary {
    fn add(&mut self, run: &Run) {
        self.seeds += 1;
        self.shards += run.shards;
        self.resamples += u64::from(run.resamples);
        self.workers += run.workers;
        self.faults += run.faults;
        self.hedges += run.hedges;
        self.faster += u64::from(run.took < run.alone);
        self.simulated_seconds += run.took as f64 / 1000.0;
    }
}
