//! The bytes of a connection, with a look at the first ones: a peer that speaks something else is told apart before
//! HTTP/2 chokes on it.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use tokio_rustls::client::TlsStream;

use super::fault;

/// In clear or over TLS.
#[derive(Debug)]
pub(super) enum Transport {
    Clear(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// A connection to a peer.
#[derive(Debug)]
pub(super) struct PeerStream {
    transport: Transport,
    opening: Opening,
}

/// The first bytes of the peer, up to the type of its first frame.
#[derive(Debug, Default)]
struct Opening {
    bytes: [u8; 4],
    seen: usize,
}

/// The type of the frame that a server of HTTP/2 begins with (RFC 9113, section 3.4).
const SETTINGS: u8 = 4;

impl Opening {
    /// Takes what was read; an error says what else the peer speaks.
    fn check(&mut self, read: &[u8]) -> io::Result<()> {
        if self.seen == self.bytes.len() {
            return Ok(());
        }
        let wrong = |sentence: &str| Err(io::Error::new(io::ErrorKind::InvalidData, sentence));
        if read.is_empty() {
            return wrong(
                "the server closed the connection without a word: it may be full, or be no gRPC service",
            );
        }
        let count = read.len().min(self.bytes.len() - self.seen);
        self.bytes[self.seen..self.seen + count].copy_from_slice(&read[..count]);
        self.seen += count;
        let seen = &self.bytes[..self.seen];
        if seen.starts_with(&[0x15, 0x03]) {
            return wrong("the server speaks TLS: use https://");
        }
        if seen.starts_with(b"HTTP") {
            return wrong("the server speaks HTTP/1, so it is no gRPC service: is the port right?");
        }
        if self.seen == self.bytes.len() && self.bytes[3] != SETTINGS {
            return wrong("the server does not speak HTTP/2, so it is no gRPC service: is the port right?");
        }
        Ok(())
    }
}

impl PeerStream {
    pub(super) fn new(transport: Transport) -> Self {
        Self { transport, opening: Opening::default() }
    }
}

impl AsyncRead for PeerStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = match &mut self.transport {
            Transport::Clear(stream) => Pin::new(stream).poll_read(context, buffer),
            Transport::Tls(stream) => Pin::new(stream).poll_read(context, buffer).map_err(fault::of_tls),
        };
        ready!(read)?;
        Poll::Ready(self.opening.check(&buffer.filled()[before..]))
    }
}

impl AsyncWrite for PeerStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.transport {
            Transport::Clear(stream) => Pin::new(stream).poll_write(context, bytes),
            Transport::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.transport {
            Transport::Clear(stream) => Pin::new(stream).poll_flush(context),
            Transport::Tls(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.transport {
            Transport::Clear(stream) => Pin::new(stream).poll_shutdown(context),
            Transport::Tls(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.transport {
            Transport::Clear(stream) => Pin::new(stream).poll_write_vectored(context, slices),
            Transport::Tls(stream) => Pin::new(stream).poll_write_vectored(context, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match &self.transport {
            Transport::Clear(stream) => stream.is_write_vectored(),
            Transport::Tls(stream) => stream.is_write_vectored(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(pieces: &[&[u8]]) -> Result<(), String> {
        let mut opening = Opening::default();
        pieces.iter().try_for_each(|piece| opening.check(piece)).map_err(|error| error.to_string())
    }

    #[test]
    fn settings_come_first_and_other_protocols_are_named() {
        let settings: &[u8] = &[0, 0, 0x18, 4, 0, 0, 0, 0, 0];
        assert_eq!(judged(&[settings]), Ok(()));
        assert_eq!(judged(&[&settings[..1], &settings[1..3], &settings[3..], b"HTTP", &[]]), Ok(()));
        for (pieces, said) in [
            (&[&[0x15, 0x03, 0x03, 0x00, 0x02][..]][..], "https://"),
            (&[b"HT", b"TP/1.1 400"], "HTTP/1"),
            (&[b"SSH-2.0"], "no gRPC service"),
            (&[b""], "without a word"),
        ] {
            assert!(judged(pieces).unwrap_err().contains(said));
        }
    }
}
