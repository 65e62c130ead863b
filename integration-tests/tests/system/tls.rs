//! Mutual TLS between all services and the command: who is let in, and what is said to those who are not.

use std::{fs, path::Path};

use automap_integration_tests::{
    command::{self, Ended},
    http,
    pki::{Identity, Pki},
    processes::Service,
    recording,
    setup::Setup,
    tls_front::TlsFront,
};

/// Diagnoses the demo's incident with the walker at `address`.
fn diagnose(home: &Path, address: &str, more: &[&Path]) -> Ended {
    let mut command = command::automap(home).unwrap();
    command.args(["diagnose", "incident", "--no-record", "--server", address]).args(more);
    command.output().unwrap().into()
}

#[track_caller]
fn assert_refused(ended: &Ended, code: i32, said: &[&str]) {
    assert_eq!(ended.code, code, "{}", ended.stderr);
    for part in said {
        assert!(ended.stderr.contains(part), "no {part:?} in {}", ended.stderr);
    }
}

/// A walker with mutual TLS and without peers: refusals come before it needs any.
fn lone_walker(home: &Path, pki: &Pki) -> Service {
    Setup::default().mutual_tls(pki).walker(home, ["https://127.0.0.1:9"; 3]).unwrap()
}

#[test]
fn a_client_of_the_authority_diagnoses_and_others_are_told_why_not() {
    let home = tempfile::tempdir().unwrap();
    recording::demo_incident(home.path()).unwrap();
    let pki = Pki::new(home.path()).unwrap();
    let four = Setup::default().mutual_tls(&pki).four(home.path(), home.path()).unwrap();
    let address = &four.walker.address;
    assert!(address.starts_with("https://"), "{address}");
    let known = diagnose(home.path(), address, &pki.flags(&pki.client));
    assert_eq!(known.code, 0, "{}", known.stderr);
    assert!(known.stdout.contains("cart"), "{}", known.stdout);

    let ca: [&Path; 2] = [Path::new("--ca"), &pki.authority.file];
    let without = diagnose(home.path(), address, &ca);
    assert_refused(&without, 1, &["wants a client certificate", "--cert and --key", address]);
    let stranger = diagnose(home.path(), address, &pki.flags(&pki.stranger));
    assert_refused(&stranger, 1, &["refuses this client's certificate", "its authority signed"]);
    let other_ca: [&Path; 2] = [Path::new("--ca"), &pki.other_authority.file];
    let untrusted = diagnose(home.path(), address, &other_ca);
    assert_refused(&untrusted, 1, &["not signed by a trusted authority", "--ca"]);
    let named = [&pki.flags(&pki.client)[..], &[Path::new("--server-name"), Path::new("elsewhere")]].concat();
    assert_refused(&diagnose(home.path(), address, &named), 1, &["is for another name", "--server-name"]);
    let clear = diagnose(home.path(), &address.replacen("https", "http", 1), &[]);
    assert_refused(&clear, 1, &["use https://"]);

    let known = diagnose(home.path(), address, &pki.flags(&pki.client));
    assert_eq!(known.code, 0, "the walker goes on: {}", known.stderr);
}

#[test]
fn certificates_of_a_client_that_cannot_be_used_are_named_with_their_flag() {
    let home = tempfile::tempdir().unwrap();
    recording::demo_incident(home.path()).unwrap();
    let pki = Pki::new(home.path()).unwrap();
    let walker = lone_walker(home.path(), &pki);
    let text = home.path().join("text.pem");
    fs::write(&text, "hello").unwrap();
    let client = &pki.client;
    let with = |certificate: &Path, key: &Path| {
        let identity = Identity { certificate: certificate.into(), key: key.into() };
        diagnose(home.path(), &walker.address, &pki.flags(&identity))
    };
    let missing = home.path().join("missing.pem");
    assert_refused(&with(&missing, &client.key), 2, &["--cert", "missing.pem cannot be read"]);
    assert_refused(&with(&text, &client.key), 2, &["--cert", "text.pem holds no certificate"]);
    assert_refused(&with(&client.certificate, &missing), 2, &["--key", "missing.pem cannot be read"]);
    assert_refused(&with(&client.certificate, &pki.stranger.key), 2, &["--key", "does not fit"]);
    let expired = with(&pki.expired.certificate, &pki.expired.key);
    assert_refused(&expired, 2, &["--cert", "CN=expired", "expired at", "renew it"]);
    let ca = [Path::new("--ca"), missing.as_path()];
    assert_refused(&diagnose(home.path(), &walker.address, &ca), 2, &["--ca", "missing.pem cannot be read"]);
}

#[test]
fn certificates_of_a_server_that_cannot_be_used_are_named_with_file_and_line() {
    let home = tempfile::tempdir().unwrap();
    let pki = Pki::new(home.path()).unwrap();
    let serve = |certificate: &Path, key: &Path| {
        let text = format!(
            "[collector.server]\nlisten = \"127.0.0.1:0\"\n\n[collector.server.tls]\ncertificate = {certificate:?}\n\
             key = {key:?}\n"
        );
        fs::write(home.path().join("tls.toml"), text).unwrap();
        command::run(home.path(), &["serve", "collector", "--config", "tls.toml"]).unwrap()
    };
    let missing = home.path().join("missing.pem");
    for (ended, line, said) in [
        (serve(&pki.expired.certificate, &pki.expired.key), 5, "expired at"),
        (serve(&missing, &pki.server.key), 5, "missing.pem cannot be read"),
        (serve(&pki.server.certificate, &pki.client.key), 6, "does not fit"),
        (serve(&pki.server.certificate, &pki.server.certificate), 6, "holds no private key"),
    ] {
        assert_refused(&ended, 2, &[&format!("tls.toml:{line}"), "collector.server.tls.", said]);
    }
}

#[test]
fn a_walker_that_its_peers_do_not_let_in_says_which_and_why() {
    let home = tempfile::tempdir().unwrap();
    recording::demo_incident(home.path()).unwrap();
    let pki = Pki::new(home.path()).unwrap();
    let four = Setup::default().mutual_tls(&pki).four(home.path(), home.path()).unwrap();
    let peers = [&four.collector.address, &four.graph_builder.address, &four.profiler.address];
    let walker = |setup: Setup<'_>| setup.walker(home.path(), peers.map(String::as_str)).unwrap();
    let ca = format!("walker.client.tls.ca={}", pki.authority.file.display());
    let nameless = walker(Setup::default().set(&ca));
    let ended = diagnose(home.path(), &nameless.address, &[]);
    assert_refused(&ended, 1, &["collector: ", "wants a client certificate", "tls.certificate"]);
    let stranger = walker(
        Setup::default()
            .set(&ca)
            .set(format!("walker.client.tls.certificate={}", pki.stranger.certificate.display()))
            .set(format!("walker.client.tls.key={}", pki.stranger.key.display())),
    );
    let ended = diagnose(home.path(), &stranger.address, &[]);
    assert_refused(&ended, 1, &["collector: ", "refuses this client's certificate"]);
    let misled =
        walker(Setup::default().set(format!("walker.client.tls.ca={}", pki.other_authority.file.display())));
    let ended = diagnose(home.path(), &misled.address, &[]);
    assert_refused(&ended, 1, &["collector: ", "not signed by a trusted authority", "tls.ca"]);
}

#[test]
fn a_server_whose_certificate_expired_is_told_apart() {
    let home = tempfile::tempdir().unwrap();
    recording::demo_incident(home.path()).unwrap();
    let pki = Pki::new(home.path()).unwrap();
    // Our own services would not begin to serve with it.
    let front = TlsFront::before("http://127.0.0.1:9", &pki.expired).unwrap();
    let ended = diagnose(home.path(), &front.address, &[Path::new("--ca"), &pki.authority.file]);
    assert_refused(&ended, 1, &["has expired: renew it on the server"]);
}

#[test]
fn peers_and_callers_that_speak_another_protocol_are_told() {
    let home = tempfile::tempdir().unwrap();
    recording::demo_incident(home.path()).unwrap();
    let pki = Pki::new(home.path()).unwrap();
    let clear = Setup::default()
        .set("walker.server.admin-listen=127.0.0.1:0")
        .walker(home.path(), ["http://127.0.0.1:9"; 3])
        .unwrap();
    let ca: [&Path; 2] = [Path::new("--ca"), &pki.authority.file];
    let ended = diagnose(home.path(), &clear.address.replacen("http", "https", 1), &ca);
    assert_refused(&ended, 1, &["use http://"]);
    // A browser at the port of gRPC, and a client of gRPC at a port of HTTP/1.
    let port = clear.address.trim_start_matches("http://");
    let answer = http::get(port, "/").unwrap();
    assert_eq!((answer.status, answer.body.contains("speaks gRPC")), (505, true), "{answer:?}");
    let admin = clear.admin_address().unwrap();
    let ended = diagnose(home.path(), &format!("http://{admin}"), &[]);
    assert_refused(&ended, 1, &["no gRPC service"]);

    let secure = lone_walker(home.path(), &pki);
    let port = secure.address.trim_start_matches("https://");
    let answer = http::get(port, "/");
    assert!(
        answer.as_ref().is_err() || answer.as_ref().is_ok_and(|answer| answer.status != 200),
        "{answer:?}"
    );
    let ended = diagnose(home.path(), &secure.address, &ca);
    assert_refused(&ended, 1, &["wants a client certificate"]);
}
