//! One trace of a diagnosis through all services, and diagnoses without a receiver.

use std::{net::TcpListener, path::Path, time::Instant};

use automap_integration_tests::{
    command::{self, Ended},
    otlp_receiver::{OtlpReceiver, ReceivedSpan, ancestry},
    pki::Pki,
    processes::{FourProcesses, Service, all_on_free_ports},
    recording,
    setup::Setup,
    tls_front::TlsFront,
};
use automap_proto::v1::{self, walker_service_client::WalkerServiceClient};
use automap_service_kit::client;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use serde_json::Value;

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const OUTER_SPAN: &str = "b7ad6b7169203331";

fn diagnose(home: &Path, environment: &[(&str, &str)], more: &[&str]) -> Ended {
    let mut command = command::automap(home).unwrap();
    command.args(["diagnose", "incident", "--output", "json"]).args(more).envs(environment.iter().copied());
    command.output().unwrap().into()
}

/// The ancestry of every span of a trace, sorted.
fn paths(spans: &[ReceivedSpan]) -> Vec<String> {
    let mut paths: Vec<String> =
        spans.iter().map(|span| ancestry(spans, span, OUTER_SPAN).unwrap().join(" / ")).collect();
    paths.sort();
    paths
}

/// What a diagnosis of an uploaded recording must leave, with these names of processes.
fn expected(names: [&str; 5]) -> Vec<String> {
    let [command, walker, collector, builder, profiler] = names;
    let root = format!("{command}: automap diagnose");
    let diagnose = "automap.v1.WalkerService/DiagnoseRecording";
    let asked = format!("{root} / {command}: {diagnose} ->");
    let served = format!("{asked} / {walker}: {diagnose}");
    let diagnosis = format!("{served} / {walker}: diagnosis");
    let call = |service: &str, rpc: &str| {
        let asked = format!("{diagnosis} / {walker}: automap.v1.{rpc} ->");
        [asked.clone(), format!("{asked} / {service}: automap.v1.{rpc}")]
    };
    let mut paths = vec![root, asked, served, diagnosis.clone(), format!("{diagnosis} / {walker}: rank")];
    paths.extend(call(collector, "CollectorService/CollectRecording"));
    paths.extend(call(builder, "GraphBuilderService/BuildGraph"));
    for rpc in ["WeighMetrics", "RecordIncident", "PutDiagnosis"] {
        paths.extend(call(profiler, &format!("ProfilerService/{rpc}")));
    }
    paths
}

/// Waits for all that must come, and asserts that each of it came once, in the trace of the caller.
fn assert_traced(receiver: &OtlpReceiver, names: [&str; 5]) -> Vec<ReceivedSpan> {
    let expected = expected(names);
    // The root ends last on one side, and the calls of each service are sent on their own.
    let complete = |spans: &[ReceivedSpan]| {
        spans.iter().any(|span| span.parent == OUTER_SPAN)
            && spans.iter().all(|span| ancestry(spans, span, OUTER_SPAN).is_ok())
            && expected.iter().all(|path| paths(spans).contains(path))
    };
    let spans = receiver.wait_until(complete).unwrap();
    let found = paths(&spans);
    for path in &expected {
        assert_eq!(found.iter().filter(|known| *known == path).count(), 1, "{path} in {found:#?}");
    }
    assert!(spans.iter().all(|span| span.trace == TRACE && !span.failed), "{spans:#?}");
    // One graph of the incident, and one for each normal window.
    let builder = format!("{}: automap.v1.GraphBuilderService/BuildGraph / {}: build", names[3], names[3]);
    assert!(found.iter().filter(|path| path.ends_with(&builder)).count() > 1, "{found:#?}");
    spans
}

fn traceparent() -> String {
    format!("00-{TRACE}-{OUTER_SPAN}-01")
}

#[test]
fn one_trace_leads_from_the_caller_of_the_command_through_all_four_services() {
    let home = tempfile::tempdir().unwrap();
    recording::demo_incident(home.path()).unwrap();
    let receiver = OtlpReceiver::start().unwrap();
    let four = FourProcesses::start_in(&receiver.environment(), home.path(), home.path()).unwrap();
    let traceparent = traceparent();
    let mut environment = receiver.environment().to_vec();
    environment.push(("TRACEPARENT", &traceparent));
    let ended = diagnose(home.path(), &environment, &["--server", &four.walker.address]);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let names =
        ["automap", "automap-walker", "automap-collector", "automap-graph-builder", "automap-profiler"];
    let spans = assert_traced(&receiver, names);

    let answer: Value = serde_json::from_str(&ended.stdout).unwrap();
    let attribute = |name: &str, key: &str| {
        let found = spans.iter().find(|span| span.name.ends_with(name) && span.attributes.contains_key(key));
        found.unwrap_or_else(|| panic!("no {name} has {key}: {spans:#?}")).attributes[key].clone()
    };
    let services = answer["ranking"].as_array().unwrap().len().to_string();
    for name in ["diagnosis", "CollectRecording", "BuildGraph"] {
        assert_eq!(attribute(name, "automap.services"), services, "{name}");
        let number = |key: &str| attribute(name, key).parse::<u64>().unwrap();
        assert_eq!(
            number("automap.frame_bytes"),
            8 * number("automap.rows") * number("automap.series"),
            "{name}"
        );
    }
    assert_eq!(attribute("diagnosis", "automap.diagnosis_id"), answer["diagnosis_id"].as_str().unwrap());
    for key in ["automap.graphs", "automap.edges", "automap.tests"] {
        assert!(attribute("diagnosis", key).parse::<u64>().unwrap() > 0, "{key}");
    }
    let uploaded = std::fs::metadata(home.path().join("incident/metrics.csv")).unwrap().len();
    let upload =
        spans.iter().find(|span| span.name.ends_with("DiagnoseRecording") && span.kind == SpanKind::Server);
    let received: u64 = upload.unwrap().attributes["automap.bytes_received"].parse().unwrap();
    assert!((uploaded..uploaded + 10_000).contains(&received), "{uploaded} were sent, {received} came");
    assert_eq!(attribute("WeighMetrics", "rpc.grpc.status_code"), "0");
    assert_eq!(attribute("WeighMetrics", "rpc.service"), "automap.v1.ProfilerService");
}

#[test]
fn services_in_the_process_of_the_command_are_in_its_trace() {
    let home = tempfile::tempdir().unwrap();
    recording::demo_incident(home.path()).unwrap();
    let receiver = OtlpReceiver::start().unwrap();
    let traceparent = traceparent();
    let mut environment = receiver.environment().to_vec();
    environment.push(("TRACEPARENT", &traceparent));
    let ended = diagnose(home.path(), &environment, &[]);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert_traced(&receiver, ["automap"; 5]);
}

#[test]
fn spans_go_over_tls_to_a_receiver_whose_authority_is_named() {
    let home = tempfile::tempdir().unwrap();
    recording::demo_incident(home.path()).unwrap();
    let pki = Pki::new(home.path()).unwrap();
    let receiver = OtlpReceiver::start().unwrap();
    let front = TlsFront::before(&receiver.endpoint, &pki.server).unwrap();
    let [ca, other_ca] =
        [&pki.authority, &pki.other_authority].map(|authority| authority.file.display().to_string());
    let start = |ca: &str| {
        let environment = [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", front.address.as_str()),
            ("OTEL_EXPORTER_OTLP_CERTIFICATE", ca),
            ("OTEL_BSP_SCHEDULE_DELAY", "50"),
        ];
        Service::start_in(&environment, home.path(), "all", &all_on_free_ports(home.path())).unwrap()
    };
    let service = start(&other_ca);
    assert_eq!(diagnose(home.path(), &[], &["--server", &service.address]).code, 0);
    let line = service.log_line("spans cannot be exported and are dropped; calls go on without").unwrap();
    assert!(
        line["fields"]["error"].as_str().unwrap().contains("not signed by a trusted authority"),
        "{line}"
    );
    assert_eq!(service.terminate().unwrap(), Some(0));
    assert_eq!(receiver.spans(), []);

    let service = start(&ca);
    assert_eq!(diagnose(home.path(), &[], &["--server", &service.address]).code, 0);
    receiver.wait_until(|spans| spans.iter().any(|span| span.name == "diagnosis")).unwrap();
    assert_eq!(service.terminate().unwrap(), Some(0));
    let unreadable = start("nowhere.pem");
    let line = unreadable.log_line(
        "spans are not exported: OTEL_EXPORTER_OTLP_CERTIFICATE: nowhere.pem cannot be read: No such file or directory \
         (os error 2)",
    );
    assert_eq!(line.unwrap()["level"], "WARN");
}

#[test]
fn a_failed_diagnosis_is_a_failed_span() {
    let home = tempfile::tempdir().unwrap();
    recording::demo_incident(home.path()).unwrap();
    let receiver = OtlpReceiver::start().unwrap();
    let ended = diagnose(home.path(), &receiver.environment(), &["--front-end", "nobody"]);
    assert_eq!(ended.code, 2, "{}", ended.stderr);
    let failed =
        |spans: &[ReceivedSpan], name: &str| spans.iter().any(|span| span.name == name && span.failed);
    let complete = |spans: &[ReceivedSpan]| failed(spans, "automap diagnose") && failed(spans, "diagnosis");
    let spans = receiver.wait_until(complete).unwrap();
    // What a caller got wrong is no fault of the server.
    let server = spans.iter().find(|span| span.attributes.get("role").is_some_and(|role| role == "walker"));
    assert!(server.is_some_and(|span| !span.failed), "{spans:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trace_passes_through_a_walker_that_exports_nothing() {
    let home = tempfile::tempdir().unwrap();
    recording::demo_incident(home.path()).unwrap();
    let receiver = tokio::task::block_in_place(OtlpReceiver::start).unwrap();
    let four = FourProcesses::start(home.path(), home.path()).unwrap();
    let collector = Service::start_in(
        &receiver.environment(),
        home.path(),
        "collector",
        &format!(
            "[collector]\nrecordings-root = {:?}\n[collector.server]\nlisten = \"127.0.0.1:0\"\n",
            home.path()
        ),
    )
    .unwrap();
    let peers = [&collector, &four.graph_builder, &four.profiler].map(|peer| peer.address.as_str());
    let walker = Setup::default().walker(home.path(), peers).unwrap();
    let mut client = WalkerServiceClient::new(client::channel("address", &walker.address).unwrap());
    let source = v1::MetricSource { source: Some(v1::metric_source::Source::Recording("incident".into())) };
    let mut request = tonic::Request::new(v1::DiagnoseRequest { source: Some(source), ..Default::default() });
    request.metadata_mut().insert("traceparent", traceparent().parse().unwrap());
    let mut answer = client.diagnose(request).await.unwrap().into_inner();
    while answer.message().await.unwrap().is_some() {}
    let spans = tokio::task::block_in_place(|| receiver.wait_until(|spans| !spans.is_empty())).unwrap();
    assert_eq!(spans[0].service, "automap-collector");
    assert_eq!(spans[0].trace, TRACE);
    assert_ne!(spans[0].parent, OUTER_SPAN, "the walker's own call is the parent");
    tokio::task::block_in_place(|| drop(receiver));
}

#[test]
fn without_a_receiver_the_answer_and_the_exit_are_the_same() {
    let home = tempfile::tempdir().unwrap();
    recording::demo_incident(home.path()).unwrap();
    let plain = diagnose(home.path(), &[], &["--no-record"]);
    let refusing = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    };
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = (format!("http://{}", silent.local_addr().unwrap()), silent);
    for endpoint in [&refusing, &silent.0, &"no url at all".to_owned()] {
        let began = Instant::now();
        // An export that anyone waited for would take ten minutes.
        let environment =
            [("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()), ("OTEL_EXPORTER_OTLP_TIMEOUT", "600000")];
        let ended = diagnose(home.path(), &environment, &["--no-record"]);
        assert_eq!(ended.code, 0, "{}", ended.stderr);
        assert_eq!(ended.stderr, plain.stderr, "{endpoint}");
        assert!(began.elapsed().as_secs() < 300, "{endpoint} delayed the command");
        let stable = automap_integration_tests::answers::without_ids_and_timings;
        assert_eq!(stable(&ended.stdout).unwrap(), stable(&plain.stdout).unwrap());
    }
}

#[test]
fn a_service_says_once_that_its_receiver_is_gone_and_ends_all_the_same() {
    let home = tempfile::tempdir().unwrap();
    recording::demo_incident(home.path()).unwrap();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", silent.local_addr().unwrap());
    let environment = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "200"),
        ("OTEL_BSP_SCHEDULE_DELAY", "50"),
    ];
    let service =
        Service::start_in(&environment, home.path(), "all", &all_on_free_ports(home.path())).unwrap();
    let ended = diagnose(home.path(), &[], &["--server", &service.address]);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let line = service.log_line("spans cannot be exported and are dropped; calls go on without").unwrap();
    assert_eq!(line["level"], "WARN");
    assert_eq!(service.terminate().unwrap(), Some(0));
}
