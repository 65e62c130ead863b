//! Requests to admin ports, and to the port for people and alerts.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    time::Duration,
};

use anyhow::Context as _;

/// An answer of HTTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Its status code.
    pub status: u16,
    /// Its headers, as they came.
    pub head: String,
    /// Its body.
    pub body: String,
}

/// Asks `address` (`127.0.0.1:port`) for `path`.
///
/// # Errors
/// It cannot be reached, or answers no HTTP.
pub fn get(address: &str, path: &str) -> anyhow::Result<Answer> {
    get_with(address, path, "")
}

/// The same with further `headers`, each with its line end.
///
/// # Errors
/// It cannot be reached, or answers no HTTP.
pub fn get_with(address: &str, path: &str, headers: &str) -> anyhow::Result<Answer> {
    ask(address, &format!("GET {path} HTTP/1.1\r\n{headers}"), b"")
}

/// Sends `body` to `path` of `address`, with further `headers`, each with its line end.
///
/// # Errors
/// It cannot be reached, or answers no HTTP.
pub fn post(address: &str, path: &str, headers: &str, body: &[u8]) -> anyhow::Result<Answer> {
    let head = format!("POST {path} HTTP/1.1\r\n{headers}content-length: {}\r\n", body.len());
    ask(address, &head, body)
}

fn ask(address: &str, head: &str, body: &[u8]) -> anyhow::Result<Answer> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(180)))?;
    write!(stream, "{head}host: {address}\r\nconnection: close\r\n\r\n")?;
    // A server may refuse a body before it has come.
    stream.write_all(body).ok();
    let (mut bytes, mut piece) = (Vec::new(), [0; 1 << 14]);
    loop {
        match stream.read(&mut piece) {
            Ok(0) => break,
            Ok(read) => bytes.extend_from_slice(&piece[..read]),
            // Who leaves unread what it refuses ends with a reset after its answer.
            Err(_) if !bytes.is_empty() => break,
            Err(error) => return Err(error.into()),
        }
    }
    let text = String::from_utf8(bytes)?;
    let (head, body) = text.split_once("\r\n\r\n").context("the answer has no head")?;
    let status = head.split(' ').nth(1).context("the answer has no status")?.parse()?;
    Ok(Answer { status, head: head.to_lowercase(), body: body.into() })
}
