//! Verify, compact, stats, salvage.

use std::{collections::BTreeMap, fmt::Write as _};

use automap_profiler::store::{
    StoreStatistics,
    care::{self, Verification},
    error::StoreError,
    salvage::{self, Salvage},
    sled_store::StoreOptions,
};
use automap_proto::v1;
use automap_service_kit::error::ServiceError;
use serde::Serialize;

use super::{
    arguments::{CompactArgs, SalvageArgs, StatsArgs, VerifyArgs},
    counted, size,
};
use crate::{
    arguments::AnswerFormat,
    failure::Failure,
    output_file::regular_place,
    profiler_client::{Need, Profiler, directory},
    stdout,
};

/// Reads every record.
///
/// # Errors
/// [`Failure::Damaged`] when something is damaged; the report is printed all the same.
pub fn verify(args: &VerifyArgs) -> Result<(), Failure> {
    let path = directory(args.place.store.as_deref())?;
    let report = care::verify(&path).map_err(refused)?;
    match args.output {
        AnswerFormat::Json => {
            #[derive(Serialize)]
            struct Report<'report> {
                sound: bool,
                #[serde(flatten)]
                found: &'report Verification,
            }
            stdout::print_json(&Report { sound: report.is_sound(), found: &report })?;
        }
        AnswerFormat::Table => {
            let mut text = format!("store {}: {}\n", path.display(), counted(&report.records));
            tell(&mut text, "engine", &report.engine_problems);
            tell(&mut text, "checkpoint and journal", &report.journal_problems);
            stdout::print(&text)?;
        }
    }
    match (report.engine_problems.is_empty(), report.journal_problems.is_empty()) {
        (true, true) => Ok(()),
        (false, false) => Err(Failure::Damaged(
            "both copies are damaged: `automap store salvage` writes what is readable into an export".into(),
        )),
        _ => Err(Failure::Damaged(
            "one copy is damaged and the other is whole: opening the store, as a server does, repairs it from there, \
             or `automap store salvage` writes an export"
                .into(),
        )),
    }
}

/// Why a command that needs the files of a store for itself does not get them.
fn refused(error: StoreError) -> Failure {
    match error {
        StoreError::InUse(path) => Failure::Failed(anyhow::anyhow!(
            "the store {} is in use by another process, and this needs it alone: stop that process, or, where it is a \
             profiler, ask it for all that it holds with `automap store export FILE --server URL`",
            path.display()
        )),
        other => ServiceError::from(other).into(),
    }
}

fn tell(text: &mut String, what: &str, problems: &[String]) {
    if problems.is_empty() {
        writeln!(text, "{what}: sound").ok();
    }
    for problem in problems {
        writeln!(text, "{what}: {problem}").ok();
    }
}

/// Rewrites the engine's files.
///
/// # Errors
/// The store is in use or damaged, or the disk is full.
pub fn compact(args: &CompactArgs) -> Result<(), Failure> {
    #[derive(Serialize)]
    struct Report {
        engine_bytes_before: u64,
        engine_bytes_after: u64,
    }
    let path = directory(args.place.store.as_deref())?;
    let (before, after) = care::compact(&path, StoreOptions::default()).map_err(refused)?;
    match args.output {
        AnswerFormat::Json => {
            stdout::print_json(&Report { engine_bytes_before: before, engine_bytes_after: after })
        }
        AnswerFormat::Table => {
            stdout::print(&format!("store {}: {} to {}\n", path.display(), size(before), size(after)))
        }
    }
}

/// Tells what a store holds and costs.
///
/// # Errors
/// The store or the profiler cannot be reached.
pub async fn stats(args: &StatsArgs) -> Result<(), Failure> {
    let profiler = Profiler::open(&args.place, Need::Existing).await?;
    let answer = profiler
        .ask(|mut client| async move {
            let answer = client.get_store_statistics(v1::GetStoreStatisticsRequest {}).await;
            Ok(answer.map_err(ServiceError::from)?.into_inner())
        })
        .await?;
    let found = StoreStatistics {
        records: answer.records.into_iter().collect::<BTreeMap<_, _>>(),
        changes: answer.changes,
        engine_bytes: answer.engine_bytes,
        journal_bytes: answer.journal_bytes,
        checkpoint: answer.checkpoint,
        checkpoint_bytes: answer.checkpoint_bytes,
    };
    match args.output {
        AnswerFormat::Json => stdout::print_json(&found),
        AnswerFormat::Table => stdout::print(&format!(
            "{}\nchanges: {}\nengine: {}\njournal since the checkpoint: {}\ncheckpoint: {} at change {}\n",
            counted(&found.records),
            found.changes,
            size(found.engine_bytes),
            size(found.journal_bytes),
            size(found.checkpoint_bytes),
            found.checkpoint,
        )),
    }
}

/// Saves what can be read.
///
/// # Errors
/// [`Failure::Damaged`] when something is missing or doubtful; the export is written all the same.
pub fn salvage(args: &SalvageArgs) -> Result<(), Failure> {
    let path = directory(args.place.store.as_deref())?;
    let report: Salvage =
        salvage::salvage(&path, &regular_place(&args.file)?, &args.from_export).map_err(refused)?;
    match args.output {
        AnswerFormat::Json => stdout::print_json(&report)?,
        AnswerFormat::Table => {
            let mut text = format!("saved {} into {}\n", counted(&report.records), args.file.display());
            for missing in &report.missing {
                writeln!(text, "missing: {missing}").ok();
            }
            for doubtful in &report.doubtful {
                writeln!(text, "perhaps not the newest state: {doubtful}").ok();
            }
            stdout::print(&text)?;
        }
    }
    if report.missing.is_empty() && report.doubtful.is_empty() {
        return Ok(());
    }
    Err(Failure::Damaged(
        "not everything could be saved as it was; earlier exports given with --from-export may have the rest"
            .into(),
    ))
}
