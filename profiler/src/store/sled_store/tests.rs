//! An engine that fails between two calls.

use std::{
    fs::{self, File},
    os::{fd::AsRawFd, unix::fs::symlink},
    time::{Duration, Instant},
};

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};

use super::*;
use crate::store::{engine_files::log_file, tests::diagnosis};

#[test]
fn an_engine_that_failed_in_the_background_is_opened_again_before_a_change() {
    let directory = tempfile::tempdir().unwrap();
    let (path, log) = (directory.path(), log_file(directory.path()));
    SledStore::open(path, StoreOptions::default()).unwrap().close().unwrap();
    // The engine's log goes into a file that can be told to take no more.
    let sealable = File::from(memfd_create("log", MemfdFlags::ALLOW_SEALING).unwrap());
    let place = format!("/proc/self/fd/{}", sealable.as_raw_fd());
    fs::copy(&log, &place).unwrap();
    fs::remove_file(&log).unwrap();
    symlink(&place, &log).unwrap();
    let store = SledStore::open(path, StoreOptions::default()).unwrap();
    store.put_diagnosis(&diagnosis("d-1", 100, 3)).unwrap();

    fcntl_add_seals(&sealable, SealFlags::WRITE).unwrap();
    let begun = Instant::now();
    match &*store.slot() {
        Slot::Open(open) => {
            // For the next of its chores.
            open.tree.insert(b"\xff", b"never written").unwrap();
            while open.healthy() {
                assert!(begun.elapsed() < Duration::from_secs(60), "the engine did not notice");
                std::thread::sleep(Duration::from_millis(5));
            }
        }
        other => panic!("{other:?}"),
    }
    let kept = path.join("kept");
    fs::copy(&place, &kept).unwrap();
    fs::rename(&kept, &log).unwrap();

    store.put_diagnosis(&diagnosis("d-2", 200, 3)).unwrap();
    for name in ["d-1", "d-2"] {
        assert!(store.diagnosis(&RecordId::new("id", name).unwrap()).unwrap().is_some(), "{name}");
    }
    store.close().unwrap();
}
