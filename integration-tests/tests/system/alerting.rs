//! From an alert to an answer: a real Prometheus, a real Alertmanager, the testbed, and sinks that are real servers.

use std::{
    fs, thread,
    time::{Duration, Instant, SystemTime},
};

use automap_integration_tests::{
    alertmanager::{self, Alertmanager, firing, notification, notify},
    http,
    processes::{Service, all_on_free_ports},
    recording,
    sink_server::SinkServer,
    testbed,
};
use automap_proto::v1;
use automap_pymicro::fault::Fault;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::walker_calls::client_of;

const PATIENCE: Duration = Duration::from_secs(180);

/// Where alerts come in, `127.0.0.1:port`.
fn http_address(service: &Service) -> String {
    service.page_address().unwrap()
}

pub(crate) fn listed(runtime: &Runtime, service: &Service) -> Vec<v1::Diagnosis> {
    let request = v1::WalkerServiceListDiagnosesRequest { page_size: 500, ..Default::default() };
    let answer = runtime.block_on(async { client_of(service).list_diagnoses(request).await });
    answer.unwrap().into_inner().diagnoses
}

/// The value of the series that begins so, with its labels.
pub(crate) fn metric(admin: &str, series: &str) -> f64 {
    let answer = http::get(admin, "/metrics").unwrap();
    let line = answer.body.lines().find(|line| line.starts_with(series));
    assert!(line.is_some(), "{series} is missing in\n{}", answer.body);
    line.unwrap().rsplit(' ').next().unwrap().parse().unwrap()
}

pub(crate) fn until(what: &str, mut so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !so() {
        assert!(Instant::now() < deadline, "in time: {what}");
        thread::sleep(Duration::from_millis(100));
    }
}

const RULES: &str = r#"
groups:
  - name: front-end
    rules:
      - alert: FrontEndFails
        expr: |
          sum by (service) (rate(pymicro_requests_total{service="view",status=~"5.."}[3s]))
            / sum by (service) (rate(pymicro_requests_total{service="view"}[3s])) > 0.2
        labels: {severity: page, application: shop}
        annotations: {summary: "a fifth of all requests fail"}
"#;

#[test]
fn a_killed_service_is_named_to_a_webhook_and_nobody_lifts_a_finger() {
    let _turn = crate::pymicro::turn();
    let home = tempfile::tempdir().unwrap();
    let runtime = Runtime::new().unwrap();
    let mut bed = runtime.block_on(testbed::start(home.path())).unwrap();
    let began = Instant::now();
    let sink = SinkServer::start(Box::new(|_, _| (200, String::new()))).unwrap();
    let configuration = all_on_free_ports(home.path())
        + &format!(
            r#"
[collector.sources.testbed]
url = {:?}
preset = "pymicro"
step = "1s"
scrape-interval = "500ms"
proxy = "none"
[walker.http]
listen = "127.0.0.1:0"
[walker.alerts]
settle-seconds = 7
[[walker.alerts.rules]]
where = {{ severity = "page|critical" }}
system = {{ label = "application" }}
front-end = {{ label = "service", default = "view" }}
source = {{ default = "testbed" }}
[walker.sinks.log]
url = "{}/diagnoses"
"#,
            bed.prometheus_url(),
            sink.url
        );
    let service = Service::start(home.path(), "all", &configuration).unwrap();
    let webhook = format!("http://{}/api/v1/alerts", http_address(&service));
    let alertmanager = Alertmanager::start(home.path(), &webhook).unwrap();
    alertmanager::watch(home.path(), &bed.prometheus_url(), RULES, &alertmanager.address).unwrap();
    // Normal behaviour, to compare with.
    thread::sleep(Duration::from_secs(25).saturating_sub(began.elapsed()));
    assert!(sink.taken("/diagnoses").is_empty(), "nothing is wrong yet");

    let killed = Instant::now();
    runtime.block_on(bed.inject("b2", &Fault::PodKill {})).unwrap();
    let arrived = sink.wait_for("/diagnoses", 1, PATIENCE).unwrap();
    let told = arrived[0].json().unwrap();
    let seconds = arrived[0].at.duration_since(killed).as_secs_f64();
    assert_eq!(
        (&told["state"], &told["system"], &told["front_end"]),
        (&json!("done"), &json!("shop"), &json!("view"))
    );
    assert_eq!(told["causes"][0]["service"], "b2", "{told:#}");
    assert_eq!(told["alerts"][0]["name"], "FrontEndFails", "{told:#}");
    let fired = time(told["alerts"][0]["starts_at"].as_str().unwrap());
    let answered = SystemTime::now() - arrived[0].at.elapsed();
    eprintln!(
        "from the kill to the answer {seconds:.1} s, from the alert {:.1} s, of which 7 s settle; {}: {}",
        answered.duration_since(fired).unwrap_or_default().as_secs_f64(),
        told["verdict"],
        told["causes"][0]["evidence"]
    );
    let found = listed(&runtime, &service);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(told["diagnosis_id"], found[0].diagnosis_id.as_str());
    assert_eq!(told["dedup_key"], found[0].incident_id.as_str());

    // The end of the alert begins nothing and is noted.
    runtime.block_on(bed.heal()).unwrap();
    let resolved = || {
        let id = v1::WalkerServiceGetDiagnosisRequest { diagnosis_id: found[0].diagnosis_id.clone() };
        let answer = runtime.block_on(async { client_of(&service).get_diagnosis(id).await }).unwrap();
        let alerts = answer.into_inner().diagnosis.unwrap().alerts.unwrap();
        alerts.alerts[0].ends_at.is_some()
    };
    until("the end of the alert is noted", resolved);
    assert_eq!((listed(&runtime, &service).len(), sink.taken("/diagnoses").len()), (1, 1));
    drop(alertmanager);
    assert_eq!(service.terminate().unwrap(), Some(0));
    runtime.block_on(bed.stop()).unwrap();
}

/// A time of RFC 3339 in UTC.
fn time(text: &str) -> SystemTime {
    let time: jiff::Timestamp = text.parse().unwrap();
    time.try_into().unwrap()
}

/// A diagnosis of the recorded incident, as a caller starts it.
fn start(runtime: &Runtime, service: &Service, id: &str) {
    let recording = v1::metric_source::Source::Recording("incident".into());
    let request = v1::StartDiagnosisRequest {
        request_id: id.into(),
        diagnosis: Some(v1::DiagnoseRequest {
            source: Some(v1::MetricSource { source: Some(recording) }),
            ..Default::default()
        }),
    };
    runtime.block_on(async { client_of(service).start_diagnosis(request).await }).unwrap();
}

#[test]
fn each_kind_of_sink_gets_its_form_and_one_that_is_down_delays_no_other() {
    let home = tempfile::tempdir().unwrap();
    recording::demo_incident(home.path()).unwrap();
    let answers = |path: &str, before: usize| match (path, before) {
        ("/hooks/T0-s3cret", 0) => (429, "retry-after: 2\r\n".to_owned()),
        ("/pagerduty", 0..2) => (503, String::new()),
        ("/refuses", _) => (400, String::new()),
        ("/moved", _) => (302, "location: /elsewhere\r\n".to_owned()),
        _ => (202, String::new()),
    };
    let sink = SinkServer::start(Box::new(answers)).unwrap();
    let at = |name: &str| home.path().join(name);
    fs::write(at("slack"), format!("{}/hooks/T0-s3cret\n", sink.url)).unwrap();
    fs::write(at("key"), "r0uting-k3y\n").unwrap();
    fs::write(at("token"), "t0ken\n").unwrap();
    fs::write(
        at("template"),
        r#"{"what": {{ verdict }}, "who": {{ causes[0].service if causes else none }}}"#,
    )
    .unwrap();
    let url = &sink.url;
    let configuration = all_on_free_ports(home.path())
        .replace("[walker.server]\n", "[walker.server]\nadmin-listen = \"127.0.0.1:0\"\n")
        + &format!(
            r#"
[collector]
recordings-root = {home:?}
[walker.http]
external-url = "https://automap.example.org"
[walker.sinks.down]
url = "http://127.0.0.1:1/down"
only-from-alerts = false
[walker.sinks.slack]
kind = "slack"
url-file = {slack:?}
only-from-alerts = false
[walker.sinks.pager]
kind = "pagerduty"
url = "{url}/pagerduty"
routing-key-file = {key:?}
only-from-alerts = false
severity = "critical"
[walker.sinks.template]
url = "{url}/template"
template-file = {template:?}
bearer-token-file = {token:?}
only-from-alerts = false
[walker.sinks.refuses]
url = "{url}/refuses"
only-from-alerts = false
[walker.sinks.moved]
url = "{url}/moved"
only-from-alerts = false
[walker.sinks.alerts-only]
url = "{url}/alerts-only"
[walker.sinks.books]
url = "{url}/books"
systems = ["books"]
only-from-alerts = false
"#,
            home = home.path(),
            slack = at("slack"),
            key = at("key"),
            token = at("token"),
            template = at("template"),
        );
    let service = Service::start(home.path(), "all", &configuration).unwrap();
    let admin = service.admin_address().unwrap();
    let runtime = Runtime::new().unwrap();
    start(&runtime, &service, "one");

    let template = sink.wait_for("/template", 1, PATIENCE).unwrap();
    let told = template[0].json().unwrap();
    assert_eq!(told["who"], "cart");
    assert!(told["what"].as_str().unwrap().contains("cart"), "{told}");
    assert!(template[0].head.contains("authorization: bearer t0ken"), "{}", template[0].head);
    assert!(template[0].head.contains("content-type: application/json"), "{}", template[0].head);

    let slack = sink.wait_for("/hooks/T0-s3cret", 2, PATIENCE).unwrap();
    assert!(slack[1].at - slack[0].at >= Duration::from_secs(2), "it asked for two seconds");
    let body = slack[1].json().unwrap();
    assert!(body["text"].as_str().unwrap().contains("cart"), "{body:#}");
    let blocks = body["blocks"].as_array().unwrap();
    assert_eq!((&blocks[0]["type"], &blocks[0]["text"]["type"]), (&json!("header"), &json!("plain_text")));
    assert!(blocks[2]["text"]["text"].as_str().unwrap().starts_with("1. *cart*: "), "{body:#}");
    let context = blocks.last().unwrap()["elements"][0]["text"].as_str().unwrap();
    assert!(context.contains("<https://automap.example.org/diagnoses/one|"), "{context}");

    let pager = sink.wait_for("/pagerduty", 3, PATIENCE).unwrap();
    let events: Vec<Value> = pager.iter().map(|one| one.json().unwrap()).collect();
    assert!(events.iter().all(|event| *event == events[0]), "each try tells the same");
    let event = &events[2];
    assert_eq!((&event["routing_key"], &event["event_action"]), (&json!("r0uting-k3y"), &json!("trigger")));
    assert!(event["dedup_key"].as_str().unwrap().starts_with("inc-"), "{event:#}");
    assert_eq!(event["payload"]["component"], "cart");
    assert!(["critical", "info"].contains(&event["payload"]["severity"].as_str().unwrap()));
    for needed in ["summary", "source", "custom_details"] {
        assert!(!event["payload"][needed].is_null(), "{event:#}");
    }
    // The same incident diagnosed anew has the same key.
    start(&runtime, &service, "two");
    let again = sink.wait_for("/pagerduty", 4, PATIENCE).unwrap()[3].json().unwrap();
    assert_eq!(again["dedup_key"], event["dedup_key"]);

    let counted = |sink: &str, outcome: &str| {
        metric(&admin, &format!("automap_sink_deliveries_total{{sink=\"{sink}\",outcome=\"{outcome}\"}}"))
    };
    until("refusals are counted", || {
        counted("refuses", "refused") >= 2.0 && counted("moved", "refused") >= 2.0
    });
    assert_eq!(sink.taken("/refuses").len(), 2, "what is refused for good is not tried again");
    assert!(sink.taken("/elsewhere").is_empty(), "no secret follows a redirect");
    assert!(sink.taken("/alerts-only").is_empty() && sink.taken("/books").is_empty());
    until("deliveries are counted", || counted("pager", "taken") == 2.0);
    assert!(metric(&admin, "automap_sink_queued{sink=\"down\"}") >= 1.0);
    let ended = |outcome: &str| metric(&admin, &format!("automap_diagnoses_total{{outcome=\"{outcome}\"}}"));
    until("diagnoses are counted", || ended("answered") + ended("abstained") == 2.0);
    assert!(metric(&admin, "automap_diagnosis_stage_seconds_count{stage=\"rank\"}") >= 2.0);
    assert_eq!(metric(&admin, "automap_diagnosis_seconds_count"), 2.0, "alerts began them, and no call");
    assert!(metric(&admin, "automap_diagnosis_seconds_sum") > 0.0);

    // Nothing secret in the log, whatever failed.
    let refused = service.log_line("a sink did not take a diagnosis").unwrap();
    assert!(refused["fields"]["fault"].as_str().unwrap().starts_with("answered "), "{refused}");
    let log = service.end_with_log().unwrap();
    for secret in ["s3cret", "r0uting", "t0ken"] {
        assert!(!log.contains(secret), "{log}");
    }
}

/// A walker that takes alerts, and a source that refuses connections.
pub(crate) fn alerted(home: &std::path::Path, settings: &str) -> (Service, String, String) {
    alerted_asking(home, "127.0.0.1:1", settings)
}

/// The same whose source is at `source`.
pub(crate) fn alerted_asking(
    home: &std::path::Path,
    source: &str,
    settings: &str,
) -> (Service, String, String) {
    let configuration = all_on_free_ports(home)
        .replace("[walker.server]\n", "[walker.server]\nadmin-listen = \"127.0.0.1:0\"\n")
        + &format!(
            r#"
[collector.sources.gone]
url = "http://{source}"
preset = "pymicro"
step = "1s"
proxy = "none"
attempts = 1
query-seconds = 600
[walker.http]
listen = "127.0.0.1:0"
[walker.alerts]
settle-seconds = 0
{settings}
[[walker.alerts.rules]]
system = {{ label = "namespace" }}
front-end = {{ label = "service" }}
source = {{ default = "gone" }}
"#
        );
    let service = Service::start(home, "all", &configuration).unwrap();
    let (address, admin) = (http_address(&service), service.admin_address().unwrap());
    (service, address, admin)
}

/// Alerts that fire since now, each by application and name, in one notification.
pub(crate) fn fire(alerts: impl IntoIterator<Item = (String, String)>) -> Value {
    let now = jiff::Timestamp::now().to_string();
    notification(alerts.into_iter().map(|(namespace, name)| firing(&namespace, &name, &now)))
}

pub(crate) fn send(address: &str, body: impl AsRef<[u8]>) -> http::Answer {
    notify(address, body).unwrap()
}

#[test]
fn hostile_notifications_are_refused_and_begin_nothing() {
    let home = tempfile::tempdir().unwrap();
    let (service, address, admin) = alerted(home.path(), "");
    let good = fire([("shop".into(), "Slow".into())]);
    let with = |pointer: &str, value: Value| {
        let mut changed = good.clone();
        *changed.pointer_mut(pointer).unwrap() = value;
        changed.to_string().into_bytes()
    };
    let deep = |depth: usize| {
        let nested = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        format!("{{\"version\":\"4\",\"x\":{nested}}}").into_bytes()
    };
    let hostile: Vec<(&str, Vec<u8>)> = vec![
        ("nothing", Vec::new()),
        ("no JSON", b"<alerts/>".to_vec()),
        ("a list", b"[]".to_vec()),
        ("no text", b"{\"version\": \"\xff\xfe\"}".to_vec()),
        ("half a character", good.to_string().replace("Slow", "\\udead").into_bytes()),
        ("deep", deep(20)),
        ("very deep", deep(1_000_000)),
        ("cut", good.to_string().into_bytes()[..100].to_vec()),
        ("another version", with("/version", json!("5"))),
        ("a number for a version", with("/version", json!(4))),
        ("control characters in a name", with("/alerts/0/labels/namespace", json!("shop\u{0}\u{1b}[2J"))),
        ("a name without end", with("/alerts/0/labels/service", json!("x".repeat(5000)))),
        ("labels of another type", with("/alerts/0/labels", json!({"service": {"a": 1}}))),
        ("no time", with("/alerts/0/startsAt", json!("now"))),
        ("the far future", with("/alerts/0/startsAt", json!("2999-01-01T00:00:00Z"))),
        ("the far past", with("/alerts/0/startsAt", json!("1970-01-01T00:00:00Z"))),
        ("nobody's alert", with("/alerts/0/labels", json!({"alertname": "x"}))),
        (
            "too many alerts",
            fire((0..5001).map(|one| ("shop".into(), one.to_string()))).to_string().into_bytes(),
        ),
    ];
    for (what, body) in &hostile {
        let answer = send(&address, body);
        assert_eq!(answer.status, 400, "{what}: {answer:?}");
        let error: Value = serde_json::from_str(&answer.body).unwrap();
        assert!(
            error["error"]["message"].as_str().is_some_and(|message| message.len() < 1000),
            "{what}: {error}"
        );
    }
    let huge = with("/groupKey", json!("x".repeat(5 << 20)));
    assert_eq!(send(&address, huge).status, 413);
    assert_eq!(http::get(&address, "/api/v1/alerts").unwrap().status, 405);
    let runtime = Runtime::new().unwrap();
    assert!(listed(&runtime, &service).is_empty());
    assert_eq!(metric(&admin, "automap_alerts_total{outcome=\"began\"}"), 0.0);
    assert!(metric(&admin, "automap_alert_notifications_refused_total") >= 10.0);
    // It goes on, and a name in any script is one.
    let answer = send(&address, with("/alerts/0/labels/namespace", json!("магазин-店")));
    assert_eq!(answer.status, 202, "{answer:?}");
    until("it is begun", || listed(&runtime, &service).iter().any(|one| one.system == "магазин-店"));
}
