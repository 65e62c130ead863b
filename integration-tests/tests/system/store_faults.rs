//! Faults that the store must survive, in short; `cargo run --release --example store_faults` runs as many as one likes.

use automap_integration_tests::store_faults::{damage, kills, power};

#[tokio::test(flavor = "multi_thread")]
async fn no_kill_under_load_loses_or_tears_what_was_acknowledged() {
    let home = tempfile::tempdir().unwrap();
    let report = kills::run(home.path(), 12, 1).await.unwrap();
    assert_eq!(report.kills, 12);
    assert!(report.acknowledged > 50 && report.checked > 50, "{report:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_power_failure_loses_or_tears_what_was_acknowledged() {
    let home = tempfile::tempdir().unwrap();
    let report = power::run(home.path(), 6, 60, 1).await.unwrap();
    assert_eq!(report.power_failures, 60);
    assert!(report.writes_acknowledged > 50 && report.checked > 500, "{report:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_damage_makes_a_record_silently_wrong_and_salvage_names_what_it_cannot_save() {
    let home = tempfile::tempdir().unwrap();
    let report = damage::run(home.path(), 32, 1).await.unwrap();
    assert_eq!(report.cases, 32);
    assert!(report.opened > 8 && report.saved > report.records / 2, "{report:?}");
}
