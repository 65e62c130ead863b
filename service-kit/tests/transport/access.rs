//! Tokens, certificates, roles and limits per client, on the wire.

use std::{fs, path::Path, time::Duration};

use automap_proto::v1::{self, collector_service_client::CollectorServiceClient};
use automap_service_kit::{
    access::{
        AccessConfig, CertificateGrant, Role,
        token::{self, TokenHash},
    },
    client::{Channel, ClientConfig, Dialer},
    error::{ErrorCode, ServiceError},
    server::ServerConfig,
    tls::ClientTlsConfig,
};

use crate::{
    pki::Authority,
    running::{PATIENCE, Running, channel, check},
};

/// Writes a token into a file of its name, and answers its entry.
fn issue(home: &Path, name: &str, role: &str, more: &str) -> String {
    let token = token::generate().unwrap();
    fs::write(home.join(name), format!("{token}\n")).unwrap();
    let hash = TokenHash::of(&token);
    format!("[[tokens]]\nname = \"{name}\"\nhash = \"{hash}\"\nrole = \"{role}\"\n{more}\n")
}

fn with_tokens(home: &Path, entries: &[String]) -> AccessConfig {
    let file = home.join("tokens.toml");
    fs::write(&file, entries.concat()).unwrap();
    AccessConfig { tokens: Some(file), ..AccessConfig::default() }
}

async fn serve(access: AccessConfig) -> Running {
    Running::start(ServerConfig { access, ..ServerConfig::default() }).await
}

fn showing(running: &Running, token_file: &Path) -> CollectorServiceClient<Channel> {
    let url = running.url("http");
    let config = ClientConfig { token_file: Some(token_file.into()), ..ClientConfig::default() };
    CollectorServiceClient::new(
        Dialer::new("client", &config, &[&url]).unwrap().channel("url", &url).unwrap(),
    )
}

fn showing_nothing(running: &Running) -> CollectorServiceClient<Channel> {
    CollectorServiceClient::new(channel(&running.url("http"), ClientTlsConfig::default()))
}

/// `CheckSource` needs the role confirm here.
async fn check_source(mut client: CollectorServiceClient<Channel>) -> Result<(), ServiceError> {
    client.check_source(v1::CheckSourceRequest::default()).await.map(|_| ()).map_err(ServiceError::from)
}

#[tokio::test]
async fn a_token_of_the_role_calls_and_others_are_told_why_not() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let entries = [
        issue(home, "ada", "confirm", ""),
        issue(home, "reader", "diagnose", ""),
        issue(home, "late", "admin", "expires = \"2001-01-01T00:00:00Z\""),
        issue(home, "shopkeeper", "admin", "systems = [\"shop\"]"),
    ];
    let running = serve(with_tokens(home, &entries)).await;
    check_source(showing(&running, &home.join("ada"))).await.unwrap();
    fs::write(home.join("stranger"), token::generate().unwrap()).unwrap();
    for (name, code, said) in [
        ("reader", ErrorCode::PermissionDenied, "CheckSource needs confirm"),
        ("late", ErrorCode::Unauthenticated, "expired at 2001-01-01"),
        ("shopkeeper", ErrorCode::PermissionDenied, "does not tell them apart"),
        ("stranger", ErrorCode::Unauthenticated, "not known here"),
    ] {
        let error = check_source(showing(&running, &home.join(name))).await.unwrap_err();
        assert_eq!(error.code(), code, "{name}: {error}");
        assert!(error.message().contains(said), "{name}: {error}");
        let token = fs::read_to_string(home.join(name)).unwrap();
        assert!(!error.message().contains(token.trim()), "{error}");
    }
    let error = check_source(showing_nothing(&running)).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::Unauthenticated, "{error}");
    // Probes show nothing.
    check(&channel(&running.url("http"), ClientTlsConfig::default())).await.unwrap();
}

#[tokio::test]
async fn a_client_shows_its_renewed_token() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let entries = [issue(home, "old", "read", ""), issue(home, "new", "confirm", "")];
    let running = serve(with_tokens(home, &entries)).await;
    let client = showing(&running, &home.join("old"));
    assert_eq!(check_source(client.clone()).await.unwrap_err().code(), ErrorCode::PermissionDenied);
    fs::rename(home.join("new"), home.join("old")).unwrap();
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while check_source(client.clone()).await.is_err() {
        assert!(tokio::time::Instant::now() < deadline, "the new token was not shown");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn one_client_has_so_many_calls_and_another_has_his_own() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let entries = [issue(home, "ada", "confirm", ""), issue(home, "bob", "confirm", "")];
    let access = AccessConfig { calls_per_minute: Some(3), ..with_tokens(home, &entries) };
    let running = serve(access).await;
    let ada = showing(&running, &home.join("ada"));
    for _ in 0..3 {
        check_source(ada.clone()).await.unwrap();
    }
    let refused = ada.clone().check_source(v1::CheckSourceRequest::default()).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::ResourceExhausted);
    let refused = ServiceError::from(refused);
    assert!(refused.retry_delay().is_some() && refused.message().contains("calls-per-minute"), "{refused}");
    check_source(showing(&running, &home.join("bob"))).await.unwrap();

    let running = serve(AccessConfig { calls_at_once: Some(1), ..AccessConfig::default() }).await;
    let mut client = showing_nothing(&running);
    let mut held = client.collect_frame(v1::CollectFrameRequest::default()).await.unwrap().into_inner();
    assert!(held.message().await.unwrap().is_some());
    let refused = check_source(client.clone()).await.unwrap_err();
    assert_eq!(refused.code(), ErrorCode::Overloaded, "{refused}");
    drop(held);
    running.gate.dropped.notified().await;
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while check_source(client.clone()).await.is_err() {
        assert!(tokio::time::Instant::now() < deadline, "the place was not given back");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_certificate_may_do_what_it_is_granted() {
    let home = tempfile::tempdir().unwrap();
    let ours = Authority::new("ours");
    let ca = ours.write(&home.path().join("ca.pem"));
    let server = ours.issue(home.path(), "localhost");
    let (known, other) = (ours.issue(home.path(), "walker"), ours.issue(home.path(), "other"));
    let grant = |identity: &str, role| CertificateGrant {
        identity: identity.into(),
        role,
        ..CertificateGrant::default()
    };
    let certificates = [("the-walker".to_owned(), grant("walker", Role::Confirm))];
    let access = AccessConfig { certificates: certificates.into(), ..AccessConfig::default() };
    let tls = server.server(Some(ca.clone()));
    let running = Running::start(ServerConfig { tls, access, ..ServerConfig::default() }).await;
    let client = |tls| CollectorServiceClient::new(channel(&running.url("https"), tls));
    check_source(client(known.client(ca.clone()))).await.unwrap();
    let error = check_source(client(other.client(ca))).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::PermissionDenied, "{error}");
    assert!(error.message().contains("other") && error.message().contains("access.certificates"), "{error}");
}

#[tokio::test]
async fn a_token_is_not_sent_in_clear_to_another_machine_unless_told() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("token");
    fs::write(&file, token::generate().unwrap()).unwrap();
    let config = ClientConfig { token_file: Some(file), ..ClientConfig::default() };
    let url = "http://walker.example:4310";
    let error = Dialer::new("client", &config, &[url]).unwrap_err();
    assert_eq!(error.field(), "client.token-file");
    assert!(error.problem().contains("https://") && error.problem().contains("token-in-clear"), "{error}");
    Dialer::new("client", &ClientConfig { token_in_clear: true, ..config }, &[url]).unwrap();
}
