//! The walker's page in a real browser: live list, diagnosis, confirmation, and readers of all kinds.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    net::TcpStream,
    path::Path,
    time::{Duration, Instant},
};

use automap_integration_tests::{
    http,
    page_reader::{PageReader, Task},
    processes::{Service, all_on_free_ports},
};
use automap_proto::v1::{self, walker_service_client::WalkerServiceClient};
use automap_service_kit::client;
use serde_json::Value;

/// How long anything may take that comes by itself.
const PATIENCE: Duration = Duration::from_secs(120);

/// Services of the recorded incident and what they are called in the hostile one.
const HOSTILE: [(&str, &str); 3] = [
    ("view", "\"><img src=x onerror=alert(1)>"),
    ("a2", "<script>alert(1)</script>"),
    ("a", "'-alert(1)-'&#x27;</text><a xlink:href=\"javascript:alert(1)\">"),
];

fn hostile(name: &str) -> &str {
    HOSTILE.iter().find(|(plain, _)| *plain == name).map_or(name, |(_, hostile)| hostile)
}

/// Two recordings below `root`: one of the examples, and the same with names that a browser might obey, where only two services
/// have samples of memory.
fn recordings(root: &Path) {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/pymicro/round-03");
    for name in ["plain", "hostile"] {
        fs::create_dir_all(root.join(name)).unwrap();
    }
    for file in ["metrics.csv", "edges.csv", "call_graph.csv", "incident.json"] {
        fs::copy(example.join(file), root.join("plain").join(file)).unwrap();
    }
    let metrics = fs::read_to_string(example.join("metrics.csv")).unwrap();
    let (header, rows) = metrics.split_once('\n').unwrap();
    let kept: Vec<bool> = header
        .split(',')
        .map(|column| !column.ends_with("_memory") || ["view_memory", "a_memory"].contains(&column))
        .collect();
    let cells = |line: &str| -> Vec<String> {
        line.split(',').zip(&kept).filter(|(_, kept)| **kept).map(|(cell, _)| cell.to_owned()).collect()
    };
    let columns = cells(header).into_iter().map(|column| match column.rsplit_once('_') {
        Some((service, metric)) => format!("\"{}_{metric}\"", hostile(service).replace('"', "\"\"")),
        None => column,
    });
    let mut text = columns.collect::<Vec<_>>().join(",");
    for row in rows.lines() {
        text.push('\n');
        text.push_str(&cells(row).join(","));
    }
    fs::write(root.join("hostile/metrics.csv"), text).unwrap();
    let incident = fs::read_to_string(example.join("incident.json")).unwrap();
    let mut incident: Value = serde_json::from_str(&incident).unwrap();
    incident["front_end"] = hostile("view").into();
    fs::write(root.join("hostile/incident.json"), incident.to_string()).unwrap();
}

async fn diagnose(address: &str, recording: &str) {
    let mut client = WalkerServiceClient::new(client::channel("address", address).unwrap());
    let source = v1::metric_source::Source::Recording(recording.into());
    let request = v1::StartDiagnosisRequest {
        request_id: recording.into(),
        diagnosis: Some(v1::DiagnoseRequest {
            source: Some(v1::MetricSource { source: Some(source) }),
            ..Default::default()
        }),
    };
    client.start_diagnosis(request).await.unwrap();
}

fn texts(value: &Value) -> Vec<&str> {
    value.as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect()
}

/// Starts the services with an HTTP port; answers where the page is, too.
fn serve(home: &Path) -> (Service, String) {
    let configuration = all_on_free_ports(home)
        + &format!("[walker.http]\nlisten = \"127.0.0.1:0\"\n[collector]\nrecordings-root = {home:?}\n");
    let service = Service::start(home, "all", &configuration).unwrap();
    let address = service.page_address().unwrap();
    (service, address)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_reads_a_diagnosis_in_a_browser_and_confirms_a_cause() {
    let home = tempfile::tempdir().unwrap();
    recordings(home.path());
    let (service, address) = serve(home.path());
    let origin = format!("http://{address}");
    let picture = std::env::var_os("AUTOMAP_SCREENSHOT").map(std::path::PathBuf::from);
    let task = Task {
        origin: &origin,
        diagnoses: &["plain", "hostile"],
        confirmed: "plain",
        lacking: "hostile",
        screenshot: picture.as_deref(),
    };
    let reader = PageReader::open(&task).unwrap();
    diagnose(&service.address, "plain").await;
    diagnose(&service.address, "hostile").await;
    let seen = reader.finish().unwrap();

    let listed = texts(&seen["listed"]).join("\n");
    assert!(listed.contains("alert on view") && listed.contains(HOSTILE[0].1), "{listed}");
    assert!(seen["headline"].as_str().unwrap().contains("a2"), "{seen:#}");
    assert!(texts(&seen["causes"])[0].contains("1. a2"), "{seen:#}");
    let count = |name: &str| seen[name].as_u64().unwrap();
    assert!(count("boxes") >= 10 && count("walked") >= 1 && count("charts") >= 1, "{seen:#}");
    assert_eq!(seen["plain"], seen["headline"]);
    assert!(count("printed") > 10_000, "{seen:#}");
    let looks = seen["looks"].as_array().unwrap();
    assert_eq!(looks.len(), 9);
    for look in looks {
        assert_eq!(texts(&look["findings"]), [""; 0], "{look:#}");
        assert!(look["overflow"].as_f64().unwrap() <= 0.0, "{look:#}");
    }
    let gaps = &seen["gaps"];
    assert_eq!(
        (&gaps["folded"], &gaps["printed"], &gaps["findings"]),
        (&true.into(), &true.into(), &serde_json::json!([]))
    );
    let rows = texts(&gaps["rows"]);
    assert!(rows.len() > 12 && rows.iter().all(|row| row.ends_with("none")), "{gaps:#}");
    assert!(rows.iter().any(|row| row.starts_with(HOSTILE[1].1)), "{gaps:#}");
    assert_eq!((texts(&seen["trouble"]), texts(&seen["elsewhere"])), (vec![], vec![]));

    assert!(seen["said"].as_str().unwrap().contains("confirmed the root cause a2 (cpu)"), "{seen:#}");
    assert!(seen["corrected"].as_str().unwrap().contains("the root cause a2, view, b,"), "{seen:#}");
    let mut client = WalkerServiceClient::new(client::channel("address", &service.address).unwrap());
    let request = v1::WalkerServiceGetDiagnosisRequest { diagnosis_id: "plain".into() };
    let found = client.get_diagnosis(request).await.unwrap().into_inner().diagnosis.unwrap();
    let kept = automap_integration_tests::command::run(
        home.path(),
        &["incidents", "show", &found.incident_id, "--output", "json", "--server", &profiler(&service)],
    )
    .unwrap();
    assert_eq!(kept.code, 0, "{}", kept.stderr);
    let kept: Value = serde_json::from_str(&kept.stdout).unwrap();
    assert_eq!(kept["confirmations"][0]["root_causes"], serde_json::json!(["a2"]), "{kept:#}");
    assert_eq!(kept["root_causes"], serde_json::json!(["a2", "view", "b"]), "{kept:#}");
}

fn profiler(service: &Service) -> String {
    let line = service.log_line("all services listen").unwrap();
    let addresses = line["fields"]["addresses"].as_str().unwrap().to_owned();
    let rest = addresses.split_once("profiler: \"").unwrap().1;
    rest.split_once('"').unwrap().0.to_owned()
}

#[test]
fn answers_are_strict_and_tell_what_is_wrong() {
    let home = tempfile::tempdir().unwrap();
    let (_service, address) = serve(home.path());
    let list = http::get(&address, "/diagnoses").unwrap();
    assert_eq!(list.status, 200);
    assert!(list.head.contains("content-security-policy: default-src 'none'"), "{}", list.head);
    assert!(list.head.contains("cache-control: no-store"), "{}", list.head);
    let assets: Vec<&str> =
        list.body.split("\"/assets/").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    assert_eq!(assets.len(), 3, "style, script and icon: {}", list.body);
    for asset in assets {
        let asset = http::get(&address, &format!("/assets/{asset}")).unwrap();
        assert_eq!(asset.status, 200);
        assert!(asset.head.contains("immutable"), "{}", asset.head);
    }
    assert_eq!(http::get(&address, "/diagnoses/none").unwrap().status, 404);
    assert_eq!(http::get(&address, "/assets/page.css").unwrap().status, 404);
    let nowhere = http::get(&address, "/nowhere").unwrap();
    assert_eq!(nowhere.status, 404);
    assert_eq!(serde_json::from_str::<Value>(&nowhere.body).unwrap()["error"]["code"], "NOT_FOUND");
}

/// Opens the stream of news; its status, and the connection that carries it.
fn follow(address: &str) -> (u16, BufReader<TcpStream>) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(stream, "GET /events HTTP/1.1\r\nhost: {address}\r\n\r\n").unwrap();
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    (line.split(' ').nth(1).unwrap().parse().unwrap(), reader)
}

#[test]
fn readers_who_leave_make_room_for_others() {
    let home = tempfile::tempdir().unwrap();
    let (_service, address) = serve(home.path());
    let mut readers = Vec::new();
    let refused = loop {
        let (status, reader) = follow(&address);
        if status != 200 {
            break status;
        }
        readers.push(reader);
        assert!(readers.len() <= 1000, "nobody is refused");
    };
    assert_eq!(refused, 429, "after {} readers", readers.len());
    assert_eq!(http::get(&address, "/diagnoses").unwrap().status, 200, "pages are served all the same");
    let places = readers.len();
    drop(readers);
    let deadline = Instant::now() + PATIENCE;
    let mut again = Vec::new();
    while again.len() < places {
        match follow(&address) {
            (200, reader) => again.push(reader),
            _ => std::thread::sleep(Duration::from_millis(200)),
        }
        assert!(Instant::now() < deadline, "{} of {places} places came back", again.len());
    }
}
