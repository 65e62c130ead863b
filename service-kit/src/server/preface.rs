//! The first bytes of a caller: they tell gRPC from everything else that finds an open port.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

/// What every HTTP/2 connection begins with (RFC 9113, section 3.4).
pub(super) const PREFACE: [u8; 24] = *b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Methods of HTTP/1.
const HTTP1: [&[u8]; 5] = [b"GET ", b"POST", b"HEAD", b"PUT ", b"OPTI"];

/// What HTTP/1 is answered, so that whoever opens the address in a browser knows.
const HTTP1_ANSWER: &[u8] = b"HTTP/1.1 505 HTTP Version Not Supported\r\ncontent-type: text/plain\r\n\
content-length: 57\r\nconnection: close\r\n\r\nthis port speaks gRPC over HTTP/2; use a client of gRPC.\n";

/// Reads the opening of HTTP/2, and answers a caller who speaks something else.
///
/// # Errors
/// The caller left or speaks something else; the error says what.
pub(super) async fn read(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> io::Result<()> {
    let mut seen = [0; PREFACE.len()];
    let mut length = 0;
    while length < seen.len() {
        let count = stream.read(&mut seen[length..]).await?;
        if count == 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "left without a word"));
        }
        length += count;
        if seen[..length] == PREFACE[..length] {
            continue;
        }
        // Enough to tell, or a caller that will not say more.
        if length < 4 && HTTP1.iter().any(|method| method.starts_with(&seen[..length])) {
            continue;
        }
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            other_protocol(&seen[..length], stream).await,
        ));
    }
    Ok(())
}

async fn other_protocol(seen: &[u8], stream: &mut (impl AsyncWrite + Unpin)) -> &'static str {
    if seen.starts_with(&[0x16, 0x03]) {
        return "speaks TLS, and this server has no certificate: set server.tls.certificate or use http://";
    }
    if HTTP1.iter().any(|method| seen.starts_with(method)) {
        // The caller may have left; then nobody misses the answer.
        stream.write_all(HTTP1_ANSWER).await.ok();
        return "speaks HTTP/1, which is no gRPC";
    }
    "speaks another protocol than HTTP/2"
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn heard(sent: &[u8]) -> (io::Result<()>, Vec<u8>) {
        let (mut caller, mut server) = tokio::io::duplex(1024);
        caller.write_all(sent).await.unwrap();
        caller.shutdown().await.unwrap();
        let outcome = read(&mut server).await;
        drop(server);
        let mut answer = Vec::new();
        caller.read_to_end(&mut answer).await.unwrap();
        (outcome, answer)
    }

    #[tokio::test]
    async fn the_preface_passes_and_other_protocols_are_named() {
        assert!(heard(&PREFACE).await.0.is_ok());
        for (sent, said) in [
            (&b"GET / HTTP/1.1\r\n\r\n"[..], "HTTP/1"),
            (&[0x16, 0x03, 0x01, 0x02], "TLS"),
            (b"SSH-2.0-OpenSSH_9.2\r\n", "another protocol"),
            (b"PRI * HTTP/2.1", "another protocol"),
            (b"PRI * HT", "left without a word"),
            (b"", "left without a word"),
        ] {
            let error = heard(sent).await.0.unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
    }

    #[tokio::test]
    async fn http_1_gets_an_answer_of_the_length_it_says() {
        let (_, answer) = heard(b"GET / HTTP/1.1\r\n\r\n").await;
        let text = String::from_utf8(answer).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("content-length: {}\r\n", body.len())), "{text}");
    }
}
