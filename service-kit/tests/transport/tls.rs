//! TLS and mutual TLS: who is let in, what is said to those who are not, and certificates that change.

use std::{path::Path, time::Duration};

use automap_service_kit::{
    client::{ClientConfig, Dialer},
    error::ErrorCode,
    server::{ServeError, ServerConfig},
    tls::{ClientTlsConfig, ServerTlsConfig},
};

use crate::{
    pki::Authority,
    running::{PATIENCE, Running, channel, check},
};

fn config(tls: ServerTlsConfig) -> ServerConfig {
    ServerConfig { tls, ..ServerConfig::default() }
}

fn trusting(ca: &Path) -> ClientTlsConfig {
    ClientTlsConfig { ca: Some(ca.into()), ..ClientTlsConfig::default() }
}

#[tokio::test]
async fn mutual_tls_lets_in_whom_its_authority_signed_and_tells_the_others_why_not() {
    let home = tempfile::tempdir().unwrap();
    let (ours, strangers) = (Authority::new("ours"), Authority::new("strangers"));
    let ca = ours.write(&home.path().join("ca.pem"));
    let other_ca = strangers.write(&home.path().join("other-ca.pem"));
    let server = ours.issue(home.path(), "localhost");
    let (client, stranger) = (ours.issue(home.path(), "client"), strangers.issue(home.path(), "stranger"));
    let running = Running::start(config(server.server(Some(ca.clone())))).await;
    let url = running.url("https");
    // Refusals come and go in any order of bytes; each must be told every time.
    for _ in 0..10 {
        check(&channel(&url, client.client(ca.clone()))).await.unwrap();
        for (tls, said) in [
            (trusting(&ca), "wants a client certificate"),
            (stranger.client(ca.clone()), "refuses this client's certificate"),
            (client.client(other_ca.clone()), "not signed by a trusted authority"),
            (
                ClientTlsConfig { server_name: Some("elsewhere".into()), ..client.client(ca.clone()) },
                "is for another name",
            ),
        ] {
            let error = check(&channel(&url, tls)).await.unwrap_err();
            assert_eq!(error.code(), ErrorCode::Unavailable, "{error}");
            assert!(error.message().contains(said), "{error}");
        }
    }
    let error = check(&channel(&running.url("http"), ClientTlsConfig::default())).await.unwrap_err();
    assert!(error.message().contains("https://"), "{error}");
    let clear = Running::start(ServerConfig::default()).await;
    let error = check(&channel(&clear.url("https"), trusting(&ca))).await.unwrap_err();
    assert!(error.message().contains("use http://"), "{error}");
    check(&channel(&clear.url("http"), ClientTlsConfig::default())).await.unwrap();
}

#[tokio::test]
async fn certificates_that_cannot_be_used_are_named_before_anybody_connects() {
    let home = tempfile::tempdir().unwrap();
    let ours = Authority::new("ours");
    let good = ours.issue(home.path(), "localhost");
    let other = ours.issue(home.path(), "other");
    let expired = ours.issue_until(home.path(), "expired", 2001);
    let text = home.path().join("text.pem");
    std::fs::write(&text, "hello").unwrap();
    let tls = |certificate: &Path, key: &Path| ServerTlsConfig {
        certificate: Some(certificate.into()),
        key: Some(key.into()),
        ..ServerTlsConfig::default()
    };
    let missing = home.path().join("missing.pem");
    for (tls, field, said) in [
        (tls(&missing, &good.key), "server.tls.certificate", "missing.pem cannot be read"),
        (tls(&text, &good.key), "server.tls.certificate", "holds no certificate"),
        (tls(&good.certificate, &text), "server.tls.key", "holds no private key"),
        (tls(&good.certificate, &other.key), "server.tls.key", "does not fit"),
        (tls(&expired.certificate, &expired.key), "server.tls.certificate", "expired at"),
        (
            ServerTlsConfig { key: None, ..tls(&good.certificate, &good.key) },
            "server.tls.certificate",
            "needs server.tls.key",
        ),
        (
            ServerTlsConfig { client_ca: Some(good.certificate.clone()), ..ServerTlsConfig::default() },
            "server.tls.client-ca",
            "needs server.tls.certificate",
        ),
        (
            ServerTlsConfig { client_ca: Some(text.clone()), ..tls(&good.certificate, &good.key) },
            "server.tls.client-ca",
            "holds no certificate",
        ),
    ] {
        let mut running = Running::start(config(tls)).await;
        let Err(ServeError::Configuration(invalid)) = (&mut running.ended).await.unwrap() else {
            panic!("{said}: served")
        };
        assert_eq!(invalid.field(), field);
        assert!(invalid.problem().contains(said), "{invalid}");
    }
    let refused = |tls: ClientTlsConfig| {
        let config = ClientConfig { tls, ..ClientConfig::default() };
        Dialer::new("client", &config, &["https://localhost"]).unwrap_err()
    };
    assert_eq!(refused(expired.client(good.certificate.clone())).field(), "client.tls.certificate");
    assert_eq!(refused(trusting(&missing)).field(), "client.tls.ca");
}

#[tokio::test]
async fn a_renewed_certificate_is_taken_up_and_a_broken_one_is_not() {
    let home = tempfile::tempdir().unwrap();
    let (before, after) = (Authority::new("before"), Authority::new("after"));
    let old_ca = before.write(&home.path().join("old-ca.pem"));
    let new_ca = after.write(&home.path().join("new-ca.pem"));
    let server = before.issue(home.path(), "localhost");
    let running = Running::start(config(server.server(None))).await;
    let url = running.url("https");
    let open = channel(&url, trusting(&old_ca));
    check(&open).await.unwrap();

    // In the middle of a renewal: a certificate without its key.
    std::fs::write(&server.certificate, "half").unwrap();
    tokio::time::sleep(Duration::from_millis(1500)).await;
    check(&channel(&url, trusting(&old_ca))).await.unwrap();

    after.issue(home.path(), "localhost");
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while check(&channel(&url, trusting(&new_ca))).await.is_err() {
        assert!(tokio::time::Instant::now() < deadline, "the new certificate was not taken up");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    // New connections see the new certificate, open ones go on.
    assert!(check(&channel(&url, trusting(&old_ca))).await.is_err());
    check(&open).await.unwrap();
}

#[tokio::test]
async fn a_client_shows_its_renewed_certificate() {
    let home = tempfile::tempdir().unwrap();
    let (ours, strangers) = (Authority::new("ours"), Authority::new("strangers"));
    let ca = ours.write(&home.path().join("ca.pem"));
    let server = ours.issue(home.path(), "localhost");
    let running = Running::start(config(server.server(Some(ca.clone())))).await;
    let client = strangers.issue(home.path(), "client");
    let tls = ClientTlsConfig { reload_seconds: 1, ..client.client(ca) };
    let channel = channel(&running.url("https"), tls);
    check(&channel).await.unwrap_err();
    ours.issue(home.path(), "client");
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while check(&channel).await.is_err() {
        assert!(tokio::time::Instant::now() < deadline, "the new certificate was not shown");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
