//! What services write about themselves.

use automap_integration_tests::{
    command,
    processes::{FourProcesses, Service, all_on_free_ports},
    recording,
};

#[test]
fn a_line_for_each_call_names_role_rpc_code_and_duration_and_nothing_of_the_caller() {
    let home = tempfile::tempdir().unwrap();
    recording::demo_incident(home.path()).unwrap();
    let four = FourProcesses::start(home.path(), home.path()).unwrap();
    let ended = command::run(
        home.path(),
        &["diagnose", "incident", "--server", &four.walker.address, "--front-end", "checkout"],
    )
    .unwrap();
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let mut traces = std::collections::BTreeSet::new();
    for (service, role, rpc) in [
        (&four.walker, "walker", "automap.v1.WalkerService/DiagnoseRecording"),
        (&four.collector, "collector", "automap.v1.CollectorService/CollectRecording"),
        (&four.graph_builder, "graph-builder", "automap.v1.GraphBuilderService/BuildGraph"),
        (&four.profiler, "profiler", "automap.v1.ProfilerService/WeighMetrics"),
    ] {
        let line = service.log_line("answered").unwrap();
        assert_eq!(line["level"], "INFO", "{line}");
        assert_eq!(line["span"]["role"], role, "{line}");
        assert_eq!(line["span"]["rpc"], rpc, "{line}");
        assert_eq!(line["fields"]["code"], "OK", "{line}");
        assert!(line["fields"]["ms"].as_f64().unwrap() > 0.0, "{line}");
        assert!(line["fields"]["received"].as_u64().unwrap() > 0, "{line}");
        assert!(!line.to_string().contains("checkout"), "{line}");
        traces.insert(line["span"]["trace_id"].as_str().unwrap().to_owned());
    }
    assert_eq!(traces.len(), 1, "the four lines belong to one trace");
}

#[test]
fn a_filter_that_cannot_be_read_is_wrong_usage() {
    let home = tempfile::tempdir().unwrap();
    for arguments in [vec!["diagnose", "nowhere"], vec!["serve", "walker"]] {
        for (filter, hint) in [("inof", "did you mean info?"), ("automap_walker=loud", "cannot be read")] {
            let mut command = command::automap(home.path()).unwrap();
            let ended: command::Ended =
                command.args(&arguments).env("AUTOMAP_LOG", filter).output().unwrap().into();
            assert_eq!(ended.code, 2, "{}", ended.stderr);
            assert!(ended.stderr.starts_with("error: AUTOMAP_LOG "), "{}", ended.stderr);
            assert!(ended.stderr.contains(hint) && ended.stderr.contains("use a level"), "{}", ended.stderr);
        }
    }
}

#[test]
fn a_filter_from_the_environment_is_followed() {
    let home = tempfile::tempdir().unwrap();
    let configuration = all_on_free_ports(home.path());
    let filter = [("AUTOMAP_LOG", "info,automap_service_kit=debug")];
    let service = Service::start_in(&filter, home.path(), "all", &configuration).unwrap();
    // Health is asked all the time: its calls are told to those alone who want details.
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
        let channel = automap_service_kit::client::channel("address", &service.address).unwrap();
        HealthClient::new(channel).check(HealthCheckRequest::default()).await.unwrap();
    });
    let line = service.log_line("answered").unwrap();
    assert_eq!(line["level"], "DEBUG");
    assert_eq!(line["span"]["rpc"], "grpc.health.v1.Health/Check");
}
