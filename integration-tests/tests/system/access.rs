//! Who may call a walker that speaks TLS and wants tokens: its command, its client crate, and clients of others.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use automap_client::{Client, Recording, Settings, v1};
use automap_integration_tests::{
    command::{self, Ended},
    foreign::{Tls, buf, buf_curl_as, grpcio_as, objects},
    http,
    pki::Pki,
    processes::{FourProcesses, Service},
    python, recording,
    setup::Setup,
    tokens::Tokens,
};
use automap_service_kit::error::ErrorCode;
use serde_json::json;

use crate::foreign_clients::{ranked, request};

const DIAGNOSE: &str = "automap.v1.WalkerService/Diagnose";
const PATIENCE: Duration = Duration::from_secs(180);

/// A walker that speaks TLS and wants a token, with peers on loopback.
struct Guarded {
    home: tempfile::TempDir,
    pki: Pki,
    tokens: Tokens,
    walker: Service,
    address: String,
    _peers: FourProcesses,
}

impl Guarded {
    fn start(settings: &[&str]) -> Self {
        let home = tempfile::tempdir().unwrap();
        recording::demo_incident(home.path()).unwrap();
        let (pki, tokens) = (Pki::new(home.path()).unwrap(), Tokens::new(home.path()).unwrap());
        let peers = FourProcesses::start(home.path(), home.path()).unwrap();
        let setup = Setup::default()
            .set(format!("walker.server.tls.certificate={}", pki.server.certificate.display()))
            .set(format!("walker.server.tls.key={}", pki.server.key.display()))
            .set(format!("walker.server.access.tokens={}", tokens.file.display()));
        let setup = settings.iter().fold(setup, |setup, setting| setup.set(*setting));
        let of_peers = [&peers.collector, &peers.graph_builder, &peers.profiler];
        let walker = setup.walker(home.path(), of_peers.map(|peer| peer.address.as_str())).unwrap();
        let address = walker.address.replacen("http://", "https://", 1);
        Self { home, pki, tokens, walker, address, _peers: peers }
    }

    /// A token that the walker knows by now.
    fn issue(&self, name: &str, flags: &[&str]) -> PathBuf {
        self.issue_until(name, flags, None)
    }

    /// The same with a time of expiry that may be over.
    fn issue_until(&self, name: &str, flags: &[&str], expires: Option<&str>) -> PathBuf {
        let file = self.tokens.issue_until(name, flags, expires).unwrap();
        let began = Instant::now();
        let unknown = |ended: &Ended| ended.stderr.contains("not known here");
        while unknown(&self.diagnose(&["--token-file", file.to_str().unwrap(), "--top", "0"])) {
            assert!(began.elapsed() < PATIENCE, "the walker does not take up {name}");
        }
        file
    }

    fn tls(&self) -> Tls {
        Tls { ca: self.pki.authority.file.clone(), identity: None }
    }

    fn diagnose(&self, more: &[&str]) -> Ended {
        let ca = self.pki.authority.file.display().to_string();
        let words = ["diagnose", "incident", "--server", &self.address, "--ca", &ca];
        command::run(self.home.path(), &[&words[..], more].concat()).unwrap()
    }

    fn client(&self, token: Option<&Path>) -> Client {
        let builder = Client::builder(&self.address).ca(&self.pki.authority.file).deadline(PATIENCE * 2);
        match token {
            Some(file) => builder.token_file(file).connect().unwrap(),
            None => builder.connect().unwrap(),
        }
    }
}

fn text(file: &Path) -> String {
    fs::read_to_string(file).unwrap().trim().to_owned()
}

#[test]
fn foreign_clients_diagnose_with_a_token_and_are_refused_without_a_good_one() {
    let guarded = Guarded::start(&[]);
    let (address, tls) = (&guarded.address, guarded.tls());
    let good = guarded.issue("robot", &["--role", "diagnose"]);
    let reader = guarded.issue("reader", &["--role", "read"]);
    let late = guarded.issue_until("late", &["--role", "admin"], Some("2001-01-01T00:00:00Z"));
    let other_home = tempfile::tempdir().unwrap();
    let stranger = Tokens::new(other_home.path()).unwrap().issue("stranger", &["--role", "admin"]).unwrap();

    let python = grpcio_as(address, Some(&tls), Some(&good), DIAGNOSE, &json!([request()])).unwrap();
    assert_eq!((python.code.as_str(), ranked(&python.answers)[0].as_str()), ("OK", "cart"), "{python:?}");
    let curl = buf_curl_as(address, Some(&tls), Some(&good), DIAGNOSE, &request()).unwrap();
    assert_eq!(curl.code, 0, "{}", curl.stderr);
    assert_eq!(ranked(&objects(&curl.stdout).unwrap())[0], "cart");

    for (token, code, said) in [
        (None, "UNAUTHENTICATED", "wants to know who calls"),
        (Some(&stranger), "UNAUTHENTICATED", "not known here"),
        (Some(&late), "UNAUTHENTICATED", "expired at 2001-01-01"),
        (Some(&reader), "PERMISSION_DENIED", "Diagnose needs diagnose"),
    ] {
        let token = token.map(PathBuf::as_path);
        let python = grpcio_as(address, Some(&tls), token, DIAGNOSE, &json!([request()])).unwrap();
        assert_eq!((python.code.as_str(), python.answers.len()), (code, 0), "{python:?}");
        assert!(python.message.contains(said), "{python:?}");
        assert_eq!(python.detail("ErrorInfo").unwrap()["reason"], code);
        let curl = buf_curl_as(address, Some(&tls), token, DIAGNOSE, &request()).unwrap();
        assert_ne!(curl.code, 0, "{}", curl.stdout);
        assert!(curl.stdout.is_empty(), "{}", curl.stdout);
        assert!(curl.stderr.contains(&code.to_lowercase()), "{}", curl.stderr);
    }
}

#[test]
fn the_examples_in_python_and_for_buf_curl_run_as_they_are() {
    let guarded = Guarded::start(&[]);
    let token = guarded.issue("robot", &["--role", "diagnose"]);
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
    let host = guarded.address.trim_start_matches("https://");
    let python = |token: &Path| -> Ended {
        let mut command = Command::new(python::interpreter().unwrap());
        command.arg(examples.join("python/diagnose.py")).args([host, "--recording", "incident"]);
        command.arg("--ca").arg(&guarded.pki.authority.file).arg("--token-file").arg(token);
        command.output().unwrap().into()
    };
    let ended = python(&token);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert!(ended.stdout.starts_with("cart\t") && ended.stderr.contains("collecting"), "{ended:?}");
    let wrong = guarded.home.path().join("wrong.token");
    fs::write(&wrong, "automap_0").unwrap();
    let ended = python(&wrong);
    assert_eq!((ended.code, ended.stdout.as_str()), (1, ""), "{}", ended.stderr);
    assert!(ended.stderr.starts_with("UNAUTHENTICATED: "), "{}", ended.stderr);

    let curl = |token: &Path| -> Ended {
        let mut command = Command::new("bash");
        command.arg(examples.join("buf-curl/diagnose.sh")).args([&guarded.address, "incident"]);
        command.arg(token).arg(&guarded.pki.authority.file).env("BUF", buf().unwrap());
        command.output().unwrap().into()
    };
    let ended = curl(&token);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert_eq!(ranked(&objects(&ended.stdout).unwrap())[0], "cart");
    let ended = curl(&wrong);
    assert!(ended.code != 0 && ended.stderr.contains("unauthenticated"), "{ended:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_client_crate_starts_waits_explains_and_confirms_under_the_name_of_its_token() {
    let guarded = tokio::task::spawn_blocking(|| Guarded::start(&["walker.server.access.calls-at-once=8"]))
        .await
        .unwrap();
    let (ada, reader) =
        (guarded.issue("ada", &["--role", "confirm"]), guarded.issue("reader", &["--role", "read"]));
    let client = guarded.client(Some(&ada));
    let recording = Recording::read(&guarded.home.path().join("incident")).unwrap();
    let told = std::cell::Cell::new(0);
    let answer =
        client.diagnose(&recording, Settings::default(), |_| told.set(told.get() + 1)).await.unwrap();
    assert!(answer.diagnosis.ranking[0].service == "cart" && told.get() > 0, "{}", told.get());

    let source = v1::metric_source::Source::Recording("incident".into());
    let request = v1::DiagnoseRequest {
        source: Some(v1::MetricSource { source: Some(source) }),
        ..v1::DiagnoseRequest::default()
    };
    let id = client.start("alert-1", request).await.unwrap();
    let diagnosis = client.wait(&id).await.unwrap();
    assert_eq!(diagnosis.state(), v1::DiagnosisState::Done, "{}", diagnosis.failure);
    let listed = client.list(v1::WalkerServiceListDiagnosesRequest::default()).await.unwrap();
    assert!(listed.diagnoses.iter().any(|known| known.diagnosis_id == id), "{listed:?}");
    assert!(!client.explain(&id, "cart").await.unwrap().sentences.is_empty());

    let confirmation = || v1::Confirmation {
        root_causes: vec!["cart".into()],
        confirmed_by: "mallory".into(),
        ..v1::Confirmation::default()
    };
    let refused = guarded.client(Some(&reader)).confirm(&id, confirmation()).await.unwrap_err();
    assert_eq!(refused.code(), Some(ErrorCode::PermissionDenied), "{refused}");
    let nobody = guarded.client(None).get(&id).await.unwrap_err();
    assert_eq!(nobody.code(), Some(ErrorCode::Unauthenticated), "{nobody}");
    let incident = client.confirm(&id, confirmation()).await.unwrap();
    assert_eq!(incident.confirmations[0].confirmed_by, "ada");
    let audited = loop {
        let line = guarded.walker.log_line("audit").unwrap();
        if line["fields"]["what"] == "confirmed" {
            break line;
        }
    };
    let fields = &audited["fields"];
    assert_eq!((&audited["target"], &fields["caller"]), (&json!("automap::audit"), &json!("ada")));
    assert_eq!((&fields["proof"], &fields["from"]), (&json!("token"), &json!("127.0.0.1")));
    assert!(fields["object"].as_str().unwrap().contains("[cart]"), "{audited}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_know_of_one_system_sees_nothing_of_another() {
    let guarded = tokio::task::spawn_blocking(|| Guarded::start(&[])).await.unwrap();
    let all = guarded.issue("ada", &["--role", "confirm"]);
    let own = guarded.issue("shopkeeper", &["--role", "confirm", "--system", "demo-of-nobody"]);
    let recording = Recording::read(&guarded.home.path().join("incident")).unwrap();
    let settings = Settings { record: true, ..Settings::default() };
    let ada = guarded.client(Some(&all));
    let id = ada.diagnose(&recording, settings.clone(), |_| ()).await.unwrap().diagnosis.diagnosis_id;
    ada.get(&id).await.unwrap();
    let keeper = guarded.client(Some(&own));
    for error in [
        keeper.get(&id).await.map(|_| ()).unwrap_err(),
        keeper.explain(&id, "cart").await.map(|_| ()).unwrap_err(),
        keeper.confirm(&id, v1::Confirmation::default()).await.map(|_| ()).unwrap_err(),
    ] {
        assert_eq!(error.code(), Some(ErrorCode::NotFound), "{error}");
    }
    assert!(
        keeper.list(v1::WalkerServiceListDiagnosesRequest::default()).await.unwrap().diagnoses.is_empty()
    );
    let refused = keeper.diagnose(&recording, settings, |_| ()).await.unwrap_err();
    assert_eq!(refused.code(), Some(ErrorCode::PermissionDenied), "{refused}");
    // Under the name of his own system, of a recording that says whose it is.
    let source = v1::metric_source::Source::Recording("incident".into());
    let mut context = recording.upload(Settings::default()).incident.context.unwrap();
    context.system = "demo-of-nobody".into();
    let request = v1::DiagnoseRequest {
        source: Some(v1::MetricSource { source: Some(source) }),
        context: Some(context),
        ..v1::DiagnoseRequest::default()
    };
    let refused = keeper.diagnose_source(request, |_| ()).await.unwrap_err();
    assert_eq!(refused.code(), Some(ErrorCode::PermissionDenied), "{refused}");
}

#[test]
fn no_token_is_in_logs_errors_or_answers() {
    let guarded = Guarded::start(&["walker.http.listen=127.0.0.1:0"]);
    let good = guarded.issue("robot", &["--role", "diagnose"]);
    let wrong = guarded.home.path().join("wrong.token");
    fs::write(&wrong, "automap_5f5f5f").unwrap();
    let mut seen = String::new();
    for file in [&good, &wrong] {
        let ended = guarded.diagnose(&["--token-file", file.to_str().unwrap(), "--output", "json", "-vv"]);
        seen.push_str(&ended.stdout);
        seen.push_str(&ended.stderr);
    }
    let page = guarded.walker.page_address().unwrap();
    let refused = http::get(&page, "/diagnoses").unwrap();
    assert_eq!(refused.status, 401, "{refused:?}");
    seen.push_str(&refused.body);
    seen.push_str(&guarded.walker.whole_log());
    assert!(seen.contains("robot"), "the log names who called: {seen}");
    for file in [&good, &wrong] {
        let token = text(file);
        assert!(!seen.contains(&token), "{token} is in {seen}");
    }
}

#[test]
fn a_walker_that_others_reach_does_not_start_before_it_was_told_who_may_call() {
    let home = tempfile::tempdir().unwrap();
    let serve = |more: &[&str]| {
        let words = ["serve", "walker", "--set", "walker.server.listen=0.0.0.0:0"];
        command::run(home.path(), &[&words[..], more].concat()).unwrap()
    };
    let ended = serve(&[]);
    assert_eq!(ended.code, 2, "{}", ended.stderr);
    for part in ["walker.server.listen", "access.tokens", "tls.client-ca", "access.anonymous"] {
        assert!(ended.stderr.contains(part), "no {part} in {}", ended.stderr);
    }
    let page = ["serve", "walker", "--set", "walker.http.listen=0.0.0.0:0"];
    let ended = command::run(home.path(), &page).unwrap();
    assert!(ended.code == 2 && ended.stderr.contains("walker.http.listen"), "{}", ended.stderr);
    let missing = serve(&["--set", "walker.server.access.tokens=nowhere.toml"]);
    assert_eq!(missing.code, 2, "{}", missing.stderr);
    assert!(missing.stderr.contains("nowhere.toml cannot be read"), "{}", missing.stderr);
    let told = "[walker.server]\nlisten = \"0.0.0.0:0\"\naccess.anonymous = \"read\"\n";
    let walker = Service::start(home.path(), "walker", told).unwrap();
    let address = walker.address.replace("0.0.0.0", "127.0.0.1");
    recording::demo_incident(home.path()).unwrap();
    let ended = command::run(home.path(), &["diagnose", "incident", "--server", &address]).unwrap();
    assert_eq!(ended.code, 1, "{}", ended.stderr);
    assert!(ended.stderr.contains("anonymous has the role read"), "{}", ended.stderr);
}

#[test]
fn tokens_are_made_listed_and_not_sent_in_clear() {
    let home = tempfile::tempdir().unwrap();
    let tokens = Tokens::new(home.path()).unwrap();
    let token = tokens.issue("ada", &["--role", "confirm", "--system", "shop"]).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&token).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    let run = |words: &[&str]| command::run(home.path(), words).unwrap();
    let listed = run(&["access", "check", "tokens.toml", "--output", "json"]);
    let listed: serde_json::Value = serde_json::from_str(&listed.stdout).unwrap();
    let expected =
        json!([{"name": "ada", "role": "confirm", "systems": ["shop"], "expires": null, "expired": false}]);
    assert_eq!(listed, expected);
    let printed = run(&["access", "new-token", "--name", "bob", "--role", "read"]);
    assert!(printed.stderr.contains("automap_"), "{}", printed.stderr);
    assert!(
        printed.stdout.starts_with("[[tokens]]") && !printed.stdout.contains("automap_"),
        "{}",
        printed.stdout
    );
    fs::write(home.path().join("bob.toml"), &printed.stdout).unwrap();
    assert_eq!(run(&["access", "check", "bob.toml"]).code, 0);
    for (words, said) in [
        (&["--name", "anonymous", "--role", "read"][..], "prove nothing"),
        (&["--name", "x", "--role", "king"], "use read, diagnose, confirm or admin"),
        (&["--name", "x", "--role", "read", "--expires", "soon"], "--expires"),
        (&["--name", "x", "--role", "read", "--expires", "2020-01-01T00:00:00Z"], "is over"),
        (&["--name", "x", "--role", "read", "--out", "ada.token"], "name a new file"),
    ] {
        let ended = run(&[&["access", "new-token"][..], words].concat());
        assert_eq!(ended.code, 2, "{}", ended.stderr);
        assert!(ended.stderr.contains(said), "no {said} in {}", ended.stderr);
    }
    fs::write(
        home.path().join("bad.toml"),
        format!("[[tokens]]\nname = \"x\"\nhash = \"{}\"\nrole = \"read\"\n", text(&token)),
    )
    .unwrap();
    let bad = run(&["access", "check", "bad.toml"]);
    assert!(bad.code == 2 && bad.stderr.contains("holds a token itself"), "{}", bad.stderr);
    assert!(!bad.stderr.contains(&text(&token)), "{}", bad.stderr);
    recording::demo_incident(home.path()).unwrap();
    let clear = ["diagnose", "incident", "--server", "http://walker.invalid:1", "--token-file", "ada.token"];
    let ended = run(&clear);
    assert_eq!(ended.code, 2, "{}", ended.stderr);
    assert!(
        ended.stderr.contains("--token-file") && ended.stderr.contains("--token-in-clear"),
        "{}",
        ended.stderr
    );
}
