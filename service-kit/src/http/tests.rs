use axum::{body::Bytes, routing::get};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::*;

/// Waits that would otherwise hang a test for ever.
const PATIENCE: Duration = Duration::from_secs(60);

async fn server(limits: HttpLimits, shutdown: CancellationToken) -> HttpServer {
    let slow = async || {
        tokio::time::sleep(Duration::from_millis(300)).await;
        "late"
    };
    let never = async || std::future::pending::<()>().await;
    let router = Router::new()
        .route("/", get(async || "here").post(async |body: Bytes| body.len().to_string()))
        .route("/slow", get(slow))
        .route("/never", get(never));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    HttpServer::open(listener, router, limits, None, shutdown).unwrap()
}

async fn say(address: SocketAddr, sent: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(sent).await.unwrap();
    heard(&mut stream).await
}

/// What is answered until the connection closes.
async fn heard(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    // A connection that was refused may be reset.
    tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await.unwrap().ok();
    String::from_utf8(answer).unwrap()
}

fn get_of(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").into_bytes()
}

#[tokio::test]
async fn a_request_is_answered_and_a_large_body_refused() {
    let limits = HttpLimits { body_bytes: 10, ..HttpLimits::default() };
    let server = server(limits, CancellationToken::new()).await;
    assert!(say(server.address(), &get_of("/")).await.ends_with("\r\n\r\nhere"));
    let post = |body: &str| {
        format!(
            "POST / HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
    };
    assert!(say(server.address(), post("0123456789").as_bytes()).await.ends_with("\r\n\r\n10"));
    assert!(say(server.address(), post("0123456789a").as_bytes()).await.starts_with("HTTP/1.1 413 "));
}

#[tokio::test]
async fn silent_callers_and_endless_requests_are_given_up_on() {
    let short = Duration::from_millis(50);
    let of_heads = HttpLimits { head: short, ..HttpLimits::default() };
    let hurried = server(of_heads, CancellationToken::new()).await;
    assert_eq!(say(hurried.address(), b"GET / HT").await, "");
    let of_answers = HttpLimits { answer: short, ..HttpLimits::default() };
    let server = server(of_answers, CancellationToken::new()).await;
    assert!(say(server.address(), &get_of("/never")).await.starts_with("HTTP/1.1 408 "));
    let drop_by_drop = b"POST / HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: 9\r\n\r\nab";
    assert!(say(server.address(), drop_by_drop).await.starts_with("HTTP/1.1 408 "));
}

#[tokio::test]
async fn connections_beyond_the_limit_are_closed_and_places_come_back() {
    let server =
        server(HttpLimits { connections: 1, ..HttpLimits::default() }, CancellationToken::new()).await;
    let mut first = TcpStream::connect(server.address()).await.unwrap();
    first.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    let mut byte = [0];
    first.read_exact(&mut byte).await.unwrap();
    assert_eq!(say(server.address(), &get_of("/")).await, "");
    drop(first);
    let mut answer = String::new();
    for _ in 0..600 {
        answer = say(server.address(), &get_of("/")).await;
        if !answer.is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(answer.ends_with("here"), "{answer}");
}

#[tokio::test]
async fn a_request_under_way_ends_and_then_the_server_does() {
    let shutdown = CancellationToken::new();
    let server = server(HttpLimits { drain: PATIENCE, ..HttpLimits::default() }, shutdown.clone()).await;
    let address = server.address();
    let mut under_way = TcpStream::connect(address).await.unwrap();
    under_way.write_all(&get_of("/")).await.unwrap();
    assert!(heard(&mut under_way).await.ends_with("here"));
    let mut under_way = TcpStream::connect(address).await.unwrap();
    under_way.write_all(&get_of("/slow")).await.unwrap();
    // Long enough that the request is under way; where it is not, the answer comes all the same.
    tokio::time::sleep(Duration::from_millis(100)).await;
    shutdown.cancel();
    assert!(heard(&mut under_way).await.ends_with("late"));
    tokio::time::timeout(PATIENCE, server.ended()).await.unwrap();
    assert!(TcpStream::connect(address).await.is_err());
}
