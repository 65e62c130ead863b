//! Health, reflection and the end of a service.

use automap_integration_tests::{
    command,
    processes::{FourProcesses, Service, all_on_free_ports},
};
use automap_service_kit::client;
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

#[tokio::test(flavor = "multi_thread")]
async fn every_service_reports_its_health_and_ends_on_sigterm() {
    let home = tempfile::tempdir().unwrap();
    let FourProcesses { collector, graph_builder, profiler, walker } =
        FourProcesses::start(home.path(), home.path()).unwrap();
    for (service, name) in [
        (collector, "automap.v1.CollectorService"),
        (graph_builder, "automap.v1.GraphBuilderService"),
        (profiler, "automap.v1.ProfilerService"),
        (walker, "automap.v1.WalkerService"),
    ] {
        let mut health = HealthClient::new(client::channel("address", &service.address).unwrap());
        let answer = health.check(HealthCheckRequest { service: name.into() }).await.unwrap();
        assert_eq!(answer.into_inner().status(), ServingStatus::Serving, "{name}");
        drop(health);
        assert_eq!(service.terminate().unwrap(), Some(0), "{name}");
    }
}

#[test]
fn a_store_has_one_writer_and_is_free_again_after_sigterm() {
    let home = tempfile::tempdir().unwrap();
    let configuration = all_on_free_ports(home.path());
    let first = Service::start(home.path(), "all", &configuration).unwrap();
    let refused = command::run(home.path(), &["serve", "profiler", "--config", "all.toml"]).unwrap();
    assert_eq!(refused.code, 1, "{}", refused.stderr);
    assert!(
        refused.stderr.contains("profiler.path") && refused.stderr.contains("in use"),
        "{}",
        refused.stderr
    );
    assert_eq!(first.terminate().unwrap(), Some(0));
    let second = Service::start(home.path(), "profiler", &configuration).unwrap();
    assert_eq!(second.terminate().unwrap(), Some(0));
}

#[test]
fn a_wrong_configuration_names_the_key_and_ends_with_two() {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("wrong.toml"), "[walker]\ncolector = \"http://x\"\n").unwrap();
    let ended = command::run(home.path(), &["serve", "walker", "--config", "wrong.toml"]).unwrap();
    assert_eq!(ended.code, 2, "{}", ended.stderr);
    assert!(ended.stderr.contains("colector") && ended.stderr.contains("wrong.toml"), "{}", ended.stderr);
    let ended = command::run(home.path(), &["serve", "walker", "--config", "none.toml"]).unwrap();
    assert_eq!(ended.code, 2, "{}", ended.stderr);
    std::fs::write(home.path().join("peer.toml"), "[walker]\ncollector = \"collector:4311\"\n").unwrap();
    let ended = command::run(home.path(), &["serve", "walker", "--config", "peer.toml"]).unwrap();
    assert_eq!(ended.code, 2, "{}", ended.stderr);
    assert!(ended.stderr.contains("walker.collector"), "{}", ended.stderr);
}
