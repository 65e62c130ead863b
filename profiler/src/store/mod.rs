//! What the profiler remembers.
//!
//! | module | what it holds |
//! |---|---|
//! | [`error`] | what can go wrong |
//! | [`listing`] | pages of records, newest first |
//! | [`transfer`], [`export_file`] | export and import, as a stream and as a file |
//! | [`retention`] | what goes when |
//! | [`care`], [`salvage`], `readable_copy`, `scratch`, `unreadable` | verify, compact, salvage: what is done to a store that no server has open |
//! | `key`, `sealed`, `parts` | where records lie, how their bytes are guarded, how long ones are cut |
//! | `kept`, `entity_rows` | what lies there: entities, their sections, and the rows derived from them |
//! | `incident_table` | the similarity vectors and the times of all incidents, in memory |
//! | `change`, `journal`, `acknowledged`, `checkpoint`, `digest`, `counts` | one write, the order of all writes, and what they add up to |
//! | `recovery`, `rebuild`, `migration` | opening after a crash or damage, the engine built anew, and what an older build wrote |
//! | `engine_files`, `store_lock`, `room`, `temporary` | the files of the engine, who holds them, room for more, and unfinished ones |
//! | [`sled_store`] | the store in sled; `open_store` with `durability`, `entities`, `incidents`, `diagnoses` and `normals` |

mod acknowledged;
pub mod care;
mod change;
mod checkpoint;
mod counts;
mod diagnoses;
mod digest;
mod durability;
mod engine_files;
mod entities;
mod entity_rows;
pub mod error;
pub mod export_file;
mod incident_table;
mod incidents;
mod journal;
mod kept;
mod key;
pub mod listing;
mod migration;
mod normal_rows;
mod normals;
mod open_store;
mod parts;
mod readable_copy;
mod rebuild;
mod recovery;
pub mod retention;
pub(crate) mod room;
pub mod salvage;
mod scratch;
mod sealed;
pub mod sled_store;
mod store_lock;
mod temporary;
#[cfg(test)]
mod tests;
pub mod transfer;
mod unreadable;

use std::{collections::BTreeMap, fmt, sync::Arc};

use automap_proto::{time::UnixMillis, v1};

use crate::{
    abnormal::{AbnormalTimes, Intervals},
    anomaly_profile::AnomalyProfile,
    confirmation::Confirmation,
    diagnosis_record::DiagnosisRecord,
    normal_rows::ServiceRows,
    normal_window::{NormalSelector, NormalSum, NormalWindow},
    past_incident::{PastIncident, Verdict},
    record_id::RecordId,
};
use error::StoreError;
use listing::{ListQuery, Page};
use retention::Retention;
use transfer::{ExportChunk, ImportMode, StoredRecord};

/// What housekeeping did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Housekeeping {
    /// Records that had outlived their time.
    pub removed: u64,
    /// Records that cannot be read and were left where they are.
    pub damaged: u64,
    /// Size of the checkpoint that was written, bytes.
    pub checkpoint_bytes: Option<u64>,
}

/// What a store holds and what it costs.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct StoreStatistics {
    /// Records by kind.
    pub records: BTreeMap<String, u64>,
    /// Changes since the store was made.
    pub changes: u64,
    /// Size of the engine's files.
    pub engine_bytes: u64,
    /// Size of the journal since the last checkpoint.
    pub journal_bytes: u64,
    /// The change at which the last checkpoint was written; 0 for none.
    pub checkpoint: u64,
    /// Size of the last checkpoint.
    pub checkpoint_bytes: u64,
}

/// Whether a normal window was new, and how many there are now of its system, settings and length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AddedWindow {
    /// False when the window was kept already.
    pub added: bool,
    /// Windows now kept.
    pub windows: usize,
}

/// Which past incidents to compare with a profile.
#[derive(Debug, Clone, PartialEq)]
pub struct SimilarityQuery {
    /// Only incidents of this application.
    pub system: String,
    /// The profile.
    pub profile: AnomalyProfile,
    /// Most answers; at most [`crate::similarity::RERANKED`] are given.
    pub limit: usize,
    /// Only incidents with confirmed root causes.
    pub confirmed_only: bool,
    /// An incident that must not be among them.
    pub exclude: Option<RecordId>,
}

/// A past incident that resembles a profile.
#[derive(Debug, Clone, PartialEq)]
pub struct SimilarIncident {
    /// Its id.
    pub id: RecordId,
    /// 0..1, above 0.
    pub similarity: f64,
    /// What was confirmed, if anything.
    pub verdict: Option<Verdict>,
}

/// Normal behaviour, past incidents, confirmations and diagnoses, durably.
///
/// A call that changes something returns when the change is on disk. Calls block and may be made from any thread.
///
/// # Errors
/// Every call fails with [`StoreError::Damaged`], naming the record, when what it reads is not what was written,
/// with [`StoreError::Failed`] when the engine fails, with [`StoreError::Full`] when there is no room for a change, and with [`StoreError::Closed`] after [`Self::close`].
pub trait ProfileStore: fmt::Debug + Send + Sync {
    /// Keeps the graph of a normal window, unless the same window of the same group is kept already.
    fn add_normal_window(&self, window: &NormalWindow) -> Result<AddedWindow, StoreError>;

    /// The sum of the kept windows that the selector takes, and of those of `beside` that are not kept, each without those
    /// that hold a time of `abnormal`. `beside` must be of the selector's group and length. Windows are read on
    /// the first call after one came to others that are not normal, or became such itself; else it is O(edges of the sum).
    fn normal_sum(
        &self,
        selector: &NormalSelector,
        beside: &[NormalWindow],
        abnormal: &AbnormalTimes,
    ) -> Result<NormalSum, StoreError>;

    /// Adds rows of normal times to those that are kept of some services of a system, whole or not at all.
    fn add_normal_rows(
        &self,
        system: &str,
        services: &BTreeMap<String, ServiceRows>,
    ) -> Result<(), StoreError>;

    /// The rows of normal times of services of a system: of those named, or of all.
    fn normal_rows(
        &self,
        system: &str,
        services: &[String],
    ) -> Result<BTreeMap<String, ServiceRows>, StoreError>;

    /// Keeps an incident. One recorded before under the same id is replaced and its confirmations stay, unless it
    /// belongs to another system: [`StoreError::Conflict`].
    fn record_incident(&self, incident: &PastIncident) -> Result<(), StoreError>;

    /// Adds a confirmation to an incident and answers the whole incident.
    ///
    /// [`StoreError::NotFound`] for an unknown id, [`StoreError::Invalid`] for a root cause that is no service of it.
    fn confirm(&self, id: &RecordId, confirmation: Confirmation) -> Result<PastIncident, StoreError>;

    /// Removes an incident with its confirmations; [`StoreError::NotFound`] for an unknown id.
    fn delete_incident(&self, id: &RecordId) -> Result<(), StoreError>;

    /// The error of an id that no incident has, with the one that was most likely meant.
    fn unknown_incident(&self, id: &RecordId) -> StoreError;

    /// An incident in full.
    fn incident(&self, id: &RecordId) -> Result<Option<PastIncident>, StoreError>;

    /// When a system was not normal, as all incidents that are kept of it tell, without their aftermath. O(1) unless one of
    /// them has changed, and no record is read.
    fn abnormal_times(&self, system: &str) -> Result<Arc<Intervals>, StoreError>;

    /// Incidents, newest first, without profiles and correlations.
    fn list_incidents(&self, query: &ListQuery) -> Result<Page<PastIncident>, StoreError>;

    /// Past incidents by falling similarity, then by id; those without any similarity are left out.
    ///
    /// All incidents of the system are compared by their vectors; of the best [`crate::similarity::RERANKED`] those
    /// over the same services are compared service by service.
    fn similar_incidents(&self, query: &SimilarityQuery) -> Result<Vec<SimilarIncident>, StoreError>;

    /// Keeps a diagnosis, replacing an earlier state of the same one; [`StoreError::Conflict`] when that has ended and belongs
    /// to another system.
    fn put_diagnosis(&self, diagnosis: &DiagnosisRecord) -> Result<(), StoreError>;

    /// A diagnosis in full.
    fn diagnosis(&self, id: &RecordId) -> Result<Option<DiagnosisRecord>, StoreError>;

    /// Those diagnoses that are wanted, newest first, without their graphs. `confirmed_only` does not matter. O(log n) in the
    /// diagnoses that are kept; [`listing::MAX_SCANNED`] of them at most are looked at.
    fn list_diagnoses(
        &self,
        query: &ListQuery,
        wanted: &dyn Fn(&v1::Diagnosis) -> bool,
    ) -> Result<Page<DiagnosisRecord>, StoreError>;

    /// The next records of an export: a few whole entities after the position of the chunk before. Each entity is
    /// consistent in itself; one that is recorded while the export runs may be in it or not.
    fn export(&self, after: Option<&[u8]>) -> Result<ExportChunk, StoreError>;

    /// Takes the records of a whole export: all or none. Answers how many there were.
    ///
    /// [`StoreError::Invalid`] names the record that is damaged, incomplete or of another format;
    /// [`StoreError::Conflict`] one that is kept already with another content.
    fn import(&self, records: Vec<StoredRecord>, mode: ImportMode) -> Result<u64, StoreError>;

    /// Removes what has outlived its time at `now`, and writes a checkpoint when the journal has grown enough.
    fn housekeep(&self, retention: &Retention, now: UnixMillis) -> Result<Housekeeping, StoreError>;

    /// What the store holds. O(1).
    fn statistics(&self) -> Result<StoreStatistics, StoreError>;

    /// Writes everything out and releases the directory, so that it can be opened again at once.
    fn close(&self) -> Result<(), StoreError>;
}
