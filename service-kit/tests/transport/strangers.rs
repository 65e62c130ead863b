//! Callers and peers that speak something else, or nothing.

use std::time::Duration;

use automap_service_kit::{server::ServerConfig, tls::ClientTlsConfig};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use crate::{
    pki::Authority,
    running::{PATIENCE, Running, channel, check},
};

/// Says something to a server and answers what came back before the server closed.
async fn say(running: &Running, words: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(running.address).await.unwrap();
    stream.write_all(words).await.unwrap();
    let mut answer = Vec::new();
    let closed = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await;
    // A reset is an end, too.
    closed.expect("the server closes the connection").ok();
    answer
}

async fn assert_serves(running: &Running) {
    check(&channel(&running.url("http"), ClientTlsConfig::default())).await.unwrap();
}

#[tokio::test]
async fn callers_that_speak_something_else_are_sent_away() {
    let running = Running::start(ServerConfig::default()).await;
    let answer = say(&running, b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert!(String::from_utf8_lossy(&answer).contains("gRPC"), "{answer:?}");
    say(&running, b"SSH-2.0-OpenSSH_9.2\r\n").await;
    say(&running, &[0x16, 0x03, 0x01, 0x00, 0x05, 1, 2, 3, 4, 5]).await;
    say(&running, &[0; 4096]).await;
    assert_serves(&running).await;
}

#[tokio::test]
async fn callers_that_dawdle_are_given_up_on() {
    let config = ServerConfig { handshake_seconds: 1, ..ServerConfig::default() };
    let running = Running::start(config).await;
    assert_eq!(say(&running, b"").await, b"");
    let mut stream = TcpStream::connect(running.address).await.unwrap();
    // A byte now and then is no progress.
    for byte in b"PRI * HTTP/2" {
        if stream.write_all(&[*byte]).await.is_err() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(150)).await;
    }
    let mut rest = [0; 16];
    let read = tokio::time::timeout(PATIENCE, stream.read(&mut rest)).await;
    assert!(matches!(read.expect("the server closes the connection"), Ok(0) | Err(_)));
    assert_serves(&running).await;
}

#[tokio::test]
async fn callers_that_dawdle_over_tls_are_given_up_on() {
    let home = tempfile::tempdir().unwrap();
    let ours = Authority::new("ours");
    let ca = ours.write(&home.path().join("ca.pem"));
    let tls = ours.issue(home.path(), "localhost").server(None);
    let running = Running::start(ServerConfig { handshake_seconds: 1, tls, ..ServerConfig::default() }).await;
    // The head of a ClientHello that never comes.
    say(&running, &[0x16, 0x03, 0x01, 0x02, 0x00]).await;
    say(&running, b"").await;
    let trusting = ClientTlsConfig { ca: Some(ca), ..ClientTlsConfig::default() };
    check(&channel(&running.url("https"), trusting)).await.unwrap();
}

#[tokio::test]
async fn connections_beyond_the_limit_are_closed_and_places_come_back() {
    let config = ServerConfig { max_connections: 2, ..ServerConfig::default() };
    let running = Running::start(config).await;
    let first = TcpStream::connect(running.address).await.unwrap();
    let _second = TcpStream::connect(running.address).await.unwrap();
    assert_eq!(say(&running, b"").await, b"");
    let refused = check(&channel(&running.url("http"), ClientTlsConfig::default())).await.unwrap_err();
    assert!(!refused.message().is_empty());
    drop(first);
    let began = tokio::time::Instant::now();
    while check(&channel(&running.url("http"), ClientTlsConfig::default())).await.is_err() {
        assert!(began.elapsed() < PATIENCE, "the place was not given back");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn peers_that_speak_something_else_are_named() {
    for (greeting, said) in [
        (&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], "HTTP/1"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "no gRPC service"),
        (&[0x15, 0x03, 0x03, 0x00, 0x02, 0x02, 0x46], "https://"),
        (b"", "without a word"),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let peer = tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                // The client's opening is read first: closing on unread bytes would reset the connection.
                stream.read_exact(&mut [0; 24]).await.ok();
                stream.write_all(greeting).await.ok();
                stream.shutdown().await.ok();
                stream.read_to_end(&mut Vec::new()).await.ok();
            }
        });
        let error = check(&channel(&url, ClientTlsConfig::default())).await.unwrap_err();
        assert!(error.message().contains(said), "{error}");
        peer.abort();
    }
    // A port that nobody is given by chance.
    let error = check(&channel("http://127.0.0.1:1", ClientTlsConfig::default())).await.unwrap_err();
    assert!(error.message().contains("cannot connect to") && error.message().contains("refused"), "{error}");
    let error =
        check(&channel("http://no-such-host.invalid:1", ClientTlsConfig::default())).await.unwrap_err();
    assert!(error.message().contains("cannot look up no-such-host.invalid"), "{error}");
}
