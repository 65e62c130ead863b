//! `automap bench graph`: whole builds on a generated load, beside the bare matrix products of the same size.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use automap_graph_builder::{
    bootstrap::{FrameRows, Resampling, Tally, count_edges},
    build::{BuildOrder, BuiltGraph, Limits, build_within},
    load_removal::Load as LoadRemoved,
    prepared::Prepared,
    resample_share::ResampleShare,
    skeleton::Levels as _,
    standardise::{Standardised, select},
    stop::Halt,
};
use automap_proto::{budget::TestBudget, frame::MetricFrame, settings::GraphSettings};
use ndarray::{Axis, Slice};
use rayon::ThreadPoolBuilder;

use super::{
    load::{FRONT_END, Load},
    meter::{Cost, measure, peak_memory},
    report::{EdgeTestFigures, Report, ResampleFigures},
    workers::{self, Spreading},
};
use crate::{
    arguments::{AnswerFormat, BenchGraphArgs},
    failure::Failure,
    stdout,
};

/// Rows that the bare product multiplies at once: enough for the kernel's best speed, few enough to skip most of the
/// lower triangle.
const PRODUCT_BLOCK: usize = 128;
/// Short computations are repeated for so long, and their median counts.
const REPEAT_FOR: Duration = Duration::from_millis(400);
const MOST_REPETITIONS: usize = 101;
/// Computations that take less than that time on cores are repeated so often at least: on a machine that does other things
/// the clock runs out after the first, which finds neither memory nor caches warm.
const FEWEST_REPETITIONS: usize = 9;
/// Builds of each kind where two kinds are compared, at least.
const FEWEST_TURNS: usize = 15;

/// Runs the command.
///
/// # Errors
/// A flag is wrong, or the threads cannot be started.
pub async fn run(args: &BenchGraphArgs) -> Result<(), Failure> {
    let load = Load {
        services: args.services,
        samples: args.samples,
        metrics: args.metrics,
        shared: args.shared_load,
        seed: args.seed,
    };
    let alpha = args.alpha.unwrap_or(0.01);
    let settings = GraphSettings::new(args.ci_test, alpha, args.max_condition, load.kinds().to_vec())?
        .with_bins(args.bins)
        .with_load_removal(args.load_removal, FRONT_END)?;
    let frame = load.generate()?;
    let (mut report, mut built) = bench(&frame, &load, &settings, args.budget, args.threads)?;
    if args.edge_tests {
        report.edge_tests = Some(edge_tests(&frame, &settings, args)?);
    }
    let mut wall_seconds = report.wall_seconds;
    if args.bootstrap_edges > 0 {
        let max_tests = match args.budget {
            TestBudget::Tests(tests) => Some(tests),
            _ => None,
        };
        let share = built.resample_share(max_tests, args.bootstrap_edges);
        let (tally, cost) = resample(&frame, &settings, args, &share)?;
        built.set_confidences(&tally, &share)?;
        let figures = ResampleFigures::new(share.drawn, cost);
        wall_seconds += figures.wall_seconds;
        report.resamples = Some(figures);
    }
    if args.workers > 0 {
        let asked = Spreading {
            frame: Arc::new(frame),
            settings,
            budget: args.budget,
            resamples: args.bootstrap_edges,
            seed: args.seed,
        };
        report.spread = Some(workers::bench(&asked, args.workers, &built, wall_seconds).await?);
    }
    match args.output {
        AnswerFormat::Table => stdout::print(&report.table()),
        AnswerFormat::Json => stdout::print_json(&report),
    }
}

/// Builds without and with the tests of edges told, in turn, so that both meet the same noise. The cheapest of each counts: what
/// else a machine does makes builds dearer and never cheaper.
fn edge_tests(
    frame: &MetricFrame,
    settings: &GraphSettings,
    args: &BenchGraphArgs,
) -> anyhow::Result<EdgeTestFigures> {
    let pool =
        ThreadPoolBuilder::new().num_threads(args.threads).build().context("cannot start the threads")?;
    let rows: Vec<usize> = (0..frame.grid().samples()).collect();
    let never = AtomicBool::new(false);
    let limits = Limits::only(Halt::on(&never));
    let order = BuildOrder { frame, rows: &rows, settings, front_end: None, limits, edge_tests: false };
    let mut least = [f64::INFINITY; 2];
    let (begin, mut turns) = (Instant::now(), 0);
    while turns < FEWEST_TURNS || (begin.elapsed() < REPEAT_FOR && turns < MOST_REPETITIONS) {
        for (edge_tests, least) in [false, true].into_iter().zip(&mut least) {
            let order = BuildOrder { edge_tests, ..order };
            let (built, cost) = measure(|| pool.install(|| build_within(&order, &mut |_| {})));
            built?;
            *least = least.min(cost.cpu.as_secs_f64());
        }
        turns += 1;
    }
    let [without, with] = least;
    Ok(EdgeTestFigures::new(with, without))
}

/// Tests the resamples of `frame` once, on the threads of the build.
fn resample(
    frame: &MetricFrame,
    settings: &GraphSettings,
    args: &BenchGraphArgs,
    share: &ResampleShare,
) -> anyhow::Result<(Tally, Cost)> {
    let pool =
        ThreadPoolBuilder::new().num_threads(args.threads).build().context("cannot start the threads")?;
    let rows: Vec<usize> = (0..frame.grid().samples()).collect();
    let never = AtomicBool::new(false);
    let resampling =
        Resampling { settings, seed: args.seed, most_tests: share.most_tests, halt: Halt::on(&never) };
    let source = FrameRows { frame, rows: &rows };
    let (tally, cost) = measure(|| pool.install(|| count_edges(&source, &resampling, share.drawn)));
    Ok((tally?, cost))
}

/// Builds the graph of `frame` as often as it takes to time it, on `threads` threads, and the bare products; answers the
/// figures and the graph.
///
/// # Errors
/// The threads cannot be started, or the build failed.
pub fn bench(
    frame: &MetricFrame,
    load: &Load,
    settings: &GraphSettings,
    budget: TestBudget,
    threads: usize,
) -> anyhow::Result<(Report, BuiltGraph)> {
    let pool = ThreadPoolBuilder::new().num_threads(threads).build().context("cannot start the threads")?;
    let rows: Vec<usize> = (0..frame.grid().samples()).collect();
    let build_once = || -> anyhow::Result<BuiltGraph> {
        let (never, time_up) = (AtomicBool::new(false), Arc::new(AtomicBool::new(false)));
        let mut max_tests = None;
        match budget {
            TestBudget::Unlimited => {}
            TestBudget::Tests(tests) => max_tests = Some(tests),
            TestBudget::Time(time) => {
                let up = Arc::clone(&time_up);
                thread::spawn(move || {
                    thread::sleep(time);
                    up.store(true, Ordering::Relaxed);
                });
            }
        }
        let halt = Halt::on(&never).or_at(&time_up);
        let limits = Limits { max_tests, halt };
        let order = BuildOrder { frame, rows: &rows, settings, front_end: None, limits, edge_tests: false };
        Ok(pool.install(|| build_within(&order, &mut |_| {}))?)
    };
    let ((built, first), peak_memory) = peak_memory(|| measure(build_once));
    let built = built?;
    let cost = median_cost(first, || {
        build_once().ok();
    });
    let product = matrix_products(frame, settings, &rows);
    let level_zero = level_zero(frame, settings, &rows)?;
    let report = Report::new(load, settings, threads, &built, [cost, level_zero, product], peak_memory);
    Ok((Report { budget: budget.to_string(), ..report }, built))
}

/// The median of a first cost and of as many more as fit into the time, or as a median needs.
fn median_cost(first: Cost, mut compute: impl FnMut()) -> Cost {
    let mut costs = vec![first];
    let begin = Instant::now();
    let has_time = || first.wall + begin.elapsed() < REPEAT_FOR;
    let fewest = if first.cpu < REPEAT_FOR { FEWEST_REPETITIONS } else { 1 };
    while costs.len() < fewest || (has_time() && costs.len() < MOST_REPETITIONS) {
        costs.push(measure(&mut compute).1);
    }
    costs.sort_by_key(|cost| cost.cpu);
    costs[costs.len() / 2]
}

/// The cost of level 0 of each metric type on one thread: from series to pairs that no empty set separates, one matrix product
/// among it.
fn level_zero(frame: &MetricFrame, settings: &GraphSettings, rows: &[usize]) -> anyhow::Result<Cost> {
    let one_thread = ThreadPoolBuilder::new().num_threads(1).build().context("cannot start a thread")?;
    let never = AtomicBool::new(false);
    let load = LoadRemoved::of(frame, rows, settings);
    let mut total = Cost::default();
    for &metric in settings.metrics() {
        let test = || {
            one_thread.install(|| {
                let prepared = Prepared::new(select(frame, rows, metric), &load, settings);
                prepared.at(settings.alpha()).level_zero(Halt::on(&never)).map(std::hint::black_box)
            })
        };
        let (tested, first) = measure(test);
        tested?;
        let cost = median_cost(first, || {
            test().ok();
        });
        total.cpu += cost.cpu;
        total.wall += cost.wall;
    }
    Ok(total)
}

/// The cost of the upper triangle of each metric type's correlation matrix, as a matrix product alone, on one thread.
fn matrix_products(frame: &MetricFrame, settings: &GraphSettings, rows: &[usize]) -> Cost {
    let mut total = Cost::default();
    for &metric in settings.metrics() {
        let standardised = Standardised::new(select(frame, rows, metric));
        let values = standardised.values();
        let multiply = || {
            for start in (0..values.nrows()).step_by(PRODUCT_BLOCK) {
                let end = (start + PRODUCT_BLOCK).min(values.nrows());
                let block = values.slice_axis(Axis(0), Slice::from(start..end));
                let rest = values.slice_axis(Axis(0), Slice::from(start..));
                std::hint::black_box(block.dot(&rest.t()));
            }
        };
        let first = measure(multiply).1;
        let cost = median_cost(first, multiply);
        total.cpu += cost.cpu;
        total.wall += cost.wall;
    }
    total
}
