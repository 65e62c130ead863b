//! `automap bench store`: what a memory of many incidents costs: opening it, the similar ones of one, memory.

use std::{path::Path, process::Command, sync::Arc, time::Instant};

use anyhow::{Context as _, ensure};
use automap_profiler::{
    anomaly_profile::AnomalyProfile,
    similarity::SIMILARITY_CELLS,
    store::{
        ProfileStore as _, SimilarityQuery,
        sled_store::{SledStore, StoreOptions},
    },
};
use comfy_table::{CellAlignment, Table, presets::UTF8_FULL_CONDENSED};
use serde::{Deserialize, Serialize};

use super::{
    incidents::{SYSTEM, generated_incident},
    meter,
};
use crate::{
    arguments::{AnswerFormat, BenchStoreArgs},
    failure::Failure,
    progress::Spinner,
    stdout,
};

/// Writers that fill the store; they share syncs.
const WRITERS: usize = 32;
/// Queries; the median counts.
const QUERIES: usize = 51;
/// Similar incidents that are asked for.
const TOP: usize = 10;

/// What was measured in a process that does nothing but serve a store that was filled before.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Incidents in the store, all of one system.
    pub incidents: usize,
    /// Their similarity vectors, 180 floats each.
    pub vector_bytes: u64,
    /// Engine, journal and checkpoint on disk.
    pub store_bytes: u64,
    /// Opening the store, seconds.
    pub open_seconds: f64,
    /// The ten most similar confirmed or open incidents of one, median, seconds.
    pub top_10_seconds: f64,
    /// A dot product of one vector with all the same floats in memory, median, seconds.
    pub scan_seconds: f64,
    /// `top_10_seconds` / `scan_seconds`.
    pub top_10_to_scan: f64,
    /// Memory of the process before it opened the store.
    pub resident_before_bytes: u64,
    /// Memory of the process while it answers.
    pub resident_bytes: u64,
    /// `resident_bytes` / `vector_bytes`.
    pub resident_to_vectors: f64,
}

/// Runs the command.
///
/// # Errors
/// The store cannot be filled or opened.
pub fn run(args: &BenchStoreArgs) -> Result<(), Failure> {
    if let Some(store) = &args.measure {
        return stdout::print_json(&measure(store, args.seed)?);
    }
    let scratch = tempfile::tempdir()?;
    let store = args.store.clone().unwrap_or_else(|| scratch.path().join("store"));
    if !store.exists() {
        fill(&store, args.incidents, args.seed)?;
    }
    // In a process of its own, so that its memory is what serving takes, and not what filling took.
    let report = measured_elsewhere(&store, args.seed)?;
    match args.output {
        AnswerFormat::Json => stdout::print_json(&report),
        AnswerFormat::Table => stdout::print(&report.table()),
    }
}

fn options() -> StoreOptions {
    StoreOptions { reserve_mib: 0, ..StoreOptions::default() }
}

fn fill(path: &Path, incidents: usize, seed: u64) -> anyhow::Result<()> {
    let _spinner = Spinner::new("filling the store");
    let store = Arc::new(SledStore::open(path, options())?);
    std::thread::scope(|scope| {
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let store = Arc::clone(&store);
                scope.spawn(move || -> anyhow::Result<()> {
                    for number in (writer..incidents).step_by(WRITERS) {
                        store.record_incident(&generated_incident(number, seed)?)?;
                    }
                    Ok(())
                })
            })
            .collect();
        writers.into_iter().try_for_each(|writer| match writer.join() {
            Ok(ended) => ended,
            Err(_) => Err(anyhow::anyhow!("a writer panicked")),
        })
    })?;
    Ok(store.close()?)
}

fn measured_elsewhere(store: &Path, seed: u64) -> anyhow::Result<Report> {
    let output = Command::new(std::env::current_exe()?)
        .args(["bench", "store", "--measure"])
        .arg(store)
        .args(["--seed", &seed.to_string()])
        .output()
        .context("cannot start the measuring process")?;
    ensure!(output.status.success(), "measuring failed: {}", String::from_utf8_lossy(&output.stderr));
    Ok(serde_json::from_slice(&output.stdout)?)
}

fn measure(path: &Path, seed: u64) -> anyhow::Result<Report> {
    let resident_before = meter::resident().context("the system does not tell the memory of a process")?;
    let begin = Instant::now();
    let store = SledStore::open(path, options())?;
    let open_seconds = begin.elapsed().as_secs_f64();
    let statistics = store.statistics()?;
    let incidents = statistics.records.get("incidents").copied().unwrap_or_default() as usize;
    let (mut answers, mut scans) = (Vec::new(), Vec::new());
    for number in 0..QUERIES {
        // Of other incidents than those that are kept.
        let profile: Option<AnomalyProfile> = generated_incident(number, !seed)?.profile;
        let profile = profile.context("generated incidents have profiles")?;
        let vector = profile.similarity_vector();
        let query = SimilarityQuery {
            system: SYSTEM.into(),
            profile,
            limit: TOP,
            confirmed_only: false,
            exclude: None,
        };
        let begin = Instant::now();
        let found = store.similar_incidents(&query)?;
        answers.push(begin.elapsed().as_secs_f64());
        ensure!(found.len() == TOP.min(incidents), "{} similar incidents", found.len());
        let begin = Instant::now();
        std::hint::black_box(store.scan_vectors(SYSTEM, &vector)?);
        scans.push(begin.elapsed().as_secs_f64());
    }
    let resident = meter::resident().context("the system does not tell the memory of a process")?;
    store.close()?;
    let (top_10_seconds, scan_seconds) = (median(answers), median(scans));
    let vector_bytes = (incidents * SIMILARITY_CELLS * size_of::<f32>()) as u64;
    Ok(Report {
        incidents,
        vector_bytes,
        store_bytes: statistics.engine_bytes + statistics.journal_bytes + statistics.checkpoint_bytes,
        open_seconds,
        top_10_seconds,
        scan_seconds,
        top_10_to_scan: top_10_seconds / scan_seconds,
        resident_before_bytes: resident_before,
        resident_bytes: resident,
        resident_to_vectors: resident as f64 / vector_bytes as f64,
    })
}

fn median(mut seconds: Vec<f64>) -> f64 {
    seconds.sort_by(f64::total_cmp);
    seconds[seconds.len() / 2]
}

impl Report {
    /// The figures for a person.
    pub fn table(&self) -> String {
        let mut table = Table::new();
        table.load_style(UTF8_FULL_CONDENSED);
        table.set_header(["figure", "value"]);
        let megabytes = |bytes: u64| format!("{:.0}", bytes as f64 / 1e6);
        for (figure, value) in [
            ("incidents", self.incidents.to_string()),
            ("similarity vectors, MB", megabytes(self.vector_bytes)),
            ("store on disk, MB", megabytes(self.store_bytes)),
            ("opening, s", format!("{:.2}", self.open_seconds)),
            ("top 10 similar, ms", format!("{:.1}", self.top_10_seconds * 1e3)),
            ("bare scan of the same floats, ms", format!("{:.1}", self.scan_seconds * 1e3)),
            ("top 10 / bare scan", format!("{:.1}", self.top_10_to_scan)),
            ("memory before opening, MB", megabytes(self.resident_before_bytes)),
            ("memory while serving, MB", megabytes(self.resident_bytes)),
            ("memory while serving / vectors", format!("{:.1}", self.resident_to_vectors)),
        ] {
            table.add_row([figure.to_owned(), value]);
        }
        if let Some(column) = table.column_mut(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        format!("{table}\n")
    }
}
