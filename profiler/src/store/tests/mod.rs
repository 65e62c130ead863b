//! The store as a whole, on a real directory.

use std::{collections::BTreeMap, path::Path};

use automap_proto::{metric::MetricKind, settings::GraphSettings, time::UnixMillis, v1};
use tempfile::TempDir;

use super::{
    AddedWindow, ProfileStore, SimilarityQuery,
    acknowledged::{Acknowledged, acknowledged},
    care,
    change::Change,
    checkpoint,
    digest::STATE_KEY,
    engine_files,
    error::StoreError,
    export_file::{export_to, read_back, read_export},
    journal,
    key::{BODY, Entity, NormalKey, RowsKey, SUMMARY, vector_key},
    listing::ListQuery,
    open_store::{OpenStore, Trust},
    parts,
    retention::Retention,
    salvage::salvage,
    sealed,
    sled_store::{SledStore, StoreOptions},
    store_lock,
    transfer::{ExportTally, ImportMode, StoredRecord, check},
};
use crate::{
    abnormal::AbnormalTimes,
    confirmation::Confirmation,
    diagnosis_record::DiagnosisRecord,
    evidence_features::IncidentEvidence,
    normal_rows::{Decay, ServiceRows},
    normal_window::{NormalGroup, NormalSelector, NormalWindow},
    past_incident::PastIncident,
    record_id::RecordId,
    sample,
};

mod care_tests;
mod concurrent;
mod damage;
mod records;
mod transfer_tests;

fn open(directory: &TempDir) -> SledStore {
    SledStore::open(directory.path(), StoreOptions { cache_mib: 8, ..StoreOptions::default() }).unwrap()
}

fn id(text: &str) -> RecordId {
    RecordId::new("id", text).unwrap()
}

fn incident(name: &str, recorded_seconds: i64) -> PastIncident {
    PastIncident::try_from(&sample::incident(name, recorded_seconds, &["cart", "db", "front"])).unwrap()
}

fn confirmation(root_causes: &[&str]) -> Confirmation {
    Confirmation::try_from(&sample::confirmation(root_causes)).unwrap()
}

fn window(start_seconds: i64) -> NormalWindow {
    NormalWindow::try_from(&sample::normal_graph(start_seconds)).unwrap()
}

fn selector() -> NormalSelector {
    NormalSelector { group: window(0).group().clone(), window_ms: 30_000 }
}

pub(super) fn diagnosis(name: &str, created_seconds: i64, services: usize) -> DiagnosisRecord {
    let names = (0..services).map(|index| format!("service-{index:05}-{}", "x".repeat(40))).collect();
    let graph = v1::BehaviorGraph { services: names, edges: vec![] };
    DiagnosisRecord::new(v1::Diagnosis {
        diagnosis_id: name.into(),
        system: "shop".into(),
        state: v1::DiagnosisState::Done.into(),
        created_at: Some(UnixMillis(created_seconds * 1000).to_wire()),
        behavior_graph: Some(v1::ExplainedGraph { graph: Some(graph), ..Default::default() }),
        ..Default::default()
    })
    .unwrap()
}

fn similar(store: &SledStore, confirmed_only: bool, exclude: Option<&str>) -> Vec<String> {
    let query = SimilarityQuery {
        system: "shop".into(),
        profile: incident("query", 1).profile.unwrap(),
        limit: 10,
        confirmed_only,
        exclude: exclude.map(id),
    };
    store.similar_incidents(&query).unwrap().iter().map(|found| found.id.to_string()).collect()
}

fn list(store: &SledStore, query: &ListQuery) -> (Vec<String>, String) {
    let page = store.list_incidents(query).unwrap();
    (page.records.iter().map(|found| found.id.to_string()).collect(), page.next_page_token)
}

/// Changes stored values behind the store's back.
fn tamper(path: &Path, prefix: &[u8], change: impl Fn(&mut Vec<u8>)) {
    tamper_rows(path, |tree| {
        let mut changed = 0;
        for entry in tree.scan_prefix(prefix) {
            let (key, value) = entry.unwrap();
            let mut bytes = value.to_vec();
            change(&mut bytes);
            tree.insert(key, bytes).unwrap();
            changed += 1;
        }
        assert!(changed > 0, "nothing lies under that prefix");
    });
}

fn tamper_rows(path: &Path, change: impl Fn(&sled::Tree)) {
    let database = engine_files::open_database(path, 1 << 20).unwrap();
    let tree = database.open_tree("records").unwrap();
    change(&tree);
    database.flush().unwrap();
    drop((tree, database));
    store_lock::await_release(path).unwrap();
}

fn copy_all(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_all(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

fn export(store: &SledStore) -> Vec<StoredRecord> {
    let (mut records, mut tally) = (Vec::new(), ExportTally::default());
    loop {
        let position = records.last().map(|record: &StoredRecord| record.key.clone());
        let chunk = store.export(position.as_deref()).unwrap();
        if chunk.records.is_empty() {
            records.push(tally.end());
            return records;
        }
        chunk.records.iter().for_each(|record| tally.add(record));
        records.extend(chunk.records);
    }
}

/// A store with two incidents (one confirmed), two normal windows and a diagnosis.
fn filled(directory: &TempDir) -> SledStore {
    let store = open(directory);
    store.record_incident(&incident("inc-1", 100)).unwrap();
    store.record_incident(&incident("inc-2", 200)).unwrap();
    store.confirm(&id("inc-1"), confirmation(&["db"])).unwrap();
    store.add_normal_window(&window(0)).unwrap();
    store.add_normal_window(&window(30)).unwrap();
    store.put_diagnosis(&diagnosis("d-1", 100, 3)).unwrap();
    store
}
