//! Export, import and backup.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use automap_profiler::{
    schedule,
    store::{
        error::StoreError,
        export_file::{ExportWriter, read_back, read_export},
        transfer::StoredRecord,
    },
};
use automap_proto::{time::UnixMillis, v1};
use automap_service_kit::error::{ErrorCode, ServiceError};
use serde::Serialize;

use super::{
    arguments::{BackupArgs, Existing, ExportArgs, ImportArgs},
    size,
};
use crate::{
    arguments::AnswerFormat,
    failure::Failure,
    output_file::regular_place,
    profiler_client::{Need, Profiler, StoreArgs},
    stdout,
};

/// What went into a file or came out of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Transferred {
    file: PathBuf,
    records: u64,
    bytes: u64,
}

impl Transferred {
    fn new(file: &Path, records: u64) -> Result<Self, Failure> {
        Ok(Self { file: file.into(), records, bytes: fs::metadata(file)?.len() })
    }

    fn print(&self, verb: &str, format: AnswerFormat) -> Result<(), Failure> {
        match format {
            AnswerFormat::Json => stdout::print_json(self),
            AnswerFormat::Table => stdout::print(&format!(
                "{verb} {}: {} values, {}\n",
                self.file.display(),
                self.records,
                size(self.bytes)
            )),
        }
    }
}

/// Writes an export.
///
/// # Errors
/// A record is damaged, the profiler cannot be reached, or the file cannot be written.
pub async fn export(args: &ExportArgs) -> Result<(), Failure> {
    let records = export_to(&args.place, &regular_place(&args.file)?).await?;
    Transferred::new(&args.file, records)?.print("wrote", args.output)
}

async fn export_to(place: &StoreArgs, file: &Path) -> Result<u64, Failure> {
    let profiler = Profiler::open(place, Need::Existing).await?;
    profiler
        .ask(|mut client| async move {
            let mut writer = ExportWriter::create(file).map_err(unwritten)?;
            let answer = client.export_store(v1::ExportStoreRequest {}).await.map_err(ServiceError::from)?;
            let mut stream = answer.into_inner();
            // The last record counts the others; the writer makes one of its own, and both must agree.
            let mut last: Option<StoredRecord> = None;
            while let Some(message) = stream.message().await.map_err(ServiceError::from)? {
                let v1::StoreRecord { key, value } =
                    message.record.context("the profiler's export has an empty record")?;
                if let Some(record) = last.replace(StoredRecord { key, value }) {
                    writer.add(&record).map_err(unwritten)?;
                }
            }
            if last != Some(writer.end()) {
                let problem = "the export was cut short on its way; nothing was written";
                return Err(ServiceError::new(ErrorCode::Unavailable, problem).into());
            }
            writer.finish().map_err(unwritten)
        })
        .await
}

/// No failure of the profiler that was asked: the file is this command's own.
fn unwritten(error: StoreError) -> Failure {
    Failure::Failed(error.into())
}

/// Takes an export.
///
/// # Errors
/// The file is damaged, the import contradicts what is kept, or the profiler cannot be reached.
pub async fn import(args: &ImportArgs) -> Result<(), Failure> {
    let records = read_export(&args.file).map_err(|error| Failure::Failed(error.into()))?;
    let mode = match args.existing {
        Existing::Refuse => v1::ImportMode::Merge,
        Existing::Keep => v1::ImportMode::KeepExisting,
        Existing::Replace => v1::ImportMode::Replace,
        Existing::Empty => v1::ImportMode::EmptyOnly,
    };
    let messages = records.into_iter().map(move |StoredRecord { key, value }| v1::ImportStoreRequest {
        record: Some(v1::StoreRecord { key, value }),
        mode: mode.into(),
    });
    let profiler = Profiler::open(&args.place, Need::Any).await?;
    let taken = profiler
        .ask(|mut client| async move {
            let answer = client.import_store(futures::stream::iter(messages)).await;
            Ok(answer.map_err(|status| refused(status.into()))?.into_inner().records)
        })
        .await?;
    Transferred::new(&args.file, taken)?.print("took", args.output)
}

fn refused(error: ServiceError) -> Failure {
    if error.code() == ErrorCode::Conflict {
        return Failure::Failed(anyhow::anyhow!("{error}: --existing keep, replace"));
    }
    Failure::Failed(error.into())
}

/// Writes an export into a directory, reads it back with all checks of an import, and removes the oldest.
///
/// # Errors
/// As of [`export`]; or what was written reads differently, and does not stay.
pub async fn backup(args: &BackupArgs) -> Result<(), Failure> {
    let directory = &args.directory;
    fs::create_dir_all(directory).with_context(|| format!("cannot create {}", directory.display()))?;
    let file = schedule::export_name(directory, now());
    let records = export_to(&args.place, &file).await?;
    read_back(&file, records).map_err(unwritten)?;
    let failed = |error: io::Error| anyhow::anyhow!("{}: {error}", directory.display());
    schedule::prune(directory, args.keep as usize, &file).map_err(failed)?;
    Transferred::new(&file, records)?.print("wrote", args.output)
}

fn now() -> UnixMillis {
    let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    UnixMillis(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
}
