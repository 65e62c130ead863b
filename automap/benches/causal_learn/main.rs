//! Whole builds against the skeletons of causal-learn: the same series, level and depth, on one thread each, without
//! start-up and reading. The builds also keep separating sets, orient and weigh; causal-learn only learns skeletons.
//!
//! `cargo bench -p automap --bench causal_learn`, after `.ci/test` has set up the Python packages.

use std::{
    collections::BTreeSet,
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
    sync::atomic::AtomicBool,
};

use anyhow::{Context as _, ensure};
use automap::{
    bench::{graph::bench, load::Load},
    stdout,
};
use automap_graph_builder::{
    build::build,
    discretise::Discretised,
    standardise::{Standardised, select},
};
use automap_proto::{
    budget::TestBudget,
    frame::MetricFrame,
    metric::MetricKind,
    settings::{CiTest, GraphSettings},
};
use serde::Deserialize;
use serde_json::json;

const ALPHA: f64 = 0.01;
const SAMPLES: usize = 720;

#[derive(Deserialize)]
struct CausalLearn {
    cpu_seconds: f64,
    skeletons: Vec<BTreeSet<(usize, usize)>>,
}

fn causal_learn(request: &serde_json::Value) -> anyhow::Result<CausalLearn> {
    let project = Path::new(env!("CARGO_MANIFEST_DIR"));
    let this = std::env::current_exe()?;
    let target = this.ancestors().nth(3).context("benchmarks lie two directories below target")?;
    let python = target.join("ci-venv/bin/python");
    ensure!(python.is_file(), "{} is missing: run `bash .ci/test`, which sets it up", python.display());
    let mut child = Command::new(python)
        .arg(project.join("benches/causal_learn/skeletons.py"))
        .envs(["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"].map(|name| (name, "1")))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut stdin = child.stdin.take().context("standard input is a pipe")?;
    stdin.write_all(&serde_json::to_vec(request)?)?;
    drop(stdin);
    let output = child.wait_with_output()?;
    ensure!(output.status.success(), "causal-learn failed: {}", output.status);
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// The series of one metric type as causal-learn gets them: samples, or bins where the test is of tables.
fn series(
    frame: &MetricFrame,
    rows: &[usize],
    metric: MetricKind,
    settings: &GraphSettings,
) -> Vec<Vec<f64>> {
    let selected = select(frame, rows, metric);
    if settings.ci_test() == CiTest::FisherZ {
        return selected.rows().into_iter().map(|series| series.to_vec()).collect();
    }
    let data = Discretised::new(&Standardised::new(selected), settings.bins());
    (0..data.services())
        .map(|service| rows.iter().map(|&row| data.bin(service, row).unwrap_or(0) as f64).collect())
        .collect()
}

/// Compares one size and answers a line of the report.
fn compare(ci_test: CiTest, services: usize, max_condition: usize) -> anyhow::Result<String> {
    let load = Load { services, samples: SAMPLES, metrics: MetricKind::ALL.len(), shared: false, seed: 0 };
    let settings = GraphSettings::new(ci_test, ALPHA, max_condition, load.kinds().to_vec())?;
    let frame = load.generate()?;
    let (report, _) = bench(&frame, &load, &settings, TestBudget::Unlimited, 1)?;

    let rows: Vec<usize> = (0..SAMPLES).collect();
    let series: Vec<_> =
        load.kinds().iter().map(|&metric| series(&frame, &rows, metric, &settings)).collect();
    let test = if ci_test == CiTest::FisherZ { "fisherz" } else { "gsq" };
    let peer = causal_learn(
        &json!({ "metrics": series, "ci_test": test, "alpha": ALPHA, "max_condition": max_condition }),
    )?;

    let built = build(&frame, &rows, &settings, None, &AtomicBool::new(false), &mut |_| {})?;
    for (&metric, expected) in load.kinds().iter().zip(&peer.skeletons) {
        let own: BTreeSet<(usize, usize)> = built
            .graph
            .drawn_edges()
            .filter(|(_, _, _, weights)| weights.weight(metric) > 0.0)
            .map(|(from, to, ..)| (from.min(to), from.max(to)))
            .collect();
        ensure!(own == *expected, "{ci_test}, {services} services: the skeletons of {metric} differ");
    }
    let edges: usize = peer.skeletons.iter().map(BTreeSet::len).sum();
    Ok(format!(
        "{ci_test:9} n = {services:4}: causal-learn {:9.3} cpu s, automap {:.6} cpu s, ratio {:7.0}; {edges} edges in \
         {} skeletons, all the same\n",
        peer.cpu_seconds,
        report.cpu_seconds,
        peer.cpu_seconds / report.cpu_seconds,
        peer.skeletons.len(),
    ))
}

fn main() -> anyhow::Result<()> {
    for (ci_test, services, max_condition) in [
        (CiTest::FisherZ, 16, 3),
        (CiTest::FisherZ, 50, 3),
        (CiTest::FisherZ, 100, 3),
        // Deeper tables of 720 samples are too thin: causal-learn tests them nevertheless.
        (CiTest::G2, 16, 2),
        (CiTest::G2, 50, 2),
        (CiTest::G2, 100, 2),
    ] {
        stdout::print(&compare(ci_test, services, max_condition)?)?;
    }
    Ok(())
}
