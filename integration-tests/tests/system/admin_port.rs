//! The admin port: metrics of calls, liveness and readiness.

use automap_integration_tests::{
    command, http,
    processes::{Service, all_on_free_ports},
    recording,
};

use crate::alerting::until;

/// The value of the series whose name and labels begin with `series`.
fn value(metrics: &str, series: &str) -> f64 {
    let line = metrics.lines().find(|line| line.starts_with(series));
    assert!(line.is_some(), "{series} is missing in\n{metrics}");
    line.unwrap().rsplit(' ').next().unwrap().parse().unwrap()
}

fn labels(service: &str, method: &str, kind: &str) -> String {
    format!(r#"grpc_service="automap.v1.{service}",grpc_method="{method}",grpc_type="{kind}""#)
}

#[test]
fn each_service_tells_rate_errors_and_duration_of_its_calls() {
    let home = tempfile::tempdir().unwrap();
    recording::demo_incident(home.path()).unwrap();
    let configuration = all_on_free_ports(home.path())
        .replace("listen = \"127.0.0.1:0\"\n", "listen = \"127.0.0.1:0\"\nadmin-listen = \"127.0.0.1:0\"\n");
    let service = Service::start(home.path(), "all", &configuration).unwrap();
    let mut addresses = std::collections::BTreeMap::new();
    for _ in 0..4 {
        let line = service.log_line("admin port listens").unwrap();
        let field = |name: &str| line["fields"][name].as_str().unwrap().to_owned();
        addresses.insert(field("role"), field("address"));
    }
    let diagnose = |more: &[&str]| {
        let mut arguments = vec!["diagnose", "incident", "--server", &service.address];
        arguments.extend(more);
        command::run(home.path(), &arguments).unwrap()
    };
    assert_eq!(diagnose(&[]).code, 0);
    assert_eq!(diagnose(&["--front-end", "nobody"]).code, 2);

    let metrics = |role: &str| {
        let answer = http::get(&addresses[role], "/metrics").unwrap();
        assert_eq!(answer.status, 200);
        assert!(answer.head.contains("content-type: application/openmetrics-text"), "{}", answer.head);
        assert!(answer.body.ends_with("# EOF\n"), "{}", answer.body);
        answer.body
    };
    let walker = metrics("walker");
    let diagnosed = labels("WalkerService", "DiagnoseRecording", "bidi_stream");
    assert_eq!(value(&walker, &format!("grpc_server_started_total{{{diagnosed}}}")), 2.0);
    assert_eq!(value(&walker, &format!("grpc_server_in_flight{{{diagnosed}}}")), 0.0);
    let handled = |code: &str| {
        value(&walker, &format!("grpc_server_handled_total{{{diagnosed},grpc_code=\"{code}\"}}"))
    };
    assert_eq!((handled("OK"), handled("InvalidArgument")), (1.0, 1.0));
    assert_eq!(value(&walker, &format!("grpc_server_handling_seconds_count{{{diagnosed}}}")), 2.0);
    assert!(value(&walker, &format!("grpc_server_handling_seconds_sum{{{diagnosed}}}")) > 0.0);
    let uploaded = 2.0 * std::fs::metadata(home.path().join("incident/metrics.csv")).unwrap().len() as f64;
    let received = value(&walker, &format!("grpc_server_received_bytes_total{{{diagnosed}}}"));
    assert!((uploaded..uploaded + 20_000.0).contains(&received), "{uploaded} were sent, {received} came");
    for (role, service, method, kind) in [
        ("collector", "CollectorService", "CollectRecording", "bidi_stream"),
        ("graph-builder", "GraphBuilderService", "BuildGraph", "bidi_stream"),
        ("profiler", "ProfilerService", "WeighMetrics", "unary"),
    ] {
        let labels = labels(service, method, kind);
        let metrics = metrics(role);
        let count = value(&metrics, &format!("grpc_server_handled_total{{{labels},grpc_code=\"OK\"}}"));
        assert!(count >= 1.0, "{role} {count}");
        assert_eq!(value(&metrics, "automap_build_info{"), 1.0);
        assert!(metrics.contains(&format!("role=\"{role}\"")), "{metrics}");
        assert!(value(&metrics, "process_resident_memory_bytes ") > 1e6);
        // Names of a user's services are no labels: their number has no bound.
        assert!(!metrics.contains("cart"), "{metrics}");
    }
    assert!(value(&metrics("graph-builder"), "automap_ci_tests_total ") > 0.0);
    assert!(value(&metrics("profiler"), "automap_store_size_bytes ") > 0.0);
    assert_eq!(value(&metrics("collector"), "automap_source_errors_total{kind=\"timeout\"}"), 0.0);
    // Counted after the answer has left.
    until("the failed diagnosis is counted", || {
        value(&metrics("walker"), "automap_diagnoses_total{outcome=\"failed\"}") >= 1.0
    });
    assert_eq!(value(&metrics("walker"), "automap_diagnoses_running "), 0.0);
}

#[test]
fn probes_and_unknown_paths_are_answered() {
    let home = tempfile::tempdir().unwrap();
    let configuration = "[collector.server]\nlisten = \"127.0.0.1:0\"\nadmin-listen = \"127.0.0.1:0\"\n";
    let service = Service::start(home.path(), "collector", configuration).unwrap();
    let address = service.admin_address().unwrap();
    let status = |path: &str| http::get(&address, path).unwrap().status;
    assert_eq!((status("/healthz"), status("/readyz")), (200, 200));
    assert_eq!(status("/nowhere"), 404);
    // Connections that say nothing do not keep a probe out.
    let idle: Vec<_> = (0..40).map(|_| std::net::TcpStream::connect(&address).unwrap()).collect();
    assert_eq!(status("/healthz"), 200);
    drop(idle);
    assert_eq!(service.terminate().unwrap(), Some(0));
}

#[test]
fn a_draining_service_is_alive_and_not_ready() {
    let home = tempfile::tempdir().unwrap();
    let configuration = "[collector.server]\nlisten = \"127.0.0.1:0\"\nadmin-listen = \"127.0.0.1:0\"\n";
    let mut service = Service::start(home.path(), "collector", configuration).unwrap();
    let address = service.admin_address().unwrap();
    // A connection of HTTP/2 with a call under way keeps the service draining.
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let url = service.address.clone();
    let (sender, receiver) = tokio::sync::mpsc::channel(1);
    let call = runtime.spawn(async move {
        use automap_proto::v1::collector_service_client::CollectorServiceClient;
        let channel = automap_service_kit::client::channel("address", &url).unwrap();
        let upload = tokio_stream::wrappers::ReceiverStream::new(receiver);
        CollectorServiceClient::new(channel).collect_recording(upload).await.map(|_| ())
    });
    until("the call is under way", || {
        http::get(&address, "/metrics").unwrap().body.lines().any(|line| {
            line.starts_with("grpc_server_in_flight{")
                && line.contains("CollectRecording")
                && line.ends_with(" 1")
        })
    });
    service.signal("TERM").unwrap();
    service.log_line("SIGTERM: draining").unwrap();
    until("it is not ready", || http::get(&address, "/readyz").unwrap().status != 200);
    assert_eq!(http::get(&address, "/readyz").unwrap().status, 503);
    assert_eq!(http::get(&address, "/healthz").unwrap().status, 200);
    assert!(service.runs());
    drop(sender);
    assert!(runtime.block_on(call).unwrap().is_err());
    assert_eq!(service.terminate().unwrap(), Some(0));
}

#[test]
fn an_admin_port_that_is_taken_is_named() {
    let home = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let configuration = format!(
        "[collector.server]\nlisten = \"127.0.0.1:0\"\nadmin-listen = {:?}\n",
        taken.local_addr().unwrap().to_string()
    );
    std::fs::write(home.path().join("taken.toml"), configuration).unwrap();
    let ended = command::run(home.path(), &["serve", "collector", "--config", "taken.toml"]).unwrap();
    assert_eq!(ended.code, 1, "{}", ended.stderr);
    assert!(ended.stderr.contains("choose another server.admin-listen"), "{}", ended.stderr);
}
