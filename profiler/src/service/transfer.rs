//! ExportStore, ImportStore and GetStoreStatistics.

use std::{pin::Pin, sync::Arc};

use automap_proto::{invalid::Invalid, v1};
use automap_service_kit::error::{ErrorCode, ServiceError};
use futures::{Stream, StreamExt as _};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

use crate::store::{
    ProfileStore,
    transfer::{ExportTally, ImportMode, StoredRecord},
};

/// Records that wait for a slow caller; each has at most a few KiB.
const CALLER_BACKLOG: usize = 64;

/// What a record costs in memory beside its bytes.
const RECORD_OVERHEAD_BYTES: usize = 128;

type Records = Pin<Box<dyn Stream<Item = Result<v1::ExportStoreResponse, Status>> + Send>>;

/// Reads the store on a thread of its own at the pace of the caller, who stops it by going away.
pub(super) fn export(store: Arc<dyn ProfileStore>) -> Records {
    let (sender, receiver) = mpsc::channel(CALLER_BACKLOG);
    tokio::task::spawn_blocking(move || send_all(store.as_ref(), &sender));
    Box::pin(ReceiverStream::new(receiver).map(|record: Result<StoredRecord, ServiceError>| {
        let StoredRecord { key, value } = record?;
        Ok(v1::ExportStoreResponse { record: Some(v1::StoreRecord { key, value }) })
    }))
}

/// The caller is gone.
struct CallerGone;

fn send_all(store: &dyn ProfileStore, caller: &mpsc::Sender<Result<StoredRecord, ServiceError>>) {
    let send = |message| caller.blocking_send(message).map_err(|_| CallerGone);
    let outcome = (|| {
        let mut tally = ExportTally::default();
        let mut position: Option<Vec<u8>> = None;
        loop {
            let chunk = match store.export(position.as_deref()) {
                Ok(chunk) => chunk,
                Err(error) => return send(Err(error.into())),
            };
            let Some(last) = chunk.position().map(<[u8]>::to_vec) else {
                return send(Ok(tally.end()));
            };
            for record in chunk.records {
                tally.add(&record);
                send(Ok(record))?;
            }
            position = Some(last);
        }
    })();
    if let Err(CallerGone) = outcome {
        tracing::debug!("the caller left before the export ended");
    }
}

pub(super) fn statistics(store: &dyn ProfileStore) -> Result<v1::GetStoreStatisticsResponse, ServiceError> {
    let found = store.statistics()?;
    Ok(v1::GetStoreStatisticsResponse {
        records: found.records.into_iter().collect(),
        changes: found.changes,
        engine_bytes: found.engine_bytes,
        journal_bytes: found.journal_bytes,
        checkpoint: found.checkpoint,
        checkpoint_bytes: found.checkpoint_bytes,
    })
}

/// Takes the records of an import into memory, and how it is meant.
pub(super) async fn receive(
    mut stream: Streaming<v1::ImportStoreRequest>,
    max_mib: usize,
) -> Result<(Vec<StoredRecord>, ImportMode), ServiceError> {
    let limit = max_mib.saturating_mul(1 << 20);
    let mut bytes = 0_usize;
    let mut records = Vec::new();
    let mut mode = ImportMode::default();
    while let Some(message) = stream.message().await.map_err(ServiceError::from)? {
        if records.is_empty() {
            mode = match v1::ImportMode::try_from(message.mode) {
                Ok(v1::ImportMode::Unspecified | v1::ImportMode::Merge) => ImportMode::Merge,
                Ok(v1::ImportMode::EmptyOnly) => ImportMode::EmptyOnly,
                Ok(v1::ImportMode::KeepExisting) => ImportMode::KeepExisting,
                Ok(v1::ImportMode::Replace) => ImportMode::Replace,
                Err(_) => {
                    return Err(Invalid::new("mode", format!("{} is none; send 1 to 4", message.mode)).into());
                }
            };
        }
        let record =
            message.record.ok_or_else(|| Invalid::missing(format!("records[{}].record", records.len())))?;
        bytes = bytes.saturating_add(record.key.len() + record.value.len() + RECORD_OVERHEAD_BYTES);
        if bytes > limit {
            return Err(ServiceError::new(
                ErrorCode::Overloaded,
                format!("the import is larger than {max_mib} MiB; raise profiler.max-import-mib"),
            ));
        }
        records.push(StoredRecord { key: record.key, value: record.value });
    }
    Ok((records, mode))
}
