//! Logging in to the walker's page in a real browser: who is sent where, what each role may do, and who gets nothing done.

use std::{
    fs,
    path::{Path, PathBuf},
};

use automap_client::{Client, v1};
use automap_integration_tests::{
    http,
    page_reader::PageReader,
    processes::{Service, all_on_free_ports},
    recording,
    tokens::Tokens,
};
use serde_json::json;
use tempfile::TempDir;

/// The services with a page that wants a token, and a diagnosis of the demo's incident.
struct Site {
    _service: Service,
    /// Where the page is, `127.0.0.1:port`.
    address: String,
    /// The token of `rita`, who may read.
    reader: PathBuf,
    /// The token of `ada`, who may confirm.
    engineer: PathBuf,
    diagnosis: v1::Diagnosis,
    _home: TempDir,
}

impl Site {
    fn start() -> Self {
        let home = tempfile::tempdir().unwrap();
        let root = home.path();
        recording::demo_incident(root).unwrap();
        let tokens = Tokens::new(root).unwrap();
        let reader = tokens.issue("rita", &["--role", "read"]).unwrap();
        let engineer = tokens.issue("ada", &["--role", "confirm"]).unwrap();
        let configuration = all_on_free_ports(root)
            .replace("[walker.server]\n", &format!("[walker.server]\naccess.tokens = {:?}\n", tokens.file))
            + &format!("[walker.http]\nlisten = \"127.0.0.1:0\"\n[collector]\nrecordings-root = {root:?}\n");
        let service = Service::start(root, "all", &configuration).unwrap();
        let address = service.page_address().unwrap();
        let diagnosis = diagnose(&service, &engineer);
        assert_eq!(diagnosis.state(), v1::DiagnosisState::Done, "{}", diagnosis.failure);
        Self { _service: service, address, reader, engineer, diagnosis, _home: home }
    }
}

/// Diagnoses the demo's incident.
fn diagnose(service: &Service, token: &Path) -> v1::Diagnosis {
    let source = v1::metric_source::Source::Recording("incident".into());
    let request = v1::DiagnoseRequest {
        source: Some(v1::MetricSource { source: Some(source) }),
        ..v1::DiagnoseRequest::default()
    };
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let client = Client::builder(&service.address).token_file(token).connect().unwrap();
        let id = client.start("read", request).await.unwrap();
        client.wait(&id).await.unwrap()
    })
}

#[test]
fn people_log_in_do_what_their_role_may_and_log_out() {
    let Site { address, reader, engineer, diagnosis, .. } = &Site::start();
    let origin = format!("http://{address}");

    let text = |file: &Path| fs::read_to_string(file).unwrap().trim().to_owned();
    let task = json!({
        "origin": origin,
        "diagnosis": diagnosis.diagnosis_id,
        "reader": text(reader),
        "engineer": text(engineer),
    });
    let seen = PageReader::start("page_login.mjs", task).unwrap().finish().unwrap();
    assert_eq!(seen["sent"], format!("{origin}/login?next=/diagnoses/read"), "{seen:#}");
    assert_eq!(seen["login"], json!([]), "{seen:#}");
    assert!(seen["wrong"].as_str().unwrap().contains("not known here"), "{seen:#}");
    assert_eq!(seen["cookies"], 0, "{seen:#}");
    assert_eq!(seen["cookie"], json!({"httpOnly": true, "sameSite": "Strict", "seen": ""}), "{seen:#}");
    let header = seen["reader"]["header"].as_str().unwrap();
    assert!(header.contains("rita") && header.contains("Log out"), "{seen:#}");
    assert_eq!(
        (&seen["reader"]["buttons"], &seen["reader"]["findings"]),
        (&json!(0), &json!([])),
        "{seen:#}"
    );
    assert_eq!(seen["left"], 0, "{seen:#}");
    assert!(seen["engineer"]["header"].as_str().unwrap().contains("ada"), "{seen:#}");
    assert!(seen["engineer"]["buttons"].as_u64().unwrap() >= 3, "{seen:#}");
    assert!(seen["said"].as_str().unwrap().contains("ada confirmed the root cause cart"), "{seen:#}");
    assert_eq!((&seen["forged"], &seen["after"]), (&json!(400), &seen["said"]), "{seen:#}");
    let lost = &seen["lost"];
    assert_eq!((&lost["heading"], &lost["findings"]), (&json!("Not Found"), &json!([])), "{seen:#}");
    assert!(lost["header"].as_str().unwrap().contains("ada"), "{seen:#}");
    assert_eq!(seen["out"], format!("{origin}/login?next=/diagnoses"), "{seen:#}");
    assert_eq!(seen["elsewhere"], json!([]), "{seen:#}");
    // The console tells of the refused login and of what is not there, and of nothing else.
    let told = |line: &serde_json::Value| {
        ["status of 401", "status of 404"].iter().any(|status| line.as_str().unwrap().contains(status))
    };
    assert!(seen["trouble"].as_array().unwrap().iter().all(told), "{seen:#}");
}

#[test]
fn a_form_of_another_origin_or_of_nobody_changes_nothing() {
    let Site { address, reader, engineer, diagnosis, .. } = &Site::start();
    let cookie = |file: &Path| format!("cookie: automap={}\r\n", fs::read_to_string(file).unwrap().trim());
    let own = format!("origin: http://{address}\r\n");
    let send = |headers: &[&str]| {
        let headers = headers.concat() + "content-type: application/x-www-form-urlencoded\r\n";
        http::post(address, "/diagnoses/read/confirmations", &headers, b"root_cause=cart").unwrap()
    };
    let (ada, rita) = (cookie(engineer), cookie(reader));
    for (who, headers, status) in [
        ("a page of another origin", vec!["origin: http://evil.example\r\n", &ada], 400),
        ("a page without an origin", vec!["origin: null\r\n", &ada], 400),
        ("no browser at all", vec![&*ada], 400),
        ("nobody", vec![&*own], 401),
        ("a wrong token", vec![&*own, "cookie: automap=automap_0123456789\r\n"], 401),
        ("a reader", vec![&*own, &rita], 403),
    ] {
        let answer = send(&headers);
        assert_eq!(answer.status, status, "{who}: {answer:?}");
    }
    // People are told so on a page with the way to the login, or out of it.
    let html = "accept: text/html\r\n";
    for (who, headers, status, offered) in [
        ("nobody", vec![&*own, html], 401, "href=\"/login?next=/diagnoses\""),
        ("a reader", vec![&*own, html, &rita], 403, "action=\"/logout\""),
    ] {
        let answer = send(&headers);
        assert_eq!(answer.status, status, "{who}: {answer:?}");
        assert!(answer.body.contains(offered), "{who}: {answer:?}");
    }
    let login = format!("token={}", fs::read_to_string(engineer).unwrap().trim());
    let form = "origin: http://evil.example\r\ncontent-type: application/x-www-form-urlencoded\r\n";
    let answer = http::post(address, "/login", form, login.as_bytes()).unwrap();
    assert_eq!(answer.status, 400, "nobody is logged in by a page of others: {answer:?}");
    assert!(!answer.head.contains("set-cookie"), "{}", answer.head);

    // Nothing was said so far; from a page of this port, by whoever may, it is.
    let headers = format!("{ada}accept: text/html\r\n");
    let read = || http::get_with(address, "/diagnoses/read", &headers).unwrap();
    assert!(!read().body.contains("id=\"said\""), "{}", diagnosis.incident_id);
    let answer = send(&[&own, &ada]);
    assert_eq!(answer.status, 303, "{answer:?}");
    assert!(read().body.contains("ada confirmed the root cause cart"), "{}", read().body);
}
